/**
 * The protobuf form, with messages as written by hand from the encoding's rules; kubectl's own are in kubectl.test.ts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseProtobuf } from '../../../sandbox/storage/protobuf.ts';

const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
const field = (number: number, content: string | Buffer | number): Buffer => {
  if (typeof content === 'number') {
    return Buffer.from([...varint(number << 3), ...varint(content)]);
  }
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.from([...varint((number << 3) | 2), ...varint(bytes.length)]), bytes]);
};
const message = (...fields: readonly Buffer[]): Buffer => Buffer.concat(fields);
const wrapped = (apiVersion: string, kind: string, raw: Buffer): Buffer =>
  Buffer.concat([Buffer.from('k8s\0'), field(1, message(field(1, apiVersion), field(2, kind))), field(2, raw)]);

test('a message becomes the JSON of its kind, empty texts left out', () => {
  const meta = message(
    field(1, 'web'),
    field(2, ''),
    field(8, message()),
    field(11, message(field(1, 'app'), field(2, 'web'))),
    field(11, message(field(1, 'empty'))),
    field(13, message(field(1, 'Pod'), field(3, 'p'), field(4, 'u'), field(5, 'v1'), field(6, 1))),
    field(99, 'unknown'),
  );
  const raw = message(field(1, meta), field(3, message(field(1, 'pull'))), field(4, 0));
  assert.deepEqual(parseProtobuf(wrapped('v1', 'ServiceAccount', raw)), {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: {
      name: 'web',
      labels: { app: 'web', empty: '' },
      ownerReferences: [{ kind: 'Pod', name: 'p', uid: 'u', apiVersion: 'v1', controller: true }],
    },
    imagePullSecrets: [{ name: 'pull' }],
    automountServiceAccountToken: false,
  });
});

test('bytes, numbers, times and maps of lists are read', () => {
  const extra = message(field(1, 'k'), field(2, message(field(1, 'a'), field(1, 'b'))));
  const spec = message(field(1, Buffer.from([1, 2, 3])), field(8, 3600), field(6, extra));
  const condition = message(field(1, 'Approved'), field(5, message(field(1, 1_767_225_600))));
  const raw = message(field(2, spec), field(3, message(field(1, condition))));
  const { spec: read, status } = parseProtobuf(wrapped('certificates.k8s.io/v1', 'CertificateSigningRequest', raw));
  assert.deepEqual(read, { request: 'AQID', expirationSeconds: 3600, extra: { k: ['a', 'b'] } });
  assert.deepEqual(status, { conditions: [{ type: 'Approved', lastTransitionTime: '2026-01-01T00:00:00Z' }] });
});

const good = wrapped('v1', 'Namespace', message(field(1, message(field(1, 'n')))));
const bad: readonly (readonly [string, Buffer])[] = [
  ['without the prefix', good.subarray(1)],
  ['that is cut off', good.subarray(0, good.length - 1)],
  ['of a kind that is not known', wrapped('v1', 'Pod', message())],
  ['with an endless number', Buffer.concat([Buffer.from('k8s\0'), Buffer.alloc(12, 255)])],
  ['with a number for a text', wrapped('v1', 'Namespace', message(field(1, message(field(1, 5)))))],
  ['with a wire type that does not exist', Buffer.concat([Buffer.from('k8s\0'), Buffer.from([7])])],
];
for (const [what, bytes] of bad) {
  test(`a message ${what} is refused`, () => {
    assert.throws(() => parseProtobuf(bytes), { name: 'ApiError', code: 400 });
  });
}
