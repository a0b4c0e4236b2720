/**
 * A whole node for tests: the sandbox's cluster and the real agent in this process, talking over real sockets.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, startAgent } from '../../agent/agent.ts';
import { type AgentConfiguration, parseConfiguration } from '../../agent/configuration/configuration.ts';
import type { PodCertificateRequest } from '../../agent/kubernetes/objects.ts';
import { createLogger } from '../../agent/observe/log/log.ts';
import type { Event } from '../../sandbox/cluster/admin.ts';
import { type Cluster, type ClusterOptions, startCluster } from '../../sandbox/cluster/cluster.ts';
import type { BoundPod } from '../../sandbox/kubelet/pod.ts';
import { withinBound } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { eachWithFields } from '../support/fields.ts';

export const signerName = 'example.com/mesh';

/** A log line as the agent wrote it. */
export type Line = Readonly<Record<string, unknown>> & { readonly level: string; readonly message: string };

export interface TestNode {
  readonly cluster: Cluster;
  /** Every line that the agent has logged. */
  readonly lines: Line[];
  /** Resolves with the first line, logged already or yet to come, that the predicate accepts. */
  logged(accept: (line: Line) => boolean): Promise<Line>;
  /** Directory that the pod's containers would see. */
  volume(pod: BoundPod, name?: string): string;
  read(pod: BoundPod, file: string): string;
  /** The same of a volume of another name. */
  readFrom(pod: BoundPod, volume: string, file: string): string;
  /** The leaf in a file of the pod's volume. */
  leaf(pod: BoundPod, file?: string): X509Certificate;
  /** Body of a GET at the agent's HTTP endpoint. */
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<string>;
  metrics(): Promise<string>;
  stopAgent(): Promise<void>;
  startAgent(): Promise<void>;
  /** Requests stored at the API server. */
  requests(): readonly PodCertificateRequest[];
  /** Resolves with the first event of this reason on a pod of this name, recorded already or yet to come, that is accepted. */
  event(pod: string, reason: string, accept?: (event: Event) => boolean): Promise<Event>;
  /** Reasons of the events on a pod so far. */
  reasons(pod: string): readonly string[];
}

export interface NodeOptions extends Omit<Partial<ClusterOptions>, 'directory'> {
  readonly flags?: readonly string[];
  /** True: the agent registers its driver, in the directory where the cluster's kubelet looks. Default false. */
  readonly registration?: boolean;
}

/** The sources that most tests use: a credential bundle and the signer's anchors. */
export const usualSources = [
  { podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } },
  { clusterTrustBundle: { signerName, labelSelector: {}, path: 'ca.pem' } },
];

/** What is told how to end what a test has started. */
export interface Closing {
  after(close: () => Promise<void>): void;
}

