/** What ends the pauses of a volume's certificates, over plain objects. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import type { ClusterTrustBundleSource } from '../../../volumes/declaration/types.ts';
import { denied, found, missing } from './node-scene.ts';
import { minute, podCertificate } from './plain.ts';
import { both, bundle, certificate, type RunnerScene, startRunner } from './runner-scene.ts';

const second = 1_000;
const fail = (error: Error): never => {
  throw error;
};
const unavailable = new AgentError('Unavailable', 'connection refused', { actor: 'nobody' });

/** When the next attempt is due. */
const nextAttempt = ({ runner }: RunnerScene): number => runner.snapshot()[0]?.nextAttemptAt ?? Number.NaN;

/** Lets attempts fail until the next one is so long away. */
async function failing(scene: RunnerScene, error: AgentError, pauseMs: number): Promise<void> {
  scene.onSubmit = () => fail(error);
  await scene.settle();
  while (nextAttempt(scene) < scene.clock.now() + pauseMs) {
    await scene.pass(nextAttempt(scene) - scene.clock.now());
  }
}

/** A pod whose certificate cannot be refreshed since the API server is away. @returns since when, and the pod */
async function outdated(draw = 0.5): Promise<{ readonly scene: RunnerScene; readonly since: number }> {
  const scene = startRunner([certificate]);
  await scene.answer();
  scene.onSubmit = () => fail(unavailable);
  scene.draw = draw;
  await scene.pass((scene.runner.snapshot()[0]?.refreshAt ?? 0) - scene.clock.now());
  const since = scene.clock.now();
  while (scene.clock.now() < since + 15 * minute) {
    await scene.pass(nextAttempt(scene) - scene.clock.now());
  }
  scene.onSubmit = () => undefined;
  return { scene, since };
}

test('whom a relief helps is said with how it stands then, and tries again', async () => {
  const scene = startRunner([certificate, { ...podCertificate(1, 'b.pem'), signerName: 'example.com/b' }]);
  scene.onSubmit = ({ signerName }) => signerName === 'example.com/mesh' && fail(unavailable);
  await scene.pass(minute);
  const nextAt = nextAttempt(scene);
  assert.ok(nextAt > scene.clock.now(), 'it is tried again now in any case');
  assert.deepEqual(scene.runner.relieve({ type: 'rulesChanged' }), []);
  await scene.pass(second);
  const [helped, ...others] = scene.runner.relieve({ type: 'apiServerHeard' });
  assert.deepEqual([helped?.source, others], [0, []]);
  const before = scene.submitted.length;
  await scene.pass(0);
  assert.equal(scene.submitted.length, before + 1);
  scene.runner.stop();
});

test('what a whole cluster is relieved of is tried again at the earliest time that is drawn, however often it is said', async () => {
  const { scene, since } = await outdated();
  const before = scene.submitted.length;
  const failingForMs = scene.clock.now() - since;
  const alarms = scene.clock.alarms();
  for (const draw of [0.9, 0.2, 0.2, 0.5]) {
    scene.draw = draw;
    assert.equal(scene.runner.relieve({ type: 'apiServerHeard' }).length, 1);
    assert.equal(scene.clock.alarms(), alarms + 1, 'there is one time for it');
  }
  await scene.pass(Math.floor(0.7 * failingForMs) - 1);
  assert.equal(scene.submitted.length, before);
  await scene.pass(1);
  assert.equal(scene.submitted.length, before + 1);
  scene.runner.stop();
});

test('a time that was drawn goes with the volume', async () => {
  const { scene } = await outdated();
  scene.runner.relieve({ type: 'apiServerHeard' });
  scene.runner.stop();
  assert.equal(scene.clock.alarms(), 0);
});

test('a time that was drawn is of no use once another attempt has been made', async () => {
  const { scene, since } = await outdated(0);
  const nextAt = nextAttempt(scene);
  const drawnAt = scene.clock.now() + Math.floor(1.4 * (scene.clock.now() - since));
  scene.draw = 0.9;
  scene.runner.relieve({ type: 'apiServerHeard' });
  assert.ok(nextAt < drawnAt, 'no attempt comes before');
  scene.onSubmit = () => fail(unavailable);
  await scene.pass(nextAt - scene.clock.now());
  const before = scene.submitted.length;
  await scene.pass(drawnAt - scene.clock.now());
  assert.equal(scene.submitted.length, before);
  const alarms = scene.clock.alarms();
  scene.runner.relieve({ type: 'apiServerHeard' });
  assert.equal(scene.clock.alarms(), alarms + 1, 'another is drawn for what failed since');
  scene.runner.stop();
});

test('an operator who has mended a mismatch need not wait for the refresh', async () => {
  const scene = startRunner(both, (prepared) => {
    prepared.leadsToAnchor = () => false;
  });
  await scene.announce(found('ca'));
  await scene.answer();
  await scene.pass(second);
  const before = scene.submitted.length;
  assert.equal(scene.runner.relieve({ type: 'operatorAsks' }).length, 1);
  await scene.settle();
  assert.equal(scene.submitted.length, before + 1);
  scene.runner.stop();
});

test('what came while an attempt was under way counts when that fails, once', async () => {
  for (const isTold of [true, false]) {
    const scene = startRunner([certificate]);
    await failing(scene, new AgentError('Forbidden', 'no permission', { actor: 'cluster operator' }), minute);
    const { promise: held, reject } = Promise.withResolvers<void>();
    scene.onSubmit = () => held;
    await scene.pass(nextAttempt(scene) - scene.clock.now());
    if (isTold) {
      assert.deepEqual(scene.runner.relieve({ type: 'apiServerHeard' }), [], 'it is not known yet whether it helps');
    } else {
      assert.deepEqual(scene.runner.relieve({ type: 'operatorAsks' }), [], 'it is tried in any case');
    }
    reject(unavailable);
    await scene.settle();
    const before = scene.submitted.length;
    await scene.pass(second);
    assert.equal(scene.submitted.length, before + (isTold ? 1 : 0));
    scene.onSubmit = () => fail(unavailable);
    await scene.pass(0);
    await scene.pass(second);
    assert.equal(scene.submitted.length, before + (isTold ? 1 : 0), 'it counts once');
    scene.runner.stop();
  }
});

test('what came while a key was made counts when the request fails', async () => {
  const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
  const scene = startRunner([certificate], (prepared) => {
    prepared.onGenerate = () => held;
    prepared.onSubmit = () => fail(new AgentError('Forbidden', 'no permission', { actor: 'cluster operator' }));
  });
  scene.runner.relieve({ type: 'apiServerHeard' });
  goOn();
  await scene.pass(second);
  assert.equal(scene.submitted.length, 2);
  scene.runner.stop();
});

test('a signer whose missing bundle arrives is asked again, and no other', async () => {
  const byName: ClusterTrustBundleSource = { ...bundle, select: { by: 'name', name: 'ca' } };
  const others: ClusterTrustBundleSource = { ...bundle, select: { by: 'signer', signerName: 'example.com/other' } };
  for (const [source, wasMissing, isAsked] of [
    [bundle, true, true],
    [bundle, false, false],
    [byName, true, true],
    [others, true, false],
  ] as const) {
    const scene = startRunner([certificate, source]);
    if (wasMissing) {
      await scene.announce(missing);
    }
    await scene.answer(denied);
    await scene.pass(5 * second);
    const before = scene.submitted.length;
    await scene.announce(found('ca'));
    await scene.announce(found('ca', 'more'));
    assert.equal(scene.submitted.length, before + (isAsked ? 1 : 0));
    scene.runner.stop();
  }
});
