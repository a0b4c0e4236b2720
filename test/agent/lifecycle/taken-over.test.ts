/** What a publish call takes over of what was begun when its pod was bound, and what it does not, over plain objects. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import type { Wanted } from '../../../agent/lifecycle/ahead.ts';
import { callOf, createScene, podOf, requestOf, type Scene, source, textOf, wanted } from './ahead-scene.ts';
import { minute, podCertificate } from './plain.ts';

const mtls = requestOf('mtls', [source]);
const name = 'uid/mtls/0 of example.com/mesh by one API for key 1';
const begun = ['make key 1, ECDSAP256', `request ${name} with key 1`, `follow shop ${name} of example.com/mesh`];
const givenUp = ['wipe key 1', `give up shop ${name} of example.com/mesh`];

async function begin(prepare: (scene: Scene) => void = () => undefined): Promise<Scene> {
  const scene = createScene();
  prepare(scene);
  scene.ahead.start();
  await scene.bind([mtls]);
  return scene;
}

/** Nobody listens any more to a signal that lives as long as the volume. */
const isLeftAlone = (signal: AbortSignal): boolean => getEventListeners(signal, 'abort').length === 0;

test('a publish call gets a copy of the key and the request, once, and follows the request itself from then on', async () => {
  const scene = await begin();
  const call = callOf();
  const taken = await scene.ahead.take(wanted(), call);
  assert.equal(taken?.requestName, name);
  assert.deepEqual(
    [taken.key.keyType, textOf(taken.key.pkcs8), textOf(taken.key.spki)],
    ['ECDSAP256', 'key 1', 'key 1'],
  );
  assert.equal(await scene.ahead.take(wanted(), callOf()), undefined);
  assert.equal(scene.followed.size, 1);
  assert.equal(await taken.submitted(), true);
  assert.deepEqual(scene.did, [...begun, 'wipe key 1']);
  assert.equal(scene.followed.size, 0);
  assert.equal(textOf(taken.key.pkcs8), 'key 1', 'the copy is its owner’s');
  assert.ok(isLeftAlone(call.signal), 'something still listens to the call’s end');
  taken.key.destroy();
  assert.equal(scene.did.at(-1), 'wipe the copy of key 1 for first');
  scene.listener?.over('uid');
  assert.equal(scene.did.length, 5, 'what is taken over is given up by nobody');
});

test('what is under way becomes as urgent as the publish call, once', async () => {
  const scene = await begin((prepared) => {
    prepared.onSubmit = () => new Promise(() => undefined);
  });
  await scene.bind([requestOf('mtls', [source], 'other')]);
  scene.ahead.called(podOf('uid'));
  void scene.ahead.take(wanted(), callOf());
  scene.ahead.called(podOf('unknown'));
  const [first, second] = scene.calls.orders.map(({ alsoFor }) => alsoFor);
  assert.deepEqual([first, second], [[{ priority: 'first', owner: 'uid' }], []]);
  assert.equal(scene.calls.keys[0]?.alsoFor, first, 'key and request are for the same');
});

test('a publish call that comes while the key is made has the key as soon as there is one, and the request when it is there', async () => {
  const key = Promise.withResolvers<void>();
  const reply = Promise.withResolvers<void>();
  const scene = await begin((prepared) => {
    prepared.onGenerate = () => key.promise;
    prepared.onSubmit = () => reply.promise;
  });
  const taking = scene.ahead.take(wanted(), callOf());
  key.resolve();
  const taken = await taking;
  assert.equal(taken?.requestName, name);
  const { submitted } = taken;
  const submitting = submitted();
  await scene.settle();
  assert.deepEqual(scene.did, begun.slice(0, 2));
  reply.resolve();
  assert.equal(await submitting, true);
  assert.deepEqual(
    scene.did.filter((what) => !what.startsWith('follow ')),
    [...begun.slice(0, 2), 'wipe key 1'],
  );
  assert.equal(scene.followed.size, 0);
});

test('a request that may not have arrived is said not to be there, and its key is the caller’s alone', async () => {
  const scene = await begin((prepared) => {
    prepared.onSubmit = () => Promise.reject(new Error('no reply'));
  });
  const taken = await scene.ahead.take(wanted(), callOf());
  assert.equal(await taken?.submitted(), false);
  assert.deepEqual(scene.did, [...begun.slice(0, 2), 'wipe key 1']);
});

