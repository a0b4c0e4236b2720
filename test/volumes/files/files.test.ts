/** The operations of which everything in a volume is made: each on the very file that is meant, with nothing of a key left behind. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import {
  holdsBytes,
  isRegularFileBelow,
  makeDirectory,
  readInSteps,
  readRegularFile,
  removeFile,
  replaceSymlink,
  setAccess,
  writeNewFile,
} from '../../../volumes/files/files.ts';
import { modeOf, openFiles, rootSkip, temporaryDirectory } from '../support.ts';

const secret = 'a key of forty bytes or so, which is not';

/** A directory with a file in it. */
function setUp(t: TestContext) {
  const directory = temporaryDirectory(t);
  const file = path.join(directory, 'file');
  fs.writeFileSync(file, secret);
  return { directory, file, device: fs.statSync(directory).dev };
}

/** Every buffer that is read into from now on; each read gives so many bytes at most. */
function readBuffers(t: TestContext, most = (_reads: number): number => secret.length): readonly Uint8Array[] {
  const { readSync } = fs;
  const buffers: Uint8Array[] = [];
  t.mock.method(
    fs,
    'readSync',
    (descriptor: number, buffer: Uint8Array, offset: number, length: number, position: number) => {
      buffers.push(buffer);
      return readSync(descriptor, buffer, offset, Math.min(length, most(buffers.length)), position);
    },
  );
  return buffers;
}

function assertZero(buffers: readonly Uint8Array[]): void {
  assert.ok(buffers.length > 0, 'nothing was read');
  assert.ok(
    buffers.every((buffer) => buffer.every((byte) => byte === 0)),
    'what was read is left in memory',
  );
}

test('a file is compared with bytes to its end, and what was read for it is zeroed', (t) => {
  const { file, device } = setUp(t);
  const compare = (...pieces: readonly string[]) =>
    atOnce(
      readInSteps(file, device, (descriptor) =>
        holdsBytes(
          descriptor,
          pieces.map((piece) => Buffer.from(piece)),
        ),
      ),
    );
  const buffers = readBuffers(t);
  const before = openFiles();
  assert.equal(compare(secret), true);
  assert.equal(compare(secret.slice(0, 5), secret.slice(5)), true);
  for (const other of [secret.slice(1), secret.slice(0, -1), `${secret}x`, `${secret}\0`, secret.toUpperCase(), '']) {
    assert.equal(compare(other), false, other);
  }
  assert.equal(compare(secret.slice(0, 5), secret), false);
  assertZero(buffers);
  assert.equal(openFiles(), before);
});

test('a file is read whole, in however many pieces it comes, up to the length that is allowed, from its own file system', (t) => {
  const { file, directory, device } = setUp(t);
  const before = openFiles();
  readBuffers(t, () => 7);
  assert.equal(readRegularFile(file, secret.length, device).toString(), secret);
  assert.throws(() => readRegularFile(file, secret.length - 1, device), {
    code: 'Corrupt',
    message: /is longer than 39/,
  });
  for (const [name, at] of [
    [file, device + 1],
    [directory, device],
  ] as const) {
    assert.throws(() => readRegularFile(name, 100, at), { code: 'Tampered', message: /is not a regular file of its/ });
  }
  assert.equal(openFiles(), before);
});

test('of a file that becomes shorter while it is read nothing is left in memory', (t) => {
  const { file, device } = setUp(t);
  const buffers = readBuffers(t, (reads) => {
    if (reads > 1) {
      fs.truncateSync(file);
    }
    return 7;
  });
  const message = `${file} became shorter while it was read`;
  assert.throws(() => readRegularFile(file, 100, device), { code: 'Corrupt', message });
  assertZero(buffers);
});

test('a directory is closed to others until it has its owner and its mode', { skip: rootSkip }, (t) => {
  const { directory } = setUp(t);
  const made = path.join(directory, 'made');
  const { openSync } = fs;
  const seen: string[] = [];
  t.mock.method(fs, 'openSync', (file: string, flags: number) => {
    seen.push(modeOf(file));
    return openSync(file, flags);
  });
  makeDirectory(made, { mode: 0o755, uid: 1234, gid: 5678 });
  assert.deepEqual(seen, ['700']);
  assert.equal(modeOf(made), '755');
});

