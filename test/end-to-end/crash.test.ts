/**
 * An agent that is killed after any of its effects: the next one goes on, and nothing is asked for twice. Between two
 * effects nothing outside the process changes, so a death after each of them is a death at every boundary. (What a death within
 * an effect leaves is replayed call by call in `crash-replay.test.ts`.)
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { createIdentity } from '../../agent/kubernetes/identity.ts';
import type { KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { createMonotonicClock } from '../../agent/time/monotonic-clock.ts';
import { type Cluster, startCluster } from '../../sandbox/cluster/cluster.ts';
import { parseDeclaration } from '../../volumes/declaration/sources.ts';
import { withinBound } from '../support/bounded.ts';
import { withFields } from '../support/fields.ts';
import { mountSkip } from '../volumes/support.ts';
import type { CrashPlan, Phase, Round } from './crash-child.ts';
import { type IssuerCase, issuerCases, rulesFor, startAnswering } from './issuers.ts';
import { signerName } from './node.ts';
import { mountedDirectory } from './real-node.ts';

const sources = [
  { podCertificate: { signerName, keyType: 'ECDSAP256', keyPath: 'key.pem', certificateChainPath: 'chain.pem' } },
  { clusterTrustBundle: { signerName, labelSelector: {}, path: 'ca.pem' } },
];
/** A request of any API: a PodCertificateRequest names its pod in a field, the others in a label. */
type Asked = KubernetesObject & { readonly spec: { readonly podUID?: string } };

/** The effects of an issuance, in their order. A refresh has the same but for the first. */
const effects = [
  'create',
  'generate',
  'savePending',
  'submit',
  'verify',
  'saveAnswer',
  'project',
  'saveCurrent',
  'discardPending',
];

const daySeconds = 86_400;

for (const issuer of issuerCases) {
  const title = 'after a death at any point of an issuance or a refresh the next agent goes on, with no request more';
  const options = { skip: mountSkip, timeout: 600_000 };
  test(`${title} (${issuer.can.title})`, options, (t) => dieEverywhere(t, issuer));
}

async function dieEverywhere(t: TestContext, issuer: IssuerCase): Promise<void> {
  const { cluster, directory, created } = await startCrashCluster(t, issuer);
  const access = { ...(await accessOf(cluster)), issuers: rulesFor(issuer.api) };
  const stored = (): readonly Asked[] =>
    cluster.apiServer.store.list(issuer.storedAs).map((object) => withFields<Asked>(object, 'metadata', 'spec'));
  const deaths = new Set<string>();
  let left: CrashPlan['left'];
  let last = '';
  for (let dieAfter = 1; ; dieAfter += 1) {
    const next = await makeRound(cluster, join(directory, `r${dieAfter}`));
    const end = await runChild(t, { ...access, ...(left === undefined ? {} : { left }), next, dieAfter });
    if (left !== undefined) {
      assertWhole(left, left.phase, created);
      assertTidy(left, issuer, stored(), last);
    }
    if (end.signal === null) {
      assertWhole(next, 'refresh', created);
      assertTidy(next, issuer, stored(), '');
      break;
    }
    assert.equal(end.signal, 'SIGKILL', end.errors);
    if (end.phase === 'refresh') {
      assertPair(next);
    }
    last = end.effects.at(-1) ?? '';
    deaths.add(`${end.phase} ${last}`);
    left = { ...next, phase: end.phase };
  }
  const all = [...effects.map((effect) => `issuance ${effect}`), ...effects.slice(1).map((one) => `refresh ${one}`)];
  assert.deepEqual([...deaths].sort(), all.sort());
}

async function startCrashCluster(t: TestContext, { api, storedAs }: IssuerCase) {
  let cluster: Cluster | undefined;
  t.after(() => cluster?.close());
  const directory = mountedDirectory(t, 'shared');
  const certManager = api === 'certManager';
  cluster = await startCluster({ signers: [{ signerName }], directory, kubelet: 'none', certManager });
  await startAnswering(t, api, { cluster }, daySeconds);
  const created: Asked[] = [];
  cluster.apiServer.store.subscribe(({ resource, type, object }) => {
    if (type !== 'ADDED' || resource !== storedAs) {
      return;
    }
    created.push(withFields<Asked>(object, 'metadata', 'spec'));
  });
  return { cluster, directory, created };
}