test('a request that is deleted before it is taken over is said not to be there', async () => {
  const scene = await begin();
  const taken = await scene.ahead.take(wanted(), callOf());
  scene.followed.get(name)?.({ type: 'gone' });
  assert.equal(await taken?.submitted(), false);
});

test('where no key could be made there is nothing to take over', async () => {
  const scene = await begin((prepared) => {
    prepared.onGenerate = () => Promise.reject(new Error('no key'));
  });
  const call = callOf();
  assert.equal(await scene.ahead.take(wanted(), call), undefined);
  assert.ok(isLeftAlone(call.signal), 'something still listens to the call’s end');
});

test('for a volume or a source that nothing was begun for there is nothing, and what was begun for another stays', async () => {
  const scene = await begin();
  for (const other of [{ volumeName: 'other' }, { source: podCertificate(1, 'tls.pem') }, { pod: podOf('other') }]) {
    assert.equal(await scene.ahead.take(wanted(other), callOf()), undefined);
  }
  assert.deepEqual(scene.did, begun);
  assert.notEqual(await scene.ahead.take(wanted(), callOf()), undefined);
});

const others: Readonly<Record<string, Partial<Wanted>>> = {
  'a pod of another service account': { pod: { ...podOf('uid'), serviceAccountName: 'other' } },
  'another declaration': { source: { ...source, userAnnotations: { 'example.com/a': 'b' } } },
  'another type of key than the declaration’s': { keyType: 'ED25519' },
};

const changes: Readonly<Record<string, (scene: Scene) => void>> = {
  'the clock was set back': (scene) => {
    scene.clockIsOffBy = -1;
  },
  'two minutes are over by a clock that was set forward': (scene) => {
    scene.clockIsOffBy = 2 * minute;
  },
  'the rules name another API': (scene) => {
    scene.api = 'another API';
  },
  'the rules let no request be made ahead': (scene) => {
    scene.mayBegin = (namespace, signerName) => namespace !== 'shop' || signerName !== 'example.com/mesh';
  },
  'it was deleted': (scene) => scene.followed.get(name)?.({ type: 'gone' }),
};

const reasons: readonly (readonly [why: string, asked: Partial<Wanted>, change: (scene: Scene) => void])[] = [
  ...Object.entries(others).map(([what, asked]) => [`the call is for ${what}`, asked, () => undefined] as const),
  ...Object.entries(changes).map(([why, change]) => [why, {}, change] as const),
];

for (const [why, asked, change] of reasons) {
  test(`nothing is taken over, and what was begun is given up, when ${why}`, async () => {
    const scene = await begin();
    change(scene);
    const call = callOf();
    assert.equal(await scene.ahead.take(wanted(asked), call), undefined);
    assert.deepEqual(scene.did, [...begun, ...givenUp]);
    assert.equal(scene.followed.size, 0);
    assert.ok(isLeftAlone(call.signal), 'something still listens to the call’s end');
  });
}

test('at the end of the two minutes what was begun is still taken over', async () => {
  const scene = await begin();
  scene.clock.advance(2 * minute - 1);
  assert.notEqual(await scene.ahead.take(wanted(), callOf()), undefined);
});

test('what was begun is given up when the publish call ends before it has taken it over, and not after', async () => {
  for (const endsBefore of [true, false]) {
    const scene = await begin();
    const ending = new AbortController();
    const taken = await scene.ahead.take(wanted(), callOf(ending.signal));
    if (endsBefore) {
      ending.abort();
    } else {
      await taken?.submitted();
      ending.abort();
    }
    assert.deepEqual(scene.did, [...begun, ...(endsBefore ? givenUp : ['wipe key 1'])]);
  }
});

test('a publish call that ends while the key is made, or had ended before, gets nothing', async () => {
  const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
  const scene = await begin((prepared) => {
    prepared.onGenerate = () => held;
  });
  const ending = new AbortController();
  const taking = scene.ahead.take(wanted(), callOf(ending.signal));
  ending.abort();
  goOn();
  assert.equal(await taking, undefined);
  await scene.settle();
  assert.deepEqual(scene.did, ['make key 1, ECDSAP256', 'wipe key 1']);

  const other = await begin();
  assert.equal(await other.ahead.take(wanted(), callOf(AbortSignal.abort())), undefined);
  assert.deepEqual(other.did, [...begun, ...givenUp]);
});

