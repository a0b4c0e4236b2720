/** Which file holds what, and who may read it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FileOwner, SourceContent } from '../../../volumes/base/volume.ts';
import type { PodCertificateSource, VolumeDeclaration } from '../../../volumes/declaration/types.ts';
import { createCertificatesContents, wholeContent } from '../../../volumes/files/content.ts';
import {
  firstSizeBytes,
  issuedAnchorPaths,
  layOut,
  type ProjectedFile,
  sourcePaths,
  stateRoomBytes,
  type VolumeAccess,
  volumeAccess,
} from '../../../volumes/files/layout.ts';
import { encodePem } from '../../../volumes/files/pem.ts';
import { anchorsSource, certificateSource } from '../support.ts';

const source: PodCertificateSource = {
  ...certificateSource,
  credentialBundlePath: 'bundle',
  keyPath: 'key',
  certificateChainPath: 'chain',
  leafPath: 'leaf',
  intermediatesPath: 'intermediates',
  caPath: 'ca',
};
const declaration: VolumeDeclaration = { sources: [source, anchorsSource] };
const key = Uint8Array.of(1, 2, 3);
const [leaf, intermediate, upper] = [Uint8Array.of(10), Uint8Array.of(11), Uint8Array.of(12)];
const root = Uint8Array.of(13);
const content: SourceContent = {
  kind: 'credential',
  privateKey: key,
  certificates: [leaf, intermediate, upper],
  anchors: [root],
};

const tools = (access: VolumeAccess, secrets: Uint8Array[] = []) => ({
  access,
  secrets,
  contentOf: createCertificatesContents(),
});
const textOf = (file: ProjectedFile): string => Buffer.concat([...file.content.pieces()]).toString();

const certificates = (...ders: Uint8Array[]) =>
  Buffer.from(encodePem(ders.map((bytes) => ({ label: 'CERTIFICATE', bytes })))).toString();
const keyText = Buffer.from(encodePem([{ label: 'PRIVATE KEY', bytes: key }])).toString();

/** `path: mode uid:gid` of every file, and the directories' access. */
function modes(owner: FileOwner, more: Partial<VolumeDeclaration> = {}, setOwners = true): Record<string, string> {
  const declared = { ...declaration, ...more };
  const access = volumeAccess(declared, owner, setOwners);
  const show = (file: { mode: number; uid?: number; gid?: number }) =>
    `${file.mode.toString(8)} ${file.uid ?? '-'}:${file.gid ?? '-'}`;
  const files = layOut(source, content, tools(access)).map((file) => [file.path, show(file)]);
  return Object.fromEntries([...files, ['/', show(access.directory)]]);
}

test('the credential bundle is the key and then the chain; every other file is its part', () => {
  const files = layOut(source, content, tools(volumeAccess(declaration, { kind: 'none' }, true)));
  assert.deepEqual(Object.fromEntries(files.map((file) => [file.path, textOf(file)])), {
    bundle: keyText + certificates(leaf, intermediate, upper),
    key: keyText,
    chain: certificates(leaf, intermediate, upper),
    leaf: certificates(leaf),
    intermediates: certificates(intermediate, upper),
    ca: certificates(root),
  });
  assert.deepEqual(sourcePaths(source).toSorted(), files.map((file) => file.path).toSorted());
  const some = layOut(certificateSource, content, tools(volumeAccess(declaration, { kind: 'none' }, true)));
  assert.deepEqual(
    some.map((file) => file.path),
    ['credentials.pem', 'parts/key.pem', 'parts/chain.pem'],
  );
  assert.deepEqual(sourcePaths(anchorsSource), ['trust-anchors.pem']);
});

test('a leaf that its root signed directly has an empty intermediates file', () => {
  const access = volumeAccess(declaration, { kind: 'none' }, true);
  const files = layOut(source, { kind: 'credential', privateKey: key, certificates: [leaf] }, tools(access));
  assert.equal(files.find((file) => file.path === 'intermediates')?.content.length, 0);
  assert.equal(files.find((file) => file.path === 'ca')?.content.length, 0, 'no anchors came with it');
});

