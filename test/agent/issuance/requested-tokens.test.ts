/** Tokens that the agent asks for as its node: what is asked, and what a bad answer means. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { createRequestedTokens } from '../../../agent/issuance/requested-tokens.ts';
import { clientOf, sendJson, sendStatus, startLoopback } from '../kubernetes/loopback.ts';
import { pod, tokenOf } from './tokens.ts';

const now = Date.UTC(2026, 10, 26);
const call = { priority: 'first', signal: new AbortController().signal } as const;

function reply(token: string) {
  return { kind: 'TokenRequest', status: { token, expirationTimestamp: new Date(now + 600_000).toISOString() } };
}

describe('a token of a pod', () => {
  it('is asked for as the node, bound to the pod, short-lived, for the audience of the rule', async (t) => {
    const token = tokenOf(now);
    const server = await startLoopback(t, ({ response }) => sendJson(response, 201, reply(token)));
    const tokens = createRequestedTokens(clientOf(t, server, { impersonateNode: 'node-1' }), () => now);
    const bearer = await tokens.bearer(pod, '', call);
    assert.deepEqual([bearer.account, bearer.token()], ['service account shop/web', token]);
    await assert.rejects(tokens.bearer(pod, 'signers', call), {
      message: /that the API server gave is meant for another/,
    });
    assert.deepEqual(
      server.received.map(({ method, path, headers }) => [method, path, headers['impersonate-user']]),
      Array.from({ length: 2 }, () => [
        'POST',
        '/api/v1/namespaces/shop/serviceaccounts/web/token',
        'system:node:node-1',
      ]),
    );
    const bodies = server.received.map(({ body }) => JSON.parse(body));
    for (const { apiVersion, kind } of bodies) {
      assert.deepEqual([apiVersion, kind], ['authentication.k8s.io/v1', 'TokenRequest']);
    }
    const [first, second] = bodies.map(({ spec }) => spec);
    assert.deepEqual(first, {
      audiences: [],
      expirationSeconds: 600,
      boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'web', uid: pod.uid },
    });
    assert.deepEqual(second.audiences, ['signers']);
  });

  it('that cannot be asked for, by a fault of ours or a refusal, says so with its cause', async () => {
    const fault = new Error('a fault of ours');
    const cause = new Error('what the API server said');
    const refused = new AgentError('Forbidden', 'no', { actor: 'cluster operator', cause });
    const later = new AgentError('Unavailable', 'later', { actor: 'nobody' });
    const tokens = (error: Error) => createRequestedTokens({ request: () => Promise.reject(error) }, () => now);
    await assert.rejects(tokens(fault).bearer(pod, '', call), fault);
    await assert.rejects(tokens(later).bearer(pod, '', call), later);
    await assert.rejects(tokens(refused).bearer(pod, '', call), { code: 'TokenMissing', cause });
  });

  it('is asked for anew for every call: none is kept', async (t) => {
    const server = await startLoopback(t, ({ response }) => sendJson(response, 201, reply(tokenOf(now))));
    const tokens = createRequestedTokens(clientOf(t, server), () => now);
    await tokens.bearer(pod, '', call);
    await tokens.bearer(pod, '', call);
    assert.equal(server.received.length, 2);
  });

  it("that is another pod's, or that has expired by the node's clock, is not used", async (t) => {
    const answers = [
      tokenOf(now, { claims: { pod: { name: 'web', uid: 'other' } } }),
      tokenOf(now, { lifetimeSeconds: 1 }),
      'secret-word',
    ];
    const words = [/is bound to another pod$/, /has expired by this node's clock$/, /is no token/];
    const server = await startLoopback(t, ({ response }) => sendJson(response, 201, reply(answers.shift() ?? '')));
    const tokens = createRequestedTokens(clientOf(t, server), () => now);
    for (const message of words) {
      await assert.rejects(tokens.bearer(pod, '', call), { code: 'TokenMissing', message });
    }
  });

  it('that the API server does not give says what the chart has and the cluster has not', async (t) => {
    const message = 'audience "signers" not found in pod spec volume';
    const server = await startLoopback(t, ({ response }) => sendStatus(response, 403, 'Forbidden', message));
    const tokens = createRequestedTokens(clientOf(t, server, { impersonateNode: 'node-1' }), () => now);
    await assert.rejects(tokens.bearer(pod, 'signers', call), {
      code: 'TokenMissing',
      actor: 'cluster operator',
      message: /not found in pod spec volume; .* lists audience signers in tokenRequests of the CSIDriver object$/,
    });
  });

  it('that cannot be had yet is asked for again: the API server learns of a pod a little later', async (t) => {
    const unrelated = "no relationship found between node 'node-1' and this object";
    const answers = [
      [403, unrelated],
      [409, 'the UID in the bound object reference does not match'],
      [503, 'later'],
    ] as const;
    let turn = 0;
    const server = await startLoopback(t, ({ response }) => {
      const [code, words] = answers[turn++] ?? [500, ''];
      sendStatus(response, code, 'Reason', words);
    });
    const tokens = createRequestedTokens(clientOf(t, server), () => now);
    for (const _ of answers) {
      await assert.rejects(tokens.bearer(pod, '', call), { code: 'Unavailable', actor: 'nobody' });
    }
  });
});