/** What a child needs to reach the API server as the agent. */
async function accessOf(cluster: Cluster): Promise<Omit<CrashPlan, 'next' | 'dieAfter' | 'issuers'>> {
  const { nodeName, impersonateNode, driverName, kubeconfigs } = cluster;
  const identity = createIdentity({ kind: 'kubeconfig', path: kubeconfigs.agent }, { clock: createMonotonicClock() });
  const { server, tls, headers } = await identity.current();
  return { server, ca: String(tls.ca), headers, nodeName, impersonateNode, driverName };
}

/** A pod, and its volume as a kubelet prepares it. */
async function makeRound(cluster: Cluster, kubeletRoot: string): Promise<Round> {
  const name = `web-${kubeletRoot.split('/').at(-1)}`;
  const { metadata } = await cluster.admin.createPod({ name, volumes: [{ name: 'mtls', sources }] });
  const uid = metadata.uid ?? '';
  const targetPath = join(kubeletRoot, 'pods', uid, 'volumes/kubernetes.io~csi/mtls/mount');
  mkdirSync(dirname(targetPath), { recursive: true });
  writeFileSync(join(dirname(targetPath), 'vol_data.json'), '{}');
  const declared = parseDeclaration({ sources: JSON.stringify(sources) });
  assert.ok(declared.ok, inspect(declared));
  const pod = { namespace: 'default', name, uid, serviceAccountName: 'default' };
  const { declaration } = declared;
  return { kubeletRoot, request: { volumeId: `csi-${name}`, targetPath, volumeName: 'mtls', pod, declaration } };
}

async function runChild(t: TestContext, plan: CrashPlan) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-child.ts'), JSON.stringify(plan)]);
  t.after(() => child.kill('SIGKILL'));
  const ended = Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  const [output, errors, [code, signal]] = await withinBound(
    ended,
    `the agent to end, which runs ${JSON.stringify(plan)}`,
  );
  assert.ok(signal !== null || code === 0, errors);
  const lines = output.trimEnd().split('\n');
  const begun = lines.findLast((line) => line.startsWith('phase '));
  const phase: Phase = begun === 'phase refresh' ? 'refresh' : 'issuance';
  const effectsDone = lines.filter((line) => line.startsWith('effect ')).map((line) => line.slice('effect '.length));
  return { signal, phase, errors, effects: effectsDone };
}

/** The volume holds the newest certificate that was asked for, nothing was asked for twice, and nothing is left over. */
function assertWhole(round: Round, phase: Phase, created: readonly Asked[]): void {
  const { targetPath } = round.request;
  const asked = created.filter((object) => isOf(round, object));
  assert.equal(asked.length, phase === 'issuance' ? 1 : 2, targetPath);
  assertPair(round);
  const state = JSON.parse(readFileSync(join(targetPath, '..agent', 'issued-0.json'), 'utf8'));
  assert.equal(state.issued.requestName, asked.at(-1)?.metadata.name);
  assert.equal(state.issued.serialNumber, leaf(round).serialNumber);
  assert.match(readFileSync(join(targetPath, 'ca.pem'), 'utf8'), /BEGIN CERTIFICATE/);
  assert.deepEqual(readdirSync(join(targetPath, '..agent')).sort(), ['issued-0.json', 'volume.json']);
  // The files, and those before them for readers that have not finished; the next agent clears the latter away.
  const sets = readdirSync(targetPath).filter((name) => /^\.\.\d/.test(name));
  assert.ok(sets.length === 1 || (phase === 'refresh' && sets.length === 2), sets.join());
}

/**
 * No request is left of a volume that is whole, but for one: an agent that dies when it has forgotten a request may not have
 * removed it, and the next one learns of it with the volume's next certificate. (PodCertificateRequests are the API server's to
 * remove.)
 */
function assertTidy(round: Round, { api }: IssuerCase, stored: readonly Asked[], diedAfter: string): void {
  const left = stored.filter((object) => isOf(round, object)).map(({ metadata }) => metadata.name);
  const most = diedAfter === 'discardPending' ? 1 : 0;
  assert.ok(api === 'podCertificateRequest' || left.length <= most, `after ${diedAfter}: ${left.join()}`);
}

function isOf({ request: { pod } }: Round, { metadata, spec }: Asked): boolean {
  return (spec.podUID ?? metadata.labels?.['podcert.io/pod-uid']) === pod.uid;
}

/** Key and certificate belong together. */
function assertPair(round: Round): void {
  const key = createPrivateKey(readFileSync(join(round.request.targetPath, 'key.pem')));
  assert.equal(leaf(round).checkPrivateKey(key), true, 'the key does not belong to the leaf');
}

function leaf({ request }: Round): X509Certificate {
  return new X509Certificate(readFileSync(join(request.targetPath, 'chain.pem')));
}
