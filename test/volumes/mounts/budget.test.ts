/** The memory of volumes: what a reservation lets in and refuses, on real tmpfs mounts, whose use the kernel counts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createBudget, sharesOf } from '../../../volumes/mounts/budget.ts';
import { maxSmallParts } from '../../../volumes/mounts/limits.ts';
import { mountSkip, temporaryDirectory } from '../support.ts';

const kib = 1024;
const mib = 1024 * kib;
/** What an empty tmpfs takes, and each file in it: the kernel keeps so much beside the contents. */
const entry = kib;

/** Mounts so many empty volumes. */
function mounts(t: TestContext, count: number): readonly string[] {
  const root = temporaryDirectory(t);
  return Array.from({ length: count }, (_, index) => {
    const directory = path.join(root, String(index));
    fs.mkdirSync(directory);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'budget', directory]);
    return directory;
  });
}

/** A file of whole pages. */
const fill = (directory: string, bytes: number, name = 'file'): void =>
  fs.writeFileSync(path.join(directory, name), new Uint8Array(bytes));

test("the files of a node's volumes have what the limit leaves beside the process, a quarter of it at least, and a pod a part of that", () => {
  for (const [limit, node] of [
    [512 * mib, 224 * mib],
    [1024 * mib, 736 * mib],
    [384 * mib, 96 * mib],
    [300 * mib, 75 * mib],
    [10, 2],
    // No limit, and one that is none on this machine, count as the chart's.
    [0, 224 * mib],
    [-1, 224 * mib],
    [os.totalmem(), 224 * mib],
    [os.totalmem() + 1, 224 * mib],
  ] as const) {
    assert.deepEqual(sharesOf(limit), { node, pod: Math.floor(node / 4) }, `${limit} bytes`);
  }
});

test('a pod has its share to the byte, over all its volumes, and is told of it when it asks for more', {
  skip: mountSkip,
}, (t) => {
  const [own = '', second = '', foreign = ''] = mounts(t, 3);
  const budget = createBudget({ node: 100 * mib, pod: mib });
  budget.add(own, 'pod', 0, 0);
  budget.add(second, 'pod', 0, 0);
  budget.add(foreign, 'another', 0, 0);
  fill(second, 256 * kib);
  fill(foreign, 4 * mib);
  // Two empty volumes and a file.
  const taken = 256 * kib + 3 * entry;
  budget.reserve(own, mib - taken).release();
  assert.throws(() => budget.reserve(own, mib - taken + 1), {
    code: 'OverShare',
    message:
      "the files of the pod's volumes would take 1.1 MiB of memory while they are exchanged, more than the 1 MiB " +
      'that one pod may have: its author has to project fewer or smaller trust bundles',
  });
  // What another write of the same pod has set aside counts until it is released.
  const other = budget.reserve(second, 512 * kib);
  const left = mib - taken - 512 * kib;
  assert.throws(() => budget.reserve(own, left + 1), { code: 'OverShare' });
  budget.reserve(own, left).release();
  other.release();
  budget.reserve(own, mib - taken).release();
});

/** What the node can give when so much of it is left for what is not small. */
const withKept = (bytes: number): number => {
  const node = Math.floor((bytes * maxSmallParts) / (maxSmallParts - 1));
  assert.equal(node - Math.floor(node / maxSmallParts), bytes);
  return node;
};

