/** What is known of a target path without reading the mount table, on real mounts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { lookAtMountPoint } from '../../../volumes/mounts/mount-point.ts';
import { makeTarget, mountSkip, temporaryDirectory } from '../support.ts';

/** A target path that is there. */
function madeTarget(t: TestContext): string {
  const target = makeTarget(temporaryDirectory(t));
  fs.mkdirSync(target);
  return target;
}

function mountAt(directory: string, ...args: readonly string[]): void {
  execFileSync('mount', [...(args.length === 0 ? ['-t', 'tmpfs', 'test'] : args), directory]);
}

test('a path with nothing at it is bare, and so is one that is not there below a directory that is', (t) => {
  const target = madeTarget(t);
  assert.equal(lookAtMountPoint(target), 'bare');
  fs.rmdirSync(target);
  assert.equal(lookAtMountPoint(target), 'bare');
});

test('a mount at the path is seen, also one of the very file system around it', { skip: mountSkip }, (t) => {
  const target = madeTarget(t);
  mountAt(target);
  assert.equal(lookAtMountPoint(target), 'mounted');
  execFileSync('umount', [target]);
  mountAt(target, '--bind', path.dirname(target));
  assert.equal(lookAtMountPoint(target), 'mounted');
});

test('what lies under a mount between the pods and the path is unclear', { skip: mountSkip }, (t) => {
  const target = madeTarget(t);
  const volume = path.dirname(target);
  mountAt(volume);
  assert.equal(lookAtMountPoint(target), 'unclear');
  fs.mkdirSync(target);
  mountAt(target);
  assert.equal(lookAtMountPoint(target), 'unclear');
});

test('what is no directory, and what lies where none is, is unclear', (t) => {
  const target = makeTarget(temporaryDirectory(t));
  fs.writeFileSync(target, '');
  assert.equal(lookAtMountPoint(target), 'unclear');
  fs.rmSync(target);
  fs.symlinkSync(path.dirname(target), target);
  assert.equal(lookAtMountPoint(target), 'unclear');
  fs.rmSync(path.dirname(target), { recursive: true });
  assert.equal(lookAtMountPoint(target), 'unclear');
});

test('no look leaves a file open, whatever it finds', (t) => {
  const target = madeTarget(t);
  const open = () => fs.readdirSync('/proc/self/fd').length;
  const before = open();
  for (const each of [target, `${target}-absent`, path.join(target, 'deep/deeper')]) {
    for (let look = 0; look < 50; look += 1) {
      lookAtMountPoint(each);
    }
  }
  assert.ok(open() < before + 25, `${open() - before} files are open beyond those before`);
});
