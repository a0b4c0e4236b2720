import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import type { ApiObject, JsonObject } from '../../../sandbox/base/objects.ts';
import { apiAudience, createTokens } from '../../../sandbox/identity/tokens.ts';
import { createStore, type Store } from '../../../sandbox/storage/store.ts';
import { withFields } from '../../support/fields.ts';
import { type Answer, call } from '../serving/client.ts';
import { startSandbox } from '../serving/sandbox-target.ts';

const accounts = '/api/v1/namespaces/default/serviceaccounts';
const object = (name: string, more: Partial<ApiObject> = {}): ApiObject => ({
  ...more,
  metadata: { name, namespace: 'default', uid: `uid-${name}` },
});
const claims = {
  namespace: 'default',
  serviceAccount: { name: 'web', uid: 'uid-web' },
  pod: { name: 'web-1', uid: 'uid-web-1' },
  node: { name: 'node-a', uid: 'uid-node-a' },
};

function furnished(): Store {
  const store = createStore();
  store.create('serviceaccounts', object('web'));
  store.create('pods', object('web-1'));
  store.create('nodes', { metadata: { name: 'node-a', uid: 'uid-node-a' } });
  return store;
}

test('a token of a service account names it, its pod and its node', () => {
  const tokens = createTokens();
  const { token, expiresAt } = tokens.issue(claims, [apiAudience], 600, 1_000_500);
  assert.equal(expiresAt, 1_600_000);
  const result = tokens.authenticate(token, [apiAudience], furnished(), 1_500_000);
  assert.ok(result.authenticated, inspect(result));
  assert.equal(result.user.username, 'system:serviceaccount:default:web');
  assert.deepEqual(result.user.groups, [
    'system:serviceaccounts',
    'system:serviceaccounts:default',
    'system:authenticated',
  ]);
  const { 'authentication.kubernetes.io/credential-id': id, ...extra } = result.user.extra;
  assert.match(String(id), /^JTI=[0-9a-f-]{36}$/);
  assert.deepEqual(extra, {
    'authentication.kubernetes.io/node-name': ['node-a'],
    'authentication.kubernetes.io/node-uid': ['uid-node-a'],
    'authentication.kubernetes.io/pod-name': ['web-1'],
    'authentication.kubernetes.io/pod-uid': ['uid-web-1'],
  });
});

test('a token ends with its time, and is only good for its audience and its server', () => {
  const tokens = createTokens();
  const store = furnished();
  const { token } = tokens.issue(claims, ['there'], 600, 0);
  assert.equal(
    tokens.authenticate(token, ['here', 'there'], store, 599_999).authenticated,
    true,
    'the token is refused',
  );
  assert.equal(tokens.authenticate(token, ['there'], store, 600_000).authenticated, false, 'the token is taken');
  assert.equal(tokens.authenticate(token, [apiAudience], store, 0).authenticated, false, 'the token is taken');
  assert.equal(createTokens().authenticate(token, ['there'], store, 0).authenticated, false, 'the token is taken');
  assert.equal(tokens.authenticate(`${token}x`, ['there'], store, 0).authenticated, false, 'the token is taken');
  assert.equal(tokens.authenticate('a.b', ['there'], store, 0).authenticated, false, 'the token is taken');
});

for (const [resource, name] of [
  ['serviceaccounts', 'web'],
  ['pods', 'web-1'],
] as const) {
  test(`a token dies when its ${resource} object is deleted, and stays dead when one of the same name is made`, () => {
    const tokens = createTokens();
    const store = furnished();
    const { token } = tokens.issue(claims, [apiAudience], 600, 0);
    store.remove(resource, 'default', name);
    assert.equal(tokens.authenticate(token, [apiAudience], store, 0).authenticated, false, 'the token is taken');
    store.create(resource, { metadata: { name, namespace: 'default', uid: 'another' } });
    assert.equal(tokens.authenticate(token, [apiAudience], store, 0).authenticated, false, 'the token is taken');
  });
}

