/**
 * Requests with contents of the agent's making: CertificateSigningRequests on any server, cert-manager's CertificateRequests
 * where those are installed. The agent's own issuers make, follow and remove them with the chart's permissions; the suite
 * decides on them, and answers itself, so that no controller is needed.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import { AgentError } from '../../agent/base/errors.ts';
import { certificateRequests } from '../../agent/issuance/cert-manager.ts';
import { certificateSigningRequests } from '../../agent/issuance/certificate-signing-request.ts';
import {
  type ContentsRequest,
  createContentsIssuer,
  nodeLabel,
  nodeLabelValue,
  type RequestKind,
} from '../../agent/issuance/contents-request.ts';
import { issuerFor, readIssuerRules } from '../../agent/issuance/issuer-rules.ts';
import { createRequestedTokens } from '../../agent/issuance/requested-tokens.ts';
import { createKeyMaker } from '../../agent/keys/key-maker.ts';
import {
  assertServed,
  certificateRequestResource,
  signingRequestResource,
} from '../../agent/kubernetes/certificate-resources.ts';
import type { KubernetesObject } from '../../agent/kubernetes/objects.ts';
import {
  createSimpleRequestApi,
  type RequestResource,
  watchOwnRequests,
} from '../../agent/kubernetes/simple-requests.ts';
import type { Hurdle, Outcome } from '../../agent/lifecycle/ports.ts';
import { objectAt, objectsAt } from '../../sandbox/base/fields.ts';
import type { JsonObject } from '../../sandbox/base/objects.ts';
import { createAuthority } from '../../sandbox/signers/authority.ts';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import { type Answer, call, type Target } from '../sandbox/serving/client.ts';
import { withinBound } from '../support/bounded.ts';
import type { Ground } from './ground.ts';
import { accountOf, eventually, type Holder, install } from './holder.ts';

const never = new AbortController().signal;
const asking = { priority: 'first', signal: never } as const;
/** cert-manager's webhook wants the issuer's kind served; of this name there is none, so nobody but the suite answers. */
const unanswered = { kind: 'ClusterIssuer', group: 'cert-manager.io' };
const hourMs = 3_600_000;

interface Decision {
  readonly conditions: readonly JsonObject[];
  readonly certificate?: string;
}

export function contentsAreTaken(ground: () => Ground): void {
  describe('Requests with contents of the agent’s making', () => {
    test('CertificateSigningRequests: made as the agent, approved, signed, denied, and removed by the agent', async (t) => {
      const signerName = `suite.podcert.example/${ground().names.mark}-csr`;
      const rule = { signers: [signerName], certificateSigningRequest: {} };
      const asker = await startAsker(t, ground(), rule, certificateSigningRequests, signingRequestResource);
      if (asker === undefined) {
        return;
      }
      const refusal = await asker.refusal(signerName);
      if (refusal !== undefined) {
        return t.skip(`a policy of the cluster lets only others ask: ${refusal}`);
      }
      for (const keyType of ['ECDSAP256', 'RSA3072', 'ED25519'] as const) {
        const request = await asker.ask(signerName, keyType);
        assert.equal((await request.hurdle('approver')).turn, 'approver');
        // Whoever made it neither approves nor answers it, and nobody changes what was asked for.
        const approved = { conditions: [condition('Approved')] };
        assert.equal((await put(asker.target, request.path, 'approval', approved)).status, 403);
        assert.equal((await put(asker.target, request.path, 'status', approved)).status, 403);
        const spec = await specOf(ground(), request.path);
        await changeSpec(ground(), request.path, { signerName: 'suite.podcert.example/other' });
        assert.deepEqual(await specOf(ground(), request.path), spec, 'what was asked for stays');
        await decide(ground(), request.path, 'approval', approved);
        await request.hurdle('signer');
        const certificate = await request.sign();
        await decide(ground(), request.path, 'status', { conditions: [], certificate });
        await request.isIssuedAndRemoved();
      }
      const denied = await asker.ask(signerName, 'ECDSAP256');
      await decide(ground(), denied.path, 'approval', { conditions: [condition('Denied')] });
      assert.equal((await denied.decided()).type, 'denied');
      await denied.giveUp();
    });

    test('CertificateRequests of cert-manager: made as the agent, owned by their pod, answered, denied, and removed', async (t) => {
      const { access, names, web } = ground();
      const reason = await assertServed(access.client(access.admin), certificateRequestResource).then(
        () => undefined,
        (error: unknown) => (error instanceof AgentError && error.code === 'ApiMissing' ? error.message : undefined),
      );
      if (reason !== undefined) {
        return t.skip(reason);
      }
      const signerName = `suite.podcert.example/${names.mark}-cr`;
      const issuer = { name: names.mark, ...unanswered };
      const rule = { signers: [signerName], certManager: { issuer } };
      const asker = await startAsker(t, ground(), rule, certificateRequests, certificateRequestResource);
      if (asker === undefined) {
        return;
      }
      const refusal = await asker.refusal(signerName);
      if (refusal !== undefined) {
        return t.skip(`a policy of the cluster lets only others ask: ${refusal}`);
      }
      const request = await asker.ask(signerName, 'ECDSAP256');
      const [owner] = request.stored.metadata.ownerReferences ?? [];
      assert.deepEqual([owner?.kind, owner?.uid], ['Pod', web.uid]);
      assert.equal((await put(asker.target, request.path, 'status', { conditions: [] })).status, 403);
      // An approver of the cluster may have approved by now; issuers say that they do not know this one.
      await decide(ground(), request.path, 'status', { conditions: [condition('Approved')] });
      await request.hurdle('signer');
      const certificate = await request.sign();
      await decide(ground(), request.path, 'status', { conditions: [condition('Ready', 'Issued')], certificate });
      await request.isIssuedAndRemoved();
      await t.test('and denied, where the cluster leaves that to others', async (t) => {
        const denied = await asker.ask(signerName, 'ECDSAP256');
        if (!(await decide(ground(), denied.path, 'status', { conditions: [condition('Denied')] }))) {
          await denied.giveUp();
          return t.skip('an approver of the cluster approved the request before the suite could deny it');
        }
        assert.equal((await denied.decided()).type, 'denied');
        await denied.giveUp();
      });
    });
  });
}

