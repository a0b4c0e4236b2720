import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { pemBlocks } from '../../../sandbox/rules/pem.ts';

function types(text: string): string[] {
  return pemBlocks(text).map(({ type }) => type);
}

const block = (type: string): string => `-----BEGIN ${type}-----\neHl6\n-----END ${type}-----\n`;

test('Blocks are found between lines of other text, in order', () => {
  const text = `before\n${block('A')}between: lines\n${block('B')}after`;
  assert.deepEqual(types(text), ['A', 'B']);
  assert.deepEqual(pemBlocks(text)[0]?.bytes, Buffer.from('xyz'));
});

test('Lines may end with spaces or carriage returns', () => {
  assert.deepEqual(types(block('A').replaceAll('\n', ' \t\r\n')), ['A']);
});

test('A block may be without a line end at its end, and without data', () => {
  assert.deepEqual(types(block('A').trimEnd()), ['A']);
  assert.deepEqual(types('-----BEGIN A-----\n-----END A-----'), ['A']);
});

test('A BEGIN line without an END of its own is text', () => {
  assert.deepEqual(types(`-----BEGIN A-----\n${block('B')}`), ['B']);
});

test('What only looks like a block is skipped', () => {
  assert.deepEqual(types('-----BEGIN A-----\nno base64!\n-----END A-----\n'), []);
  assert.deepEqual(types('-----BEGIN A-----\neHl6\n-----END B-----\n'), []);
  assert.deepEqual(types('-----BEGIN A--\neHl6\n-----END A--\n'), []);
  assert.deepEqual(types(` ${block('A')}`), []);
  assert.deepEqual(types('-----END A-----\n'), []);
});

test('Headers are noticed and do not belong to the data', () => {
  const [found] = pemBlocks('-----BEGIN A-----\nKey: value\n\neHl6\n-----END A-----\n');
  assert.equal(found?.hasHeaders, true);
  assert.deepEqual(found?.bytes, Buffer.from('xyz'));
});

test('A long run of spaces within a line costs no more than its length', { timeout: 5000 }, () => {
  assert.deepEqual(types(`${' '.repeat(1024 * 1024)}x\n${block('A')}`), ['A']);
});