test('all volumes together have what the node can give, to the byte, and who asks for more is told of the limit', {
  skip: mountSkip,
}, (t) => {
  const [own = '', foreign = ''] = mounts(t, 2);
  const budget = createBudget({ node: withKept(2 * mib), pod: 2 * mib });
  budget.add(own, 'pod', 0, 0);
  budget.add(foreign, 'another', 0, 0);
  const reservation = budget.reserve(foreign, mib);
  fill(foreign, mib - kib * 4);
  const taken = mib + 2 * entry;
  budget.reserve(own, 2 * mib - taken).release();
  assert.throws(() => budget.reserve(own, 2 * mib - taken + 1), {
    code: 'NoSpace',
    message:
      'the files of all volumes of the node would take 2.1 MiB of memory, ' +
      "more than the 2 MiB that the agent's memory limit leaves for them beside the 0.7 MiB that are kept for certificates: " +
      'the cluster operator has to raise it',
  });
  // It used less than was set aside for it, and a volume that is gone uses nothing.
  reservation.release();
  budget.reserve(own, 2 * mib - taken + 3 * kib).release();
  budget.forget(foreign);
  budget.reserve(own, 2 * mib - entry).release();
  assert.throws(() => budget.reserve(foreign, 1), {
    code: 'Gone',
    message: `the volume at ${foreign} is not there any more`,
  });
});

test('a change of half a megabyte may take the last of the memory, and a greater one none of what is kept for it', {
  skip: mountSkip,
}, (t) => {
  const [own = '', foreign = ''] = mounts(t, 2);
  const budget = createBudget({ node: 2 * mib, pod: 4 * mib });
  budget.add(own, 'pod', 0, 0);
  budget.add(foreign, 'another', 2 * mib, 2 * mib);
  fill(foreign, 1280 * kib);
  budget.reserve(own, 512 * kib).release();
  assert.throws(() => budget.reserve(own, 512 * kib + 1), {
    code: 'NoSpace',
    message: /more than the 1\.5 MiB that .* leaves for them beside the 0\.5 MiB that are kept for certificates: the/,
  });
  fill(foreign, 512 * kib, 'another');
  assert.throws(() => budget.reserve(own, 300 * kib), {
    code: 'NoSpace',
    message: /more than the 2 MiB that the agent's memory limit leaves for them: the cluster operator has to raise it$/,
  });
});

test('what volumes took since they were last looked at counts as soon as it matters', { skip: mountSkip }, (t) => {
  const [own = '', quiet = ''] = mounts(t, 2);
  const budget = createBudget({ node: withKept(2 * mib), pod: 2 * mib });
  budget.add(own, 'pod', 0, 0);
  budget.add(quiet, 'another', mib, mib);
  const { statfsSync } = fs;
  let asked: string[] = [];
  t.mock.method(fs, 'statfsSync', (directory: string) => {
    asked.push(directory);
    return statfsSync(directory);
  });
  fill(quiet, mib);
  // There is room whatever the other may have written unasked: nobody looks at it.
  budget.reserve(own, mib - 2 * entry).release();
  assert.ok(!asked.includes(quiet), 'it was looked at');
  // One byte more leaves it open, and it turns out to have written what it may.
  assert.throws(() => budget.reserve(own, mib - 2 * entry + 1), { code: 'NoSpace' });
  assert.ok(asked.includes(quiet), 'it was not looked at');
  asked = [];
  fs.rmSync(path.join(quiet, 'file'));
  budget.reserve(own, 2 * mib - 2 * entry).release();
  assert.ok(asked.includes(quiet), 'it was not looked at again');
});

test('a volume is to be as large as what it holds and what is set aside, and is added again without losing that', {
  skip: mountSkip,
}, (t) => {
  const [own = ''] = mounts(t, 1);
  const budget = createBudget({ node: 2 * mib, pod: mib });
  budget.add(own, 'pod', 0, 0);
  fill(own, 64 * kib);
  const reservation = budget.reserve(own, 100);
  assert.equal(reservation.sizeBytes, 64 * kib + 100);
  assert.equal(reservation.haveBytes, 8 * mib);
  reservation.release();
  const large = budget.reserve(own, 512 * kib);
  budget.add(own, 'pod', 0, 0);
  const [other = ''] = mounts(t, 1);
  budget.add(other, 'pod', 0, 0);
  const taken = 64 * kib + 512 * kib + 3 * entry;
  assert.throws(() => budget.reserve(other, mib - taken + 1), { code: 'OverShare' });
  budget.reserve(other, mib - taken).release();
  large.release();
  budget.add('/nowhere/at/all', 'pod', 0, 0);
  budget.reserve(other, mib - 64 * kib - 3 * entry).release();
  // What is not there any more uses nothing, and does not make the sum of all others nothing.
  assert.throws(() => budget.reserve(other, mib - 64 * kib - 3 * entry + 1), { code: 'OverShare' });
});