test('a token bound to a node alone dies with the node', () => {
  const tokens = createTokens();
  const store = furnished();
  const { pod: _, ...ofNode } = claims;
  const { token } = tokens.issue(ofNode, [apiAudience], 600, 0);
  assert.equal(tokens.authenticate(token, [apiAudience], store, 0).authenticated, true, 'the token is refused');
  store.remove('nodes', '', 'node-a');
  assert.equal(tokens.authenticate(token, [apiAudience], store, 0).authenticated, false, 'the token is taken');
});

test('a user has one token, and everybody who has one is authenticated', () => {
  const bob = { username: 'bob', groups: [], extra: {} };
  const tokens = createTokens({ known: bob });
  assert.equal(tokens.userToken(bob), 'known');
  const carol = tokens.userToken({ username: 'carol', groups: [], extra: {} });
  assert.equal(tokens.userToken({ username: 'carol', groups: ['g'], extra: {} }), carol);
  const result = tokens.authenticate(carol, [], createStore(), 0);
  assert.ok(result.authenticated && result.user.groups.join() === 'g,system:authenticated', inspect(result));
});

test('TokenRequest binds to a pod of the account, with its node, and refuses anything else', async (t) => {
  const { server, target } = await startSandbox(t);
  server.store.create('serviceaccounts', object('web'));
  server.store.create('serviceaccounts', object('other'));
  server.store.create('nodes', { metadata: { name: 'node-a', uid: 'uid-node-a' } });
  server.store.create('pods', object('web-1', { spec: { serviceAccountName: 'web', nodeName: 'node-a' } }));
  const request = (account: string, boundObjectRef?: JsonObject): Promise<Answer> =>
    call(target, `${accounts}/${account}/token`, {
      method: 'POST',
      body: { spec: { expirationSeconds: 900, ...(boundObjectRef === undefined ? {} : { boundObjectRef }) } },
    });
  const pod = { kind: 'Pod', apiVersion: 'v1', name: 'web-1' };
  const issued = await request('web', { ...pod, uid: 'uid-web-1' });
  assert.equal(issued.status, 201);
  const { token, expirationTimestamp } = withFields<{ token: string; expirationTimestamp: string }>(
    issued.body.status,
    'token',
    'expirationTimestamp',
  );
  assert.ok(
    Math.abs(Date.parse(expirationTimestamp) - Date.now() - 900_000) < 10_000,
    `the token expires at ${expirationTimestamp}`,
  );
  const self = await call(target, '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    method: 'POST',
    body: {},
    token,
  });
  const { extra } = (self.body.status as { userInfo: { extra: JsonObject } }).userInfo;
  assert.deepEqual(extra['authentication.kubernetes.io/node-uid'], ['uid-node-a']);
  assert.equal((await request('web', { ...pod, uid: 'x' })).status, 409);
  assert.equal((await request('other', pod)).status, 400);
  assert.equal((await request('web', { ...pod, name: 'none' })).status, 404);
  assert.equal((await request('web', { ...pod, kind: 'Secret' })).status, 400);
  assert.equal((await request('web', { kind: 'Node', apiVersion: 'v1', name: 'node-a' })).status, 201);
  assert.equal((await request('none')).status, 404);
  assert.equal((await request('web')).status, 201);
});

test('TokenReview says whose a token is and for whom, or why it is not accepted', async (t) => {
  const { server, target } = await startSandbox(t);
  server.store.create('serviceaccounts', object('web'));
  const identity = { namespace: 'default', serviceAccount: { name: 'web', uid: 'uid-web' } };
  const { token } = server.issueToken(identity, { audiences: ['a', 'b'] });
  const review = async (spec: JsonObject): Promise<JsonObject> =>
    (await call(target, '/apis/authentication.k8s.io/v1/tokenreviews', { method: 'POST', body: { spec } })).body;
  const accepted = (await review({ token, audiences: ['b', 'c'] })).status as JsonObject;
  assert.equal(accepted.authenticated, true);
  assert.deepEqual(accepted.audiences, ['b']);
  const refused = (await review({ token })).status as JsonObject;
  assert.equal(refused.authenticated, undefined);
  assert.match(String(refused.error), /token audiences \["a","b"\] is invalid/);
  assert.equal((await review({ token: '' })).code, 400);
});
