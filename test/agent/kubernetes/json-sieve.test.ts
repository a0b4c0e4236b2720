import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { createSieve, mostKeptValues, type Shape } from '../../../agent/kubernetes/json-sieve.ts';

const members = (entries: Readonly<Record<string, Shape>>): Shape => ({ members: new Map(Object.entries(entries)) });

/** What is handed over of a text that comes in pieces. */
function sift(text: string, shape: Shape, pieceBytes = 7, maxBytes = 1_000_000) {
  const values: unknown[] = [];
  const items: unknown[] = [];
  const onValue = (value: unknown): void => void values.push(value);
  const sieve = createSieve({ shape, maxBytes, onValue, onItem: (item) => void items.push(item) });
  const bytes = Buffer.from(text);
  for (let from = 0; from < bytes.length; from += pieceBytes) {
    const piece = bytes.subarray(from, from + pieceBytes);
    for (let end = 0; end < piece.length; ) {
      end = sieve.take(piece, end);
    }
  }
  sieve.end();
  return { values, items };
}

/** What a shape keeps, told otherwise. */
function pick(value: unknown, shape: Shape): unknown {
  if (shape === 'all' || typeof value !== 'object' || value === null) {
    return value;
  }
  if (Array.isArray(value)) {
    return 'items' in shape ? value.map((item) => pick(item, shape.items)) : [];
  }
  if ('items' in shape) {
    return {};
  }
  const kept = Object.entries(value).flatMap(([name, member]) => {
    const inner = 'wanted' in shape ? shape.wanted(name) : shape.members.get(name);
    return inner === undefined ? [] : [[name, pick(member, inner)] as const];
  });
  return Object.fromEntries(kept);
}

const names = ['a', 'b', 'c', 'metadata'];
const shapes = fc.letrec<{ shape: Shape; looked: Shape }>((tie) => ({
  shape: fc.oneof({ maxDepth: 3 }, fc.constant<Shape>('all'), tie('looked')),
  looked: fc.oneof(
    fc.dictionary(fc.constantFrom(...names), tie('shape'), { maxKeys: 3 }).map(members),
    tie('shape').map((items): Shape => ({ items })),
    tie('shape').map((inner): Shape => ({ wanted: (name) => (name.length > 1 ? inner : undefined) })),
  ),
})).shape;
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, 0, -1.5e9),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('"', '\\', '\\"', ']}', '{"a":[', ',', ''),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), tie('value'), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
  ),
})).value;

