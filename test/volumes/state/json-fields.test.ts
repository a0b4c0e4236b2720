/** Fields of a volume's state, each read as one kind of value and as nothing like it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  der,
  fields,
  flag,
  id,
  keyType,
  list,
  text,
  textList,
  texts,
  time,
} from '../../../volumes/state/json-fields.ts';
import { readJson } from '../../../volumes/state/read-json.ts';
import { temporaryDirectory } from '../support.ts';

const few = { most: 2, longestKey: 4, longest: 3 };
const tooMany = 'a has more than 2 entries';
const tooLong = (name: string, longest: number): string => `${name} is longer than ${longest} characters`;

test('each kind of field takes its values, and names itself where there is another', () => {
  const kinds: readonly {
    readonly read: (value: unknown) => unknown;
    readonly good: readonly unknown[];
    readonly bad: readonly unknown[];
    readonly message: string;
  }[] = [
    { read: (a) => fields(a, 'a'), good: [{}, { b: 1 }], bad: [[], null, 7, ''], message: 'a is not an object' },
    { read: (a) => text({ a }, 'a', 2), good: ['', 'xy'], bad: [7, null, undefined, []], message: 'a is not a string' },
    { read: (a) => text({ a }, 'a', 2), good: ['ää'], bad: ['xyz'], message: 'a is longer than 2 characters' },
    {
      read: (a) => time({ a }, 'a'),
      good: [0, -1, 1.5, 2 ** 52],
      bad: ['1', null, Number.NaN, JSON.parse('1e999'), undefined],
      message: 'a is not a number',
    },
    {
      read: (a) => time({ a }, 'a'),
      good: [8.64e15, -8.64e15],
      bad: [8_640_000_000_000_001, -8_640_000_000_000_001, 9e15, Number.MAX_VALUE],
      message: 'a is not a moment',
    },
    {
      read: (a) => id({ a }, 'a'),
      good: [0, 1, 0xffff_fffe],
      bad: [-1, 1.5, 0xffff_ffff, 9e15],
      message: 'a is not a numeric id',
    },
    { read: (a) => list({ a }, 'a', 2), good: [[], [7, 8]], bad: [{}, '', null], message: 'a is not a list' },
    { read: (a) => list({ a }, 'a', 2), good: [[7, []]], bad: [[7, 8, 9]], message: 'a has more than 2 entries' },
    {
      read: (a) => flag({ a }, 'a'),
      good: [true, false],
      bad: [0, 'true', null],
      message: 'a is neither true nor false',
    },
    {
      read: (a) => textList({ a }, 'a', few),
      good: [[], ['b', '']],
      bad: [[7], ['b', null]],
      message: 'a holds something else than strings',
    },
    { read: (a) => textList({ a }, 'a', few), good: [['bcd']], bad: [['b', 'bcde']], message: tooLong('a', 3) },
    { read: (a) => textList({ a }, 'a', few), good: [['b', 'c']], bad: [['', '', '']], message: tooMany },
    { read: (a) => texts({ a }, 'a', few), good: [{}, { b: 'c' }], bad: [null, []], message: 'a is not an object' },
    { read: (a) => texts({ a }, 'a', few), good: [], bad: [{ b: 'c', d: 7 }], message: 'd is not a string' },
    { read: (a) => texts({ a }, 'a', few), good: [{ b: 'cde' }], bad: [{ b: 'cdef' }], message: tooLong('b', 3) },
    {
      read: (a) => texts({ a }, 'a', few),
      good: [{ bcde: '' }],
      bad: [{ bcdef: '' }],
      message: tooLong('a key of a', 4),
    },
    {
      read: (a) => texts({ a }, 'a', few),
      good: [{ b: '', c: '' }],
      bad: [{ b: '', c: '', d: '' }],
      message: tooMany,
    },
    {
      read: (a) => keyType({ keyType: a }),
      good: ['ED25519', 'RSA4096'],
      bad: ['DSA', 7, undefined],
      message: 'keyType is not a key type',
    },
  ];
  for (const { read, good, bad, message } of kinds) {
    for (const value of good) {
      assert.deepEqual(read(value), value);
    }
    for (const value of bad) {
      assert.throws(() => read(value), { name: 'TypeError', message });
    }
  }
  assert.deepEqual(der('AQI=', 'a', 4), Uint8Array.of(1, 2));
  for (const value of ['', 7, null]) {
    assert.throws(() => der(value, 'a', 4), { name: 'TypeError', message: 'a holds something else than base64' });
  }
  assert.throws(() => der('AQID', 'a', 3), { name: 'TypeError', message: tooLong('a', 3) });
});

test('what cannot be understood is told by its file, and any other error is left as it is', (t) => {
  const directory = temporaryDirectory(t);
  const { dev } = fs.lstatSync(directory);
  const file = path.join(directory, 'a.json');
  const read = (thrown: Error) =>
    readJson(file, dev, () => {
      throw thrown;
    });
  assert.equal(read(new TypeError('never')), undefined, 'there is no such file');
  fs.writeFileSync(file, '{}');
  const cause = new TypeError('it is odd');
  assert.throws(() => read(cause), { code: 'Corrupt', message: `${file} is unusable: it is odd`, cause });
  const other = new RangeError('too deep');
  assert.throws(() => read(other), other);
  const length = (): number | undefined => readJson(file, dev, (bytes) => bytes.length);
  for (const bytes of [2, 512 * 1024]) {
    fs.writeFileSync(file, ' '.repeat(bytes));
    assert.equal(length(), bytes);
  }
  fs.writeFileSync(file, ' '.repeat(512 * 1024 + 1));
  assert.throws(length, { code: 'Corrupt', message: `${file} is longer than 524288 bytes` });
  // What stands in a text divides nothing, whatever is escaped in it.
  const text = JSON.stringify(`${'"[:,{'.repeat(10_000)}\\`);
  for (const [least, part] of [
    [32_765, ','],
    [32_765, ':'],
    [32_765, '['],
    [32_765, '{'],
  ] as const) {
    fs.writeFileSync(file, `{${text}:${text},${part.repeat(least)}`);
    assert.equal(typeof length(), 'number', part);
    fs.writeFileSync(file, `{${text}:${text},${part.repeat(least + 1)}`);
    assert.throws(length, { code: 'Corrupt', message: `${file} is unusable: it has more than 32768 parts` }, part);
  }
  // Texts of one character, after which nothing is escaped.
  fs.writeFileSync(file, `[${'"a",'.repeat(32_767)}`);
  assert.equal(typeof length(), 'number');
  fs.writeFileSync(file, `[${'"a",'.repeat(32_768)}`);
  assert.throws(length, { code: 'Corrupt' });
});
