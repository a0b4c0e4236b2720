/**
 * How long what a volume's state holds may be: all that a pod may declare and the agent write is read back, and anything longer is damage,
 * since a privileged container chooses it and the agent keeps it in memory.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parseDeclaration } from '../../../volumes/declaration/sources.ts';
import type { VolumeDeclaration } from '../../../volumes/declaration/types.ts';
import { openState } from '../../../volumes/state/state.ts';
import {
  decodeCurrent,
  decodeCurrentAnchors,
  decodeCurrentChain,
  decodePending,
  decodeRecord,
  decodeSetback,
  decodeUptake,
  encodeRecord,
} from '../../../volumes/state/state-format.ts';
import { certificateSource, makeRecord, temporaryDirectory } from '../support.ts';

const subdomain = `${'a'.repeat(63)}.`.repeat(3) + 'a'.repeat(61);
const signerName = `${subdomain}/${'n'.repeat(63)}.${subdomain}`;
const labelKey = `${subdomain}/${'k'.repeat(63)}`;
const value = 'v'.repeat(63);

/** What a pod that asks for this would declare, and then finds in the record of its volume. */
function declared(sources: readonly object[], more: Readonly<Record<string, string>> = {}): VolumeDeclaration {
  const verdict = parseDeclaration({ sources: JSON.stringify(sources), ...more });
  assert.ok(verdict.ok, JSON.stringify(verdict).slice(0, 1000));
  return verdict.declaration;
}

function readBack(declaration: VolumeDeclaration): VolumeDeclaration {
  return decodeRecord(encodeRecord(makeRecord('/x', { declaration }))).declaration;
}

const certificate = { signerName, keyType: 'ED25519', keyPath: 'key' };
const longPath = `${'p'.repeat(255)}/`.repeat(11);
const names = Array.from({ length: 8 }, () => 'd'.repeat(2048));

for (const [what, sources, more] of [
  ['names', [{ podCertificate: { ...certificate, dnsNames: names, uris: names, ipAddresses: names } }]],
  ['a common name', [{ podCertificate: { ...certificate, commonName: 'c'.repeat(2048) } }]],
  ['32 names', [{ podCertificate: { ...certificate, uris: Array.from({ length: 32 }, () => 'u'.repeat(1024)) } }]],
  ['one annotation', [{ podCertificate: { ...certificate, userAnnotations: { [labelKey]: 'v'.repeat(60_000) } } }]],
  [
    'many annotations',
    [
      {
        podCertificate: {
          ...certificate,
          userAnnotations: Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`a.b/k${index}`, ''])),
        },
      },
    ],
  ],
  ['a path', [{ podCertificate: { ...certificate, keyPath: longPath + 'p'.repeat(255) } }]],
  ['a layout', [{ podCertificate: { signerName, keyType: 'ED25519', layout: 'spiffe', path: longPath.slice(0, -1) } }]],
  ['a bundle', [{ clusterTrustBundle: { name: `${signerName.replace('/', ':')}:${subdomain}`, path: 'a' } }]],
  [
    'labels',
    [
      {
        clusterTrustBundle: {
          signerName,
          labelSelector: {
            matchLabels: { [labelKey]: value },
            matchExpressions: [
              { key: labelKey, operator: 'In', values: Array.from({ length: 127 }, () => value) },
              ...Array.from({ length: 127 }, () => ({ key: 'k', operator: 'Exists' })),
            ],
          },
          path: 'a',
        },
      },
    ],
  ],
  ['256 sources', Array.from({ length: 256 }, (_, index) => ({ clusterTrustBundle: { name: 'a', path: `${index}` } }))],
  [
    'eight sources with trust domains of their own',
    Array.from({ length: 8 }, (_, index) => ({
      clusterTrustBundle: { signerName, layout: 'spiffe', trustDomain: 't'.repeat(63), path: `f${index}` },
    })),
  ],
  [
    '16 keystores',
    Array.from({ length: 8 }, (_, at) => ({
      podCertificate: {
        ...{ signerName, keyType: 'ED25519', keystorePath: `k${at}`, truststorePath: `t${at}`, passwordPath: `p${at}` },
      },
    })),
  ],
  [
    'what is done after a change',
    [{ podCertificate: certificate }],
    {
      reload: JSON.stringify({
        touch: 't'.repeat(255),
        http: { port: 65_535, path: `/${'h'.repeat(1023)}` },
        signal: { process: 'p'.repeat(15) },
      }),
      probe: JSON.stringify({ port: 1, serverName: subdomain }),
    },
  ],
] as const satisfies readonly (readonly [string, readonly object[], Readonly<Record<string, string>>?])[]) {
  test(`a declaration is read back with the longest that a pod may declare: ${what}`, () => {
    const declaration = declared(sources, more);
    assert.deepEqual(readBack(declaration), declaration);
  });
}

