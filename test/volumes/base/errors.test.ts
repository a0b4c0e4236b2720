import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf, systemCode, toVolumeError, VolumeError } from '../../../volumes/base/errors.ts';

/** An error as the file system throws it. */
function systemError(code: unknown): Error {
  return Object.assign(new Error('it said no'), { code });
}

test('an error says its message, whatever the other words; anything else says those, or its own text', () => {
  assert.equal(messageOf(new TypeError('no such thing'), 'unreadable'), 'no such thing');
  assert.equal(messageOf('ECONNRESET'), 'ECONNRESET');
  assert.equal(messageOf({ token: 'secret' }, 'unreadable'), 'unreadable');
});

test("the system's name for an error is a text, and only an error has one", () => {
  assert.equal(systemCode(systemError('ENOENT')), 'ENOENT');
  for (const other of [systemError(2), new Error('ENOENT'), { code: 'ENOENT' }, 'ENOENT', null, undefined]) {
    assert.equal(systemCode(other), undefined);
  }
});

test('no room, a link in the way and anything else are told apart, with what was being done and what the system said', () => {
  for (const [system, code] of [
    ['ENOSPC', 'NoSpace'],
    ['EDQUOT', 'NoSpace'],
    ['ELOOP', 'Tampered'],
    ['ENOTDIR', 'FileSystem'],
    [undefined, 'FileSystem'],
  ] as const) {
    const thrown = systemError(system);
    const error = toVolumeError(thrown, 'writing the files');
    assert.deepEqual([error.code, error.message, error.cause], [code, 'writing the files: it said no', thrown], system);
    assert.equal(error.name, 'VolumeError');
  }
  const own = new VolumeError('Gone', 'it was unmounted');
  assert.equal(toVolumeError(own, 'writing'), own);
  assert.ok(!('cause' in own), 'nothing caused it');
});
