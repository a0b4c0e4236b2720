/** Room for what is to be written: which of the sets of files that were replaced go for it, and in which order. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createBudget } from '../../volumes/mounts/budget.ts';
import { createRoom } from '../../volumes/room.ts';
import { makeRecord, temporaryDirectory } from './support.ts';

/** A node with room for ten bytes, six of them for one pod; nothing lies in the volumes, so that only what is set aside counts. */
function makeNode(t: TestContext) {
  const directory = temporaryDirectory(t);
  const budget = createBudget({ node: 10, pod: 6 });
  const cleared: string[] = [];
  const problems: string[] = [];
  const room = createRoom(budget, (targetPath, problem) => {
    problems.push(`${targetPath.slice(directory.length + 1)}: ${problem}`);
  });
  const recordOf = (name: string) => {
    const record = makeRecord(`${directory}/${name}`);
    return { ...record, pod: { ...record.pod, uid: name.charAt(0) } };
  };
  return {
    room,
    recordOf,
    cleared,
    problems,
    add: (name: string) => budget.add(recordOf(name).targetPath, recordOf(name).pod.uid, 0, 0),
    /** A volume with a set of so many bytes that may be cleared away. */
    fill(name: string, bytes: number, clear: () => Promise<void> = async () => undefined) {
      const { targetPath, pod } = recordOf(name);
      budget.add(targetPath, pod.uid, 0, 0);
      const { release } = budget.reserve(targetPath, bytes);
      room.onSpare(recordOf(name), async () => {
        cleared.push(name);
        await clear();
        release();
      });
    },
  };
}

test('where there is room nothing is cleared away, and what is set aside counts', async (t) => {
  const { room, recordOf, cleared, add, fill } = makeNode(t);
  fill('a1', 2);
  add('a2');
  const { release } = await room.reserve(recordOf('a2'), 4);
  assert.deepEqual(cleared, []);
  await room.reserve(recordOf('a1'), 2);
  release();
  assert.deepEqual(cleared, ['a1']);
});

test('a pod that has its share gives up its own sets, no more than it takes, and no other pod’s', async (t) => {
  const { room, recordOf, cleared, add, fill } = makeNode(t);
  fill('b1', 1);
  fill('a1', 2);
  fill('a2', 2);
  fill('a3', 2);
  add('a4');
  await room.reserve(recordOf('a4'), 4);
  assert.deepEqual(cleared, ['a1', 'a2']);
  await assert.rejects(room.reserve(recordOf('a5'), 1), { code: 'Gone' });
  assert.deepEqual(cleared, ['a1', 'a2']);
  await assert.rejects(room.reserve(recordOf('a4'), 7), { code: 'OverShare' });
  assert.deepEqual(cleared, ['a1', 'a2', 'a3']);
});

test('where the node is full the sets of the same pod go first, and then those that lie there longest', async (t) => {
  const { room, recordOf, cleared, add, fill } = makeNode(t);
  fill('b1', 1);
  fill('c1', 3);
  fill('d1', 1);
  fill('a1', 2);
  add('a2');
  // This set is a new one by now.
  fill('b1', 3);
  await room.reserve(recordOf('a2'), 4);
  assert.deepEqual(cleared, ['a1', 'c1']);
  await room.reserve(recordOf('d1'), 6);
  assert.deepEqual(cleared, ['a1', 'c1', 'd1', 'b1']);
  await assert.rejects(room.reserve(recordOf('c1'), 1), { code: 'NoSpace' });
});

test('a set that is gone, alone or with its volume, is not cleared away', async (t) => {
  const { room, recordOf, cleared, problems, fill } = makeNode(t);
  fill('a1', 2);
  fill('a2', 2);
  room.onSpare(recordOf('a1'), undefined);
  room.forget(recordOf('a2').targetPath);
  await assert.rejects(room.reserve(recordOf('a1'), 5), { code: 'OverShare' });
  assert.deepEqual([cleared, problems], [[], []]);
});

test('a set that cannot be cleared away is told of by its volume, and the next one goes', async (t) => {
  const { room, recordOf, cleared, problems, add, fill } = makeNode(t);
  fill('a1', 2, async () => {
    throw new Error('read-only');
  });
  fill('a2', 2);
  add('a3');
  await room.reserve(recordOf('a3'), 4);
  assert.deepEqual(cleared, ['a1', 'a2']);
  assert.deepEqual(problems, ['a1: clearing files that were replaced: read-only']);
});

/** A clearing that takes as long as the test wants. */
function slow() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { clear: () => promise, end: resolve };
}

test('a set that is being cleared away is waited for, by whomever its room may help, before another one goes', async (t) => {
  const { room, recordOf, cleared, add, fill } = makeNode(t);
  const { clear, end } = slow();
  fill('d1', 1);
  fill('a1', 6, clear);
  for (const name of ['a2', 'a3', 'b1', 'c1']) {
    add(name);
  }
  const had: string[] = [];
  const wanted = { a2: 4, a3: 1, b1: 4 };
  const waiting = Object.entries(wanted).map(async ([name, bytes]) => {
    await room.reserve(recordOf(name), bytes);
    had.push(name);
  });
  // The room of other pods is of no help to one that wants more than its share.
  await assert.rejects(room.reserve(recordOf('c1'), 7), { code: 'OverShare' });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([cleared, had], [['a1'], []], 'nobody has room before it is there');
  end();
  await Promise.all(waiting);
  assert.deepEqual([cleared, had.toSorted()], [['a1'], ['a2', 'a3', 'b1']]);
});

test('a clearing is over when it has ended, though its volume goes meanwhile, and not sooner', async (t) => {
  const { room, recordOf, problems, add, fill } = makeNode(t);
  const { clear, end } = slow();
  fill('a1', 5, clear);
  add('a2');
  const { targetPath } = recordOf('a1');
  await room.settled(targetPath);
  const reservation = room.reserve(recordOf('a2'), 4);
  room.forget(targetPath);
  let isOver = false;
  const over = room.settled(targetPath).then(() => {
    isOver = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isOver, false);
  end();
  await over;
  (await reservation).release();
  await room.settled(targetPath);
  assert.deepEqual(problems, []);
});
