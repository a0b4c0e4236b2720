/** What files may take of the node's memory: exactly the share of a pod and of the node is given, and not a byte more. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createBudget, sharesOf } from '../../../volumes/mounts/budget.ts';
import { createMounts } from '../../../volumes/mounts/mounts.ts';
import { mountSkip, temporaryDirectory } from '../support.ts';

const mebibyte = 1024 * 1024;
/** What counts for a tmpfs in which there is nothing: its root directory. */
const empty = 1024;

test('the shares are computed from the limit of the container', () => {
  assert.deepEqual(sharesOf(512 * mebibyte), { node: 224 * mebibyte, pod: 56 * mebibyte });
  assert.deepEqual(sharesOf(640 * mebibyte), { node: 352 * mebibyte, pod: 88 * mebibyte });
  // From here down a quarter is more than what the process leaves.
  assert.deepEqual(sharesOf(384 * mebibyte), { node: 96 * mebibyte, pod: 24 * mebibyte });
  assert.deepEqual(sharesOf(380 * mebibyte), { node: 95 * mebibyte, pod: 23.75 * mebibyte });
  const without = { node: 224 * mebibyte, pod: 56 * mebibyte };
  assert.deepEqual(sharesOf(0), without, 'no limit');
  assert.deepEqual(sharesOf(2 ** 63), without, 'a limit beyond what the machine has is none');
});

/** Empty volumes, each of another pod, that count in a budget of the chart's limit. */
async function setUp(t: TestContext, count: number) {
  const root = temporaryDirectory(t);
  const mounts = createMounts('csi.test');
  const budget = createBudget(sharesOf(512 * mebibyte));
  const targets: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const target = path.join(root, String(index));
    fs.mkdirSync(target);
    await mounts.mount(target, mebibyte);
    budget.add(target, `pod-${index}`, 0);
    targets.push(target);
  }
  return { budget, targets };
}

test('a pod may have its share to the byte, each file counting a kibibyte, over all of its volumes', {
  skip: mountSkip,
}, async (t) => {
  const { budget, targets } = await setUp(t, 2);
  const [first = '', second = ''] = targets;
  budget.add(second, 'pod-0', 0);
  const refused = { code: 'OverShare', message: /more than the 56 MiB that one pod may have/ };
  const share = 56 * mebibyte - 2 * empty;
  assert.throws(() => budget.reserve(first, share + 1), refused);
  budget.reserve(first, share).release();
  for (const name of ['one', 'two']) {
    fs.writeFileSync(path.join(second, name), '');
  }
  assert.throws(() => budget.reserve(first, share - 2 * 1024 + 1), refused);
  const { release } = budget.reserve(first, share - 2 * 1024);
  assert.throws(() => budget.reserve(second, 1), refused, 'what is set aside counts');
  release();
  budget.reserve(second, 1).release();
});

test('all pods together may have what the limit leaves, to the byte', { skip: mountSkip }, async (t) => {
  const { budget, targets } = await setUp(t, 5);
  const refused = { code: 'NoSpace', message: /more than the 224 MiB that the agent's memory limit leaves for them/ };
  const share = 56 * mebibyte - empty;
  for (const target of targets.slice(0, 3)) {
    budget.reserve(target, share);
  }
  // The fourth leaves room for the fifth, which is empty, and for a hundred bytes.
  budget.reserve(targets[3] ?? '', share - empty - 100);
  const last = targets[4] ?? '';
  assert.throws(() => budget.reserve(last, 101), refused);
  budget.reserve(last, 100).release();
  budget.forget(targets[0] ?? '');
  budget.reserve(last, 101).release();
});
