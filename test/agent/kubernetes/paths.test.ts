import assert from 'node:assert/strict';
import { test } from 'node:test';
import { corePrefix, describeCall, resourcePath } from '../../../agent/kubernetes/paths.ts';

test('paths name collection, object and subresource', () => {
  const group = '/apis/certificates.k8s.io/v1';
  assert.equal(resourcePath(corePrefix, { resource: 'nodes', name: 'n1' }), '/api/v1/nodes/n1');
  assert.equal(resourcePath(group, { resource: 'clustertrustbundles' }), `${group}/clustertrustbundles`);
  assert.equal(
    resourcePath(corePrefix, { namespace: 'a', resource: 'serviceaccounts', name: 'b', subresource: 'token' }),
    '/api/v1/namespaces/a/serviceaccounts/b/token',
  );
});

test('no name leaves its path segment', () => {
  assert.equal(
    resourcePath(corePrefix, { namespace: '../../secrets', resource: 'pods', name: 'a?b#c/d' }),
    '/api/v1/namespaces/..%2F..%2Fsecrets/pods/a%3Fb%23c%2Fd',
  );
  for (const name of ['', '.', '..']) {
    assert.throws(() => resourcePath(corePrefix, { resource: 'pods', name }), TypeError);
  }
});

test('a call is described in the words of an RBAC rule', () => {
  const describe = (method: string, path: string, watch = false): string => {
    const { verb, resource, kind } = describeCall(method, path, watch, 'me');
    return `${verb} ${resource} (${kind})`;
  };
  const group = '/apis/certificates.k8s.io/v1beta1';
  assert.equal(describe('GET', '/api/v1/nodes/n1'), 'get nodes "n1" (nodes)');
  assert.equal(describe('GET', '/api/v1/namespaces/shop'), 'get namespaces "shop" (namespaces)');
  assert.equal(describe('GET', '/api/v1/namespaces'), 'list namespaces (namespaces)');
  assert.equal(describe('GET', '/api/v1/namespaces/shop/pods'), 'list pods in namespace "shop" (pods)');
  assert.equal(describe('PATCH', '/api/v1/namespaces/shop/pods/a%2Fb'), 'patch pods "a/b" in namespace "shop" (pods)');
  assert.equal(
    describe('POST', '/api/v1/namespaces/shop/serviceaccounts/cart/token'),
    'create serviceaccounts/token "cart" in namespace "shop" (serviceaccounts/token)',
  );
  assert.equal(
    describe('GET', `${group}/clustertrustbundles`, true),
    'watch clustertrustbundles.certificates.k8s.io (clustertrustbundles.certificates.k8s.io)',
  );
  assert.equal(describe('GET', group), 'get /apis/certificates.k8s.io/v1beta1 (apis)');
  assert.equal(describe('GET', '/version'), 'get /version (version)');
  assert.equal(describe('GET', '/'), 'get / (/)');
});
