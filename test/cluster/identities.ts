/**
 * Identities: in each mode that the chart offers, the agent's own parts can do their work with the chart's permissions, and
 * whoever holds the agent's credentials cannot do what the security model says he cannot.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRequestedTokens } from '../../agent/issuance/requested-tokens.ts';
import type { JsonObject } from '../../sandbox/base/objects.ts';
import type { AgentIdentity } from '../../sandbox/cluster/permissions.ts';
import { createKeys } from '../sandbox/rules/cases/keys.ts';
import { users } from '../sandbox/rules/cases/objects.ts';
import { requestSpec } from '../sandbox/rules/cases/requests.ts';
import { createCertificates, createWorld } from '../sandbox/rules/world.ts';
import { type Answer, call, type Target } from '../sandbox/serving/client.ts';
import type { Caller } from './access.ts';
import { type AgentParts, startAgentParts } from './agent-parts.ts';
import { chartObjects } from './chart.ts';
import type { Ground } from './ground.ts';
import { versionsOf } from './server.ts';

/** New roles and policies come into force a little later. */
const patienceMs = 15_000;
const lookAgainMs = 250;

const asPod = [{ signers: ['*'], as: 'pod', certificateSigningRequest: {} }];
const asking = { priority: 'first', signal: new AbortController().signal } as const;

interface Holder {
  readonly caller: Caller;
  readonly parts: AgentParts;
  /** Plain requests for PodCertificateRequests, as the agent makes them. */
  readonly target: Target;
}

export function identities(ground: () => Ground): void {
  describe('The identity modes of the chart', () => {
    test('impersonatedNode: does all its work as its node, and nothing for others', async (t) => {
      const { nodeName, offers } = ground();
      if (!offers.constrainedImpersonation) {
        return t.skip(`Kubernetes ${offers.gitVersion} has no constrained impersonation`);
      }
      const holder = await install(t, ground(), 'impersonatedNode');
      if (holder === undefined) {
        return;
      }
      await works(ground(), holder.parts);
      const refused = async (answer: Promise<Answer>, says: string): Promise<void> => {
        const { status, body } = await answer;
        assert.deepEqual([status, String(body['message']).includes(says)], [403, true], String(body['message']));
      };
      const { target } = holder;
      const asOther = { 'Impersonate-User': nodeName.replace(/^(.*)a$/, 'system:node:$1b') };
      await refused(call(target, collection(ground())), 'with nodeName field selector');
      await refused(
        call({ ...target, headers: { ...target.headers, ...asOther } }, collection(ground())),
        'arbitrary-node',
      );
      await refused(create(ground(), target, { nodeName: `${nodeName}x` }), 'is not the requesting node');
      const pods = call(target, `/api/v1/namespaces/${ground().names.namespace}/pods/web-a`);
      await refused(pods, 'impersonate-on:associated-node:get');
    });

    test('impersonatedNode with "as: pod": gets tokens of its own pods, of the audiences listed, and of no others', async (t) => {
      const { access, create: make, names, nodeName, offers, uid } = ground();
      if (!offers.constrainedImpersonation) {
        return t.skip(`Kubernetes ${offers.gitVersion} has no constrained impersonation`);
      }
      const holder = await install(t, ground(), 'impersonatedNode', 'pods', asPod);
      if (holder === undefined) {
        return;
      }
      const driver = `${names.mark}.tokens.podcert.example`;
      await make('/apis/storage.k8s.io/v1/csidrivers', {
        metadata: { name: driver },
        spec: { attachRequired: false, volumeLifecycleModes: ['Ephemeral'], tokenRequests: [{ audience: '' }] },
      });
      const { namespace } = names;
      const { metadata } = await make(`/api/v1/namespaces/${namespace}/pods`, {
        metadata: { name: 'asking' },
        spec: {
          ...{ nodeName, serviceAccountName: 'web', automountServiceAccountToken: false },
          containers: [{ name: 'none', image: 'registry.k8s.io/pause:3.10' }],
          volumes: [{ name: 'v', csi: { driver, readOnly: true } }],
        },
      });
      const { name, uid: podUID } = metadata as { name: string; uid: string };
      const pod = { namespace, name, uid: podUID, serviceAccountName: 'web' };
      const client = access.client(holder.caller, { impersonateNode: nodeName });
      const tokens = createRequestedTokens(client, Date.now);
      const bearer = await eventually(() => tokens.bearer(pod, '', asking));
      // The account has no permission, and is who is told so: the API server has taken the token.
      const signingRequests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
      const request = client.request({ method: 'POST', path: signingRequests, body: {}, as: 'node', bearer });
      await assert.rejects(request, {
        code: 'Forbidden',
        message: new RegExp(`User "system:serviceaccount:${namespace}:web" cannot create resource`),
      });
      await assert.rejects(tokens.bearer(pod, 'vault', asking), { code: 'TokenMissing', message: /"vault" not found/ });
      const elsewhere = { namespace, name: 'web-b', uid: uid('Pod', 'web-b'), serviceAccountName: 'web' };
      await assert.rejects(tokens.bearer(elsewhere, '', asking), { message: /different node|no relationship found/ });
    });

    test('serviceAccount: does all its work as itself, held to its node by the policy', async (t) => {
      const holder = await install(t, ground(), 'serviceAccount');
      if (holder === undefined) {
        return;
      }
      const { target } = holder;
      const policy = async (changes: JsonObject): Promise<string> => {
        const { status, body } = await create(ground(), target, changes);
        return status === 422 && String(body['message']).includes('ValidatingAdmissionPolicy')
          ? 'refused'
          : `${status}`;
      };
      await eventually(async () => assert.equal(await policy({ nodeName: 'another' }), 'refused'));
      assert.equal(await policy({ nodeUID: 'another' }), 'refused');
      await works(ground(), holder.parts);
      const { access, names, tokenFor } = ground();
      const unbound = access.withToken(await tokenFor(names.agentNamespace, accountOf(ground(), 'serviceAccount')));
      const { status } = await create(ground(), unbound.target, {});
      assert.equal(status, 422, 'a token that is bound to no node makes no requests');
    });

    test('kubelet: does all its work with a node’s credentials, and learns that a pod is gone', async (t) => {
      const { access, names, nodeName, web } = ground();
      const caller = access.as(names.user(users['node-a']));
      const parts = startAgentParts({ access, caller, nodeName });
      t.after(parts.stop);
      await works(ground(), parts);
      await assert.rejects(parts.identify({ ...web, name: 'web-gone' }), { code: 'PodGone' });
    });
  });
}

