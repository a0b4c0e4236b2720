/** Requests on behalf of the pod's own account: made with its token and nothing else, and what a refusal of it says. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { certificateRequests } from '../../../agent/issuance/cert-manager.ts';
import { certificateSigningRequests } from '../../../agent/issuance/certificate-signing-request.ts';
import { createContentsIssuer } from '../../../agent/issuance/contents-request.ts';
import { issuerFor, readIssuerRules } from '../../../agent/issuance/issuer-rules.ts';
import { type PodTokens, refusalOfAccount } from '../../../agent/issuance/pod-account.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import { certificateRequestResource, signingRequestResource } from '../../../agent/kubernetes/certificate-resources.ts';
import { apiFailureOf } from '../../../agent/kubernetes/failure.ts';
import { createSimpleRequestApi } from '../../../agent/kubernetes/simple-requests.ts';
import type { CertificateOrder } from '../../../agent/lifecycle/ports.ts';
import { clientOf, type Handler, sendJson, sendStatus, startLoopback } from '../kubernetes/loopback.ts';
import { pod } from './tokens.ts';

const key = await createKeyMaker().generate('ECDSAP256');
const { signal } = new AbortController();
const order: CertificateOrder = {
  requestName: 'mtls-0-abc.csr',
  identity: { pod, serviceAccountUID: 's', nodeName: 'node-1', nodeUID: 'n', ended: false },
  signerName: 'example.com/mesh',
  userAnnotations: {},
  priority: 'first',
};

const subject = {
  ...{ pod, volumeName: 'mtls', sourceIndex: 0 },
  ...{ signerName: order.signerName, requestName: order.requestName },
};

/** An issuer whose rule says as whom, over a server that answers as told; and what was asked of the pod's tokens. */
async function open(t: TestContext, rule: object, handle: Handler) {
  const server = await startLoopback(t, handle);
  const client = clientOf(t, server, { impersonateNode: 'node-1' });
  const asked: string[] = [];
  const tokens: PodTokens = {
    async ready({ name }, audience, _signal, onWait) {
      asked.push(`ready ${name} ${audience}`);
      onWait('something');
    },
    async bearer({ name }, audience) {
      asked.push(`bearer ${name} ${audience}`);
      return { account: 'service account shop/web', token: () => 'token-of-the-pod' };
    },
  };
  const reading = readIssuerRules([
    { signers: ['example.com/*'], certificateSigningRequest: {}, ...rule },
    { signers: ['*'], certManager: {}, ...rule },
  ]);
  assert.ok(reading.ok, JSON.stringify(reading));
  const shared = {
    cache: {
      get: () => undefined,
      list: () => [],
      subscribe: () => () => undefined,
      lists: () => ({ begun: 1, taken: 1 }),
    },
    nodeName: 'node-1',
    trustDomain: () => 'mesh.example',
    choice: (namespace: string, name: string) => issuerFor(reading.value, namespace, name),
    tokens,
    onFault: (error: Error) => assert.fail(error),
  };
  const issuer = createContentsIssuer({
    kind: certificateSigningRequests,
    calls: createSimpleRequestApi(client, signingRequestResource),
    ...shared,
  });
  const certManager = createContentsIssuer({
    kind: certificateRequests,
    calls: createSimpleRequestApi(client, certificateRequestResource),
    ...shared,
  });
  const callers = (): readonly unknown[] =>
    server.received.map(({ method, headers }) => [method, headers.authorization, headers['impersonate-user']]);
  return { issuer, certManager, asked, callers, server };
}

const asNode = ['Bearer test-token', 'system:node:node-1'];
const asPod = ['Bearer token-of-the-pod', undefined];

