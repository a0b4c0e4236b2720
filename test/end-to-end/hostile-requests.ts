/**
 * What whoever may write to CertificateSigningRequests, or to cert-manager's CertificateRequests, could keep an agent busy with: what
 * nobody would write into one, and as many changes as they like.
 */
import { nodeLabel } from '../../agent/issuance/contents-request.ts';
import { podLabel } from '../../agent/issuance/leftovers.ts';
import type { ApiObject, JsonObject } from '../../sandbox/base/objects.ts';
import { until, withinBound } from '../support/bounded.ts';
import { type HostileInput, type HostileNode, put, repeated } from './hostile-means.ts';

interface Api {
  readonly signerName: string;
  readonly resource: string;
  /** Absent: requests are cluster-scoped. */
  readonly namespace?: string;
  /** Of a request of somebody else. */
  readonly spec: JsonObject;
  readonly apiVersion: string;
  readonly kind: string;
}

const signing: Api = {
  signerName: 'signing.example.com/nobody',
  resource: 'certificatesigningrequests.certificates.k8s.io',
  spec: { request: 'AAAA', signerName: 'signing.example.com/nobody', usages: [] },
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
};
const manager: Api = {
  signerName: 'manager.example.com/nobody',
  resource: 'certificaterequests.cert-manager.io',
  namespace: 'default',
  spec: { request: 'AAAA', issuerRef: { name: 'nobody' } },
  apiVersion: 'cert-manager.io/v1',
  kind: 'CertificateRequest',
};

/** Rules by which those signers are asked through those APIs, one of them as the pod's account. */
export const hostileRules: readonly object[] = [
  { signers: ['signing.example.com/nobody'], certificateSigningRequest: {} },
  { signers: ['pods.example.com/nobody'], as: 'pod', certificateSigningRequest: {} },
  { signers: ['manager.example.com/nobody'], certManager: { issuer: { name: 'nobody', kind: 'ClusterIssuer' } } },
];

const megabyte = 1_400_000;
const deep = (levels: number): JsonObject => {
  let value: JsonObject = {};
  for (let level = 0; level < levels; level += 1) {
    value = { a: value };
  }
  return value;
};
const conditions = (count: number, message: string): JsonObject[] =>
  Array.from({ length: count }, (_, index) => ({ type: `x${index}`, status: 'True', reason: 'x', message }));

/** Statuses that leave a request open, or that nobody can read. */
const statuses: Readonly<Record<string, () => JsonObject>> = {
  'many conditions': () => ({ conditions: conditions(20_000, 'x') }),
  'as many conditions as are kept': () => ({ conditions: conditions(3_200, repeated('x', 400)) }),
  'conditions of wrong types': () => ({ conditions: [1, null, [], { type: 1 }, { type: 'Ready', status: {} }] }),
  'a megabyte in place of conditions': () => ({ conditions: repeated('x', megabyte) }),
  'nested conditions': () => ({ conditions: deep(3_000) }),
  'a nested field that nobody knows': () => ({ unknown: deep(3_000) }),
  '60,000 fields that nobody knows': () =>
    Object.fromEntries(Array.from({ length: 60_000 }, (_, index) => [`unknown${index}`, index])),
  'a certificate of another type': () => ({ certificate: { a: [1] }, ca: 5 }),
};

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const ready: JsonObject = { conditions: [{ type: 'Ready', status: 'True', reason: 'Issued' }] };

/** Statuses of a megabyte; the last one of each is an answer. */
const answers: Readonly<Record<string, readonly (() => JsonObject)[]>> = {
  'a hurdle, and a certificate of control characters': [
    () => ({
      conditions: [{ type: 'Ready', status: 'False', reason: 'x', message: repeated('\u0001', megabyte / 6) }],
    }),
    () => ({ ...ready, certificate: base64(repeated('\u0001', 1_000_000)) }),
  ],
  'a certificate that is no Base64': [() => ({ ...ready, certificate: repeated('!', megabyte) })],
  anchors: [
    () => ({
      ...ready,
      certificate: base64('x'),
      ca: base64(repeated('-----BEGIN CERTIFICATE-----\n', 1_000_000)),
    }),
  ],
};

const words = (): JsonObject => ({
  conditions: [{ type: 'Denied', status: 'True', message: repeated('no ', megabyte) }],
});

