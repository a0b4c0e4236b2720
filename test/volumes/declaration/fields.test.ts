/** Fields of a text that nobody has checked: what each reader takes, and that each fault is one, with the field's path. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Fault,
  isGiven,
  type Mapping,
  quote,
  readBoolean,
  readInteger,
  readKeepOrDrop,
  readList,
  readMapping,
  readOneOf,
  readString,
  readStringMap,
} from '../../../volumes/declaration/fields.ts';

/** What a reader gives for a mapping whose field `f` has this value, and the faults that it finds. */
function reading<Result>(read: (mapping: Mapping, faults: Fault[]) => Result, value: unknown) {
  const faults: Fault[] = [];
  const result = read(new Map([['f', value]]), faults);
  return { result, faults: faults.map(({ field, message }) => `${field}: ${message}`) };
}

test('what a pod wrote is shown in quotes, in 64 characters at most, and by its kind where it is no scalar', () => {
  for (const [value, shown] of [
    ['a "b"\n', '"a \\"b\\"\\n"'],
    ['x'.repeat(64), `"${'x'.repeat(64)}"`],
    ['x'.repeat(65), `"${'x'.repeat(64)}…"`],
    ['', '""'],
    [7, '"7"'],
    [null, '"null"'],
    [false, '"false"'],
    [['a'], '"a list"'],
    [new Map([['a', 'b']]), '"a mapping"'],
  ] as const) {
    assert.equal(quote(value), shown);
  }
});

test('an unknown field is named by its path where it is a plain word, and shown in any case', () => {
  const faultsOf = (...keys: readonly unknown[]): readonly Fault[] => {
    const faults: Fault[] = [];
    readMapping(new Map(keys.map((key) => [key, 1])), 'p', ['a', 'b'], faults);
    return faults;
  };
  assert.deepEqual(faultsOf('a', 'b'), []);
  for (const [key, field, shown] of [
    ['c', 'p.c', '"c"'],
    ['x'.repeat(64), `p.${'x'.repeat(64)}`, `"${'x'.repeat(64)}"`],
    ['x'.repeat(65), 'p', `"${'x'.repeat(64)}…"`],
    ['c d', 'p', '"c d"'],
    ['c\nd', 'p', '"c\\nd"'],
    ['-c', 'p', '"-c"'],
    ['c-', 'p', '"c-"'],
    ['', 'p', '""'],
    [1, 'p', '"1"'],
    [true, 'p', '"true"'],
    [null, 'p', '"null"'],
    [['a'], 'p', '"a list"'],
  ] as const) {
    assert.deepEqual(faultsOf('a', key), [{ field, message: `unknown field ${shown}, known are a, b` }]);
  }
  for (const value of [undefined, null, 'a', ['a'], { a: 1 }]) {
    const faults: Fault[] = [];
    assert.equal(readMapping(value, 'p', ['a', 'b'], faults), undefined);
    assert.deepEqual(faults, [{ field: 'p', message: 'must be a mapping with the fields a, b' }]);
  }
});

test('a list is read as it is, an absent one is empty, and what is none is one fault', () => {
  const read = (value: unknown) => reading((mapping, faults) => readList(mapping, 'f', 'p', faults), value);
  assert.deepEqual(read(['a', 1]), { result: ['a', 1], faults: [] });
  for (const value of [undefined, null]) {
    assert.deepEqual(read(value), { result: [], faults: [] });
  }
  for (const value of ['', 'a', 0, new Map()]) {
    assert.deepEqual(read(value), { result: [], faults: ['p.f: must be a list'] });
  }
});

test('a string is read as it is, an empty one like an absent one, and a number is not taken for one', () => {
  const read = (value: unknown) => reading((mapping, faults) => readString(mapping, 'f', 'p', faults), value);
  assert.deepEqual(read('a'), { result: 'a', faults: [] });
  for (const value of [undefined, null, '']) {
    assert.deepEqual(read(value), { result: undefined, faults: [] });
  }
  for (const [value, shown] of [
    [0, '0'],
    [false, 'false'],
    [[], 'a list'],
  ] as const) {
    assert.deepEqual(read(value), { result: undefined, faults: [`p.f: must be a string: put "${shown}" in quotes`] });
  }
});

