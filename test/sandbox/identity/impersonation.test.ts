import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestAttributes, RulesContext, UserInfo } from '../../../sandbox/base/cluster-rules.ts';
import { ApiError } from '../../../sandbox/base/errors.ts';
import { impersonate } from '../../../sandbox/identity/impersonation.ts';

const admin: UserInfo = { username: 'admin', groups: ['system:authenticated'], extra: {} };
const attributes: RequestAttributes = { kind: 'path', user: admin, verb: 'get', path: '/metrics' };
const context: RulesContext = {
  objects: { get: () => undefined, list: () => [] },
  now: 0,
  kubernetes: '1.36',
  timeScale: 1,
};

/** One permission as text: `impersonate:user-info authentication.k8s.io/groups *`. */
function asText(asked: RequestAttributes): string {
  if (asked.kind === 'path') {
    return `${asked.verb} ${asked.path}`;
  }
  const { apiGroup, name, resource, subresource, verb } = asked;
  return `${verb} ${apiGroup}/${resource}${subresource === '' ? '' : `/${subresource}`} ${name}`;
}

/** Impersonates with exactly some permissions. */
function as(headers: Record<string, string | string[]>, ...permissions: string[]) {
  const asked: string[] = [];
  const result = impersonate(
    headers,
    attributes,
    (wanted) => {
      asked.push(asText(wanted));
      return permissions.includes(asText(wanted)) ? { allowed: true } : { allowed: false, reason: '' };
    },
    context,
  );
  return { asked, result };
}

const onPath = 'impersonate-on:user-info:get /metrics';
const someone = 'impersonate:user-info authentication.k8s.io/users someone';
const extraHeader = 'impersonate-extra-example.com%2fkey';

function userOf(result: ReturnType<typeof as>['result']): UserInfo {
  assert.ok(!(result instanceof ApiError), String(result));
  return result.user;
}

function errorOf(result: ReturnType<typeof as>['result']): ApiError {
  assert.ok(result instanceof ApiError, `${result} is no ApiError`);
  return result;
}

test('Without headers nothing changes and nothing is asked', () => {
  const { asked, result } = as({});
  assert.equal(userOf(result), admin);
  assert.deepEqual(asked, []);
});

test('Every part of another user needs its own permission', () => {
  const { asked, result } = as(
    { 'impersonate-user': 'someone', 'impersonate-uid': 'u', 'impersonate-group': ['a', 'b'], [extraHeader]: ['c'] },
    onPath,
    someone,
    'impersonate:user-info authentication.k8s.io/uids u',
    'impersonate:user-info authentication.k8s.io/groups a',
    'impersonate:user-info authentication.k8s.io/groups b',
    'impersonate:user-info authentication.k8s.io/userextras/example.com/key c',
  );
  assert.equal(asked.length, 6);
  assert.deepEqual(userOf(result), {
    username: 'someone',
    uid: 'u',
    groups: ['a', 'b', 'system:authenticated'],
    extra: { 'example.com/key': ['c'] },
  });
});

test('Four groups or more are allowed at once by a permission for all', () => {
  const groups = ['a', 'b', 'c', 'd'];
  const all = 'impersonate:user-info authentication.k8s.io/groups *';
  const { result } = as({ 'impersonate-user': 'someone', 'impersonate-group': groups }, onPath, someone, all);
  assert.deepEqual(userOf(result).groups, [...groups, 'system:authenticated']);
  const three = as({ 'impersonate-user': 'someone', 'impersonate-group': groups.slice(1) }, onPath, someone, all);
  assert.match(errorOf(three.result).message, /groups\.authentication\.k8s\.io "b" is forbidden/);
});

test('Four values of extra or more are allowed at once by a permission for all', () => {
  const all = 'impersonate:user-info authentication.k8s.io/userextras/* *';
  const { result } = as({ 'impersonate-user': 'someone', [extraHeader]: ['a', 'b', 'c', 'd'] }, onPath, someone, all);
  assert.deepEqual(userOf(result).extra, { 'example.com/key': ['a', 'b', 'c', 'd'] });
});

const never: readonly (readonly [string, Record<string, string | string[]>, RegExp])[] = [
  [
    'system:masters',
    { 'impersonate-group': ['system:masters'] },
    /impersonating the system:masters group is not allowed/,
  ],
  ['an empty group', { 'impersonate-group': [''] }, /impersonating the empty string group is not allowed/],
  ['an extra without a key', { 'impersonate-extra-': 'x' }, /impersonating the empty string key in extra/],
  ['an extra without a domain', { 'impersonate-extra-key': 'x' }, /must be a domain-prefixed path/],
  ['an extra with a bad domain', { 'impersonate-extra-a b%2fkey': 'x' }, /a lowercase RFC 1123 subdomain/],
  ['an extra with capitals', { 'impersonate-extra-a.com%2fKEY': 'x' }, /non-lowercase key/],
  ['an empty extra', { [extraHeader]: '' }, /impersonating the empty string value in extra/],
];

for (const [what, headers, message] of never) {
  test(`No permission allows to impersonate ${what} with constraints`, () => {
    const { result } = as({ 'impersonate-user': 'someone', ...headers }, onPath, someone);
    assert.match(errorOf(result).message, message);
  });
}

test('An anonymous user is impersonated as unauthenticated', () => {
  const anonymous = 'impersonate:user-info authentication.k8s.io/users system:anonymous';
  const { result } = as({ 'impersonate-user': 'system:anonymous' }, onPath, anonymous);
  assert.deepEqual(userOf(result).groups, ['system:unauthenticated']);
});

test('A node gets the group of nodes', () => {
  const { result } = as(
    { 'impersonate-user': 'system:node:n' },
    'impersonate-on:arbitrary-node:get /metrics',
    'impersonate:arbitrary-node authentication.k8s.io/nodes n',
  );
  assert.deepEqual(userOf(result).groups, ['system:nodes', 'system:authenticated']);
});

test('A service account gets the groups of its namespace', () => {
  const username = 'system:serviceaccount:ns:robot';
  const { result } = as(
    { 'impersonate-user': username },
    'impersonate-on:serviceaccount:get /metrics',
    'impersonate:serviceaccount authentication.k8s.io/serviceaccounts robot',
  );
  const groups = ['system:serviceaccounts', 'system:serviceaccounts:ns', 'system:authenticated'];
  assert.deepEqual(userOf(result), { username, groups, extra: {} });
});

test('A key that is not percent-encoded well is taken as it stands', () => {
  const { result } = as({ 'impersonate-user': 'someone', 'impersonate-extra-a.com/%zz': 'x' }, onPath, someone);
  assert.match(errorOf(result).message, /userextras\/a\.com\/%zz/);
});

test('All parts without a user are named in the error', () => {
  const headers = { 'impersonate-uid': 'u', [extraHeader]: ['a'] };
  const error = errorOf(as(headers).result);
  assert.equal(error.code, 400);
  assert.ok(
    error.message.includes('UID:"u", Groups:[]string(nil), Extra:map[string][]string{"example.com/key":[]string{"a"}}'),
    `UID:"u", Groups:[]string(nil), Extra:map[string][]string{"example.com/key":[]string{"a"}} is not in:\n${error.message}`,
  );
  const classic = impersonate(headers, attributes, () => ({ allowed: true }), { ...context, kubernetes: '1.35' });
  assert.ok(classic instanceof ApiError, `${classic} is no ApiError`);
  assert.match(classic.message, /\{UserExtra {2}a {2}authentication.k8s.io\/v1 {2}example.com\/key\} \{UID {2}u {2}/);
});
