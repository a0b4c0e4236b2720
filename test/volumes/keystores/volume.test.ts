/**
 * Keystores in a volume: made with its other files, of the same key, under a password that stays; kept by a restart.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { OpenVolume, SourceContent, VolumeRecord } from '../../../volumes/base/volume.ts';
import { describeFaults, parseDeclaration } from '../../../volumes/declaration/sources.ts';
import { createVolumeStore } from '../../../volumes/store.ts';
import { createRootAuthority, type TestAuthority } from '../../support/certificates.ts';
import { createOpenSsl } from '../../support/openssl.ts';
import { makeRecord, makeTarget, modeOf, mountSkip, rootSkip, temporaryDirectory } from '../support.ts';

type Mode = 'tmpfs' | 'directory';
const openSsl = createOpenSsl();

const certificate = {
  signerName: 'example.com/mesh',
  keyType: 'ED25519',
  credentialBundlePath: 'credentials.pem',
  keystorePath: 'java/keystore.p12',
  passwordPath: 'java/keystore.password',
};
const bundle = { name: 'roots', path: 'roots.pem', truststorePath: 'truststore.p12', password: 'changeit' };
const usual = [{ podCertificate: certificate }, { clusterTrustBundle: bundle }];

/** A kubelet's root with one volume, and stores on it: another store is the agent after a restart. */
function setUp(t: TestContext, mode: Mode, sources: readonly object[] = usual, more: Partial<VolumeRecord> = {}) {
  const root = temporaryDirectory(t);
  const targetPath = makeTarget(root);
  const verdict = parseDeclaration({ sources: JSON.stringify(sources) });
  assert.ok(verdict.ok, verdict.ok ? '' : describeFaults(verdict.faults));
  const problems: string[] = [];
  const store = () =>
    createVolumeStore({
      ...{ kubeletRoot: root, driverName: 'csi.test', mode },
      onProblem: (_target, problem) => problems.push(problem),
    });
  const at = (file: string) => path.join(targetPath, file);
  const read = (file: string) => fs.readFileSync(at(file));
  return {
    targetPath,
    record: makeRecord(targetPath, { declaration: verdict.declaration, ...more }),
    store,
    at,
    read,
    problems,
  };
}

function inBothModes(name: string, body: (t: TestContext, mode: Mode) => Promise<void>): void {
  test(`${name} (directory)`, (t) => body(t, 'directory'));
  test(`${name} (tmpfs)`, { skip: mountSkip }, (t) => body(t, 'tmpfs'));
}

async function issued(authority: TestAuthority): Promise<SourceContent & { kind: 'credential' }> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const now = Date.now();
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const leaf = await authority.issueLeaf({ spki, notBefore: now, notAfter: now + 3_600_000 });
  const chain = [leaf, authority.pem].map((pem) => new Uint8Array(new X509Certificate(pem).raw));
  return { kind: 'credential', privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }), certificates: chain };
}

const anchorsOf = (authority: TestAuthority): SourceContent => ({
  kind: 'trustAnchors',
  certificates: [new X509Certificate(authority.pem).raw],
});

function contents(...sources: readonly SourceContent[]): ReadonlyMap<number, SourceContent> {
  return new Map(sources.entries());
}

/** What OpenSSL finds in a keystore. */
async function opened(file: Uint8Array, password: Uint8Array | string) {
  const text = String(await openSsl.run('pkcs12', '-in', file, '-passin', `pass:${String(password)}`, '-nodes'));
  const pems = (label: string) =>
    text.match(new RegExp(`-----BEGIN ${label}-----[^-]*-----END ${label}-----`, 'g')) ?? [];
  const [key] = pems('PRIVATE KEY');
  return {
    key: key === undefined ? undefined : createPrivateKey(key),
    certificates: pems('CERTIFICATE').map((pem) => new X509Certificate(pem)),
  };
}

inBothModes(
  'a keystore holds the key and chain of the PEM beside it, a truststore the anchors of the bundle',
  async (t, mode) => {
    const { record, store, read } = setUp(t, mode);
    const authority = await createRootAuthority();
    const volume = await store().create(record);
    assert.equal(await volume.project(contents(await issued(authority), anchorsOf(authority))), 'written');
    assert.deepEqual([0, 1].map(volume.isProjected), [true, true]);
    const bundlePem = read('credentials.pem').toString();
    const { key, certificates } = await opened(read('java/keystore.p12'), read('java/keystore.password'));
    assert.ok(key?.equals(createPrivateKey(bundlePem)), 'the keystore has another key than the PEM');
    assert.equal(certificates.length, 2);
    assert.ok(key !== undefined && certificates[0]?.checkPrivateKey(key), 'the leaf is not first');
    const trusted = await opened(read('truststore.p12'), 'changeit');
    assert.deepEqual(trusted.certificates.map(String), [String(new X509Certificate(authority.pem))]);
    assert.match(read('java/keystore.password').toString(), /^[0-9a-f]{64}$/);
  },
);