async function waitingPod(node: HostileNode, { signerName, resource }: Api, pod: string): Promise<() => ApiObject> {
  const sources = `- podCertificate: {signerName: ${signerName}, keyType: ED25519, credentialBundlePath: t}\n`;
  const { metadata } = await node.cluster.admin.createPod({ name: pod, volumes: [{ name: 'mtls', sources }] });
  const mine = (): ApiObject | undefined =>
    node.cluster.apiServer.store
      .list(resource)
      .filter(({ metadata: { labels } }) => labels?.[podLabel] === metadata.uid)
      .at(-1);
  await until(() => mine() !== undefined, `the request of ${pod}`);
  return () => mine() ?? { metadata: {} };
}

function toldOf(node: HostileNode, pod: string): Promise<unknown> {
  return node.agent.logged((line) => line['pod'] === pod && (line.level === 'warn' || line.level === 'error'));
}

/** Gives statuses one after the other, of which the last is an answer, to the request of a pod. */
async function answer(node: HostileNode, api: Api, pod: string, given: readonly (() => JsonObject)[]): Promise<void> {
  const mine = await waitingPod(node, api, pod);
  for (const status of given) {
    node.cluster.apiServer.store.update(api.resource, { ...mine(), status: status() });
  }
  await toldOf(node, pod);
  await withinBound(node.cluster.admin.deletePod('default', pod), 'the pod to go');
}

const junkInputs: readonly HostileInput[] = [
  {
    name: 'a CertificateSigningRequest of junk, and an answer of a megabyte of words',
    feed: (node, round) => answer(node, signing, `junk-signing-${round}`, [...Object.values(statuses), words]),
  },
  ...Object.entries(answers).map(([kind, given], index) => ({
    name: `a CertificateRequest with a megabyte of ${kind}`,
    feed: (node: HostileNode, round: string) => answer(node, manager, `junk-manager-${round}-${index}`, given),
  })),
];

/** Changes of one request, and requests of others. */
const changes = 1_000;
const strangers = 500;

/** While a pod waits: its own request and those of others change again and again. */
const burstInput: HostileInput = {
  name: `${changes} changes of others' CertificateRequests, and ${changes} of the pod's own`,
  feed: async (node, round) => {
    const { store } = node.cluster.apiServer;
    const { resource, apiVersion, kind, spec, namespace = '' } = manager;
    const pod = `changes-${round}`;
    const mine = await waitingPod(node, manager, pod);
    const names = Array.from({ length: strangers }, (_, index) => `stranger-${round}-${index}`);
    const change = (name: string, index: number): void => {
      const labels = { [nodeLabel]: node.cluster.nodeName, [podLabel]: 'x', change: String(index) };
      put(node, resource, { apiVersion, kind, metadata: { name, namespace, labels }, spec });
      const condition = { type: 'Ready', status: 'False', reason: 'Pending', message: `${name}, ${index}` };
      store.update(resource, { ...mine(), status: { conditions: [condition] } });
    };
    for (let index = 0; index < changes / strangers; index += 1) {
      for (const name of names) {
        change(name, index);
      }
    }
    store.update(resource, { ...mine(), status: { conditions: [{ type: 'Denied', status: 'True' }] } });
    await toldOf(node, pod);
    await withinBound(node.cluster.admin.deletePod('default', pod), 'the pod to go');
    for (const name of names) {
      store.remove(resource, namespace, name);
    }
  },
};

/** What comes in place of a token: a text of a megabyte, and as many audiences as fit into one of the longest tokens that are read. */
const tokens: readonly string[] = [
  repeated('ey.', 1024 * 1024),
  `e30.${Buffer.from(`{"aud":[${repeated('"",', 12_000)}""]}`).toString('base64url')}.x`,
];

const tokenInput: HostileInput = {
  name: 'odd texts in place of tokens',
  feed: async (node, round) => {
    for (const [index, token] of tokens.entries()) {
      const remove = node.cluster.apiServer.faults.add({
        kind: 'reply',
        code: 201,
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ kind: 'TokenRequest', status: { token, expirationTimestamp: '9999-12-31T23:59:59Z' } }),
        match: { verb: 'create', resource: 'serviceaccounts', subresource: 'token' },
      });
      const pod = `token-${round}-${index}`;
      const sources =
        '- podCertificate: {signerName: pods.example.com/nobody, keyType: ED25519, credentialBundlePath: t}\n';
      await node.cluster.admin.createPod({ name: pod, volumes: [{ name: 'mtls', sources }] });
      await toldOf(node, pod);
      remove();
      await withinBound(node.cluster.admin.deletePod('default', pod), 'the pod to go');
    }
  },
};

export const hostileRequests: readonly HostileInput[] = [...junkInputs, burstInput, tokenInput];
