/**
 * ValidatingAdmissionPolicies at the sandbox's server, worded as the answers that a kube-apiserver 1.36 gives.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { UserInfo } from '../../../sandbox/base/cluster-rules.ts';
import type { JsonObject } from '../../../sandbox/base/objects.ts';
import { createRules } from '../../../sandbox/cluster/rules.ts';
import { startApiServer } from '../../../sandbox/serving/server.ts';
import { type Answer, call } from '../serving/client.ts';

const group = '/apis/admissionregistration.k8s.io/v1';
const policies = `${group}/validatingadmissionpolicies`;
const bindings = `${group}/validatingadmissionpolicybindings`;
const accounts = '/api/v1/namespaces/default/serviceaccounts';
const nodeName = 'authentication.kubernetes.io/node-name';
const admin: UserInfo = {
  username: 'admin',
  groups: ['system:masters', 'system:authenticated'],
  extra: { [nodeName]: ['node-a'] },
};

interface PolicyOptions {
  readonly spec?: JsonObject;
  readonly binding?: JsonObject;
}

/** A server whose policy `p`, bound by `b`, is about service accounts. */
async function start(t: TestContext, validation: JsonObject, { spec = {}, binding = {} }: PolicyOptions = {}) {
  const server = await startApiServer({ rules: createRules(), kubernetes: '1.36' });
  t.after(() => server.close());
  const target = { url: server.url, caPem: server.caPem, token: server.userToken(admin) };
  const post = (path: string, body: object): Promise<Answer> => call(target, path, { method: 'POST', body });
  const resourceRules = [
    { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['serviceaccounts'] },
  ];
  const policy = await post(policies, {
    metadata: { name: 'p' },
    spec: { failurePolicy: 'Fail', matchConstraints: { resourceRules }, validations: [validation], ...spec },
  });
  const bound = { policyName: 'p', validationActions: ['Deny'], ...binding };
  assert.equal((await post(bindings, { metadata: { name: 'b' }, spec: bound })).status, 201);
  const make = (name: string, labels: JsonObject = {}) => post(accounts, { metadata: { name, labels } });
  return { target, policy, make };
}

test('a change that a policy does not hold for is refused as the real server words it', async (t) => {
  const { make, policy } = await start(t, { expression: "object.metadata.name == 'good'", message: 'not good' });
  assert.equal(policy.status, 201);
  assert.equal((await make('good')).status, 201);
  const { status, body } = await make('bad');
  assert.equal(status, 422);
  const why = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not good";
  assert.equal(body['message'], `serviceaccounts "bad" is forbidden: ${why}`);
  assert.equal(body['reason'], 'Invalid');
  assert.deepEqual(body['details'], { name: 'bad', kind: 'serviceaccounts', causes: [{ message: why }] });
});

test('a policy sees who asks, with the extras of the token', async (t) => {
  const { make } = await start(t, {
    expression: `request.userInfo.extra['${nodeName}'][0] == object.metadata.name && request.operation == 'CREATE'`,
    reason: 'Forbidden',
  });
  assert.equal((await make('node-a')).status, 201);
  const refused = await make('node-b');
  assert.equal(refused.status, 403);
  assert.match(String(refused.body['message']), /denied request: failed expression: request\.userInfo/);
});

test('an expression that fails refuses the change, unless the policy may fail open', async (t) => {
  const expression = "request.userInfo.extra['a.b/c'][0] == 'x'";
  const closed = await start(t, { expression });
  const refused = await closed.make('x');
  assert.equal(refused.status, 422);
  const why = `expression '${expression}' resulted in error: no such key: a.b/c`;
  assert.ok(String(refused.body['message']).endsWith(why), String(refused.body['message']));
  const open = await start(t, { expression }, { spec: { failurePolicy: 'Ignore' } });
  assert.equal((await open.make('x')).status, 201);
});

test('variables build on each other, and a message may be an expression', async (t) => {
  const { make } = await start(
    t,
    {
      expression: 'object.metadata.name in variables.allowed && variables.count == 2',
      messageExpression: "'only ' + variables.allowed.join(' or ')",
    },
    {
      spec: {
        variables: [
          { name: 'byNamespace', expression: "{'default': ['a', 'b']}" },
          { name: 'allowed', expression: 'variables.byNamespace[object.metadata.namespace]' },
          { name: 'count', expression: 'size(variables.allowed)' },
        ],
      },
    },
  );
  assert.equal((await make('a')).status, 201);
  assert.match(String((await make('c')).body['message']), /denied request: only a or b$/);
});

test('conditions, selectors and what a binding says narrow down whom a policy concerns', async (t) => {
  const never = { expression: 'false' };
  const rows: [PolicyOptions, number][] = [
    [{ spec: { matchConditions: [{ name: 'x', expression: "request.userInfo.username == 'other'" }] } }, 201],
    [{ spec: { matchConditions: [{ name: 'x', expression: "request.userInfo.username == 'admin'" }] } }, 422],
    [{ spec: { matchConditions: [{ name: 'x', expression: "object.spec.none == 'admin'" }] } }, 422],
    [{ binding: { validationActions: ['Audit'] } }, 201],
    [{ binding: { policyName: 'other' } }, 201],
    [{ binding: { matchResources: { objectSelector: { matchLabels: { app: 'other' } } } } }, 201],
    [{ binding: { matchResources: { objectSelector: { matchLabels: { app: 'web' } } } } }, 422],
    [
      {
        binding: { matchResources: { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists' }] } } },
      },
      201,
    ],
    [{ binding: { matchResources: { namespaceSelector: {} } } }, 422],
  ];
  for (const [options, status] of rows) {
    const { make } = await start(t, never, options);
    assert.equal((await make('x', { app: 'web' })).status, status, JSON.stringify(options));
  }
});

test('an expression that cannot be compiled, and parameters, are refused with the policy', async (t) => {
  const { policy } = await start(t, { expression: 'object.metadata.' }, { spec: { paramKind: {}, variables: [{}] } });
  assert.equal(policy.status, 422);
  const { causes } = policy.body['details'] as { causes: { field: string; message: string }[] };
  assert.deepEqual(
    causes.map(({ field }) => field),
    ['spec.paramKind', 'spec.variables[0].name', 'spec.variables[0].expression', 'spec.validations[0].expression'],
  );
  assert.match(causes[3]?.message ?? '', /compilation failed: /);
  const unknown = await start(t, { expression: 'nobody.knows == 1' });
  assert.equal(unknown.policy.status, 422);
});

test('policies are not asked about policies', async (t) => {
  const all = [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['CREATE', 'DELETE'], resources: ['*'] }];
  const spec = { matchConstraints: { resourceRules: all } };
  const { target, make } = await start(t, { expression: 'false' }, { spec });
  assert.equal((await make('x')).status, 422);
  assert.equal((await call(target, `${bindings}/b`, { method: 'DELETE' })).status, 200);
  assert.equal((await make('x')).status, 201);
});
