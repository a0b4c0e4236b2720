/** What comes off the wire is read field by field, and what cannot be read says where. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Decoder } from '../../../agent/kubernetes/decoding.ts';
import { decodeWatchEvent, outlineOf, pageDecoder, readStatus } from '../../../agent/kubernetes/envelopes.ts';
import {
  decodeCertificateRequest,
  decodeCertificateSigningRequest,
  decodeNodeRequest,
  decodePodCertificateRequest,
} from '../../../agent/kubernetes/request-schemas.ts';
import { decodeClusterTrustBundle, decodeNodePod, decodePod } from '../../../agent/kubernetes/schemas.ts';

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

test('a frame is an event, a bookmark, an error, of a type that is yet to come, or refused', () => {
  assert.equal(decodeWatchEvent({ type: 'ADDED', object: {} }).type, 'ADDED');
  assert.equal(decodeWatchEvent({ type: 'BOOKMARK', object: { metadata: {} } }).type, 'BOOKMARK');
  assert.deepEqual(decodeWatchEvent({ type: 'GONE', object: {} }), { type: 'OTHER' });
  assert.deepEqual(decodeWatchEvent({ type: 'GONE' }), { type: 'OTHER' });
  assert.throws(() => decodeWatchEvent({ type: 'ADDED' }), 'what it tells of is missing');
  assert.throws(() => decodeWatchEvent({ type: 'BOOKMARK', object: 'none' }));
  assert.throws(() => decodeWatchEvent({ type: 1, object: {} }));
  assert.throws(() => decodeWatchEvent({ object: {} }));
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

/** What no field of text, number, list or map expects; 1e400 is JSON, and no number. */
const oddValues: readonly unknown[] = [[1], { a: [] }, true, -0.5, JSON.parse('1e400'), 'odd'];

/** The value with another one at `path`; undefined takes what is there out. */
function withAt(value: unknown, [name, ...rest]: readonly (string | number)[], odd: unknown): unknown {
  if (name === undefined) {
    return odd;
  }
  const copy: Record<string, unknown> = Object.assign(Array.isArray(value) ? [] : {}, value);
  copy[name] = withAt(copy[name], rest, odd);
  if (copy[name] === undefined) {
    delete copy[name];
  }
  return Array.isArray(copy) ? copy.filter(() => true) : copy;
}

type Path = readonly (string | number)[];

const metadata = { name: 'a', namespace: 'n', uid: 'u', resourceVersion: '9' };
const labels = { 'podcert.io/pod': 'u' };
const conditions = [
  { type: 'Issued', status: 'True', reason: 'R', message: 'm' },
  { type: 'Approved', status: 'True' },
];
const conditionPaths: readonly Path[] = [
  ['status'],
  ['status', 'conditions'],
  ['status', 'conditions', 1],
  ['status', 'conditions', 0, 'reason'],
  ['status', 'conditions', 0, 'message'],
];
const spec = { signerName: 's', podUID: 'u', nodeName: 'n1', request: 'cGVt', issuerRef: { name: 'i' } };