function condition(type: string, reason = 'Suite'): JsonObject {
  return { type, status: 'True', reason, message: 'the suite says so' };
}

type Stored = KubernetesObject & {
  readonly metadata: { readonly ownerReferences?: readonly { readonly kind: string; readonly uid: string }[] };
  readonly spec: JsonObject;
};

/** The agent's issuer for one API, as a service account with the chart's permissions. Undefined: skipped. */
async function startAsker<T extends ContentsRequest, A extends 'certificateSigningRequest' | 'certManager'>(
  t: TestContext,
  ground: Ground,
  rule: object,
  kind: RequestKind<T, A>,
  resource: RequestResource<T>,
) {
  const holder: Holder | undefined = await install(t, ground, 'serviceAccount', kind.api.toLowerCase(), [rule]);
  if (holder === undefined) {
    return undefined;
  }
  const { access, names, nodeName, web } = ground;
  const rules = readIssuerRules([rule]);
  assert.ok(rules.ok, 'the suite’s own rule is a good one');
  const client = access.client(holder.caller);
  const selector = `${nodeLabel}=${nodeLabelValue(nodeName)}`;
  const cache = watchOwnRequests(client, resource, selector, () => {});
  t.after(() => cache.stop());
  const issuer = createContentsIssuer({
    ...{ kind, nodeName, cache, trustDomain: () => 'suite.podcert.example', onFault: () => {} },
    calls: createSimpleRequestApi(client, resource),
    choice: (namespace, signerName) => issuerFor(rules.value, namespace, signerName),
    tokens: createRequestedTokens(client, Date.now),
  });
  const keys = createKeyMaker();
  const authority = await createAuthority('suite', Date.now());
  const identity = await eventually(() => holder.parts.identify(web));
  const user = `system:serviceaccount:${names.agentNamespace}:${accountOf(ground, 'serviceAccount')}${kind.api.toLowerCase()}`;

  const ask = async (signerName: string, keyType: KeyType) => {
    const key = await keys.generate(keyType);
    t.after(() => key.destroy());
    const source = { pod: web, volumeName: `suite-${randomBytes(3).toString('hex')}`, sourceIndex: 0, signerName };
    const requestName = issuer.requestName(source, key.spki);
    const order = { requestName, identity, signerName, userAnnotations: {}, priority: asking.priority };
    await eventually(() => issuer.submit(order, key, never));
    // As after a lost reply: the request that is there is taken as this one.
    await issuer.submit(order, key, never);
    const namespace = resource.namespaced ? `/namespaces/${web.namespace}` : '';
    const path = `${resource.pathPrefix}${namespace}/${resource.resource}/${requestName}`;
    const { body } = await call(access.admin.target, path);
    const stored = body as object as Stored;
    assert.equal(stored.metadata.labels?.[nodeLabel], nodeLabelValue(nodeName));
    assert.equal(stored.spec['username'], user, 'the server says who asked');
    const { promise: outcome, resolve } = Promise.withResolvers<Outcome>();
    const hurdles: Hurdle[] = [];
    const end = issuer.follow({ namespace: web.namespace, requestName, signerName }, resolve, (hurdle) =>
      hurdles.push(hurdle),
    );
    t.after(end);
    const isRemoved = (): Promise<void> =>
      eventually(async () => assert.equal((await call(access.admin.target, path)).status, 404, 'the agent removes it'));
    const decided = (): Promise<Outcome> => withinBound(outcome, () => `an answer to ${requestName}`);
    /** Of no more use: its pod has gone, it was refused, or its answer is kept. */
    const giveUp = async (): Promise<void> => {
      issuer.abandon?.({ namespace: web.namespace, requestName, signerName });
      await isRemoved();
    };
    return {
      ...{ path, stored, giveUp, decided },
      hurdle: (turn: Hurdle['turn']): Promise<Hurdle> =>
        eventually(async () => {
          const last = hurdles.at(-1);
          assert.ok(last?.turn === turn, `it is the turn of ${last?.turn}, not of ${turn}`);
          return last;
        }),
      sign: async (): Promise<string> => {
        const now = Math.floor(Date.now() / 1000) * 1000;
        const times = { notBefore: now - 1000, notAfter: now + hourMs };
        const leaf = await authority.issue({ publicKey: key.spki, uris: [], dnsNames: ['web.example'], ...times });
        return Buffer.from(leaf + authority.intermediatePem).toString('base64');
      },
      isIssuedAndRemoved: async (): Promise<void> => {
        const answer = await decided();
        assert.ok(answer.type === 'issued', JSON.stringify(answer));
        issuer.verify(answer, key.spki, Date.now());
        await giveUp();
      },
    };
  };
  /** Why a policy of the cluster takes no request; undefined where one is taken, and given up again. */
  const refusal = async (signerName: string): Promise<string | undefined> => {
    try {
      await (await ask(signerName, 'ECDSAP256')).giveUp();
      return undefined;
    } catch (error) {
      const isPolicy = error instanceof AgentError && error.code === 'Rejected' && error.actor === 'cluster operator';
      if (isPolicy) {
        return error.message;
      }
      throw error;
    }
  };
  return { ask, refusal, target: holder.target };
}