/** A file of the state with something else in the place that a path of keys leads to. */
function changed(file: object, where: readonly (string | number)[], change: unknown): Buffer {
  const json = { version: 1, ...structuredClone(file) };
  const last = where.at(-1) ?? assert.fail('nothing is changed');
  let parent: Record<string, unknown> = json;
  for (const key of where.slice(0, -1)) {
    parent = parent[key] as Record<string, unknown>;
  }
  parent[last] = change;
  return Buffer.from(JSON.stringify(json));
}

const dates = { notBefore: 1, notAfter: 3, beginRefreshAt: 2 };
const request = { requestName: 'r', keyType: 'ED25519' };
const issued = { ...dates, serialNumber: '0A', certificates: ['AQ=='], anchors: ['AQ=='], podIPs: ['10.0.0.7'] };
const pendingFile = { pending: { ...request, createdAt: 1, publicKey: 'AQ==', issued }, keyFile: 'k' };
const currentFile = { issued: { ...request, ...issued, refreshAt: 2 }, certificates: ['AQ=='], anchors: ['AQ=='] };
const setbackFile = { setback: { kind: 'denied', reason: '', message: '', failures: 1, at: 1, until: 2 } };
const pod = ['record', 'pod'];
const bundleSource = {
  ...{ kind: 'clusterTrustBundle', index: 1, optional: false, path: 'a.pem' },
  select: { by: 'signer', signerName: 'a.b/c', labelSelector: { matchLabels: {}, matchExpressions: [] } },
};
const { record } = JSON.parse(encodeRecord(makeRecord('/x')).toString());
const sources = [{ ...certificateSource, names: { dnsNames: [], uris: [], ipAddresses: [] } }, bundleSource];
const recordFile = { record: { ...record, declaration: { ...record.declaration, sources } } };
const source = (index: number) => ['record', 'declaration', 'sources', index];
const select = [...source(1), 'select'];

type Decode = (bytes: Uint8Array) => unknown;

/** Each text: what reads it, from which file, where it stands there, how many characters it may have, and what it is made of. */
const texts: readonly (readonly [Decode, object, readonly (string | number)[], number, string?])[] = [
  ...['volumeId', 'volumeName'].map((name) => [decodeRecord, recordFile, ['record', name], 253] as const),
  [decodeRecord, recordFile, ['record', 'targetPath'], 4096],
  [decodeRecord, recordFile, ['record', 'seLinuxContext'], 1024, 'a:b:c'],
  ...Object.keys(record.pod).map((name) => [decodeRecord, recordFile, [...pod, name], 253] as const),
  [decodeRecord, recordFile, [...source(0), 'signerName'], 571],
  [decodeRecord, recordFile, [...source(0), 'names', 'commonName'], 2048],
  [decodeRecord, recordFile, [...source(0), 'names', 'uris', 0], 2048],
  [decodeRecord, recordFile, [...source(0), 'userAnnotations', 'a'], 64 * 1024],
  [decodeRecord, recordFile, [...select, 'signerName'], 571],
  [decodeRecord, recordFile, [...select, 'labelSelector', 'matchLabels', 'a'], 63],
  [decodePending, pendingFile, ['pending', 'requestName'], 253],
  [decodePending, pendingFile, ['pending', 'publicKey'], 4096],
  [decodePending, pendingFile, ['pending', 'issued', 'serialNumber'], 128],
  [decodePending, pendingFile, ['pending', 'issued', 'podIPs', 1], 64],
  [decodePending, pendingFile, ['pending', 'issued', 'certificates', 0], 100 * 1024],
  [decodePending, pendingFile, ['pending', 'issued', 'anchors', 0], 100 * 1024],
  [decodePending, pendingFile, ['keyFile'], 253],
  [decodeCurrent, currentFile, ['issued', 'requestName'], 253],
  [decodeCurrent, currentFile, ['issued', 'serialNumber'], 128],
  [decodeCurrent, currentFile, ['issued', 'podIPs', 0], 64],
  [decodeCurrentChain, currentFile, ['certificates', 0], 100 * 1024],
  [decodeCurrentAnchors, currentFile, ['anchors', 0], 100 * 1024],
  [decodeSetback, setbackFile, ['setback', 'reason'], 1024],
  [decodeSetback, setbackFile, ['setback', 'message'], 1024],
  [decodeUptake, { uptake: {} }, ['uptake', 'http'], 64],
];

