/**
 * Who asks, and in which order the rules are asked about it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AdmissionRequest, RequestAttributes, UserInfo } from '../../../sandbox/base/cluster-rules.ts';
import { badRequest, fieldError, forbidden } from '../../../sandbox/base/errors.ts';
import type { JsonObject } from '../../../sandbox/base/objects.ts';
import { withFields } from '../../support/fields.ts';
import { call } from './client.ts';
import { openRules } from './open-rules.ts';
import { startSandbox } from './sandbox-target.ts';

const accounts = '/api/v1/namespaces/default/serviceaccounts';
const alice: UserInfo = { username: 'alice', groups: ['people'], extra: {} };

test('a refused request names user, verb, resource, group and scope, and the reason', async (t) => {
  const rules = openRules({ authorize: () => ({ allowed: false, reason: 'the rules say so' }) });
  const { server, target } = await startSandbox(t, { rules });
  const token = server.userToken(alice);
  const messageOf = async (path: string, method = 'GET'): Promise<unknown> =>
    (await call(target, path, { token, method })).body.message;
  assert.equal(
    await messageOf(`${accounts}/x`),
    'serviceaccounts "x" is forbidden: User "alice" cannot get resource "serviceaccounts" in API group "" in the namespace "default": the rules say so',
  );
  assert.equal(
    await messageOf('/apis/certificates.k8s.io/v1beta1/podcertificaterequests'),
    'podcertificaterequests.certificates.k8s.io is forbidden: User "alice" cannot list resource "podcertificaterequests" in API group "certificates.k8s.io" at the cluster scope: the rules say so',
  );
  assert.match(
    String(await messageOf('/api/v1/namespaces/d/pods/p/status', 'PATCH')),
    /cannot patch resource "pods\/status"/,
  );
  assert.equal(await messageOf('/metrics'), 'forbidden: User "alice" cannot get path "/metrics": the rules say so');
});

test('the rules see the attributes that the real server derives from a request', async (t) => {
  const seen: RequestAttributes[] = [];
  const rules = openRules({
    authorize: (attributes) => {
      seen.push(attributes);
      return { allowed: true };
    },
  });
  const { target } = await startSandbox(t, { rules });
  const group = '/apis/certificates.k8s.io/v1beta1';
  await call(target, `${group}/podcertificaterequests?fieldSelector=spec.nodeName%3Da&watch=1&timeoutSeconds=1`).catch(
    () => {},
  );
  await call(target, `${group}/namespaces/n/podcertificaterequests?labelSelector=x`, { method: 'DELETE' });
  await call(target, '/api/v1/namespaces/n');
  await call(target, '/api/v1/nodes?fieldSelector=metadata.name%3Dnode-a');
  const parts = seen.map((attributes) => {
    assert.equal(attributes.kind, 'resource');
    const { user: _, kind: __, ...rest } = attributes;
    return rest;
  });
  const requests = {
    apiGroup: 'certificates.k8s.io',
    apiVersion: 'v1beta1',
    resource: 'podcertificaterequests',
    subresource: '',
    name: '',
  };
  assert.deepEqual(parts, [
    { ...requests, verb: 'watch', namespace: '', fieldSelector: 'spec.nodeName=a' },
    { ...requests, verb: 'deletecollection', namespace: 'n', labelSelector: 'x' },
    { apiGroup: '', apiVersion: 'v1', resource: 'namespaces', subresource: '', verb: 'get', namespace: 'n', name: 'n' },
    {
      apiGroup: '',
      apiVersion: 'v1',
      resource: 'nodes',
      subresource: '',
      verb: 'list',
      namespace: '',
      name: 'node-a',
      fieldSelector: 'metadata.name=node-a',
    },
  ]);
});

test('impersonation is the rules to grant, and the granted user is the one authorized', async (t) => {
  const rules = openRules({
    impersonate: (headers, { user }) =>
      user.username === 'alice'
        ? {
            user: {
              username: String(headers['impersonate-user']),
              groups: [...(headers['impersonate-group'] ?? [])],
              extra: {},
            },
          }
        : forbidden({ group: '', resource: 'users' }, 'bob', 'no impersonation'),
  });
  const { server, target } = await startSandbox(t, { rules });
  const reviews = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  const headers = { 'Impersonate-User': 'bob', 'Impersonate-Group': ['a', 'b'] };
  const asAlice = await call(target, reviews, { method: 'POST', body: {}, token: server.userToken(alice), headers });
  assert.deepEqual((asAlice.body.status as JsonObject).userInfo, { username: 'bob', groups: ['a', 'b'] });
  const asAdmin = await call(target, reviews, { method: 'POST', body: {}, headers });
  assert.equal(asAdmin.status, 403);
  assert.equal(asAdmin.body.message, 'users "bob" is forbidden: no impersonation');
});

test('defaults, admission, validation, admission: in that order, on the object as it will be', async (t) => {
  const order: string[] = [];
  const rules = openRules({
    default: ({ object }) => {
      order.push('default');
      object.defaulted = true;
    },
    admit: ({ phase, operation, object }: AdmissionRequest) => {
      order.push(`${operation} ${phase} ${object?.metadata.name ?? '-'} ${object?.defaulted === true}`);
      return undefined;
    },
    validateCreate: ({ object, user }) => {
      order.push(`validate for ${user.username} ${object.metadata.name?.replace(/.{5}$/, '')}`);
      return [];
    },
  });
  const { target } = await startSandbox(t, { rules });
  const created = await call(target, accounts, { method: 'POST', body: { metadata: { generateName: 'x-' } } });
  const { name } = withFields<{ name: string }>(created.body.metadata, 'name');
  await call(target, `${accounts}/${name}`, { method: 'DELETE' });
  assert.deepEqual(order, [
    'default',
    'create before validation - true',
    'validate for admin x-',
    `create after validation ${name} true`,
    'delete after validation - false',
  ]);
});

test('the faults of an object are listed together, as causes and in the message', async (t) => {
  const rules = openRules({
    validateCreate: () => [
      fieldError.required('spec.a', 'needed'),
      fieldError.invalid('spec.b', 5, 'too small'),
      fieldError.notSupported('spec.c', 'x', ['y', 'z']),
      fieldError.tooLong('spec.d', 10),
      fieldError.tooMany('spec.e', 3, 2),
      fieldError.duplicate('spec.f', 'x'),
      fieldError.forbidden('spec.g', ''),
    ],
  });
  const { target } = await startSandbox(t, { rules });
  const refused = await call(target, accounts, { method: 'POST', body: { metadata: { name: 'x' } } });
  assert.equal(refused.status, 422);
  assert.equal(
    refused.body.message,
    'ServiceAccount "x" is invalid: [spec.a: Required value: needed, spec.b: Invalid value: 5: too small, ' +
      'spec.c: Unsupported value: "x": supported values: "y", "z", spec.d: Too long: may not be more than 10 bytes, ' +
      'spec.e: Too many: 3: must have at most 2 items, spec.f: Duplicate value: "x", spec.g: Forbidden]',
  );
  const { name, kind, causes } = refused.body.details as JsonObject;
  assert.deepEqual([name, kind], ['x', 'ServiceAccount']);
  assert.deepEqual((causes as JsonObject[])[0], {
    reason: 'FieldValueRequired',
    message: 'Required value: needed',
    field: 'spec.a',
  });
});

test('the rules decide what a patch, a status and a deletion may do', async (t) => {
  const rules = openRules({
    validateUpdate: () => [fieldError.forbidden('spec', 'fixed')],
    validateStatusUpdate: () => [fieldError.forbidden('status', 'not yours')],
    admit: ({ operation }) => (operation === 'delete' ? badRequest('stays') : undefined),
  });
  const { server, target } = await startSandbox(t, { rules });
  server.store.create('nodes', { metadata: { name: 'a', uid: 'u' } });
  const headers = { 'Content-Type': 'application/merge-patch+json' };
  const patch = (path: string): Promise<{ status: number; body: JsonObject }> =>
    call(target, path, { method: 'PATCH', headers, body: { spec: { x: 1 }, status: { y: 1 } } });
  assert.match(String((await patch('/api/v1/nodes/a')).body.message), /spec: Forbidden: fixed/);
  assert.match(String((await patch('/api/v1/nodes/a/status')).body.message), /status: Forbidden: not yours/);
  assert.equal((await call(target, '/api/v1/nodes/a', { method: 'DELETE' })).body.message, 'stays');
});

test('reviews answer what the rules say', async (t) => {
  const rules = openRules({
    authorize: ({ verb, user }) =>
      verb === 'fly' ? { allowed: false, reason: `${user.username} has no wings` } : { allowed: true },
  });
  const { target } = await startSandbox(t, { rules });
  const root = '/apis/authorization.k8s.io/v1';
  const ask = async (kind: string, spec: JsonObject, prefix = root): Promise<JsonObject> =>
    (await call(target, `${prefix}/${kind}`, { method: 'POST', body: { spec } })).body;
  const flying = { resourceAttributes: { verb: 'fly', resource: 'pods', namespace: 'default' } };
  assert.deepEqual((await ask('selfsubjectaccessreviews', flying)).status, {
    allowed: false,
    reason: 'admin has no wings',
  });
  assert.deepEqual((await ask('subjectaccessreviews', { ...flying, user: 'bob' })).status, {
    allowed: false,
    reason: 'bob has no wings',
  });
  const walking = {
    nonResourceAttributes: { verb: 'get', path: '/x' },
    user: 'bob',
    groups: ['g'],
    extra: { k: ['v'] },
  };
  assert.deepEqual((await ask('subjectaccessreviews', walking)).status, { allowed: true });
  assert.equal((await ask('subjectaccessreviews', flying)).code, 422);
  assert.equal((await ask('selfsubjectaccessreviews', {})).code, 422);
  const local = `${root}/namespaces/other`;
  assert.equal((await ask('localsubjectaccessreviews', { ...flying, user: 'bob' }, local)).code, 400);
  const { resourceRules, incomplete } = (await ask('selfsubjectrulesreviews', { namespace: 'default' }))
    .status as JsonObject;
  assert.deepEqual(resourceRules, [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]);
  assert.equal(incomplete, false);
  assert.equal((await ask('selfsubjectrulesreviews', {})).code, 400);
  assert.equal((await call(target, `${root}/subjectaccessreviews`)).status, 405);
});