test('trust anchors are one file, and nothing found is an empty one', () => {
  const access = volumeAccess(declaration, { kind: 'none' }, true);
  const lay = (ders: Uint8Array[]) =>
    layOut(anchorsSource, { kind: 'trustAnchors', certificates: ders }, tools(access)).map((file) => [
      file.path,
      textOf(file),
      file.mode,
    ]);
  assert.deepEqual(lay([leaf, upper]), [['trust-anchors.pem', certificates(leaf, upper), 0o644]]);
  assert.deepEqual(lay([]), [['trust-anchors.pem', '', 0o644]]);
});

test('with an fsGroup everything is root:fsGroup 0640, whatever defaultMode says', () => {
  const all = '640 0:2000';
  const expected = { bundle: all, key: all, chain: all, leaf: all, intermediates: all, ca: all, '/': '750 0:2000' };
  assert.deepEqual(modes({ kind: 'group', gid: 2000 }), expected);
  assert.deepEqual(modes({ kind: 'group', gid: 2000 }, { defaultMode: 0o400 }), expected);
});

test('with one runAsUser everything belongs to it, 0600', () => {
  const all = '600 1000:0';
  const expected = { bundle: all, key: all, chain: all, leaf: all, intermediates: all, ca: all, '/': '700 1000:0' };
  assert.deepEqual(modes({ kind: 'user', uid: 1000 }), expected);
  // A pod that runs as root is nobody else's business either.
  assert.equal(modes({ kind: 'user', uid: 0 })['/'], '700 0:0');
});

test('without an owner keys are 0600 and certificates 0644, or defaultMode, but no key is for others', () => {
  const none: FileOwner = { kind: 'none' };
  const plain = {
    bundle: '600 0:0',
    key: '600 0:0',
    chain: '644 0:0',
    leaf: '644 0:0',
    intermediates: '644 0:0',
    ca: '644 0:0',
  };
  assert.deepEqual(modes(none), { ...plain, '/': '755 0:0' });
  const group = {
    bundle: '440 0:0',
    key: '440 0:0',
    chain: '440 0:0',
    leaf: '440 0:0',
    intermediates: '440 0:0',
    ca: '440 0:0',
  };
  assert.deepEqual(modes(none, { defaultMode: 0o440 }), { ...group, '/': '750 0:0' });
  assert.equal(modes(none, { defaultMode: 0o644 })['key'], '640 0:0');
});

test('an ownerless volume that holds keys alone keeps its directories closed', () => {
  const { kind, index, signerName, keyType, userAnnotations } = source;
  const bare = { kind, index, signerName, keyType, userAnnotations, credentialBundlePath: 'bundle' };
  assert.equal(volumeAccess({ sources: [bare] }, { kind: 'none' }, true).directory.mode, 0o750);
  assert.equal(
    volumeAccess({ sources: [{ ...anchorsSource, index: 0 }] }, { kind: 'none' }, true).directory.mode,
    0o755,
  );
  for (const field of ['certificateChainPath', 'leafPath', 'intermediatesPath', 'caPath', 'truststorePath']) {
    const mixed = { sources: [bare, { ...bare, index: 1, [field]: 'public' }] };
    assert.equal(volumeAccess(mixed, { kind: 'none' }, true).directory.mode, 0o755, field);
  }
});

test("a file that belongs to no source is the volume's user's, else the pod's, and never secret", () => {
  const beside = (owner: FileOwner, defaultUser?: number) =>
    volumeAccess({ ...declaration, ...(defaultUser === undefined ? {} : { defaultUser }) }, owner, true).beside;
  assert.deepEqual(beside({ kind: 'none' }), { mode: 0o644, uid: 0, gid: 0 });
  assert.deepEqual(beside({ kind: 'user', uid: 90 }), { mode: 0o600, uid: 90, gid: 0 });
  assert.deepEqual(beside({ kind: 'user', uid: 90 }, 80), { mode: 0o600, uid: 80, gid: 0 });
  assert.deepEqual(beside({ kind: 'user', uid: 90 }, 0), { mode: 0o600, uid: 0, gid: 0 });
  assert.deepEqual(beside({ kind: 'group', gid: 2000 }), { mode: 0o640, uid: 0, gid: 2000 });
});

test('an agent that may not give files away sets modes only', () => {
  assert.deepEqual(modes({ kind: 'user', uid: 1000 }, {}, false)['key'], '600 -:-');
  assert.deepEqual(modes({ kind: 'group', gid: 1 }, {}, false)['/'], '750 -:-');
});