describe('a request', () => {
  it("is made with a token of the pod's account where the rule says so, of the rule's audience", async (t) => {
    const rule = { as: 'pod', audience: 'signers' };
    const { issuer, asked, callers } = await open(t, rule, ({ response }) => sendJson(response, 201, {}));
    const told: string[] = [];
    await issuer.prepare?.(subject, signal, (what) => told.push(what));
    await issuer.submit(order, key, signal);
    assert.deepEqual(asked, ['ready web signers', 'bearer web signers']);
    assert.deepEqual(told, ['something']);
    assert.deepEqual(callers(), [['POST', ...asPod]]);
  });

  it('is made as the agent where the rule says nothing, and no token is asked for', async (t) => {
    const { issuer, asked, callers } = await open(t, {}, ({ response }) => sendJson(response, 201, {}));
    await issuer.prepare?.(subject, signal, () => assert.fail('there is nothing to wait for'));
    await issuer.submit(order, key, signal);
    assert.deepEqual(asked, []);
    assert.deepEqual(callers(), [['POST', ...asNode]]);
  });

  it('of cert-manager is made so too, in the namespace of the pod, and a refusal names that', async (t) => {
    const why =
      'certificaterequests.cert-manager.io is forbidden: User "system:serviceaccount:shop:web" cannot create resource "certificaterequests" in API group "cert-manager.io" in the namespace "shop"';
    const answers = [201, 403];
    const { certManager, callers, server } = await open(t, { as: 'pod' }, ({ response }) =>
      answers.shift() === 201 ? sendJson(response, 201, {}) : sendStatus(response, 403, 'Forbidden', why),
    );
    const own = { ...order, requestName: 'mtls-0-abc.cr', signerName: 'clusterissuers.cert-manager.io/ca' };
    await certManager.submit(own, key, signal);
    await assert.rejects(certManager.submit(own, key, signal), {
      code: 'AccountForbidden',
      message:
        'service account shop/web has no permission to create certificaterequests.cert-manager.io in namespace shop, and the rule for this signer says "as: pod": either the workload may make such requests by itself, or the rule has to say "as: agent"',
    });
    assert.deepEqual(callers(), [
      ['POST', ...asPod],
      ['POST', ...asPod],
    ]);
    assert.equal(server.received[0]?.path, '/apis/cert-manager.io/v1/namespaces/shop/certificaterequests');
  });

  it('that exists already is read as the agent, whoever made it', async (t) => {
    const { issuer, callers, server } = await open(t, { as: 'pod' }, ({ method, response }) => {
      const made: unknown = JSON.parse(server.received[0]?.body ?? '');
      return method === 'GET' ? sendJson(response, 200, made) : sendStatus(response, 409, 'AlreadyExists');
    });
    await issuer.submit(order, key, signal);
    assert.deepEqual(callers(), [
      ['POST', ...asPod],
      ['GET', ...asNode],
    ]);
  });

  const forbidden =
    'certificatesigningrequests.certificates.k8s.io is forbidden: User "system:serviceaccount:shop:web" cannot create resource "certificatesigningrequests" in API group "certificates.k8s.io" at the cluster scope';
  const refusals: readonly (readonly [string, number, string, RegExp])[] = [
    [
      'lacks the permission',
      403,
      forbidden,
      /^service account shop\/web has no permission to create certificatesigningrequests\.certificates\.k8s\.io, and the rule for this signer says "as: pod": either the workload may make such requests by itself, or the rule has to say "as: agent"$/,
    ],
    [
      'has used up its quota',
      403,
      'certificaterequests.cert-manager.io "a" is forbidden: exceeded quota: few',
      /^the API server does not let service account shop\/web create certificatesigningrequests\S+: .* exceeded quota: few$/,
    ],
    [
      'has a token of no use',
      401,
      'Unauthorized',
      /^the API server does not accept the token of service account shop\/web .*audience in the rule/,
    ],
  ];
  for (const [what, code, message, words] of refusals) {
    it(`of an account that ${what} says so, names the account, and advises nothing that opens a hole`, async (t) => {
      const { issuer } = await open(t, { as: 'pod' }, ({ response }) => sendStatus(response, code, 'Reason', message));
      await assert.rejects(issuer.submit(order, key, signal), (error: unknown) => {
        assert.ok(error instanceof AgentError, `${error} is no AgentError`);
        assert.match(error.message, words);
        assert.doesNotMatch(error.message, /cluster-admin|impersonat|\*|serviceaccounts\/token/);
        assert.ok(error.message.length < 480, 'an event has room for it');
        assert.deepEqual([error.code, error.actor], ['AccountForbidden', 'cluster operator']);
        assert.equal(apiFailureOf(error)?.httpStatus, code);
        return true;
      });
    });
  }

  it('refused for what has nothing to do with the account keeps its words', async (t) => {
    const ending = { causes: [{ reason: 'NamespaceTerminating', message: 'ending' }] };
    const { issuer } = await open(t, { as: 'pod' }, ({ response }) =>
      sendStatus(response, 403, 'Forbidden', 'it is being terminated', ending),
    );
    await assert.rejects(issuer.submit(order, key, signal), { code: 'Unavailable', actor: 'nobody' });
    const policy = 'admission webhook "webhook.cert-manager.io" denied the request: spec.request: Invalid value';
    const { issuer: next } = await open(t, { as: 'pod' }, ({ response }) =>
      sendStatus(response, 403, 'Forbidden', policy),
    );
    await assert.rejects(next.submit(order, key, signal), { code: 'Rejected', message: /webhook.*Invalid value/ });
    const other = new Error('another');
    assert.equal(refusalOfAccount(other, pod, 'certManager'), other);
    const byNobody = new AgentError('Forbidden', 'not by the API server', { actor: 'cluster operator' });
    assert.equal(refusalOfAccount(byNobody, pod, 'certManager'), byNobody);
  });
});
