/** What comes off the wire is read field by field, and what cannot be read says where. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  decodeClusterTrustBundle,
  decodePod,
  decodePodCertificateRequest,
  decodeWatchEvent,
  outlineOf,
  pageDecoder,
  readStatus,
} from '../../../agent/kubernetes/schemas.ts';

test('fields that the agent does not know are left out, and null counts as absent', () => {
  const sent = {
    kind: 'Pod',
    metadata: { name: 'web', labels: null, managedFields: [{ manager: 'x' }] },
    spec: { nodeName: 'node-a', containers: null, tolerations: [] },
    status: null,
  };
  assert.deepEqual(decodePod(sent), { kind: 'Pod', metadata: { name: 'web' }, spec: { nodeName: 'node-a' } });
});

test('a known field of the wrong type is refused with its place and without its value', () => {
  const sent = { metadata: { name: 'a' }, spec: { trustBundle: { secret: 'swordfish' } } };
  assert.throws(
    () => decodeClusterTrustBundle(sent),
    (error: Error) => {
      assert.match(error.message, /ClusterTrustBundle .* at spec\.trustBundle: expected string/);
      assert.ok(!error.message.includes('swordfish'), 'the message quotes nothing');
      return true;
    },
  );
  for (const value of [undefined, null, 3, 'text', [], [{}]]) {
    assert.throws(() => decodePod(value), { code: 'Unavailable' }, JSON.stringify(value));
  }
});

test('names that mean something to JavaScript are names like any other', () => {
  const sent = JSON.parse('{"metadata":{"name":"a","annotations":{"__proto__":"x","constructor":"y"}}}');
  const { annotations } = decodePod(sent).metadata;
  assert.equal(Object.getPrototypeOf(annotations ?? {}), Object.prototype);
  assert.equal(
    Object.entries(annotations ?? {}).every(([, value]) => typeof value === 'string'),
    true,
  );
});

test('a request is unreadable without the fields that tell whose it is', () => {
  assert.throws(() => decodePodCertificateRequest({ metadata: { name: 'a' }, spec: {} }), /spec\.signerName/);
});

test('a page without items is an empty page', () => {
  assert.deepEqual(pageDecoder(decodePod)({ items: null, metadata: { resourceVersion: '7' } }), {
    metadata: { resourceVersion: '7' },
  });
});

test('a frame is an event, a bookmark, an error, or refused', () => {
  assert.equal(decodeWatchEvent({ type: 'ADDED', object: {} }).type, 'ADDED');
  assert.throws(() => decodeWatchEvent({ type: 'BOOKMARK', object: { metadata: {} } }));
  assert.throws(() => decodeWatchEvent({ type: 'GONE', object: {} }));
  assert.throws(() => decodeWatchEvent('ADDED'));
});

test('an unreadable object still says which one it is', () => {
  const sent = { metadata: { name: 'a', namespace: 'n', resourceVersion: '9' }, spec: 3 };
  assert.deepEqual(outlineOf(sent), { key: 'n/a', resourceVersion: '9' });
  assert.deepEqual(outlineOf(7), {});
});

test('only a Status is a Status', () => {
  assert.equal(readStatus({ kind: 'Status', code: 404, reason: 'NotFound' })?.reason, 'NotFound');
  assert.equal(readStatus('404 page not found'), undefined);
  assert.equal(readStatus({ kind: 'Pod' }), undefined);
});
