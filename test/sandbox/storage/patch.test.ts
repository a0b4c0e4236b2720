import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json, JsonObject } from '../../../sandbox/base/objects.ts';
import { applyJsonPatch, mergePatch } from '../../../sandbox/storage/patch.ts';
import { strategicMerge } from '../../../sandbox/storage/strategic-merge.ts';

/** Examples of RFC 7396, appendix A. */
const mergeExamples: readonly (readonly [Json, Json, Json])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'foo' }, null, null],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

test('merge patches do what the examples of RFC 7396 say', () => {
  for (const [target, patch, result] of mergeExamples) {
    assert.deepEqual(mergePatch(target, patch), result);
  }
});

test('JSON patches add, replace, remove, move, copy and test', () => {
  const document = { a: { b: 1 }, list: [1, 2, 3], 'x/y~z': 0 };
  const result = applyJsonPatch(document, [
    { op: 'test', path: '/a/b', value: 1 },
    { op: 'add', path: '/list/1', value: 9 },
    { op: 'add', path: '/list/-', value: 4 },
    { op: 'remove', path: '/list/0' },
    { op: 'replace', path: '/x~1y~0z', value: 5 },
    { op: 'copy', from: '/a', path: '/copied' },
    { op: 'move', from: '/a/b', path: '/moved' },
  ]);
  assert.deepEqual(result, { a: {}, list: [9, 2, 3, 4], 'x/y~z': 5, copied: { b: 1 }, moved: 1 });
  assert.deepEqual(document, { a: { b: 1 }, list: [1, 2, 3], 'x/y~z': 0 });
  assert.equal(applyJsonPatch(document, [{ op: 'replace', path: '', value: 7 }]), 7);
});

const impossible: readonly JsonObject[] = [
  { op: 'test', path: '/a', value: 2 },
  { op: 'remove', path: '/none' },
  { op: 'replace', path: '/none', value: 1 },
  { op: 'add', path: '/none/deeper', value: 1 },
  { op: 'add', path: '/list/9', value: 1 },
  { op: 'add', path: '/a/b', value: 1 },
  { op: 'add', path: 'a', value: 1 },
  { op: 'jump', path: '/a' },
  { path: '/a' },
];
for (const operation of impossible) {
  test(`the JSON patch ${JSON.stringify(operation)} is refused`, () => {
    assert.throws(() => applyJsonPatch({ a: 1, list: [] }, [operation]));
  });
}

test('a JSON patch cannot reach the prototype of objects', () => {
  applyJsonPatch({ a: 1 }, [{ op: 'add', path: '/__proto__', value: { polluted: true } }]);
  assert.equal(({} as JsonObject).polluted, undefined);
});

test('strategic merge merges containers by name and replaces plain lists', () => {
  const target = { containers: [{ name: 'a', image: 'x' }, { name: 'b' }], args: ['1'] };
  const patch = { containers: [{ name: 'a', image: 'y' }, { name: 'c' }], args: ['2'] };
  assert.deepEqual(strategicMerge(target, patch), {
    containers: [{ name: 'a', image: 'y' }, { name: 'b' }, { name: 'c' }],
    args: ['2'],
  });
});

test('strategic merge obeys its directives', () => {
  const target = {
    volumes: [{ name: 'a' }, { name: 'b', emptyDir: {} }],
    finalizers: ['x', 'y'],
    strategy: { type: 'A', rolling: 1 },
    labels: { a: '1' },
    nested: { keep: 1 },
  };
  assert.deepEqual(
    strategicMerge(target, {
      volumes: [{ $patch: 'delete', name: 'a' }, { name: 'c' }],
      '$setElementOrder/volumes': [{ name: 'c' }, { name: 'b' }],
      '$deleteFromPrimitiveList/finalizers': ['x'],
      finalizers: ['y', 'z'],
      strategy: { $retainKeys: ['type'], type: 'B' },
      labels: { $patch: 'replace', b: '2' },
      nested: { $patch: 'delete' },
    }),
    {
      volumes: [{ name: 'c' }, { name: 'b', emptyDir: {} }],
      finalizers: ['y', 'z'],
      strategy: { type: 'B' },
      labels: { b: '2' },
      nested: {},
    },
  );
  const replaced = strategicMerge(target, { volumes: [{ $patch: 'replace' }, { name: 'd' }], labels: null });
  assert.deepEqual(replaced.volumes, [{ name: 'd' }]);
  assert.equal(replaced.labels, undefined);
});