async function specOf({ access }: Ground, path: string): Promise<unknown> {
  return (await call(access.admin.target, path)).body['spec'];
}

/** A server may refuse the change or leave it out. */
async function changeSpec({ access }: Ground, path: string, spec: JsonObject): Promise<void> {
  const headers = { 'Content-Type': 'application/merge-patch+json' };
  await call(access.admin.target, path, { method: 'PATCH', body: { spec }, headers });
}

/** Puts a status as whoever `target` is. */
async function put(target: Target, path: string, subresource: string, status: Decision): Promise<Answer> {
  const { body } = await call(target, path);
  return await call(target, `${path}/${subresource}`, { method: 'PUT', body: { ...body, status } });
}

/** Which decision rules out which. */
const opposites: ReadonlyMap<unknown, string> = new Map([
  ['Approved', 'Denied'],
  ['Denied', 'Approved'],
]);

/**
 * Adds to what the cluster's own approvers and issuers say about a request, as often as they say something in between.
 * @returns false when somebody else has decided otherwise
 */
async function decide({ access }: Ground, path: string, subresource: string, status: Decision): Promise<boolean> {
  return await eventually(async () => {
    const { body } = await call(access.admin.target, path);
    const said = objectsAt(objectAt(body as JsonObject, 'status'), 'conditions');
    const isSaid = (type: unknown): boolean => said.some((each) => each['type'] === type);
    if (status.conditions.some(({ type }) => isSaid(opposites.get(type)))) {
      return false;
    }
    // A decision stays as its maker worded it.
    const added = status.conditions.filter(({ type }) => !(opposites.has(type) && isSaid(type)));
    const kept = said.filter((each) => !added.some(({ type }) => type === each['type']));
    const decided = { ...body, status: { ...status, conditions: [...kept, ...added] } };
    const answer = await call(access.admin.target, `${path}/${subresource}`, { method: 'PUT', body: decided });
    assert.equal(answer.status, 200, String(answer.body['message']));
    return true;
  });
}