inBothModes('a rotation changes the keystore with the other files, and the password stays', async (t, mode) => {
  const { record, store, at, read } = setUp(t, mode);
  const authority = await createRootAuthority();
  const volume = await store().create(record);
  await volume.project(contents(await issued(authority), anchorsOf(authority)));
  const [set, password, keystore] = [
    fs.readlinkSync(at('..data')),
    read('java/keystore.password'),
    read('java/keystore.p12'),
  ];
  const truststore = fs.statSync(at('truststore.p12')).ino;
  await volume.project(contents(await issued(authority)));
  assert.notEqual(fs.readlinkSync(at('..data')), set);
  assert.deepEqual(read('java/keystore.password'), password);
  assert.notDeepEqual(read('java/keystore.p12'), keystore);
  const { key } = await opened(read('java/keystore.p12'), password);
  assert.ok(key?.equals(createPrivateKey(read('credentials.pem'))), 'the new keystore has another key than the PEM');
  assert.equal(fs.statSync(at('truststore.p12')).ino, truststore, 'the truststore was written anew');
});

inBothModes('a restart rewrites nothing that is as it was, and puts right what was changed', async (t, mode) => {
  const { record, store, at, read, problems } = setUp(t, mode);
  const authority = await createRootAuthority();
  const credential = await issued(authority);
  await (await store().create(record)).project(contents(credential, anchorsOf(authority)));
  const set = fs.readlinkSync(at('..data'));
  const again = async (): Promise<OpenVolume> => {
    const { volumes, unusable } = await store().recover();
    assert.deepEqual(unusable, []);
    const [volume] = volumes;
    assert.ok(volume !== undefined, 'the volume is not found');
    return volume;
  };
  assert.equal(await (await again()).project(contents(credential, anchorsOf(authority))), 'unchanged');
  assert.equal(await (await store().create(record)).project(contents(credential, anchorsOf(authority))), 'unchanged');
  assert.equal(fs.readlinkSync(at('..data')), set);
  const before = ['java/keystore.p12', 'truststore.p12', 'java/keystore.password'].map(read);
  for (const file of ['java/keystore.p12', 'truststore.p12', 'java/keystore.password']) {
    fs.rmSync(fs.realpathSync(at(file)));
    fs.writeFileSync(path.join(at(set), file), 'something else');
  }
  assert.equal(await (await again()).project(contents(credential, anchorsOf(authority))), 'written');
  assert.deepEqual(['java/keystore.p12', 'truststore.p12', 'java/keystore.password'].map(read), before);
  assert.deepEqual(problems, []);
});

test('no file of the state but that of the password holds a password, given or made', async (t) => {
  const { targetPath, record, store, read } = setUp(t, 'directory');
  const authority = await createRootAuthority();
  const volume = await store().create(record);
  await volume.project(contents(await issued(authority), anchorsOf(authority)));
  const state = path.join(targetPath, '..agent');
  for (const name of fs.readdirSync(state).filter((each) => each.endsWith('.json'))) {
    const text = fs.readFileSync(path.join(state, name), 'utf8');
    assert.ok(!text.includes('changeit') && !text.includes(read('java/keystore.password').toString()), name);
  }
  assert.equal(JSON.stringify(volume.record).includes('changeit'), false, 'the record holds the password');
  for (const [name, content] of [
    ['keystore-0.password', read('java/keystore.password')],
    ['keystore-1.password', 'changeit'],
  ] as const) {
    assert.equal(fs.readFileSync(path.join(state, name), 'utf8'), String(content));
    assert.equal(modeOf(path.join(state, name)), '600');
  }
});

