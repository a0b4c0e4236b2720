/** The status codes that a kubelet sees: by them it asks again, or forgets a volume that may be mounted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VolumeError, type VolumeErrorCode } from '../../../volumes/base/errors.ts';
import { CallError, isExpected, statusOfError, statusOfOutcome, tentative } from '../../../volumes/csi/status.ts';

/** Codes of gRPC by number, as they go over the wire. */
const [canceled, invalid, deadlineExceeded, exhausted, precondition, aborted, unavailable] = [1, 3, 4, 8, 9, 10, 14];

const codes: Readonly<Record<VolumeErrorCode, number | undefined>> = {
  InvalidTarget: invalid,
  NoParent: precondition,
  Foreign: precondition,
  Tampered: precondition,
  MountFailed: unavailable,
  UnmountFailed: unavailable,
  Gone: aborted,
  NoSpace: exhausted,
  OverShare: exhausted,
  Corrupt: unavailable,
  FileSystem: unavailable,
  SocketUnusable: unavailable,
};

test('each error of a volume has its code, and keeps its words', () => {
  for (const [code, expected] of Object.entries(codes) as [VolumeErrorCode, number][]) {
    const error = new VolumeError(code, 'what happened');
    assert.deepEqual(statusOfError(error), { code: expected, details: 'what happened' }, code);
    assert.ok(isExpected(error), code);
  }
});

test('each outcome of a publish call but the good one has its code', () => {
  for (const [type, code] of [
    ['waiting', aborted],
    ['refused', aborted],
    ['invalid', invalid],
    ['unavailable', unavailable],
  ] as const) {
    assert.deepEqual(statusOfOutcome({ type, message: 'why' }), { code, details: 'why' });
  }
  assert.equal(statusOfOutcome({ type: 'ready' }), undefined);
});

test('an error that nobody foresaw shows nothing of itself', () => {
  for (const error of [new Error('-----BEGIN PRIVATE KEY-----'), 'text', undefined]) {
    assert.equal(isExpected(error), false);
    assert.deepEqual(statusOfError(error), {
      code: unavailable,
      details: "a fault in the agent itself; the agent's log has it",
    });
  }
});

test('about a volume that is there no code is final, and the words stay', () => {
  for (const code of [canceled, deadlineExceeded, exhausted, aborted, unavailable]) {
    const error = new CallError(code ?? 0, 'why');
    assert.equal(tentative(error), error, `${code}`);
  }
  for (const error of [
    new CallError(invalid ?? 0, 'why'),
    new CallError(precondition ?? 0, 'why'),
    new VolumeError('Tampered', 'why'),
    new VolumeError('InvalidTarget', 'why'),
  ]) {
    const instead = tentative(error);
    assert.ok(instead instanceof CallError && instead !== error, `${error}`);
    assert.deepEqual(statusOfError(instead), { code: unavailable, details: 'why' });
    assert.deepEqual([instead.name, instead.message], ['CallError', 'why']);
  }
  const gone = new VolumeError('Gone', 'why');
  assert.equal(tentative(gone), gone);
});
