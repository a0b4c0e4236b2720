import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBoundedMap } from '../../../volumes/base/bounded-map.ts';

test('a full map forgets the entry that was set longest ago, and setting one again makes it the newest', () => {
  const map = createBoundedMap<string, number>(2);
  map.set('a', 1);
  map.set('b', 2);
  map.set('a', 3);
  map.set('c', 4);
  assert.deepEqual([map.get('a'), map.get('b'), map.get('c'), map.size], [3, undefined, 4, 2]);
  map.delete('a');
  map.set('d', 5);
  assert.deepEqual([map.get('a'), map.get('c'), map.get('d'), map.size], [undefined, 4, 5, 2]);
});
