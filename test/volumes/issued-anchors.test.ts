/**
 * Trust anchors that came with a certificate: a volume keeps what it wrote into their files, and puts it back when it is opened
 * again. Their key is in no memory by then, and nothing is asked for anew.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { OpenVolume } from '../../volumes/base/volume.ts';
import type { Source } from '../../volumes/declaration/types.ts';
import { createVolumeStore } from '../../volumes/store.ts';
import {
  certificateSource,
  credential,
  makeRecord,
  makeTarget,
  someCertificate,
  temporaryDirectory,
} from './support.ts';

const source = {
  ...certificateSource,
  caPath: 'anchors/ca.pem',
  truststorePath: 'truststore.p12',
  passwordPath: 'password',
} satisfies Source;
const files = [source.credentialBundlePath, source.keyPath, source.caPath, source.truststorePath, source.passwordPath];
const issued = [new Uint8Array(64).fill(7), new Uint8Array(64).fill(8)];

async function setUp(t: TestContext, kept = true) {
  const root = temporaryDirectory(t);
  const targetPath = makeTarget(root);
  const problems: string[] = [];
  const store = () =>
    createVolumeStore({
      ...{ kubeletRoot: root, driverName: 'csi.test', mode: 'directory' },
      onProblem: (_target, problem) => problems.push(problem),
    });
  const volume = await store().create(makeRecord(targetPath, { declaration: { sources: [source] } }));
  const content = { ...credential(1), anchors: issued };
  await volume.project(new Map([[0, content]]));
  await volume.saveCurrent(0, someCertificate, [Uint8Array.of(1)], ...(kept ? [issued] : []));
  const read = () => files.map((file) => fs.readFileSync(path.join(targetPath, file), 'latin1'));
  const reopened = async (): Promise<OpenVolume> => {
    const [found] = (await store().recover()).volumes;
    assert.ok(found !== undefined, `a volume is found; the problems are ${problems.join(', ')}`);
    return found;
  };
  const inSet = (file: string) => path.join(targetPath, '..data', file);
  return {
    volume,
    problems,
    read,
    reopened,
    inSet,
    currentSet: () => fs.readlinkSync(path.join(targetPath, '..data')),
  };
}

for (const [what, damage] of Object.entries<(file: string) => void>({
  'is gone': (file) => fs.rmSync(file),
  'is cut off': (file) => fs.truncateSync(file, 10),
  'holds something else': (file) => fs.writeFileSync(file, 'x'.repeat(fs.statSync(file).size)),
  'may be read by nobody else': (file) => fs.chmodSync(file, 0o600),
  'is a link': (file) => {
    fs.rmSync(file);
    fs.symlinkSync('/etc/passwd', file);
  },
})) {
  test(`files of issued anchors of which each ${what} are as they were after the volume is opened again, and the others stay`, async (t) => {
    const { read, reopened, inSet, problems } = await setUp(t);
    const before = read();
    const key = fs.statSync(inSet(source.keyPath)).ino;
    const damaged = [source.caPath, source.truststorePath].map(inSet);
    damaged.forEach(damage);
    const volume = await reopened();
    assert.deepEqual(read(), before);
    assert.deepEqual(
      damaged.map((file) => fs.lstatSync(file).mode),
      [0o100644, 0o100644],
    );
    assert.equal(fs.statSync(inSet(source.keyPath)).ino, key, 'the key was not written anew');
    assert.equal(volume.isProjected(0), true);
    assert.deepEqual(volume.current(0), someCertificate);
    assert.match(problems.join(), /the trust anchors of sources\[0\] in .* were not as issued; they are again/);
  });
}

test('issued anchors that are as they were are left alone, and known after every change of what is kept beside them', async (t) => {
  const { volume, reopened, currentSet, problems } = await setUp(t);
  const set = currentSet();
  volume.saveTrust(0, { earlyRefreshes: 1, isTold: true });
  const again = await reopened();
  assert.deepEqual(
    again.currentAnchors(0)?.map((der) => [...der]),
    issued.map((der) => [...der]),
  );
  assert.deepEqual([again.trust(0)?.isTold, again.currentChain(0)?.length], [true, 1]);
  assert.equal(currentSet(), set);
  assert.deepEqual(problems, []);
});

test('the anchors of the certificate before are not put beside one whose writing was interrupted', async (t) => {
  const { volume, reopened, read } = await setUp(t);
  volume.savePending(0, { requestName: 'next', keyType: 'ED25519', createdAt: 5 }, Uint8Array.of(7));
  const { requestName: _name, keyType: _type, refreshAt: _at, ...times } = someCertificate;
  await volume.saveAnswer(0, 'next', {
    ...times,
    certificates: [Uint8Array.of(2)],
    anchors: [new Uint8Array(64).fill(9)],
  });
  await volume.project(new Map([[0, { ...credential(2), anchors: [new Uint8Array(64).fill(9)] }]]));
  const written = read();
  await reopened();
  assert.deepEqual(read(), written);
});

test('nothing is made of anchors whose credential is not whole, nor of those that an older agent did not keep', async (t) => {
  const whole = await setUp(t);
  fs.rmSync(whole.inSet(source.keyPath));
  fs.rmSync(whole.inSet(source.caPath));
  assert.equal((await whole.reopened()).isProjected(0), false);
  assert.equal(fs.existsSync(whole.inSet(source.caPath)), false);
  const old = await setUp(t, false);
  fs.rmSync(old.inSet(source.caPath));
  const volume = await old.reopened();
  assert.deepEqual([volume.isProjected(0), volume.currentAnchors(0)], [false, undefined]);
});