/** All that the agent does with its permissions. */
async function works({ access, names, offers, signer, web }: Ground, parts: AgentParts): Promise<void> {
  const { signerName } = await signer();
  const identity = await eventually(() => parts.identify(web));
  const asked = await eventually(() => parts.ask({ identity, signerName, keyType: 'ED25519' }));
  asked.verify();
  const reason = `Suite${names.mark.slice(-6)}`;
  assert.equal(await parts.tell(web, reason), 0, 'events that could not be sent');
  const events = await call(
    access.admin.target,
    `/api/v1/namespaces/${web.namespace}/events?fieldSelector=involvedObject.name%3D${web.name},reason%3D${reason}`,
  );
  assert.ok((events.body['items'] as unknown[]).length > 0, 'the event is there');
  if (offers.bundleApi !== undefined) {
    assert.equal(await parts.anchors(signerName), 1, 'trust bundles of the signer');
  }
}

/** Gives a service account what the chart gives it, and becomes a pod of it. Undefined: skipped. */
async function install(
  t: TestContext,
  ground: Ground,
  mode: AgentIdentity,
  variant = '',
  issuers: readonly object[] = [],
): Promise<Holder | undefined> {
  const chart = chartObjects(mode, [], issuers);
  if (chart.type === 'missing') {
    t.skip(chart.reason);
    return undefined;
  }
  const { access, create: make, names, nodeName, tokenFor } = ground;
  const account = accountOf(ground, mode) + variant;
  const { agentNamespace } = names;
  await make(`/api/v1/namespaces/${agentNamespace}/serviceaccounts`, { metadata: { name: account } });
  for (const { prefix, resource, object } of chart.objects) {
    const renamed = JSON.stringify(object)
      .replaceAll('pod-certificate-agent', account)
      .replaceAll('"namespace":"kube-system"', `"namespace":"${agentNamespace}"`)
      .replaceAll('system:serviceaccount:kube-system:', `system:serviceaccount:${agentNamespace}:`);
    await make(`${prefix}/${resource}`, JSON.parse(renamed));
  }
  const pod = await make(`/api/v1/namespaces/${agentNamespace}/pods`, {
    metadata: { name: account },
    spec: {
      ...{ nodeName, serviceAccountName: account, automountServiceAccountToken: false },
      containers: [{ name: 'none', image: 'registry.k8s.io/pause:3.10' }],
    },
  });
  const token = await tokenFor(agentNamespace, account, pod['metadata'] as { name: string; uid: string });
  const caller = access.withToken(token);
  const impersonateNode = mode === 'impersonatedNode';
  const parts = startAgentParts({ access, caller, nodeName, impersonateNode });
  t.after(parts.stop);
  const headers = impersonateNode ? { 'Impersonate-User': `system:node:${nodeName}` } : {};
  const target = { ...caller.target, headers: { ...caller.target.headers, ...headers } };
  await eventually(async () => assert.equal(parts.requests.health().synced, true, 'the list of the node’s requests'));
  return { caller, parts, target };
}

function accountOf({ names }: Ground, mode: AgentIdentity): string {
  return `${names.mark}-${mode.toLowerCase()}`;
}

function collection({ names, offers }: Ground): string {
  const [api] = offers.requestApis;
  return `${api?.pathPrefix}/namespaces/${names.namespace}/podcertificaterequests`;
}

/** A dry run with a request for the suite's pod that is good but for these fields. */
async function create(ground: Ground, target: Target, changes: JsonObject): Promise<Answer> {
  const { names, offers, uid } = ground;
  const [requestVersion = 'v1'] = versionsOf(offers);
  const served = { kubernetes: offers.kubernetes, requestVersion, bundleVersion: 'v1beta1' };
  const now = Date.now();
  const world = { ...createWorld(served, createKeys(), createCertificates(now), now), uid };
  const body = { metadata: { generateName: 'suite-' }, spec: requestSpec(world, changes) };
  const options = { method: 'POST', body: names.outgoing(JSON.stringify(body)), headers: json };
  return await call(target, `${collection(ground)}?dryRun=All`, options);
}

const json = { 'Content-Type': 'application/json' };

async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const until = Date.now() + patienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() >= until) {
        throw error;
      }
      await sleep(lookAgainMs);
    }
  }
}
