/** What the log is told of calls that were refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { Log } from '../../../volumes/csi/driver.ts';
import { createRefusals, type Refusals } from '../../../volumes/csi/refusals.ts';

function open(): { readonly refusals: Refusals; readonly counted: string[]; told(): readonly unknown[] } {
  const lines: unknown[] = [];
  const unused = (): never => assert.fail('it is a warning');
  const log: Log = {
    ...{ debug: unused, info: unused, error: unused },
    warn(message, fields) {
      assert.equal(message, 'a call of the kubelet was refused');
      lines.push(fields);
    },
  };
  const counted: string[] = [];
  const refusals = createRefusals(log, (method, code) => void counted.push(`${method} ${code}`));
  return { refusals, counted, told: () => lines.splice(0) };
}

const subject = { targetPath: '/pods/uid/mount', namespace: 'shop', pod: 'web' };
const forbidden = { code: status.UNAVAILABLE, details: 'the agent may not get the pod' };

test('why a call was refused is told with its volume and its pod, once for as long as it stays', () => {
  const { refusals, told } = open();
  refusals.refused('NodePublishVolume', subject, forbidden);
  const line = { method: 'NodePublishVolume', ...subject, code: 14, detail: forbidden.details };
  assert.deepEqual(told(), [line]);
  refusals.refused('NodePublishVolume', subject, forbidden);
  assert.deepEqual(told(), []);
  refusals.refused('NodeUnpublishVolume', subject, forbidden);
  refusals.refused('NodePublishVolume', { targetPath: '/other' }, forbidden);
  refusals.refused('NodePublishVolume', subject, { ...forbidden, code: status.INTERNAL });
  refusals.refused('NodePublishVolume', subject, forbidden);
  assert.equal(told().length, 4);
  refusals.served('NodeUnpublishVolume', subject);
  refusals.refused('NodePublishVolume', subject, forbidden);
  assert.deepEqual(told(), [], 'another call of the volume says nothing about this one');
  refusals.served('NodePublishVolume', subject);
  refusals.refused('NodePublishVolume', subject, forbidden);
  assert.deepEqual(told(), [line], 'it was served meanwhile');
});

test('a call that goes on waiting, of which the log has each step, is not told, nor counted', () => {
  const { refusals, counted, told } = open();
  refusals.refused('NodePublishVolume', subject, { code: status.ABORTED, details: 'still waiting' });
  assert.deepEqual([told(), counted], [[], []]);
});

test('each refusal is counted by its code, told or not', () => {
  const { refusals, counted } = open();
  refusals.refused('NodePublishVolume', subject, forbidden);
  refusals.refused('NodePublishVolume', subject, forbidden);
  refusals.refused('NodeUnpublishVolume', subject, { ...forbidden, code: status.FAILED_PRECONDITION });
  assert.deepEqual(counted, [
    ...Array(2).fill('NodePublishVolume UNAVAILABLE'),
    'NodeUnpublishVolume FAILED_PRECONDITION',
  ]);
});

test('of so many volumes no more is remembered than the last ones, and of long texts no more than their beginning', () => {
  const { refusals, told } = open();
  const at = (index: number) => ({ targetPath: `/${index}` });
  const long = { ...forbidden, details: 'x'.repeat(4096) };
  for (let index = 0; index <= 512; index += 1) {
    refusals.refused('NodePublishVolume', at(index), long);
  }
  assert.equal(told().length, 513);
  refusals.refused('NodePublishVolume', at(512), { ...long, details: `${'x'.repeat(300)}y` });
  refusals.refused('NodePublishVolume', at(0), long);
  assert.deepEqual(told(), [{ method: 'NodePublishVolume', targetPath: '/0', code: 14, detail: long.details }]);
});
