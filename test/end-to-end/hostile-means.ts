/** What brings hostile inputs to an agent, as whoever may write to the API server would. */
import type { ApiObject, JsonObject } from '../../sandbox/base/objects.ts';
import { until, withinBound } from '../support/bounded.ts';
import type { AgentProcess, RealNode } from './real-node.ts';

export interface HostileNode extends RealNode {
  readonly agent: AgentProcess;
}

export interface HostileInput {
  readonly name: string;
  /** Brings the input to the agent, and waits until it has dealt with it. @param round makes names that are new */
  feed(node: HostileNode, round: string): Promise<void>;
}

export const requestsResource = 'podcertificaterequests.certificates.k8s.io';
export const bundlesResource = 'clustertrustbundles.certificates.k8s.io';

export const repeated = (text: string, length: number): string => text.repeat(Math.floor(length / text.length));
export async function deal(
  node: HostileNode,
  name: string,
  volumes: readonly { name: string; sources: string }[],
): Promise<void> {
  const told = eventOn(node, name);
  await node.cluster.admin.createPod({ name, volumes });
  await withinBound(
    Promise.race([told, node.agent.logged((line) => line['pod'] === name)]),
    `pod ${name} to be dealt with`,
  );
}

/** Resolves with the first event on a pod: the kubelet's, for a volume that is refused. */
function eventOn(node: HostileNode, pod: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const unsubscribe = node.cluster.apiServer.store.subscribe(({ resource, object }) => {
    if (resource === 'events' && (object['involvedObject'] as JsonObject | undefined)?.['name'] === pod) {
      unsubscribe();
      resolve();
    }
  });
  return promise;
}

export function put(node: HostileNode, resource: string, object: ApiObject): void {
  const { store } = node.cluster.apiServer;
  const { namespace = '', name = '' } = object.metadata;
  if (store.get(resource, namespace, name) === undefined) {
    store.create(resource, {
      ...object,
      metadata: { uid: `${resource}-${name}`, creationTimestamp: new Date().toISOString(), ...object.metadata },
    });
  } else {
    store.update(resource, object);
  }
}

export function bundle(name: string, trustBundle: string, more: JsonObject = {}, signerName?: string): ApiObject {
  return {
    apiVersion: 'certificates.k8s.io/v1beta1',
    kind: 'ClusterTrustBundle',
    metadata: { name, ...more },
    spec: { ...(signerName === undefined ? {} : { signerName }), trustBundle },
  };
}

export const anchorsOf = (name: string): string => `- clusterTrustBundle: {name: ${name}, path: ca.pem}\n`;

/** Has a pod ask a signer that nobody attends, and gives the answer. */
export function answerInput(name: string, statusOf: (round: string) => JsonObject): HostileInput {
  return {
    name,
    feed: async (node, round) => {
      const pod = `answer-${round}-${name.toLowerCase().replaceAll(/[ ,]+/g, '-')}`;
      const { store } = node.cluster.apiServer;
      const sources = '- podCertificate: {signerName: example.com/nobody, keyType: ED25519, credentialBundlePath: t}\n';
      await node.cluster.admin.createPod({ name: pod, volumes: [{ name: 'mtls', sources }] });
      const mine = () => store.list(requestsResource).find(({ spec }) => spec?.['podName'] === pod);
      await until(() => mine() !== undefined, 'the request');
      const request = mine();
      if (request !== undefined) {
        store.update(requestsResource, { ...request, status: statusOf(round) });
      }
      await node.agent.logged((line) => line['pod'] === pod && (line.level === 'warn' || line.level === 'error'));
      await withinBound(node.cluster.admin.deletePod('default', pod), 'the pod to go');
    },
  };
}