test('what a container wrote into its volume itself is its pod’s own, and the node’s only as far as the agent may have written it', {
  skip: mountSkip,
}, (t) => {
  const [filled = '', other = ''] = mounts(t, 2);
  const budget = createBudget({ node: withKept(3 * mib), pod: 3 * mib });
  const first = 64 * kib;
  budget.add(filled, 'pod', first, first);
  budget.add(other, 'another', 0, 0);
  /** So much is left for the other one, to the byte. */
  const assertLeft = (left: number): void => {
    budget.reserve(other, left).release();
    assert.throws(() => budget.reserve(other, left + 1), { code: 'NoSpace' }, `more than ${left} bytes are left`);
  };
  // What the volume was made for may be written without a reservation.
  fill(filled, 32 * kib, 'own');
  assertLeft(3 * mib - 32 * kib - 3 * entry);
  // Of what was reserved the part counts that is used, though all of it while it is written.
  const reservation = budget.reserve(filled, 256 * kib);
  assertLeft(3 * mib - 256 * kib - 32 * kib - 3 * entry);
  fill(filled, 128 * kib, 'reserved');
  reservation.release();
  assertLeft(3 * mib - (32 + 128) * kib - 4 * entry);
  // By now as much was seen as the agent has written; a container comes and fills the volume.
  fill(filled, 7 * mib, 'foreign');
  const used = (32 + 128) * kib + 3 * entry;
  assert.throws(() => budget.reserve(filled, 1), { code: 'OverShare' });
  assertLeft(3 * mib - used - first - entry);
  // Once that is gone the pod has its share again, and no more than before counts.
  fs.rmSync(path.join(filled, 'foreign'));
  budget.reserve(filled, 1).release();
  assertLeft(3 * mib - used - entry);
});

test('each reservation adds to what may count, and what the agent has removed is taken off it', {
  skip: mountSkip,
}, (t) => {
  const [filled = '', other = ''] = mounts(t, 2);
  const budget = createBudget({ node: withKept(6 * mib), pod: 6 * mib });
  budget.add(filled, 'pod', 0, 0);
  budget.add(other, 'another', 0, 0);
  fill(filled, 4 * mib, 'foreign');
  for (const name of ['one', 'two']) {
    const { release } = budget.reserve(filled, 256 * kib);
    fill(filled, 256 * kib - entry, name);
    release();
  }
  const left = 6 * mib - 512 * kib - 2 * entry;
  budget.reserve(other, left).release();
  assert.throws(() => budget.reserve(other, left + 1), { code: 'NoSpace' });
  for (const name of ['one', 'two', 'foreign']) {
    fs.rmSync(path.join(filled, name));
  }
  budget.reserve(filled, 1).release();
  fill(filled, 4 * mib, 'foreign');
  budget.reserve(other, 6 * mib - 2 * entry).release();
  assert.throws(() => budget.reserve(other, 6 * mib - 2 * entry + 1), { code: 'NoSpace' });
});

test('what volumes hold at a start counts, of one pod’s no more than its share', { skip: mountSkip }, (t) => {
  const [one = '', two = '', third = '', honest = '', other = ''] = mounts(t, 5);
  const budget = createBudget({ node: withKept(4608 * kib), pod: 2 * mib });
  for (const directory of [one, two, third]) {
    fill(directory, mib);
    budget.add(directory, 'pod', 0, 0);
  }
  fill(honest, 512 * kib);
  budget.add(honest, 'honest', 0, 0);
  budget.add(other, 'another', 0, 0);
  // The share of the one, and to the byte what the other holds.
  const left = 4608 * kib - 2 * mib - 512 * kib - 3 * entry;
  budget.reserve(other, left).release();
  assert.throws(() => budget.reserve(other, left + 1), { code: 'NoSpace' });
});
