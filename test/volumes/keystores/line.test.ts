/** Keystores are made a few at a time, each pod's in turn, and nobody waits for a volume that is gone. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { OpenVolume } from '../../../volumes/base/volume.ts';
import { describeFaults, parseDeclaration } from '../../../volumes/declaration/sources.ts';
import { createVolumeStore } from '../../../volumes/store.ts';
import { createRootAuthority } from '../../support/certificates.ts';
import { makeRecord, makeTarget, podUID, temporaryDirectory } from '../support.ts';

const truststore = { name: 'roots', path: 'roots.pem', truststorePath: 'truststore.p12', password: 'changeit' };

/** Opens volumes with a truststore, and gives what is to be projected into each. */
async function setUp(t: TestContext) {
  const root = temporaryDirectory(t);
  const verdict = parseDeclaration({ sources: JSON.stringify([{ clusterTrustBundle: truststore }]) });
  assert.ok(verdict.ok, verdict.ok ? '' : describeFaults(verdict.faults));
  const { declaration } = verdict;
  const store = createVolumeStore({ kubeletRoot: root, driverName: 'csi.test', mode: 'directory' });
  const open = (volumeName: string, uid = podUID): Promise<OpenVolume> => {
    const pod = { ...makeRecord('/x').pod, uid };
    const targetPath = makeTarget(root, volumeName, uid);
    return store.create(makeRecord(targetPath, { declaration, volumeName, pod, volumeId: volumeName }));
  };
  const { raw } = new X509Certificate((await createRootAuthority()).pem);
  const contents = new Map([[0, { kind: 'trustAnchors', certificates: [raw] } as const]]);
  return { store, open, contents };
}

test('one pod with many keystores is but one ahead of another pod', async (t) => {
  const { open, contents } = await setUp(t);
  const many = await Promise.all(Array.from({ length: 12 }, (_, index) => open(`many-${index}`)));
  const other = await open('other', podUID.replace('0b7a', '1b7a'));
  let done = 0;
  const writing = many.map(async (volume) => {
    await volume.project(contents);
    done += 1;
  });
  await other.project(contents);
  const before = done;
  await Promise.all(writing);
  assert.ok(before < many.length / 2, `${before} of ${many.length} came first`);
});

test('a volume that is removed while its keystore waits gives up its place in the line', async (t) => {
  const { store, open, contents } = await setUp(t);
  const { record, project } = await open('mtls');
  const writing = project(contents);
  const removed = store.remove(record.targetPath);
  await assert.rejects(writing, { code: 'Gone' });
  await removed;
  assert.equal(fs.existsSync(record.targetPath), false, 'the volume is still there');
  assert.equal(await (await open('mtls')).project(contents), 'written');
  assert.ok(fs.statSync(path.join(record.targetPath, truststore.truststorePath)).size > 0, 'the keystore is empty');
});
