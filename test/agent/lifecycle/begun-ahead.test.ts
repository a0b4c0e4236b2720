/** What is begun when a pod is bound, for how many at a time, and what ends it, over plain objects. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { callOf, createScene, podOf, requestOf, type Scene, source, wanted } from './ahead-scene.ts';
import { minute, podCertificate } from './plain.ts';

const mtls = requestOf('mtls', [source]);
const name = 'uid/mtls/0 of example.com/mesh by one API for key 1';
const begun = [
  'make key 1, ECDSAP256',
  `request ${name} with key 1`,
  `follow shop ${name} of example.com/mesh`,
] as const;
const givenUp = ['wipe key 1', `give up shop ${name} of example.com/mesh`] as const;
const unavailable = new AgentError('Unavailable', 'no reply', { actor: 'nobody' });
const neverSettled = (): Promise<never> => new Promise(() => undefined);

/** @param prepare what is other than usual before the agent begins to look for pods */
function started(prepare: (scene: Scene) => void = () => undefined): Scene {
  const scene = createScene();
  prepare(scene);
  scene.ahead.start();
  return scene;
}

const requests = ({ did }: Scene): readonly string[] => did.filter((what) => what.startsWith('request '));

test('when a pod is bound, a key is made and a request for it, as what the declaration asks for, behind all other work', async () => {
  const scene = started();
  const asking = { ...source, maxExpirationSeconds: 3600, userAnnotations: { 'example.com/a': 'b' } };
  await scene.bind([requestOf('mtls', [asking])]);
  assert.deepEqual(scene.did, begun);
  const rank = { priority: 'background', owner: 'uid', alsoFor: [] };
  for (const { signal, ...call } of [...scene.calls.keys, ...scene.calls.pods]) {
    assert.deepEqual(call, rank);
    assert.equal(signal.aborted, false);
  }
  assert.deepEqual([scene.calls.keys.length, scene.calls.pods.length], [1, 1]);
  const [{ signal: _, ...order }] = scene.calls.orders as never as [Record<string, unknown>];
  assert.deepEqual(order, {
    ...{ ...rank, requestName: name, signerName: 'example.com/mesh' },
    ...{ maxExpirationSeconds: 3600, userAnnotations: { 'example.com/a': 'b' } },
    identity: { pod: podOf('uid'), serviceAccountUID: 'sa', nodeName: 'node-a', nodeUID: 'node', ended: false },
  });
});

test('nothing is begun before the agent looks for pods, nor once it has stopped', async () => {
  const scene = createScene();
  assert.equal(scene.listener, undefined);
  scene.ahead.stop();
  scene.ahead.start();
  assert.equal(scene.listener, undefined);
});

test('an agent that stops follows pods no more, ends all that is under way and gives up what was begun', async () => {
  const scene = started();
  await scene.bind([mtls]);
  let signal: AbortSignal | undefined;
  scene.onSubmit = (_order, ends) => {
    signal = ends;
    return neverSettled();
  };
  await scene.bind([requestOf('mtls', [source], 'other')]);
  scene.ahead.stop();
  assert.equal(scene.listener, undefined);
  assert.deepEqual(scene.did.slice(-2), givenUp);
  assert.equal(signal?.aborted, true);
  assert.equal(scene.clock.alarms(), 0);
  assert.equal(scene.followed.size, 0);
});

test('what a pod has begun is given up when the pod is over, and that of another stays', async () => {
  const scene = started();
  await scene.bind([mtls]);
  await scene.bind([requestOf('mtls', [source], 'other')]);
  scene.listener?.over('uid');
  scene.listener?.over('unknown');
  assert.deepEqual(scene.did.slice(-2), givenUp);
  assert.equal(scene.followed.size, 1);
  assert.equal(scene.clock.alarms(), 1);
});

