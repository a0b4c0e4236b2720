/** The tests of the example, run only while changes to it are tried. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { double } from './example.ts';

describe('the example', () => {
  test('doubles', async () => {
    assert.equal(await double(2), 4);
  });
});