for (const [decode, file, where, longest, form = ''] of texts) {
  test(`${where.join('.')} is read with ${longest} characters, and with one more its file is damaged`, () => {
    const read = (length: number) => decode(changed(file, where, form.padEnd(length, 'A')));
    assert.doesNotThrow(() => read(longest));
    assert.throws(() => read(longest + 1), { name: 'TypeError', message: / is longer than \d+ characters$/ });
  });
}

test('the name of a bundle and the keys of labels are read as long as Kubernetes has them, and no longer', () => {
  const bundle = (length: number) =>
    decodeRecord(changed(recordFile, select, { by: 'name', name: 'n'.repeat(length) }));
  assert.doesNotThrow(() => bundle(825));
  assert.throws(() => bundle(826), /name is longer than 825 characters/);
  const [labels, annotations] = [
    [...select, 'labelSelector', 'matchLabels'],
    [...source(0), 'userAnnotations'],
  ];
  for (const where of [labels, annotations]) {
    const keyed = (length: number) => decodeRecord(changed(recordFile, where, { ['k'.repeat(length)]: '' }));
    assert.doesNotThrow(() => keyed(317));
    assert.throws(() => keyed(318), { name: 'TypeError', message: /^a key of \w+ is longer than 317 characters$/ });
  }
  const required = (key: string, values: readonly string[]) =>
    decodeRecord(
      changed(recordFile, [...select, 'labelSelector', 'matchExpressions'], [{ key, operator: 'In', values }]),
    );
  assert.doesNotThrow(() => required('k'.repeat(317), ['v'.repeat(63)]));
  assert.throws(() => required('k'.repeat(318), []), /key is longer than 317 characters/);
  assert.throws(() => required('k', ['v'.repeat(64)]), /values is longer than 63 characters/);
});

/** Each list: as for texts, with how many entries it may have, and what each is. */
const lists: readonly (readonly [Decode, object, readonly (string | number)[], number, unknown])[] = [
  ...['dnsNames', 'uris', 'ipAddresses'].map(
    (name) => [decodeRecord, recordFile, [...source(0), 'names', name], 32, 'a'] as const,
  ),
  [decodePending, pendingFile, ['pending', 'issued', 'certificates'], 32, 'AQ=='],
  [decodePending, pendingFile, ['pending', 'issued', 'anchors'], 32, 'AQ=='],
  [decodePending, pendingFile, ['pending', 'issued', 'podIPs'], 16, ''],
  [decodeCurrent, currentFile, ['issued', 'podIPs'], 16, ''],
  [decodeCurrentChain, currentFile, ['certificates'], 32, 'AQ=='],
  [decodeCurrentAnchors, currentFile, ['anchors'], 32, 'AQ=='],
];