test('what nobody calls for is given up after two minutes, and not before', async () => {
  const scene = started();
  await scene.bind([mtls]);
  scene.clock.advance(2 * minute - 1);
  assert.deepEqual(scene.did, begun);
  scene.clock.advance(1);
  assert.deepEqual(scene.did, [...begun, ...givenUp]);
  assert.equal(scene.followed.size, 0);
});

test('a request that somebody deletes is followed no more, and its key overwritten; any other answer changes nothing', async () => {
  const scene = started();
  await scene.bind([mtls]);
  scene.followed.get(name)?.({ type: 'denied', reason: 'No', message: 'no' });
  assert.deepEqual(scene.did, begun);
  scene.followed.get(name)?.({ type: 'gone' });
  assert.deepEqual(scene.did, [...begun, ...givenUp]);
  assert.equal(scene.followed.size, 0);
});

const dropped: Readonly<Record<string, (scene: Scene, held: Promise<void>) => void>> = {
  'its key is made': (scene, held) => {
    scene.onGenerate = () => held;
  },
  'its pod is looked up': (scene, held) => {
    scene.onIdentify = () => held;
  },
  'its request is made, and it may have arrived or not': (scene, held) => {
    scene.onSubmit = async (_order, signal) => {
      await held;
      signal.throwIfAborted();
    };
  },
};

for (const [when, holdUp] of Object.entries(dropped)) {
  test(`what is dropped while ${when} is neither followed nor given up, and its key is overwritten`, async () => {
    const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
    const scene = started((prepared) => holdUp(prepared, held));
    await scene.bind([mtls]);
    scene.listener?.over('uid');
    const asked = requests(scene).length;
    goOn();
    await scene.settle();
    assert.equal(requests(scene).length, asked, 'no request is made for what is dropped');
    assert.deepEqual(
      scene.did.filter((what) => !what.startsWith('request ')),
      ['make key 1, ECDSAP256', 'wipe key 1'],
    );
    assert.deepEqual(scene.faults, []);
  });
}

test('a request that arrives though its pod is over is given up', async () => {
  const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
  const scene = started((prepared) => {
    prepared.onSubmit = () => held;
  });
  await scene.bind([mtls]);
  scene.listener?.over('uid');
  goOn();
  await scene.settle();
  assert.deepEqual(scene.did, [...begun.slice(0, 2), ...givenUp]);
});

test('an issuer whose requests nobody has to give up is not asked to, and one that says nothing of it begins none', async () => {
  const scene = createScene(['abandon']);
  scene.ahead.start();
  await scene.bind([mtls]);
  scene.listener?.over('uid');
  assert.deepEqual(scene.did, [...begun, 'wipe key 1']);
  const other = createScene(['beginsAhead']);
  other.ahead.start();
  await other.bind([mtls]);
  assert.deepEqual([other.did, other.faults], [[], []]);
  assert.equal(await other.ahead.take(wanted(), callOf()), undefined);
});

const failures: Readonly<Record<string, (scene: Scene, fail: () => never) => void>> = {
  'a key cannot be made': (scene, fail) => {
    scene.onGenerate = () => Promise.resolve().then(fail);
  },
  'a request cannot be named': (scene, fail) => {
    scene.onName = fail;
  },
  'the pod cannot be looked up': (scene, fail) => {
    scene.onIdentify = fail;
  },
  'a request cannot be made': (scene, fail) => {
    scene.onSubmit = fail;
  },
};

for (const [when, prepare] of Object.entries(failures)) {
  test(`when ${when}, nobody is told; a fault of the agent is`, async () => {
    const failing = started((scene) =>
      prepare(scene, () => {
        throw unavailable;
      }),
    );
    await failing.bind([mtls]);
    assert.deepEqual([failing.faults, failing.followed.size], [[], 0]);
    failing.ahead.stop();
    assert.equal(failing.did.includes('wipe key 1'), when !== 'a key cannot be made');

    const faulty = started((scene) =>
      prepare(scene, () => {
        throw new TypeError('no function');
      }),
    );
    await faulty.bind([mtls]);
    assert.deepEqual(faulty.faults, [['no function', 'a fault while a certificate of pod shop/web was begun ahead']]);
  });

  test(`when ${when} since it was dropped, that is no fault`, async () => {
    const scene = started((prepared) =>
      prepare(prepared, () => {
        prepared.ahead.stop();
        throw new TypeError('it was ended');
      }),
    );
    await scene.bind([mtls]);
    assert.deepEqual(scene.faults, []);
  });
}

