/**
 * Pods in a user namespace (`hostUsers: false`): the runtime mounts their volumes with shifted owners, and the files are to be readable by
 * the pod's users and by nobody else. Done with the kernel's own idmapped mounts, where it has them for tmpfs (6.3).
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { FileOwner } from '../../volumes/base/volume.ts';
import { createVolumeStore } from '../../volumes/store.ts';
import { anchors, credential, makeRecord, makeTarget, mountSkip, temporaryDirectory } from './support.ts';

/** User 0 of the pod is this user of the node. */
const shift = 1_000_000;

/** The volume as the pod sees it; or why there can be none here. */
function mountForPod(t: TestContext, targetPath: string): { readonly view: string } | { readonly skip: string } {
  const directory = temporaryDirectory(t);
  const program = path.join(directory, 'idmap');
  const compiled = spawnSync('cc', ['-o', program, path.join(import.meta.dirname, '../support/c/idmap.c')]);
  if (compiled.status !== 0) {
    return { skip: `needs a C compiler and the kernel's headers: ${compiled.error?.message ?? compiled.stderr}` };
  }
  const view = path.join(directory, 'view');
  fs.mkdirSync(view);
  const mounted = spawnSync(program, [targetPath, view, String(shift)]);
  return mounted.status === 0 ? { view } : { skip: `needs idmapped mounts of tmpfs: ${mounted.stderr}` };
}

const owners: readonly [FileOwner, inPod: { readonly uid: number; readonly gid: number }][] = [
  [
    { kind: 'group', gid: 2000 },
    { uid: 1000, gid: 2000 },
  ],
  [
    { kind: 'user', uid: 1000 },
    { uid: 1000, gid: 3000 },
  ],
  [{ kind: 'none' }, { uid: 0, gid: 0 }],
];

for (const [owner, inPod] of owners) {
  test(`a pod in a user namespace reads its files, before and after a renewal, and nobody else does: ${owner.kind}`, {
    skip: mountSkip,
  }, async (t) => {
    const root = temporaryDirectory(t);
    const targetPath = makeTarget(root);
    const store = createVolumeStore({ kubeletRoot: root, driverName: 'csi.test', mode: 'tmpfs' });
    const volume = await store.create(makeRecord(targetPath, { owner }));
    const fill = (generation: number) =>
      volume.project(
        new Map([
          [0, credential(generation)],
          [1, anchors(generation)],
        ]),
      );
    await fill(1);
    const mounted = mountForPod(t, targetPath);
    if ('skip' in mounted) {
      t.skip(mounted.skip);
      return;
    }
    const read = (file: string, ids: { readonly uid: number; readonly gid: number }) => {
      try {
        return execFileSync('cat', [path.join(mounted.view, file)], { ...ids, stdio: 'pipe' }).toString('latin1');
      } catch {
        return 'denied';
      }
    };
    const shifted = { uid: inPod.uid + shift, gid: inPod.gid + shift };
    for (const generation of [1, 2]) {
      await fill(generation);
      const key = read('parts/key.pem', shifted);
      assert.match(key, /PRIVATE KEY/);
      assert.equal(key, fs.readFileSync(path.join(targetPath, 'parts/key.pem'), 'latin1'));
      assert.match(read('trust-anchors.pem', shifted), /CERTIFICATE/);
      // The node's user of that number, and another user of the pod.
      assert.equal(read('parts/key.pem', { uid: inPod.uid || 1, gid: inPod.gid || 1 }), 'denied');
      assert.equal(read('parts/key.pem', { uid: 1001 + shift, gid: 3001 + shift }), 'denied');
    }
    assert.equal(read('..agent/volume.json', { uid: 1000 + shift, gid: 2000 + shift }), 'denied');
    execFileSync('umount', [mounted.view]);
    await store.remove(targetPath);
  });
}