for (const [decode, file, where, most, entry] of lists) {
  test(`${where.join('.')} is read with ${most} entries, and with one more its file is damaged`, () => {
    const read = (count: number) => decode(changed(file, where, new Array(count).fill(entry)));
    assert.doesNotThrow(() => read(most));
    assert.throws(() => read(most + 1), {
      name: 'TypeError',
      message: `${where.at(-1)} has more than ${most} entries`,
    });
  });
}

test('a chain has a length as a whole', () => {
  const half = 'A'.repeat(50 * 1024);
  const read = (...certificates: readonly string[]) =>
    decodeCurrentChain(changed(currentFile, ['certificates'], certificates));
  assert.equal(read(half, half)?.length, 2);
  assert.throws(() => read(half, `${half}AAAA`), /certificates is longer than/);
  assert.throws(() => read(half, half, 'AAAA'), /certificates is longer than/);
});

test('of ways to tell programs sixteen are read, whatever they are called', () => {
  const read = (count: number, name = 'w') =>
    decodeUptake(
      changed({}, ['uptake'], Object.fromEntries(Array.from({ length: count }, (_, at) => [name + at, '']))),
    );
  assert.equal(Object.keys(read(16)).length, 16);
  assert.throws(() => read(17), /uptake has more than 16 entries/);
  assert.throws(() => read(1, 'w'.repeat(64)), /a key of uptake is longer than 64 characters/);
});

test('a stored declaration has no more of anything than a pod may declare', () => {
  const read = (count: number, more: (index: number) => object) => {
    const many = Array.from({ length: count }, (_, index) => ({
      ...certificateSource,
      index,
      ...more(index),
    }));
    return decodeRecord(changed(recordFile, ['record', 'declaration', 'sources'], many)).declaration.sources.length;
  };
  assert.equal(
    read(256, () => ({})),
    256,
  );
  assert.throws(() => read(257, () => ({})), { name: 'TypeError', message: 'sources has more than 256 entries' });
  const keystores = (index: number) => ({ keystorePath: `${index}.p12`, truststorePath: `t${index}.p12` });
  assert.equal(read(8, keystores), 8);
  assert.throws(() => read(9, keystores), /^TypeError: sources has more keystores, .* than a pod may declare$/);
  const apart = () => ({
    ...{ ...bundleSource, select: { by: 'signer', signerName: 'a.b/c' } },
    trustDomains: { own: 'a', canarying: 'live', as: 'bundleMap', needsOwn: true },
  });
  const inOrder = (index: number) => ({ ...apart(), index });
  assert.equal(read(8, inOrder), 8);
  assert.throws(() => read(9, inOrder), /sources that keep trust domains apart, than a pod may declare$/);
});

test('a stored path in another form than the agent writes, which may be of any length, is not believed', () => {
  for (const stored of ['a/./b', 'a//b', './a', `${'./'.repeat(100_000)}a`]) {
    const bytes = changed(recordFile, [...source(0), 'keyPath'], stored);
    assert.throws(() => decodeRecord(bytes), /sources\[0\]\.keyPath is not a path in the volume/, stored.slice(0, 10));
  }
});

test('what is said of a version that is none is short, whatever stands there', () => {
  for (const version of ['x'.repeat(400_000), Array.from({ length: 1000 }, () => 'x'.repeat(100)), { a: 1 }]) {
    const message = /^version is (x{64}|no number), and this agent reads 1 and later$/;
    assert.throws(() => decodeRecord(changed({}, ['version'], version)), { name: 'TypeError', message });
  }
});

test('a file with a text that is too long counts as absent, and is told by its name', (t) => {
  const root = temporaryDirectory(t);
  const problems: string[] = [];
  const state = openState(root, fs.lstatSync(root), (problem) => problems.push(problem));
  const file = path.join(root, '..agent', 'setback-0.json');
  fs.writeFileSync(file, changed(setbackFile, ['setback', 'message'], 'm'.repeat(500_000)));
  assert.equal(state.kept(0).setback, undefined);
  assert.deepEqual(problems, [`${file} is unusable: message is longer than 1024 characters`]);
});