test('when a publish call cannot be foreseen, nobody is told; a fault of the agent is', async () => {
  const failing = started((scene) => {
    scene.onForesee = () => Promise.reject(unavailable);
  });
  await failing.bind([mtls]);
  assert.deepEqual(failing.faults, []);
  const faulty = started((scene) => {
    scene.onForesee = () => Promise.reject(new TypeError('no function'));
  });
  await faulty.bind([mtls]);
  assert.deepEqual(faulty.faults, [['no function', 'a fault while certificates of pod shop/web were begun ahead']]);
});

test('of what a pod asks for, that is begun which its signer and the rules let be begun', async () => {
  const asked: (readonly [string, string])[] = [];
  const scene = started((prepared) => {
    prepared.mayBegin = (namespace, signerName) => {
      asked.push([namespace, signerName]);
      return signerName === 'example.com/mesh';
    };
  });
  const bundle = { kind: 'clusterTrustBundle', index: 2, select: { by: 'name', name: 'ca' }, optional: false } as const;
  const other = { ...podCertificate(1, 'other.pem'), signerName: 'example.com/other' };
  await scene.bind([{ ...mtls, declaration: { sources: [source, other, { ...bundle, path: 'ca.pem' }] } }]);
  assert.deepEqual(scene.did, begun);
  assert.deepEqual(asked, [
    ['shop', 'example.com/mesh'],
    ['shop', 'example.com/other'],
  ]);
});

test('what will be refused or needs addresses that the pod will not have is not begun, and what else the pod asks for is', async () => {
  const scene = started();
  const probed = {
    ...requestOf('probed', [source]),
    declaration: { sources: [source], probe: { port: 8443 } as never },
  };
  scene.foreseen.set('mtls', mtls);
  const volume = { readOnly: true, attributes: {} };
  const bindAll = (uid: string, hostNetwork: boolean): Promise<void> => {
    scene.foreseen.set('probed', probed);
    const volumes = ['refused', 'probed', 'mtls'].map((volumeName) => [volumeName, volume] as const);
    scene.listener?.bound({ pod: podOf(uid), hostNetwork, volumes: new Map(volumes) });
    return scene.settle();
  };
  await bindAll('uid', true);
  assert.deepEqual(scene.did, begun);
  await bindAll('other', false);
  assert.equal(requests(scene).length, 3);
});

test('a pod is begun for once, also when it was over in between, and not after its publish call', async () => {
  const scene = started();
  await scene.bind([mtls]);
  scene.listener?.over('uid');
  await scene.bind([mtls]);
  scene.ahead.called(podOf('other'));
  await scene.bind([requestOf('mtls', [source], 'other')]);
  assert.equal(requests(scene).length, 1);
});

test('once the kubelet has called, or the pod is over, nothing more is begun for it, nor foreseen', async () => {
  for (const end of [
    ({ ahead }: Scene) => ahead.called(podOf('uid')),
    ({ listener }: Scene) => listener?.over('uid'),
  ]) {
    const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
    const scene = started((prepared) => {
      prepared.onSubmit = () => held;
    });
    await scene.bind([requestOf('first', [source, podCertificate(1, 'more.pem')]), requestOf('second', [source])]);
    end(scene);
    goOn();
    await scene.settle();
    assert.equal(requests(scene).length, 1);
    assert.deepEqual(scene.asked, ['first']);
    assert.deepEqual(scene.faults, []);
  }
});