test('a mode of its own counts whoever owns the files: 0600 with an fsGroup too', () => {
  const own = { sources: [{ ...source, user: 70, mode: 0o600 }, anchorsSource] };
  const group = volumeAccess(own, { kind: 'group', gid: 2000 }, true);
  const [first, second] = own.sources;
  assert.ok(first !== undefined && second !== undefined, 'there are two sources');
  assert.deepEqual(group.files(first).key, { mode: 0o600, uid: 70, gid: 2000 });
  assert.deepEqual(group.files(first).other, { mode: 0o600, uid: 70, gid: 2000 });
  assert.deepEqual(group.files(second).other, { mode: 0o640, uid: 0, gid: 2000 });
  assert.deepEqual(group.directory, { mode: 0o750, uid: 0, gid: 2000 });
  const user = volumeAccess({ sources: [{ ...source, mode: 0o440 }] }, { kind: 'user', uid: 1000 }, true);
  assert.deepEqual(user.files(source).key, { mode: 0o600, uid: 1000, gid: 0 });
  assert.deepEqual(user.files({ ...source, mode: 0o440 }).key, { mode: 0o440, uid: 1000, gid: 0 });
});

test("a source's user goes before the volume's, and that before the pod's", () => {
  const declared = { sources: [{ ...source, user: 70 }, anchorsSource], defaultUser: 80 };
  for (const owner of [{ kind: 'none' }, { kind: 'user', uid: 90 }, { kind: 'group', gid: 2000 }] as const) {
    const { files } = volumeAccess(declared, owner, true);
    assert.deepEqual(
      declared.sources.map((each) => files(each).other.uid),
      [70, 80],
      owner.kind,
    );
  }
});

test('the one user of all files owns the directories, and several users find them open', () => {
  const directory = (sources: VolumeDeclaration['sources'], owner: FileOwner = { kind: 'none' }) =>
    volumeAccess({ sources }, owner, true).directory;
  const { certificateChainPath: _chain, leafPath: _leaf, intermediatesPath: _rest, caPath: _ca, ...bare } = source;
  assert.deepEqual(directory([{ ...bare, user: 70 }]), { mode: 0o700, uid: 70, gid: 0 });
  assert.deepEqual(directory([{ ...bare, user: 70 }], { kind: 'user', uid: 90 }), { mode: 0o700, uid: 70, gid: 0 });
  const two = [
    { ...bare, user: 70 },
    { ...bare, index: 1, user: 71 },
  ];
  assert.deepEqual(directory(two), { mode: 0o755, uid: 0, gid: 0 });
  assert.deepEqual(directory(two, { kind: 'user', uid: 90 }), { mode: 0o755, uid: 90, gid: 0 });
  assert.deepEqual(directory([{ ...anchorsSource, index: 0, mode: 0o644 }], { kind: 'user', uid: 90 }).mode, 0o755);
  assert.deepEqual(directory([{ ...anchorsSource, index: 0, mode: 0o440 }]).mode, 0o750);
});

test('no key is for others, whatever mode was stored', () => {
  for (const owner of [{ kind: 'none' }, { kind: 'user', uid: 90 }, { kind: 'group', gid: 2000 }] as const) {
    const stored = { ...source, mode: 0o777 };
    assert.equal(volumeAccess({ sources: [stored] }, owner, true).files(stored).key.mode, 0o770, owner.kind);
  }
});

test('content of the wrong kind is a fault of the caller', () => {
  const access = volumeAccess(declaration, { kind: 'none' }, true);
  const anchorsOnly = { name: 'TypeError', message: 'source 1 holds trust anchors only' };
  assert.throws(() => layOut(anchorsSource, content, tools(access)), anchorsOnly);
  // What is kept apart by trust domain must not come together in one file.
  const apart: SourceContent = { kind: 'trustAnchors', certificates: [], byTrustDomain: [] };
  assert.throws(() => layOut(anchorsSource, apart, tools(access)), anchorsOnly);
  assert.throws(() => layOut(source, { kind: 'trustAnchors', certificates: [] }, tools(access)), {
    name: 'TypeError',
    message: 'source 0 holds a credential only',
  });
});

