/**
 * A node and a signer for each certificate API, behind one face: the same pods, with the same signer's name, tried through
 * each of them. What an API can do beyond that, the agent's own table says (`agent/issuance/capabilities.ts`).
 */
import { type TestContext, test } from 'node:test';
import { type Capabilities, capabilities } from '../../agent/issuance/capabilities.ts';
import type { CertificateApi } from '../../agent/issuance/issuer-rules.ts';
import { createSandboxClient } from '../../sandbox/base/client.ts';
import type { Behaviour } from '../../sandbox/signers/behaviours.ts';
import { type CertManagerBehaviour, startCertManager } from '../../sandbox/signers/cert-manager.ts';
import { type SigningBehaviour, startSigningRequestSigner } from '../../sandbox/signers/signing-requests.ts';
import { putIssuer } from './cert-manager-issuer.ts';
import { type Closing, type NodeOptions, signerName, startNode, type TestNode } from './node.ts';

/** What a signer does with requests. `silent` leaves them, also unapproved. */
export type Answering = 'issue' | 'deny' | 'fail' | 'silent';

export interface IssuerCase {
  readonly api: CertificateApi;
  readonly can: Capabilities;
  /** The plural of its requests, and where the store keeps them. */
  readonly resource: string;
  readonly storedAs: string;
  /** What the pod's event quotes of a signer that denies or fails. */
  readonly says: Readonly<Record<'deny' | 'fail', RegExp>>;
}

export interface IssuerNode {
  readonly node: TestNode;
  setAnswering(answering: Answering): void;
  /** Names of all requests ever made, in order. */
  readonly made: readonly string[];
  /** Names of the requests that the API server holds. */
  stored(): readonly string[];
  /** Removes a request, as somebody with the right to. */
  remove(name: string): void;
  /** Denies every request that the API server holds, in these words: for a signer that is silent. */
  deny(reason: string, message: string): void;
}

export interface IssuerNodeOptions {
  readonly flags?: readonly string[];
  readonly lifetimeSeconds?: number;
  /** Part of the lifetime after which certificates are renewed, whoever says so. */
  readonly refreshAfter?: number;
  readonly timeScale?: number;
}

export const issuerCases: readonly IssuerCase[] = [
  caseOf('podCertificateRequest', 'podcertificaterequests', 'certificates.k8s.io', {
    deny: /Policy: no/,
    fail: /Hsm: cannot/,
  }),
  caseOf('certificateSigningRequest', 'certificatesigningrequests', 'certificates.k8s.io', {
    deny: /Policy: no/,
    fail: /Sandbox: cannot/,
  }),
  caseOf('certManager', 'certificaterequests', 'cert-manager.io', {
    deny: /denied/,
    fail: /the authority cannot be reached/,
  }),
];

/** One test for each certificate API. */
export function throughEach(title: string, body: (t: TestContext, issuer: IssuerCase) => Promise<void>): void {
  for (const issuer of issuerCases) {
    test(`${title} (${issuer.can.title})`, (t) => body(t, issuer));
  }
}

function caseOf(api: CertificateApi, resource: string, group: string, says: IssuerCase['says']): IssuerCase {
  return { api, can: capabilities[api], resource, storedAs: `${resource}.${group}`, says };
}

const clusterIssuer = 'mesh-ca';

/** Rules by which `signerName` is asked through this API. */
export function rulesFor(api: CertificateApi, refreshAfter = 0.5): readonly object[] {
  if (api === 'podCertificateRequest') {
    return [];
  }
  const settings = api === 'certManager' ? { issuer: { name: clusterIssuer, kind: 'ClusterIssuer' } } : {};
  return [{ signers: [signerName], [api]: { ...settings, refreshAfter } }];
}

/** What tells an agent to ask `signerName` through this API. */
export function flagsFor(api: CertificateApi, refreshAfter = 0.5): readonly string[] {
  const rules = rulesFor(api, refreshAfter);
  return rules.length === 0 ? [] : ['--issuers', JSON.stringify(rules)];
}

/** Starts a node whose agent asks `signerName` through this API, and who answers there. */
export async function startIssuerNode(
  t: Closing,
  { api, storedAs }: IssuerCase,
  { lifetimeSeconds = 3600, refreshAfter = 0.5, timeScale = 1, flags = [] }: IssuerNodeOptions = {},
): Promise<IssuerNode> {
  const options: NodeOptions = {
    timeScale,
    signers: [{ signerName, lifetimeSeconds, refreshAtFraction: refreshAfter }],
    flags: [...flagsFor(api, refreshAfter), ...flags],
    certManager: api === 'certManager',
  };
  const node = await startNode(t, options);
  const { store } = node.cluster.apiServer;
  const made: string[] = [];
  store.subscribe(({ type, resource, object }) => {
    if (type === 'ADDED' && resource === storedAs) {
      made.push(object.metadata.name ?? '');
    }
  });
  const setAnswering = await startAnswering(t, api, node, lifetimeSeconds);
  return {
    node,
    setAnswering,
    made,
    stored: () => store.list(storedAs).map(({ metadata }) => metadata.name ?? ''),
    remove(name) {
      const found = store.list(storedAs).find(({ metadata }) => metadata.name === name);
      store.remove(storedAs, found?.metadata.namespace ?? '', name);
    },
    deny(reason, message) {
      for (const request of store.list(storedAs)) {
        const conditions = [{ type: 'Denied', status: 'True', reason, message }];
        store.update(storedAs, { ...request, status: { ...request.status, conditions } });
      }
    },
  };
}

const podBehaviours: Readonly<Record<Answering, Behaviour>> = {
  issue: { type: 'instant' },
  deny: { type: 'denying', reason: 'Policy', message: 'no' },
  fail: { type: 'failing', reason: 'Hsm', message: 'cannot' },
  silent: { type: 'silent' },
};
const signingBehaviours: Readonly<Record<Answering, SigningBehaviour>> = {
  issue: 'approve and sign',
  deny: 'deny',
  fail: 'fail',
  silent: 'silent',
};
const certManagerBehaviours: Readonly<Record<Answering, CertManagerBehaviour>> = {
  issue: { approver: 'approve', issuer: 'sign' },
  deny: { approver: 'deny', issuer: 'sign' },
  fail: { approver: 'approve', issuer: 'fail' },
  silent: { approver: 'wait for a command', issuer: 'sign' },
};

/** Certificates come from the authority of the cluster's signer, whose trust bundle leads to them. */
export async function startAnswering(
  t: Closing,
  api: CertificateApi,
  node: Pick<TestNode, 'cluster'>,
  lifetimeSeconds: number,
): Promise<(answering: Answering) => void> {
  const signer = node.cluster.signer(signerName);
  if (api === 'podCertificateRequest') {
    return (answering) => signer.setBehaviour(podBehaviours[answering]);
  }
  const client = createSandboxClient(node.cluster.kubeconfigs.signer, 'issuer');
  const onProblem = (problem: string): void => {
    throw new Error(problem);
  };
  const options = { client, authority: signer.authority, lifetimeSeconds, now: Date.now, onProblem };
  if (api === 'certificateSigningRequest') {
    const answers = startSigningRequestSigner({ ...options, signerName }, signingBehaviours.issue);
    t.after(async () => {
      answers.close();
      client.close();
    });
    return (answering) => answers.setBehaviour(signingBehaviours[answering]);
  }
  await putIssuer(node, clusterIssuer, true);
  const answers = startCertManager(options, certManagerBehaviours.issue);
  t.after(async () => {
    answers.close();
    client.close();
  });
  return (answering) => answers.setBehaviour(certManagerBehaviours[answering]);
}
