import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rank } from '../../../agent/base/call.ts';
import { createFairLine } from '../../../agent/base/fair-line.ts';

const minute = 60_000;

function start(turn = 2) {
  const time = { now: 0, wall: 1_000 * minute };
  const line = createFairLine<string>({ now: () => time.now, wallNow: () => time.wall, turn });
  const add = (item: string, owner?: string): void => line.add(item, { priority: 'first', owner });
  const all = (): (string | undefined)[] => Array.from({ length: line.size }, () => line.take());
  return { time, line, add, all };
}

test('owners take turns in the order in which they came', () => {
  const { add, all } = start();
  for (const item of ['a1', 'a2', 'a3', 'a4', 'a5']) {
    add(item, 'a');
  }
  for (const item of ['b1', 'b2', 'b3']) {
    add(item, 'b');
  }
  add('alone');
  assert.deepEqual(all(), ['a1', 'a2', 'b1', 'b2', 'alone', 'a3', 'a4', 'b3', 'a5']);
});

test('work that is begun keeps its place between its items, and loses it when it is not gone on with', () => {
  const { add, line, time, all } = start(8);
  add('a1', 'a');
  time.now = 1;
  add('b1', 'b');
  assert.equal(line.take(), 'a1');
  time.now = 2 * minute;
  add('a2', 'a');
  assert.deepEqual(all(), ['a2', 'b1']);
  time.now = 6 * minute;
  add('c1', 'c');
  add('a3', 'a');
  assert.deepEqual(all(), ['c1', 'a3']);
});

test('what others wait for too goes by the best of their ranks, also of those who join later', () => {
  const { add, line, time } = start(8);
  add('b1', 'b');
  time.now = 1;
  add('between', 'c');
  const alsoFor: Rank[] = [];
  line.add('shared', { priority: 'refresh', owner: 'a', alsoFor });
  assert.equal(line.take(), 'b1');
  alsoFor.push({ priority: 'first', owner: 'b' });
  assert.equal(line.take(), 'shared');
  assert.equal(line.take(), 'between');
  assert.equal(line.take(), undefined);
  assert.deepEqual([line.waitingOf('a'), line.waitingOf('b')], [0, 0]);
});

test('the wall clock decides how near an end is at the moment of choice, also after it was set', () => {
  const { line, time } = start();
  line.add('first', { priority: 'first' });
  line.add('refresh', { priority: 'refresh', expiresAt: time.wall + 60 * minute });
  time.wall += 55 * minute;
  assert.equal(line.take(), 'refresh');
});

test('the last in line is the last of the owner with most turns before it, then the one of the worst rank', () => {
  const { add, line } = start();
  line.add('background', { priority: 'background' });
  for (const item of ['a1', 'a2', 'a3']) {
    add(item, 'a');
  }
  add('b1', 'b');
  assert.deepEqual(
    [line.takeLast(), line.takeLast(), line.takeLast(), line.takeLast(), line.takeLast(), line.takeLast()],
    ['a3', 'background', 'b1', 'a2', 'a1', undefined],
  );
});

test('what is removed leaves no trace', () => {
  const { add, line, all } = start();
  add('a1', 'a');
  add('a2', 'a');
  line.remove('a1');
  line.remove('a1');
  assert.equal(line.waitingOf('a'), 1);
  assert.deepEqual(all(), ['a2']);
});
