/** One volume and its files, from the first key to its end, over plain objects. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { VolumeError } from '../../../volumes/base/errors.ts';
import { denied, found, missing } from './node-scene.ts';
import { hour, minute, podCertificate, trustBundle } from './plain.ts';
import { both, bundle, certificate, type RunnerScene, startRunner } from './runner-scene.ts';

const second = 1_000;
const fail = (error: Error): never => {
  throw error;
};
const filesOf = ({ volume }: RunnerScene): readonly (string | undefined)[] =>
  volume.record.declaration.sources.map(({ index }) => volume.sources.get(index)?.files);
const untilNextAttempt = (scene: RunnerScene): Promise<void> =>
  scene.pass((scene.runner.snapshot()[0]?.nextAttemptAt ?? 0) - scene.clock.now());
const written = 'chain of mtls-0-key1 with key1';

test('no file is written before there is one for every source, and each step is told', async () => {
  const scene = startRunner(both);
  assert.deepEqual(scene.runner.status(), {
    type: 'waiting',
    message:
      'sources[0]: making a key for signer example.com/mesh; sources[1]: looking for ClusterTrustBundles of signer example.com/mesh',
  });
  let changes = 0;
  const stopListening = scene.runner.onChange(() => {
    changes += 1;
    stopListening();
  });
  let statuses = 0;
  scene.runner.onChange(() => {
    statuses += scene.runner.status().type === 'ready' ? 1 : 0;
  });
  await scene.answer();
  assert.equal(changes, 1, 'who listens no more hears no more');
  assert.deepEqual(filesOf(scene), [undefined, undefined]);
  await scene.announce(found('ca'));
  assert.deepEqual(filesOf(scene), [written, 'anchors ca']);
  assert.deepEqual(scene.runner.status(), { type: 'ready' });
  assert.ok(statuses > 0, 'it is told that the volume is ready');
  assert.deepEqual(
    scene.runner.snapshot().map(({ source, state }) => [source, state]),
    [[0, 'fresh']],
  );
  assert.equal(scene.runner.record, scene.volume.record);
  scene.runner.stop();
});

test('a source whose anchors wait for the certificate is said to be found', async () => {
  const scene = startRunner(both);
  await scene.announce(found('ca'));
  const { type, message } = scene.runner.status() as { type: string; message: string };
  assert.deepEqual(
    [type, message.split('; ')[1]],
    ['waiting', 'sources[1]: its trust anchors are known, and are written with the other sources'],
  );
  await scene.announce({ ...missing, message: 'there is no bundle' });
  assert.match((scene.runner.status() as { message: string }).message, /sources\[1\]: there is no bundle$/);
  scene.runner.stop();
});

test('a volume waits for anchors only from when nothing else is missing, and until they are there', async () => {
  const scene = startRunner([...both, trustBundle(2, 'other.pem')]);
  await scene.announce(found('ca'), 1);
  await scene.announce(missing, 2);
  assert.equal(scene.runner.waitsForAnchorsSince(), undefined, 'the certificate is missing too');
  await scene.answer();
  const since = scene.clock.now();
  await scene.pass(minute);
  assert.equal(scene.runner.waitsForAnchorsSince(), since);
  await scene.announce(found('ca'), 2);
  assert.equal(scene.runner.waitsForAnchorsSince(), undefined);
  scene.runner.stop();
  const unknown = startRunner([bundle]);
  await unknown.settle();
  assert.equal(unknown.runner.waitsForAnchorsSince(), undefined, 'nobody has said yet that they are missing');
  await unknown.announce(missing);
  await unknown.pass(minute);
  assert.equal(unknown.runner.waitsForAnchorsSince(), unknown.clock.now() - minute, 'it is noted when it begins');
  unknown.runner.stop();
});

test('what comes after a change of files begins once all files are there, after each change, and ends with the volume', async () => {
  const scene = startRunner(both);
  await scene.answer();
  assert.deepEqual(scene.uptake, []);
  await scene.announce(found('ca'));
  assert.deepEqual(scene.uptake, ['mtls settled']);
  assert.deepEqual(scene.notices.at(-1), {
    ...{ volume: scene.volume.record, type: 'servesCurrent', afterMs: 0, wasTold: false },
  });
  await scene.announce(found('ca', 'new'));
  assert.equal(scene.uptake.length, 2);
  scene.served = { state: 'current', since: 1 };
  assert.deepEqual(scene.runner.served(), { state: 'current', since: 1 });
  await scene.restart();
  assert.deepEqual(scene.uptake.slice(2), ['mtls stopped', 'mtls settled'], 'files may have changed just before');
  scene.runner.stop();
  assert.equal(scene.uptake.at(-1), 'mtls stopped');
});

test('a volume that asks for nothing after a change of files does without, and so does an agent that does nothing then', async () => {
  const scenes = [
    startRunner([certificate], (prepared) => {
      prepared.hasUptake = false;
    }),
    startRunner([certificate], undefined, ({ uptake: _, ...rest }) => rest),
  ];
  for (const scene of scenes) {
    await scene.answer();
    assert.deepEqual([scene.runner.status().type, scene.runner.served(), scene.faults], ['ready', undefined, []]);
    assert.equal(scene.types().at(-1), 'projected');
    scene.identity = { ended: true };
    await scene.pass(18 * hour);
    assert.equal(scene.types().at(-1), 'podEnded');
    scene.runner.stop();
  }
});

test('of a pod that has ended nothing is asked for, and no anchors are written; when it lives after all both go on', async () => {
  const scene = startRunner(both);
  await scene.announce(found('ca'));
  await scene.answer();
  const listener = scene.subscribed.get(1);
  scene.identity = { ended: true };
  await scene.pass(18 * hour);
  assert.equal(scene.runner.snapshot()[0]?.state, 'ended');
  assert.equal(scene.subscribed.size, 0);
  assert.equal(scene.uptake.at(-1), 'mtls stopped');
  scene.identity = {};
  scene.uptake.splice(0);
  await untilNextAttempt(scene);
  assert.notEqual(scene.subscribed.get(1), listener);
  assert.deepEqual(scene.uptake, ['mtls settled'], 'its files are looked at again');
  await scene.answer();
  await scene.announce(found('new'));
  assert.deepEqual(filesOf(scene), ['chain of mtls-0-key3 with key3', 'anchors new']);
  scene.runner.stop();
});

test('all certificates of a pod end with it, whichever of them finds that out, and live with it', async () => {
  const scene = startRunner([certificate, podCertificate(1, 'other.pem')]);
  await scene.answer();
  await scene.answer(undefined, 48 * hour);
  const states = (): readonly string[] => scene.runner.snapshot().map(({ state }) => state);
  assert.deepEqual(states(), ['fresh', 'fresh']);
  scene.identity = { ended: true };
  await scene.pass(16 * hour);
  assert.deepEqual(states(), ['ended', 'ended']);
  scene.identity = {};
  await scene.pass(hour);
  await scene.answer();
  assert.deepEqual(states(), ['fresh', 'fresh']);
  scene.runner.stop();
});

test('a volume that is stopped waits for nothing, tells nothing and writes nothing', async () => {
  const scene = startRunner(both);
  let changes = 0;
  scene.runner.onChange(() => {
    changes += 1;
  });
  await scene.settle();
  const tell = scene.subscribed.get(1);
  const [answer] = scene.followed.values();
  scene.runner.stop();
  changes = 0;
  assert.deepEqual([scene.clock.alarms(), scene.subscribed.size, scene.followed.size], [0, 0, 0]);
  tell?.(found('ca'));
  answer?.(denied);
  await scene.settle();
  assert.equal(changes, 0);
  assert.deepEqual(scene.did, [], 'the next run goes on with its request');
  assert.deepEqual(filesOf(scene), [undefined, undefined]);
});

test('the request of a volume that is removed is given up', async () => {
  const scene = startRunner([certificate]);
  await scene.settle();
  scene.runner.stop(true);
  assert.deepEqual(scene.did, ['abandon mtls-0-key1']);
});

test('a volume is intact as long as it is in its place with all files that were written', async () => {
  const scene = startRunner(both);
  assert.equal(scene.runner.isIntact(), true, 'what is not written yet is not missing');
  await scene.answer();
  await scene.announce(found('ca'));
  assert.equal(scene.runner.isIntact(), true);
  scene.volume.inPlace = false;
  assert.equal(scene.runner.isIntact(), false);
  scene.volume.inPlace = true;
  scene.volume.sources.delete(1);
  assert.equal(scene.runner.isIntact(), false);
  scene.runner.stop();
});

test('what cannot be begun leaves nothing that goes on', () => {
  const scene = startRunner([bundle]);
  const unsubscribed: number[] = [];
  const begin = () =>
    startRunner([certificate, bundle, trustBundle(2, 'other.pem')], undefined, (others) => ({
      ...others,
      clock: scene.clock,
      uptake: () => ({ settled: () => undefined, served: () => undefined, stop: () => void scene.uptake.push('stop') }),
      trust: {
        subscribe: ({ index }) => (index === 2 ? fail(new Error('no trust')) : () => void unsubscribed.push(index)),
      },
    }));
  const alarms = scene.clock.alarms();
  assert.throws(begin, /^Error: no trust$/);
  assert.deepEqual(unsubscribed, [1]);
  assert.deepEqual(scene.uptake, ['stop']);
  assert.equal(scene.clock.alarms(), alarms);
});

test('files that cannot be written are told with who can mend it, and written once they can be', async () => {
  const scene = startRunner(both);
  await scene.answer();
  await scene.announce(found('ca'));
  const [, first] = scene.volume.record.declaration.sources;
  assert.equal(first?.index, 1);
  const cases = [
    [new VolumeError('OverShare', 'more than its share'), 'pod author'],
    [new VolumeError('NoSpace', 'no space left'), 'cluster operator'],
    [new Error('an accident'), 'cluster operator'],
  ] as const;
  for (const [cause, actor] of cases) {
    scene.notices.splice(0);
    scene.volume.onProject = () => fail(cause);
    await scene.announce(found(`for ${actor} ${cause.message}`));
    const [notice] = scene.notices;
    assert.ok(notice?.type === 'anchorsNotWritten', `there is no such notice but ${notice?.type}`);
    const { volume, source, error, retryAt } = notice;
    assert.deepEqual([volume, source, error.code, error.actor], [scene.volume.record, 1, 'Internal', actor]);
    assert.equal(error.message, `the files of /volume could not be written: ${cause.message}`);
    assert.equal(error.cause, cause);
    scene.volume.onProject = () => undefined;
    await scene.pass(retryAt - scene.clock.now());
    assert.deepEqual(filesOf(scene), [written, `anchors for ${actor} ${cause.message}`]);
  }
  scene.runner.stop();
});

test('a certificate that cannot be written is told as a failed attempt of its signer', async () => {
  const scene = startRunner([certificate], (prepared) => {
    prepared.volume.onProject = () => fail(new VolumeError('NoSpace', 'no space left'));
  });
  await scene.answer();
  const { error, retryAt, ...notice } = scene.notices.at(-1) as never as Record<string, unknown>;
  assert.deepEqual(notice, {
    ...{ type: 'attemptFailed', volume: scene.volume.record, source: 0, signerName: 'example.com/mesh' },
    ...{ keyType: 'ECDSAP256', phase: 'write' },
  });
  assert.ok(
    error instanceof AgentError && typeof retryAt === 'number',
    'it is not said why, nor when it is tried again',
  );
  scene.runner.stop();
});

test('a key that was damaged while its answer waited is replaced', async () => {
  const scene = startRunner(both);
  await scene.answer();
  Object.assign(scene.volume.sources.get(0) ?? {}, { key: Buffer.from('other') });
  await scene.announce(found('ca'));
  await untilNextAttempt(scene);
  await scene.answer();
  assert.deepEqual(filesOf(scene), ['chain of mtls-0-key2 with key2', 'anchors ca']);
  scene.runner.stop();
});

test('an answer is kept before its request is given up, and while the other sources are waited for', async () => {
  const scene = startRunner(both);
  await scene.answer();
  assert.deepEqual(scene.did, ['abandon mtls-0-key1']);
  await scene.restart();
  await scene.announce(found('ca'));
  assert.deepEqual(filesOf(scene), [written, 'anchors ca']);
  assert.equal(scene.submitted.length, 1);
  scene.runner.stop();
});

test('a request that cannot be removed from the volume is a fault, and everything goes on', async () => {
  const leftover = ['busy', 'the request of sources[0] could not be removed from /volume'];
  const scene = startRunner([certificate]);
  scene.volume.onDiscard = () => fail(new Error('busy'));
  await scene.answer(denied);
  assert.deepEqual(scene.faults, [leftover], 'when it was refused');
  await scene.pass(minute);
  await scene.answer();
  assert.deepEqual(scene.faults.slice(1), [leftover], 'when it is in the files');
  assert.equal(scene.runner.status().type, 'ready');
  scene.runner.stop();
});

test('an answer that is given up is written no more', async () => {
  const scene = startRunner(both);
  await scene.answer(undefined, hour);
  await scene.pass(hour);
  await scene.announce(found('ca'));
  assert.deepEqual(filesOf(scene), [undefined, undefined]);
  scene.runner.stop();
});

test('a fault of the agent in one source is told with the source and the volume', async () => {
  const scene = startRunner([certificate]);
  await scene.settle();
  scene.volume.saveTrust = () => fail(new TypeError('no function'));
  scene.volume.saveSetback = () => fail(new TypeError('no function'));
  await scene.answer(denied);
  assert.deepEqual(scene.faults, [['no function', 'a fault while looking after sources[0] of /volume']]);
  await scene.pass(second);
  scene.runner.stop();
});
