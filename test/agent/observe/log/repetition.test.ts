import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onceAWhile } from '../../../../agent/observe/log/repetition.ts';

test('the same error is news once in ten minutes, and another one at once', () => {
  let now = 0;
  const told: [string, boolean][] = [];
  const tell = onceAWhile<Error>(
    ({ message }, repeated) => told.push([message, repeated]),
    () => now,
  );
  tell(new Error('refused'));
  now = 599_000;
  tell(new Error('refused'));
  tell(new Error('forbidden'));
  tell(new Error('forbidden'));
  now = 1_300_000;
  tell(new Error('forbidden'));
  const expected = [
    ['refused', false],
    ['refused', true],
    ['forbidden', false],
    ['forbidden', true],
    ['forbidden', false],
  ];
  assert.deepEqual(told, expected);
});