test('true and false are read as they are, and nothing like them', () => {
  const read = (value: unknown) => reading((mapping, faults) => readBoolean(mapping, 'f', 'p', true, faults), value);
  assert.deepEqual(read(false), { result: false, faults: [] });
  for (const value of [undefined, null, true]) {
    assert.deepEqual(read(value), { result: true, faults: [] });
  }
  for (const value of ['', 'false', 0]) {
    assert.deepEqual(read(value), { result: true, faults: [`p.f: must be true or false, not "${value}"`] });
  }
});

test('a whole number is read as it is, and none that was rounded', () => {
  const read = (value: unknown) => reading((mapping, faults) => readInteger(mapping, 'f', 'p', faults), value);
  for (const value of [0, -1, Number.MAX_SAFE_INTEGER]) {
    assert.deepEqual(read(value), { result: value, faults: [] });
  }
  for (const value of [undefined, null]) {
    assert.deepEqual(read(value), { result: undefined, faults: [] });
  }
  for (const value of ['1', 1.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, true, '']) {
    const message = `p.f: must be a whole number without quotes, not "${value}"`;
    assert.deepEqual(read(value), { result: undefined, faults: [message] });
  }
});

test('a mapping of strings holds what is well formed, and each other entry is a fault', () => {
  const read = (value: unknown) => {
    const { result, faults } = reading((mapping, all) => readStringMap(mapping, 'f', 'p', all), value);
    return { result: [...result], faults };
  };
  for (const value of [undefined, null]) {
    assert.deepEqual(read(value), { result: [], faults: [] });
  }
  assert.deepEqual(read([]), { result: [], faults: ['p.f: must be a mapping from string to string'] });
  const wrong = (key: string) => `p.f: key and value of "${key}" must be strings: put them in quotes`;
  assert.deepEqual(
    read(
      new Map<unknown, unknown>([
        ['a', 'b'],
        [1, 'c'],
        ['d', 2],
      ]),
    ),
    { result: [['a', 'b']], faults: [wrong('1'), wrong('d')] },
  );
});

test('of some words one is taken, the first where none is given, and the fault lists them', () => {
  const read = (value: unknown, words?: string) =>
    reading((mapping, faults) => readOneOf(mapping, 'f', 'p', ['a', 'b'], faults, words), value);
  assert.deepEqual(read('b'), { result: 'b', faults: [] });
  assert.deepEqual(read(''), { result: 'a', faults: [] });
  assert.deepEqual(read('c'), { result: 'a', faults: ['p.f: must be one of a, b, not "c"'] });
  assert.deepEqual(read('c', 'a or b'), { result: 'a', faults: ['p.f: must be a or b, not "c"'] });
});

test('a field is given when something stands there, be it wrong', () => {
  for (const value of ['a', 0, false, [], new Map()]) {
    assert.equal(isGiven(new Map([['f', value]]), 'f'), true);
  }
  for (const value of ['', null, undefined]) {
    assert.equal(isGiven(new Map([['f', value]]), 'f'), false);
  }
  assert.equal(isGiven(new Map(), 'f'), false);
});

test('what may go stays unless it is said to go', () => {
  const read = (value: unknown) => reading((mapping, faults) => readKeepOrDrop(mapping, 'f', 'p', faults), value);
  assert.deepEqual(read('drop'), { result: 'drop', faults: [] });
  for (const value of ['keep', '', undefined]) {
    assert.deepEqual(read(value), { result: 'keep', faults: [] });
  }
  assert.deepEqual(read('Drop'), { result: 'keep', faults: ['p.f: must be keep or drop, not "Drop"'] });
});