test('a pod that asks for many has one request under way, and thirty-two are begun for it in all', async () => {
  const scene = createScene();
  scene.ahead.start();
  let underWay = 0;
  scene.onSubmit = async () => {
    underWay += 1;
    await scene.settle();
    assert.equal(underWay, 1);
    underWay -= 1;
  };
  const sources = Array.from({ length: 20 }, (_, index) => podCertificate(index, `${index}.pem`));
  await scene.bind([requestOf('first', sources), requestOf('second', sources)]);
  await scene.settle();
  for (let turn = 0; turn < 40; turn += 1) {
    await scene.settle();
  }
  assert.equal(scene.calls.orders.length, 32);
  assert.deepEqual(scene.faults, []);
});

test('of three hundred pods 256 are begun for, eight at a time, and as many again when those are over', async () => {
  const scene = createScene();
  scene.ahead.start();
  let goOn = (): void => undefined;
  scene.onSubmit = (_order, signal) =>
    new Promise<void>((resolve, reject) => {
      goOn = resolve;
      signal.addEventListener('abort', reject);
    });
  const uids = Array.from({ length: 300 }, (_, index) => `pod-${index}`);
  for (const uid of uids) {
    void scene.bind([requestOf('mtls', [source], uid)]);
  }
  await scene.settle();
  assert.equal(scene.calls.orders.length, 8);
  goOn();
  await scene.settle();
  assert.equal(scene.calls.orders.length, 9);
  assert.equal(scene.clock.alarms(), 256);
  for (const uid of uids) {
    scene.listener?.over(uid);
  }
  await scene.settle();
  scene.onSubmit = () => undefined;
  await scene.bind([requestOf('mtls', [source], 'pod-299')]);
  assert.equal(scene.calls.orders.at(-1)?.identity.pod.uid, 'pod-299');
});

/** Eight pods whose requests are under way and end at `goOn` at the earliest, and others that wait for them. */
async function crowd(waiting: readonly string[]): Promise<{ readonly scene: Scene; goOn(): Promise<void> }> {
  const { promise: held, resolve } = Promise.withResolvers<void>();
  const scene = createScene();
  scene.ahead.start();
  scene.onSubmit = () => held;
  for (const uid of [...Array.from({ length: 8 }, (_, index) => `ahead-${index}`), ...waiting]) {
    void scene.bind([requestOf('mtls', [source], uid)]);
  }
  await scene.settle();
  return {
    scene,
    async goOn() {
      resolve();
      await scene.settle();
      await scene.settle();
    },
  };
}

test('nothing is begun for a pod that is called for while it waits for others', async () => {
  const { scene, goOn } = await crowd(['waiting']);
  scene.ahead.called(podOf('waiting'));
  await goOn();
  assert.equal(scene.calls.keys.length, 8);
});

test('pods that are over while they wait take no place of those that come after', async () => {
  const past = Array.from({ length: 248 }, (_, index) => `past-${index}`);
  const { scene, goOn } = await crowd(past);
  for (const uid of past) {
    scene.listener?.over(uid);
  }
  const next = Array.from({ length: 248 }, (_, index) => requestOf('mtls', [source], `next-${index}`));
  for (const request of next) {
    void scene.bind([request]);
  }
  await scene.settle();
  await goOn();
  assert.equal(scene.calls.keys.length, 8 + next.length);
});

test('of 4096 pods it is remembered that they were begun for or called for, the newest', async () => {
  const scene = createScene();
  scene.ahead.start();
  for (let index = 0; index < 4097; index += 1) {
    scene.ahead.called(podOf(`pod-${index}`));
  }
  await scene.bind([requestOf('mtls', [source], 'pod-1')]);
  assert.deepEqual(scene.calls.orders, []);
  await scene.bind([requestOf('mtls', [source], 'pod-0')]);
  assert.equal(scene.calls.orders.length, 1);
});