test('a lost password is made anew where the agent makes it, and asked of the pod where the pod gives it', async (t) => {
  const { targetPath, record, store, read } = setUp(t, 'directory');
  const authority = await createRootAuthority();
  const credential = await issued(authority);
  await (await store().create(record)).project(contents(credential, anchorsOf(authority)));
  const before = read('java/keystore.password');
  fs.rmSync(path.join(targetPath, '..agent/keystore-0.password'));
  const [volume] = (await store().recover()).volumes;
  assert.equal(await volume?.project(contents(credential)), 'written');
  assert.notDeepEqual(read('java/keystore.password'), before);
  const { key } = await opened(read('java/keystore.p12'), read('java/keystore.password'));
  assert.ok(key !== undefined, 'the keystore has another password than its file');
  const isAskedOfThePod = async (): Promise<void> => {
    const { volumes, unusable } = await store().recover();
    assert.deepEqual(volumes, []);
    assert.match(
      unusable[0]?.reason ?? '',
      /the volume's state has lost the password of sources\[1\]\.clusterTrustBundle/,
    );
    const healed = await store().create(record);
    assert.equal(await healed.project(contents(credential, anchorsOf(authority))), 'written');
    await opened(read('truststore.p12'), 'changeit');
  };
  const stored = path.join(targetPath, '..agent/keystore-1.password');
  const damages = [
    () => fs.writeFileSync(stored, 'tiny'),
    () => fs.writeFileSync(stored, 'x'.repeat(129)),
    () => fs.writeFileSync(stored, 'line\nfeed'),
    () => fs.symlinkSync('/etc/hostname', stored),
    () => fs.mkdirSync(path.join(stored, 'deeper'), { recursive: true }),
    () => undefined,
  ];
  for (const damage of damages) {
    fs.rmSync(stored, { recursive: true, force: true });
    damage();
    await isAskedOfThePod();
  }
});

test('keystores and passwords have the mode and owner of keys, truststores those of certificates', {
  skip: rootSkip,
}, async (t) => {
  const owner = { kind: 'none' } as const;
  const truststore = { ...bundle, password: undefined, passwordPath: 'truststore.password' };
  const sources = [{ podCertificate: { ...certificate, user: 1234 } }, { clusterTrustBundle: truststore }];
  const { record, store, at } = setUp(t, mountSkip === false ? 'tmpfs' : 'directory', sources, { owner });
  const authority = await createRootAuthority();
  await (await store().create(record)).project(contents(await issued(authority), anchorsOf(authority)));
  assert.deepEqual(
    ['credentials.pem', 'java/keystore.p12', 'java/keystore.password'].map((file) => modeOf(at(file))),
    ['600', '600', '600'],
  );
  assert.deepEqual(
    ['truststore.p12', 'truststore.password', 'roots.pem'].map((file) => modeOf(at(file))),
    ['644', '644', '644'],
  );
  if (mountSkip === false) {
    assert.equal(fs.statSync(at('java/keystore.p12')).uid, 1234);
  }
});

test('the anchors that come with a certificate are in the truststore of its source, and no root that is to be dropped in its keystore', async (t) => {
  const source = { ...certificate, truststorePath: 'truststore.p12', roots: 'drop' };
  const { record, store, read } = setUp(t, 'directory', [{ podCertificate: source }]);
  const authority = await createRootAuthority();
  const anchors = [new X509Certificate(authority.pem).raw];
  const volume = await store().create(record);
  await volume.project(contents({ ...(await issued(authority)), anchors }));
  const password = read('java/keystore.password');
  assert.equal((await opened(read('java/keystore.p12'), password)).certificates.length, 1);
  assert.deepEqual((await opened(read('truststore.p12'), password)).certificates.map(String), [
    String(new X509Certificate(authority.pem)),
  ]);
});

test('a crash between what is noted of a keystore and its place in the files is made good with the same bytes', async (t) => {
  const { record, store, at, read } = setUp(t, 'directory');
  const authority = await createRootAuthority();
  const [old, next] = [await issued(authority), await issued(authority)];
  const volume = await store().create(record);
  await volume.project(contents(old, anchorsOf(authority)));
  const set = fs.readlinkSync(at('..data'));
  await volume.project(contents(next));
  const made = read('java/keystore.p12');
  fs.unlinkSync(at('..data'));
  fs.symlinkSync(set, at('..data'));
  assert.notDeepEqual(read('java/keystore.p12'), made);
  const [again] = (await store().recover()).volumes;
  assert.equal(await again?.project(contents(next)), 'written');
  assert.deepEqual(read('java/keystore.p12'), made);
});

test('a volume of as many keystores as may be has room for their renewals', { skip: mountSkip }, async (t) => {
  const truststores = Array.from({ length: 15 }, (_, index) => ({
    clusterTrustBundle: {
      name: 'roots',
      path: `${index}.pem`,
      truststorePath: `${index}.p12`,
      passwordPath: `${index}`,
    },
  }));
  const { record, store, read } = setUp(t, 'tmpfs', [{ podCertificate: certificate }, ...truststores]);
  const authority = await createRootAuthority();
  const volume = await store().create(record);
  for (let round = 0; round < 3; round += 1) {
    const anchors = Array.from({ length: 1_000 }, (_, index) => new Uint8Array(500 + round).fill(index));
    const all = truststores.map((): SourceContent => ({ kind: 'trustAnchors', certificates: anchors }));
    assert.equal(await volume.project(contents(await issued(authority), ...all)), 'written');
  }
  assert.ok(read('14.p12').length > 500_000, 'the truststore is short');
});