test('files that are made elsewhere stand beside the others, and those that hold a secret are as closed as a key', () => {
  const made = { truststorePath: 't.p12', passwordPath: 'password' };
  const madeOf = () => [
    { path: 't.p12', content: wholeContent(Uint8Array.of(1)), isSecret: false },
    { path: 'password', content: wholeContent(Uint8Array.of(2)), isSecret: true },
  ];
  const access = volumeAccess(declaration, { kind: 'none' }, true);
  for (const [each, given] of [
    [{ ...source, ...made }, content],
    [
      { ...anchorsSource, ...made },
      { kind: 'trustAnchors', certificates: [] },
    ],
  ] as const) {
    const files = layOut(each, given, { ...tools(access), madeOf });
    assert.deepEqual(
      files.slice(-2).map(({ path, mode, uid }) => [path, mode, uid]),
      [
        ['t.p12', 0o644, 0],
        ['password', 0o600, 0],
      ],
    );
    assert.deepEqual(sourcePaths(each).toSorted(), files.map((file) => file.path).toSorted());
  }
  const keystore = { ...certificateSource, keystorePath: 'k.p12' };
  assert.deepEqual(sourcePaths(keystore), ['credentials.pem', 'parts/key.pem', 'parts/chain.pem', 'k.p12']);
});

test('trust anchors that came with a certificate are changed alone, in the files that they have', () => {
  const madeOf = () => [{ path: 't.p12', content: wholeContent(Uint8Array.of(1)), isSecret: false }];
  const access = volumeAccess(declaration, { kind: 'none' }, true);
  const issued: SourceContent = { kind: 'issuedAnchors', anchors: [root, upper] };
  const truststore = { truststorePath: 't.p12', passwordPath: 'password' };
  for (const [each, ca, made] of [
    [{ ...source, ...truststore }, ['ca'], ['t.p12']],
    [{ ...certificateSource, ...truststore }, [], ['t.p12']],
    [source, ['ca'], []],
    [certificateSource, [], []],
  ] as const) {
    const files = layOut(each, issued, { ...tools(access), ...(made.length > 0 ? { madeOf } : {}) });
    assert.deepEqual(
      files.map(({ path, mode, uid }) => [path, mode, uid]),
      [...ca, ...made].map((path) => [path, 0o644, 0]),
    );
    assert.deepEqual(
      files.slice(0, ca.length).map(textOf),
      ca.map(() => certificates(root, upper)),
    );
    assert.deepEqual(issuedAnchorPaths(each), [...ca, ...made]);
  }
});

test('a volume is made for what its sources hold, and keeps room for their state', () => {
  const { keyPath: _, ...plain } = certificateSource;
  const stored = { ...plain, index: 2, keystorePath: 'k.p12' };
  for (const [sources, first, state] of [
    [[anchorsSource], 512, 0],
    [[plain], 512 + 64, 16],
    [[plain, anchorsSource, { ...plain, index: 2 }], 512 + 128, 32],
    [[stored], 512 + 64 + 16, 32],
    [[{ ...anchorsSource, truststorePath: 't.p12' }], 512 + 16, 16],
  ] as const) {
    assert.equal(firstSizeBytes({ sources }), first * 1024);
    assert.equal(stateRoomBytes({ sources }), state * 1024);
  }
});

test('every buffer that holds a key is handed over, to be overwritten', () => {
  const secrets: Uint8Array[] = [];
  const files = layOut(source, content, tools(volumeAccess(declaration, { kind: 'none' }, true), secrets));
  assert.ok(
    files.some((file) => textOf(file).includes('PRIVATE KEY')),
    'the files hold the key',
  );
  for (const secret of secrets) {
    secret.fill(0);
  }
  assert.ok(
    files.every((file) => Buffer.concat([...file.content.pieces()]).every((byte) => byte === 0)),
    'nothing is left of the files',
  );
});

test('the same certificates are the same content, however they are told of', () => {
  const { contentOf } = tools(volumeAccess(declaration, { kind: 'none' }, true));
  const told = [leaf, upper];
  assert.equal(contentOf(told), contentOf(told));
  assert.equal(contentOf(told), contentOf([Uint8Array.from(leaf), upper]));
  assert.notEqual(contentOf(told), contentOf([upper, leaf]));
});