test('owner and mode of a directory are set where either differs, and left alone where they are right', {
  skip: rootSkip,
}, (t) => {
  const { directory } = setUp(t);
  const access = { mode: 0o750, uid: 1234, gid: 5678 };
  setAccess(directory, access);
  const assertRight = () => {
    const { uid, gid } = fs.statSync(directory);
    assert.deepEqual({ mode: Number.parseInt(modeOf(directory), 8), uid, gid }, access);
  };
  assertRight();
  for (const [uid, gid] of [
    [1, 5678],
    [1234, 1],
  ] as const) {
    fs.chownSync(directory, uid, gid);
    setAccess(directory, access);
    assertRight();
  }
  const [owner, mode, before] = [t.mock.method(fs, 'fchownSync'), t.mock.method(fs, 'fchmodSync'), openFiles()];
  setAccess(directory, access);
  setAccess(directory, { mode: access.mode });
  assert.deepEqual([owner.mock.callCount(), mode.mock.callCount()], [0, 0]);
  assert.equal(openFiles(), before);
});

test('a file without an owner of its own stays its maker’s', (t) => {
  const { directory } = setUp(t);
  const given = t.mock.method(fs, 'fchownSync');
  writeNewFile(path.join(directory, 'new'), Buffer.from('1'), { mode: 0o604 });
  assert.equal(given.mock.callCount(), 0);
  assert.equal(modeOf(path.join(directory, 'new')), '604');
});

test('removing a file that somebody else removes at the same time is no fault, and a directory is not removed as one', (t) => {
  const { directory, file } = setUp(t);
  const { unlinkSync } = fs;
  const racing = t.mock.method(fs, 'unlinkSync', (name: string) => {
    unlinkSync(name);
    unlinkSync(name);
  });
  removeFile(file);
  racing.mock.restore();
  assert.equal(fs.existsSync(file), false);
  removeFile(file);
  assert.throws(() => removeFile(directory), { code: /EISDIR|EPERM/ });
});

test('a link leads to the old place until it leads to the new one', (t) => {
  const { directory } = setUp(t);
  const [link, temporary] = ['link', 'temporary'].map((name) => path.join(directory, name));
  assert(link !== undefined && temporary !== undefined, 'there are two names');
  atOnce(replaceSymlink(link, 'old', temporary));
  const { renameSync } = fs;
  const seen: string[] = [];
  t.mock.method(fs, 'renameSync', (from: string, to: string) => {
    seen.push(fs.readlinkSync(to));
    renameSync(from, to);
  });
  atOnce(replaceSymlink(link, 'new', temporary));
  assert.deepEqual([...seen, fs.readlinkSync(link)], ['old', 'new']);
  assert.deepEqual(fs.readdirSync(directory).toSorted(), ['file', 'link']);
  // What an interrupted change left is in nobody's way.
  fs.symlinkSync('left', temporary);
  atOnce(replaceSymlink(link, 'newer', temporary));
  assert.deepEqual([...seen, fs.readlinkSync(link)], ['old', 'new', 'newer']);
});

test('a regular file below a directory is one on the same file system that no link leads to', (t) => {
  const { directory, file, device } = setUp(t);
  fs.mkdirSync(path.join(directory, 'x/y'), { recursive: true });
  fs.writeFileSync(path.join(directory, 'x/y/deep'), '');
  fs.symlinkSync('x', path.join(directory, 'by-link'));
  fs.symlinkSync('file', path.join(directory, 'link'));
  const isThere = (name: string) => isRegularFileBelow(directory, name, device);
  assert.deepEqual(['file', 'x/y/deep'].map(isThere), [true, true]);
  for (const name of ['absent', 'x', 'link', 'by-link/y/deep']) {
    assert.equal(isThere(name), false, name);
  }
  assert.equal(isRegularFileBelow(directory, 'file', device + 1), false);
  const { lstatSync } = fs;
  t.mock.method(fs, 'lstatSync', (name: string, options: { throwIfNoEntry: false }) => {
    const stats = lstatSync(name, options);
    fs.unlinkSync(file);
    return stats;
  });
  assert.equal(isThere('file'), false, 'it went after a look at it');
});
