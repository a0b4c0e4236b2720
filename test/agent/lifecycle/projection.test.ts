/** What is written when, and what becomes of what cannot be: with a volume that notes what is done to it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerOf, bundleOf, createScene, credentialOf } from './projection-scene.ts';

test('nothing is written before the start, nor before every source has content; then all at once', async () => {
  const scene = createScene('certificate', 'anchors');
  scene.projection.stage(0, credentialOf('a'));
  scene.projection.stage(1, bundleOf('root'));
  await scene.settle();
  assert.deepEqual(scene.did, [], 'it has not been started');
  assert.deepEqual([scene.projection.has(0), scene.projection.awaitsWriting(0)], [false, true]);
  scene.projection.start();
  await scene.settle();
  assert.deepEqual(scene.did, [
    'keep the answer to a',
    'note of 0: a is kept',
    'project 0: chain of a, key of a; 1: root',
    'make a current, chain of a',
    'discard the request of 0',
    'note of 0: written, first, changed',
    'note of 1: written, first, changed',
  ]);
  assert.deepEqual([scene.projection.has(0), scene.projection.awaitsWriting(0)], [true, false]);
});

test('an answer that waits for another source is kept, once, and no key is read for it', async () => {
  const scene = createScene('certificate', 'anchors');
  scene.projection.start();
  scene.projection.stage(0, credentialOf('a'));
  await scene.settle();
  assert.deepEqual(scene.did, ['keep the answer to a', 'note of 0: a is kept']);
  assert.deepEqual([scene.keys, scene.projection.has(0)], [[], false]);
  scene.projection.stage(1, bundleOf('root'));
  await scene.settle();
  assert.equal(scene.did[2], 'project 0: chain of a, key of a; 1: root');
});

test('once all files are there each source goes its own way, and is told whether its files had to change', async () => {
  const scene = createScene('certificate', 'anchors');
  scene.fill(0, 1);
  scene.projection.start();
  scene.projection.stage(1, bundleOf('new root'));
  await scene.settle();
  scene.result = 'unchanged';
  scene.projection.stage(1, bundleOf('new root'));
  await scene.settle();
  assert.deepEqual(scene.did, [
    'project 1: new root',
    'note of 1: written, again, changed',
    'project 1: new root',
    'note of 1: written, again, unchanged',
  ]);
});

test('what is told of at once is written in one call, and what comes while that is under way in the next', async () => {
  const scene = createScene('anchors', 'anchors');
  scene.fill(0, 1);
  scene.projection.start();
  const gate = scene.hold();
  scene.projection.stage(0, bundleOf('a'));
  scene.projection.stage(1, bundleOf('b'));
  await scene.settle();
  scene.projection.stage(1, bundleOf('c'));
  await scene.settle();
  assert.deepEqual(scene.did, ['project 0: a; 1: b'], 'one write at a time');
  gate.resolve();
  await scene.settle();
  assert.deepEqual(scene.did.slice(1), [
    'note of 0: written, again, changed',
    'project 1: c',
    'note of 1: written, again, changed',
  ]);
});

test('a key lies in memory for no longer than its write takes, also where that fails', async () => {
  const scene = createScene('certificate');
  scene.projection.start();
  scene.projection.stage(0, credentialOf('a'));
  await scene.settle();
  scene.fault = new Error('no space left');
  scene.projection.stage(0, credentialOf('b'));
  await scene.settle();
  assert.deepEqual(scene.projectedKeys, ['key of a', 'key of b'], 'it was there when it was written');
  assert.deepEqual(
    scene.keys.map((key) => key.every((byte) => byte === 0)),
    [true, true],
  );
});

test('a key that is damaged, or of another certificate, reaches no file: its content is dropped, with the reason', async () => {
  const scene = createScene('certificate', 'anchors');
  scene.fill(0, 1);
  scene.projection.start();
  const why = 'is damaged, or not the one of the certificate';
  for (const [key, said] of [
    ['key of x', why],
    ['Corrupt', 'cannot be read: Corrupt'],
    ['Tampered', 'cannot be read: Tampered'],
  ] as const) {
    scene.did.length = 0;
    scene.keyOf = () => key;
    scene.projection.stage(0, credentialOf('a'));
    scene.projection.stage(1, bundleOf(`beside ${key}`));
    await scene.settle();
    assert.deepEqual(scene.did, [
      ...['keep the answer to a', 'note of 0: a is kept', `note of 0: unfit, ${said}`],
      ...[`project 1: beside ${key}`, 'note of 1: written, again, changed'],
    ]);
    assert.equal(scene.projection.awaitsWriting(0), false);
  }
  const bare = createScene('certificate');
  bare.fill(0);
  bare.projection.start();
  const { certificate } = credentialOf('a');
  bare.projection.stage(0, { kind: 'credential', certificate, answer: { ...answerOf('a'), certificates: [] } });
  await bare.settle();
  assert.equal(bare.did.at(-1), `note of 0: unfit, ${why}`);
});

test('where a key is unfit before the first write nothing is written, and nothing is tried in vain', async () => {
  const scene = createScene('certificate', 'anchors');
  scene.keyOf = () => 'key of x';
  scene.projection.start();
  scene.projection.stage(0, credentialOf('a'));
  scene.projection.stage(1, bundleOf('root'));
  await scene.settle();
  assert.equal(scene.did.at(-1), 'note of 0: unfit, is damaged, or not the one of the certificate');
  assert.deepEqual([scene.projection.awaitsWriting(0), scene.projection.awaitsWriting(1)], [false, true]);
  const alone = createScene('certificate');
  alone.fill(0);
  alone.keyOf = () => 'key of x';
  alone.projection.start();
  alone.projection.stage(0, credentialOf('a'));
  await alone.settle();
  assert.ok(!alone.did.some((what) => what.startsWith('project')), 'there is nothing left to write');
});

test('a key that cannot be read for another reason is tried again, like any write', async () => {
  const scene = createScene('certificate');
  scene.keyOf = () => 'NoSpace';
  scene.projection.start();
  scene.projection.stage(0, credentialOf('a'));
  await scene.settle();
  assert.equal(scene.did.at(-1), 'note of 0: not written, NoSpace, again in 1000 ms');
  assert.equal(scene.projection.awaitsWriting(0), true);
});

test('another answer that comes while the key of one is looked at is looked at in its turn', async () => {
  const scene = createScene('certificate');
  scene.keyOf = () => {
    scene.keyOf = () => 'key of b';
    scene.projection.stage(0, credentialOf('b'));
    return 'key of b';
  };
  scene.projection.start();
  scene.projection.stage(0, credentialOf('a'));
  await scene.settle();
  assert.ok(
    !scene.did.some((what) => what.includes('unfit')),
    'the newer answer is not blamed for the older one’s key',
  );
  assert.ok(scene.did.includes('project 0: chain of b, key of b'), `it is not written:\n${scene.did.join('\n')}`);
});

test('what a signer’s anchors are is written with its chain, where it gave any', async () => {
  const scene = createScene('certificate');
  scene.projection.start();
  const { certificate } = credentialOf('a');
  const anchors = [Buffer.from('root of a')];
  scene.projection.stage(0, { kind: 'credential', certificate, answer: { ...answerOf('a'), anchors } });
  await scene.settle();
  assert.ok(scene.did.includes('project 0: chain of a, key of a, root of a'), scene.did.join('\n'));
});

test('of what cannot be written together each is tried alone, so that one holds up no other; but not before the first files', async () => {
  const scene = createScene('anchors', 'anchors', 'anchors');
  scene.fill(0, 1, 2);
  scene.fault = new Error('too large');
  scene.refused = /bad/;
  scene.projection.start();
  scene.projection.stage(0, bundleOf('a'));
  scene.projection.stage(1, bundleOf('bad'));
  scene.projection.stage(2, bundleOf('c'));
  await scene.settle();
  assert.deepEqual(scene.did, [
    ...['project 0: a; 1: bad; 2: c', 'project 0: a', 'note of 0: written, again, changed'],
    ...['project 1: bad', 'project 2: c', 'note of 2: written, again, changed'],
    'note of 1: not written, too large, again in 1000 ms',
  ]);
  const first = createScene('anchors', 'anchors');
  first.fault = new Error('too large');
  first.projection.start();
  first.projection.stage(0, bundleOf('a'));
  first.projection.stage(1, bundleOf('bad'));
  await first.settle();
  assert.deepEqual(first.did, [
    'project 0: a; 1: bad',
    'note of 0: not written, too large, again in 1000 ms',
    'note of 1: not written, too large, again in 1000 ms',
  ]);
});

test('while each is tried alone, what was taken back or replaced meanwhile is left out, and so is everything after a stop', async () => {
  for (const [what, expected] of [
    ['unstage', ['project 0: a; 1: b', 'project 0: a', 'note of 0: not written, full, again in 1000 ms']],
    ['stop', ['project 0: a; 1: b', 'project 0: a']],
  ] as const) {
    const scene = createScene('anchors', 'anchors');
    scene.fill(0, 1);
    scene.fault = new Error('full');
    scene.projection.start();
    scene.projection.stage(0, bundleOf('a'));
    scene.projection.stage(1, bundleOf('b'));
    scene.onProject = (text) => {
      if (text === '0: a') {
        what === 'stop' ? scene.projection.stop() : scene.projection.unstage(1);
      }
    };
    await scene.settle();
    assert.deepEqual(scene.did, expected, what);
    assert.equal(scene.clock.alarms(), what === 'stop' ? 0 : 1, what);
  }
});

test('what was taken back while it was written is in the files, and nobody is told of it', async () => {
  const scene = createScene('certificate');
  scene.projection.start();
  const gate = scene.hold();
  scene.projection.stage(0, credentialOf('a'));
  await scene.settle();
  scene.projection.unstage(0);
  gate.resolve();
  await scene.settle();
  assert.equal(scene.did.at(-1), 'make a current, chain of a');
  assert.equal(scene.projection.has(0), true);
});

test('an answer that takes the place of one that is being written keeps its own request', async () => {
  const scene = createScene('certificate');
  scene.projection.start();
  const gate = scene.hold();
  scene.projection.stage(0, credentialOf('a'));
  await scene.settle();
  scene.projection.stage(0, credentialOf('b'));
  gate.resolve();
  await scene.settle();
  const discarded = scene.did.indexOf('discard the request of 0');
  assert.ok(discarded > scene.did.indexOf('make b current, chain of b'), scene.did.join('\n'));
  assert.equal(scene.did.at(-1), 'note of 0: written, again, changed');
});

test('after a stop nothing more is told, written or waited for', async () => {
  const scene = createScene('anchors');
  scene.projection.start();
  const gate = scene.hold();
  scene.projection.stage(0, bundleOf('a'));
  await scene.settle();
  scene.projection.stop();
  scene.projection.stage(0, bundleOf('b'));
  gate.resolve();
  await scene.settle();
  assert.deepEqual(scene.did, ['project 0: a']);
  const failing = createScene('anchors');
  failing.fault = new Error('full');
  failing.projection.start();
  failing.projection.stage(0, bundleOf('a'));
  await failing.settle();
  failing.projection.stop();
  assert.equal(failing.clock.alarms(), 0);
});

test('a request that is in the files and cannot be removed is told of, and its certificate counts all the same', async () => {
  const scene = createScene('certificate');
  scene.leftover = new Error('read-only');
  scene.projection.start();
  scene.projection.stage(0, credentialOf('a'));
  await scene.settle();
  assert.deepEqual(scene.did.slice(-2), ['note of 0: left over, read-only', 'note of 0: written, first, changed']);
});