export async function startNode(t: Closing, options: NodeOptions = {}): Promise<TestNode> {
  const { flags = [], registration = false, ...clusterOptions } = options;
  const removals: (() => void)[] = [];
  const directory = makeDirectory({ after: (remove) => void removals.push(remove) });
  const cluster = await startCluster({ signers: [{ signerName }], ...clusterOptions, directory });
  const lines: Line[] = [];
  const waiting = new Set<(line: Line) => void>();
  const log = createLogger({
    level: 'debug',
    format: 'json',
    destination: {
      write(text: string) {
        const line: Line = JSON.parse(text);
        lines.push(line);
        for (const listener of [...waiting]) {
          listener(line);
        }
      },
    },
  });
  let agent: Agent | undefined;

  const node: TestNode = {
    cluster,
    lines,
    logged(accept) {
      const { promise, resolve } = Promise.withResolvers<Line>();
      const listener = (line: Line): void => {
        if (accept(line)) {
          resolve(line);
        }
      };
      waiting.add(listener);
      const found = lines.find(accept);
      if (found !== undefined) {
        resolve(found);
      }
      const what = (): string => `a log line that ${accept} accepts; the last lines are\n${lastOf(lines)}`;
      return withinBound(promise, what).finally(() => waiting.delete(listener));
    },
    volume: ({ metadata }, name = 'mtls') =>
      join(cluster.kubeletRoot, 'pods', metadata.uid ?? '', 'volumes/kubernetes.io~csi', name, 'mount'),
    read: (pod, file) => readFileSync(join(node.volume(pod), file), 'utf8'),
    readFrom: (pod, volume, file) => readFileSync(join(node.volume(pod, volume), file), 'utf8'),
    leaf: (pod, file = 'tls.pem') => new X509Certificate(firstCertificate(node.read(pod, file))),
    async get(path, headers = {}) {
      const { host, port } = agent?.observeAddress ?? { host: '', port: 0 };
      const response = await fetch(`http://${host}:${port}${path}`, { headers });
      return response.text();
    },
    metrics: () => node.get('/metrics'),
    async stopAgent() {
      await agent?.stop();
      agent = undefined;
    },
    async startAgent() {
      const parse = () =>
        parseConfiguration(argvFor(cluster, flags, registration), {}, (path) => readFileSync(path, 'utf8'));
      agent = await startAgent({ configuration: configured(parse()), parse, log, version: '0.0.0-test' });
    },
    requests: () => stored<PodCertificateRequest>(cluster, 'podcertificaterequests.certificates.k8s.io'),
    event(pod, reason, accept = () => true) {
      const { promise, resolve } = Promise.withResolvers<Event>();
      const look = (): void => {
        const found = eventsOn(cluster, pod).find((event) => event.reason === reason && accept(event));
        if (found !== undefined) {
          resolve(found);
        }
      };
      const unsubscribe = cluster.apiServer.store.subscribe(look);
      look();
      const what = (): string => `the event ${reason} on pod ${pod}, which has [${node.reasons(pod).join(', ')}]`;
      return withinBound(promise, what).finally(unsubscribe);
    },
    reasons: (pod) => eventsOn(cluster, pod).map(({ reason = '' }) => reason),
  };
  t.after(async () => {
    await node.stopAgent();
    await cluster.close();
    for (const remove of removals) {
      remove();
    }
  });
  await node.startAgent();
  return node;
}

/** The end of a log, for the message of a wait in vain. */
export function lastOf(lines: readonly Line[]): string {
  return lines
    .slice(-20)
    .map((line) => JSON.stringify(line))
    .join('\n');
}

function eventsOn(cluster: Cluster, pod: string): readonly Event[] {
  return stored<Event>(cluster, 'events').filter(({ involvedObject }) => involvedObject?.name === pod);
}

/** The store keeps plain JSON; which type it has, the resource says. */
function stored<T extends { readonly metadata: object }>(cluster: Cluster, resource: string): readonly T[] {
  return eachWithFields<T>(cluster.apiServer.store.list(resource), 'metadata');
}

function argvFor(cluster: Cluster, flags: readonly string[], registration: boolean): string[] {
  return [
    ...['--kubeconfig', cluster.kubeconfigs.agent, '--node-name', cluster.nodeName],
    ...['--volume-mode', 'directory', '--kubelet-root', cluster.kubeletRoot],
    ...['--csi-socket', cluster.csiSocket, '--metrics-address', '127.0.0.1:0'],
    ...(registration ? [] : ['--no-registration']),
    ...(cluster.impersonateNode ? ['--impersonate-node'] : []),
    ...flags,
  ];
}

function configured(parsed: ReturnType<typeof parseConfiguration>): AgentConfiguration {
  if (parsed.type === 'run') {
    return parsed.configuration;
  }
  throw new Error(`the test's own flags are at fault: ${JSON.stringify(parsed)}`);
}

function firstCertificate(text: string): string {
  const [certificate] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(text) ?? [];
  if (certificate === undefined) {
    throw new Error('no certificate in the file');
  }
  return certificate;
}

/** The line that says that a certificate is in the files: the pod's first one, or a renewal. */
export function written(pod: string, first: boolean): (line: Line) => boolean {
  const message = first ? 'certificate written' : 'certificate renewed';
  return (line) => line.message === message && line['pod'] === pod;
}
