import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClosers } from '../../../agent/base/closers.ts';

test('releases run once, in the reverse order of their making, and a fault keeps none of them from running', async () => {
  const ran: string[] = [];
  const faults: unknown[] = [];
  const closers = createClosers((error) => faults.push(error));
  const fault = new Error('busy');
  closers.add(() => void ran.push('first made'));
  closers.add(() => Promise.reject(fault));
  closers.add(() => {
    ran.push('last made');
    throw fault;
  });
  await Promise.all([closers.close(), closers.close()]);
  await closers.close();
  assert.deepEqual(ran, ['last made', 'first made']);
  assert.deepEqual(faults, [fault, fault]);
});
