import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createLineSplitter } from '../../../agent/kubernetes/lines.ts';

test('lines come out whole however the bytes are cut', () => {
  const line = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((text) => !text.includes('\n') && text.trim() !== '');
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(30)), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      const seen: string[] = [];
      const split = createLineSplitter((text) => seen.push(text), 10_000);
      let start = 0;
      for (const length of cuts) {
        split(bytes.subarray(start, start + length));
        start = Math.min(bytes.length, start + length);
      }
      split(bytes.subarray(start));
      assert.deepEqual(seen, lines);
    }),
  );
});

test('empty lines are left out and an unfinished one is kept back', () => {
  const seen: string[] = [];
  createLineSplitter((text) => seen.push(text), 100)(Buffer.from('\n\r\na\n  \nb'));
  assert.deepEqual(seen, ['a']);
});

test('a line beyond the bound is refused, also when it comes piece by piece', () => {
  const split = createLineSplitter(() => {}, 4);
  split(Buffer.from('abc\nabcd'));
  assert.throws(() => split(Buffer.from('e')), RangeError);
  assert.throws(() => createLineSplitter(() => {}, 4)(Buffer.from('abcde\n')), RangeError);
});