/** What is read, a sound example, and the fields of it that nothing else depends on. */
const dispensable: readonly [string, Decoder<unknown> | typeof readStatus, object, readonly Path[]][] = [
  [
    'Status',
    readStatus,
    {
      kind: 'Status',
      status: 'Failure',
      message: 'm',
      reason: 'NotFound',
      code: 404,
      details: {
        name: 'a',
        kind: 'pods',
        retryAfterSeconds: 7,
        causes: [{ reason: 'R', message: 'm', field: 'f' }, {}],
      },
    },
    [
      ...['status', 'message', 'reason', 'code', 'details'].map((name) => [name]),
      ...['name', 'kind', 'retryAfterSeconds', 'causes'].map((name) => ['details', name]),
      ...['reason', 'message', 'field'].map((name) => ['details', 'causes', 0, name]),
      ['details', 'causes', 1],
    ],
  ],
  [
    'PodCertificateRequest',
    decodeNodeRequest,
    {
      metadata,
      spec: { signerName: 's', podUID: 'u', nodeName: 'n1' },
      status: { conditions, certificateChain: 'PEM', notBefore: 'b', notAfter: 'e', beginRefreshAt: 'r' },
    },
    [
      ...conditionPaths,
      ...['certificateChain', 'notBefore', 'notAfter', 'beginRefreshAt'].map((name) => ['status', name]),
      ['metadata', 'resourceVersion'],
    ],
  ],
  [
    'CertificateSigningRequest',
    decodeCertificateSigningRequest,
    {
      metadata: { ...metadata, labels, annotations: { a: 'b' } },
      spec: { request: spec.request, signerName: spec.signerName },
      status: { conditions, certificate: 'PEM' },
    },
    [...conditionPaths, ['status', 'certificate'], ...['labels', 'annotations'].map((name) => ['metadata', name])],
  ],
  [
    'CertificateRequest',
    decodeCertificateRequest,
    {
      metadata: { ...metadata, labels },
      spec: { request: spec.request, issuerRef: spec.issuerRef },
      status: { conditions, certificate: 'PEM', ca: 'PEM' },
    },
    [...conditionPaths, ['status', 'certificate'], ['status', 'ca'], ['metadata', 'labels']],
  ],
  [
    'list',
    pageDecoder(decodePod),
    { kind: 'PodList', metadata: { resourceVersion: '7', continue: 'c' }, items: [] },
    [['kind'], ['metadata', 'resourceVersion']],
  ],
];

for (const [kind, decode, sound, paths] of dispensable) {
  test(`a field of a ${kind} that cannot be read counts as absent, and all that does not depend on it is read`, () => {
    assert.deepEqual(decode(sound), sound, 'the example is sound');
    for (const path of paths) {
      const without = withAt(sound, path, undefined);
      for (const odd of oddValues) {
        const read = decode(withAt(sound, path, odd));
        // A text may be any text, an object may have fields that are not read, and a list items that cannot be read.
        const asSent = [odd, {}, []].map((value) => JSON.stringify(withAt(sound, path, value)));
        assert.deepEqual(
          asSent.includes(JSON.stringify(read)) ? without : read,
          without,
          `${path.join('.')} is ${JSON.stringify(odd)}`,
        );
      }
    }
  });
}

test('a page whose token for the next one cannot be read is not taken for the last one', () => {
  assert.throws(() => pageDecoder(decodePod)({ metadata: { continue: 7 }, items: [] }), /metadata\.continue/);
  assert.throws(() => pageDecoder(decodePod)({ metadata: [], items: [] }), /metadata/);
  assert.throws(() => pageDecoder(decodePod)({ items: {} }), /items/);
});

test('of what an unreadable object says of itself, what can be read counts', () => {
  assert.deepEqual(outlineOf({ metadata: { name: 7, namespace: 'n', resourceVersion: '9' } }), {
    resourceVersion: '9',
  });
  assert.deepEqual(outlineOf({ metadata: { name: 'a', resourceVersion: 9 } }), { key: 'a' });
});

test('of the pods of the node no more is kept than whether they end and which addresses they have', () => {
  const filler = { filler: 'x' };
  const kept = {
    metadata: { name: 'web', namespace: 'shop', uid: 'u', resourceVersion: '7', deletionTimestamp: 'now' },
    spec: { hostNetwork: false },
    status: { podIPs: [{ ip: '10.0.0.1' }], hostIPs: [{ ip: '10.0.0.2' }] },
  };
  const sent = {
    metadata: {
      ...kept.metadata,
      labels: filler,
      annotations: filler,
      ownerReferences: [filler],
      managedFields: [filler],
    },
    spec: { ...kept.spec, nodeName: 'n', containers: [{ name: 'a', env: [filler] }], volumes: [filler] },
    status: { ...kept.status, phase: 'Running', conditions: [filler] },
  };
  assert.deepEqual(decodeNodePod(sent), kept);
  assert.ok(decodeNodePod.shape !== undefined && decodeNodePod.shape !== 'all', 'and nothing else becomes a value');
});