test('of any JSON, in pieces of any length, what the shape names is kept and nothing else', () => {
  const indents = fc.constantFrom(0, 2);
  fc.assert(
    fc.property(
      fc.array(json, { maxLength: 3 }),
      shapes,
      fc.integer({ min: 1, max: 50 }),
      indents,
      (all, shape, piece, indent) => {
        const text = all.map((value) => `${JSON.stringify(value, undefined, indent)}\n`).join('');
        const wanted = all.map((value) => JSON.parse(JSON.stringify(pick(value, shape))));
        assert.deepEqual(sift(text, shape, piece).values, wanted);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('escapes and characters of many bytes may be cut anywhere', () => {
  const character = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    fc.constantFrom('\\', '"', '\n', 'é', '😀'),
  );
  const written = fc.tuple(character, fc.boolean()).map(([one, isEscaped]) => ({
    one,
    text: isEscaped
      ? Array.from(
          { length: one.length },
          (_, index) => `\\u${one.charCodeAt(index).toString(16).padStart(4, '0')}`,
        ).join('')
      : JSON.stringify(one).slice(1, -1),
  }));
  fc.assert(
    fc.property(fc.array(written, { maxLength: 30 }), fc.integer({ min: 1, max: 13 }), (all, piece) => {
      const text = all.map((each) => each.text).join('');
      const whole = all.map(({ one }) => one).join('');
      const { values } = sift(`{"a":"${text}","${text}":1}`, 'all', piece);
      assert.deepEqual(
        values,
        [{ a: whole, [whole]: 1 }].map((value) => JSON.parse(JSON.stringify(value))),
      );
    }),
    { numRuns: 1_000 },
  );
});

test('a text of megabytes of escapes is decoded as it comes, never in one go', (t) => {
  const whole = '\u0001'.repeat(1_000_000);
  const text = JSON.stringify({ spec: { trustBundle: whole } });
  const parse = t.mock.method(JSON, 'parse');
  const { values } = sift(text, members({ spec: members({ trustBundle: 'all' }) }), 65_536, 10_000_000);
  parse.mock.restore();
  assert.deepEqual(values, [{ spec: { trustBundle: whole } }]);
  const longest = Math.max(...parse.mock.calls.map((call) => String(call.arguments[0]).length));
  assert.ok(longest <= 65_536 + 10, `${longest} characters in one go`);
});

test('after each value, and each item apart, the reader may rest', () => {
  const shape: Shape = { items: 'all', apart: true };
  const items: unknown[] = [];
  const values: unknown[] = [];
  const sieve = createSieve({
    shape,
    maxBytes: 100,
    onValue: (value) => values.push(value),
    onItem: (item) => items.push(item),
  });
  const chunk = Buffer.from('[1,"b",{"c":[]}] []');
  const told: unknown[] = [];
  for (let end = 0; end < chunk.length; ) {
    end = sieve.take(chunk, end);
    told.push([items.length, values.length]);
  }
  assert.deepEqual(told, [
    [1, 0],
    [2, 0],
    [3, 0],
    [3, 1],
    [3, 2],
  ]);
});

test('items that are handed over apart come one by one, and the list is left empty', () => {
  const shape = members({ kind: 'all', items: { items: members({ a: 'all' }), apart: true } });
  const text = JSON.stringify({ kind: 'List', items: [{ a: 1, b: 2 }, { b: [{ a: 3 }] }, 4, null], more: [1] });
  const { values, items } = sift(text, shape);
  assert.deepEqual(values, [{ kind: 'List', items: [] }]);
  assert.deepEqual(items, [{ a: 1 }, {}, 4, null]);
});

test('a list or map of an object that holds too many values is left out, and what follows is read', () => {
  const shape = members({
    metadata: members({ labels: 'all', name: 'all' }),
    spec: members({ list: { items: members({ a: 'all' }) }, name: 'all' }),
  });
  const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`l${index}`, '']));
  const object = (count: number) => ({
    metadata: { labels: labels(count), name: 'b' },
    spec: { name: 'c', list: Array.from({ length: mostKeptValues }, () => ({ a: [1] })) },
  });
  const few = mostKeptValues - 10;
  assert.deepEqual(sift(JSON.stringify(object(few)), shape, 1000).values, [
    { metadata: { labels: labels(few), name: 'b' }, spec: { name: 'c' } },
  ]);
  assert.deepEqual(sift(JSON.stringify(object(mostKeptValues + 1)), shape, 1000).values, [
    { metadata: { name: 'b' }, spec: { name: 'c' } },
  ]);
});

test('a list or map may hold so many values that its object has 16384, and not one more', () => {
  const shape = members({ metadata: members({ labels: 'all', name: 'all' }) });
  const keepsLabels = (count: number): boolean => {
    const labels = Object.fromEntries(Array.from({ length: count }, (_, index) => [`l${index}`, '']));
    const [value] = sift(JSON.stringify({ metadata: { labels, name: 'a' } }), shape, 1000).values;
    return JSON.stringify(value).includes('labels');
  };
  // The object, its metadata and the map are values too.
  assert.deepEqual([keepsLabels(16_381), keepsLabels(16_382)], [true, false]);
});

test('a value of which no decoder has named the parts is kept whole, however many values are in it', () => {
  const many = Object.fromEntries(Array.from({ length: mostKeptValues + 1 }, (_, index) => [`l${index}`, '']));
  const frame = { type: 'ADDED', object: { metadata: { labels: many, name: 'a' }, spec: {} } };
  assert.deepEqual(sift(JSON.stringify(frame), 'all', 1000).values, [frame]);
  const page = { items: [frame.object, frame.object] };
  assert.deepEqual(
    sift(JSON.stringify(page), members({ items: { items: 'all', apart: true } }), 1000).items,
    page.items,
  );
});

test('what is passed over may be of any length, and what is kept has a limit', () => {
  const shape = members({ a: 'all' });
  const long = 'x'.repeat(2_000);
  assert.deepEqual(sift(JSON.stringify({ b: long, a: 1 }), shape, 100, 1_000).values, [{ a: 1 }]);
  assert.throws(() => sift(JSON.stringify({ a: long }), shape, 100, 1_000), RangeError);
});

test('a member of any name is a member', () => {
  const text = '{"__proto__":{"a":1},"constructor":2}';
  assert.equal(JSON.stringify(sift(text, 'all').values), `[${text}]`);
});

test('text that is no JSON is refused', () => {
  const shape = members({ a: 'all' });
  for (const text of [
    '<html>',
    '}',
    '{"a"',
    '{"a" 1}',
    '{]',
    '{"a":tru}',
    '{"a":"x',
    '{"a\n":1}',
    '{"a":1 2}',
    ',',
    '{"a":1,}',
    '{"a":[1,]}',
    '{"a":[1}',
    '{"a":"\\u12"}',
    '{"a":"\\x"}',
    '{"a":"\u0001"}',
    '{"a":}',
    '{,}',
    '"a" :',
  ]) {
    assert.throws(() => sift(text, shape, 3), SyntaxError, text);
  }
});
