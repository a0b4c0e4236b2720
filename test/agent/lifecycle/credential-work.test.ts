/** The work on one credential's requests: what is asked of whom, what is stored, and for how long a key is in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError, type ErrorCode } from '../../../agent/base/errors.ts';
import type { CredentialEvent } from '../../../agent/lifecycle/credential-state.ts';
import { identity, record, source, type Working, working } from './credential-scene.ts';
import { begins, current, lifeIn } from './life.ts';

const first = (signal: AbortSignal) => ({ priority: 'first', owner: 'uid', expiresAt: undefined, signal });
const made: CredentialEvent = { type: 'keyMade', requestName: 'req-0-key-1' };
const submitted: CredentialEvent = { type: 'submitted', requestName: 'req-0-key-1' };
const codeOf = (event: CredentialEvent): ErrorCode | undefined => ('error' in event ? event.error.code : undefined);

test('a key is stored with its request, is in memory no longer than that takes, and is made by its rank', async () => {
  const scene = working();
  scene.onSave = () => assert.deepEqual([...scene.inMemory], ['key-1']);
  assert.deepEqual(await scene.work.makeKey('ED25519'), made);
  const publicKey = Buffer.from('public key-1');
  assert.deepEqual(scene.pending, { requestName: 'req-0-key-1', keyType: 'ED25519', publicKey, createdAt: begins });
  assert.equal(Buffer.from(scene.volume.pendingWithKey(0).privateKey).toString(), 'key-1');
  assert.equal(scene.inMemory.size, 0);
  scene.state = lifeIn('generating').state();
  await scene.work.makeKey('ED25519');
  const { signal } = scene.stopping;
  const refresh = { ...first(signal), priority: 'refresh', expiresAt: current.notAfter };
  assert.deepEqual(scene.generated, [
    { keyType: 'ED25519', call: first(signal) },
    { keyType: 'ED25519', call: refresh },
  ]);
});

test('a key that nobody waits for any more is not stored', async () => {
  const stopped = working();
  stopped.onGenerate = () => stopped.stopping.abort();
  const ended = working();
  ended.onGenerate = () => {
    ended.state = lifeIn('ended').state();
  };
  for (const scene of [stopped, ended]) {
    assert.equal((await scene.work.makeKey('ED25519')).type, 'keyMade');
    assert.equal(scene.pending, undefined);
    assert.equal(scene.inMemory.size, 0);
  }
});

test('a key that cannot be made or stored is told as what went wrong, and is not left in memory', async () => {
  const full = working();
  const cause = new Error('no space');
  full.onSave = () => {
    throw cause;
  };
  const event = await full.work.makeKey('ED25519');
  assert.ok(event.type === 'keyFailed', event.type);
  const { code, actor, message } = event.error;
  assert.deepEqual([code, actor, message], ['Internal', 'nobody', 'the key could not be made or stored: no space']);
  assert.equal(event.error.cause, cause);
  assert.equal(full.inMemory.size, 0);
  const busy = working();
  const error = new AgentError('Unavailable', 'busy', { actor: 'nobody' });
  busy.onGenerate = () => {
    throw error;
  };
  assert.deepEqual(await busy.work.makeKey('ED25519'), { type: 'keyFailed', error });
});

test('a request is made with its stored key, after what has to come first, and leaves no key in memory', async () => {
  const scene = working({
    async prepare(request, signal, onWait) {
      assert.deepEqual(request, {
        ...{ pod: record.pod, volumeName: 'mtls', sourceIndex: 0, signerName: 'example.com/mesh' },
        requestName: 'req-0-key-1',
      });
      assert.equal(signal, scene.stopping.signal);
      assert.equal(scene.inMemory.size, 0, 'it may last');
      assert.deepEqual(scene.identified, [], 'what is found before it may be old');
      onWait('a token');
    },
  });
  await scene.work.makeKey('ED25519');
  scene.onSubmit = () => assert.deepEqual([...scene.inMemory], ['key-1']);
  assert.deepEqual(await scene.work.submit('req-0-key-1', 'first'), submitted);
  assert.deepEqual(scene.told, ['req-0-key-1 waits for a token']);
  const { signal } = scene.stopping;
  const order = { requestName: 'req-0-key-1', identity, signerName: 'example.com/mesh', userAnnotations: {} };
  assert.deepEqual(scene.submitted, [
    { order: { ...order, priority: 'first', expiresAt: undefined }, key: 'key-1', signal },
  ]);
  assert.deepEqual(scene.identified, [{ call: first(signal), withAddresses: false }]);
  const known = { keyType: 'ED25519', spki: Buffer.from('public key-1') };
  assert.deepEqual(scene.restored, [{ known, call: first(signal) }]);
  assert.equal(scene.inMemory.size, 0);
});

test('a refresh is asked for by the end of the certificate that it replaces', async () => {
  const scene = working();
  scene.state = lifeIn('generating').state();
  await scene.work.makeKey('ED25519');
  await scene.work.submit('req-0-key-1', 'refresh');
  const [{ order } = assert.fail('nothing is asked')] = scene.submitted;
  assert.deepEqual([order.priority, order.expiresAt], ['refresh', current.notAfter]);
  // The effect says how urgent it is, whatever the files hold by then.
  await scene.work.submit('req-0-key-1', 'first');
  assert.deepEqual(
    [scene.submitted[1]?.order.priority, scene.restored[1]?.call?.priority, scene.identified[1]?.call.priority],
    ['first', 'first', 'first'],
  );
});

test('a key that an older agent stored without its public half is read', async () => {
  const scene = working();
  await scene.work.makeKey('ED25519');
  scene.pending = { requestName: 'req-0-key-1', keyType: 'ED25519', createdAt: begins };
  assert.deepEqual(await scene.work.submit('req-0-key-1', 'first'), submitted);
  assert.equal(scene.restored[0]?.known, undefined);
});

test('a request that cannot be made says why, and leaves no key in memory', async () => {
  const scene = working();
  await scene.work.makeKey('ED25519');
  const error = new AgentError('Conflict', 'another has that name', { actor: 'nobody' });
  scene.onSubmit = () => {
    throw error;
  };
  assert.deepEqual(await scene.work.submit('req-0-key-1', 'first'), {
    ...{ type: 'submitFailed', requestName: 'req-0-key-1', error },
  });
  assert.equal(scene.inMemory.size, 0);
  scene.onSubmit = () => {
    throw new Error('a fault');
  };
  assert.equal(codeOf(await scene.work.submit('req-0-key-1', 'first')), 'Internal');
});

test('no request is made for a pod that is gone or has ended, and its credentials are told', async () => {
  const gone = (): never => {
    throw new AgentError('PodGone', 'no such pod', { actor: 'nobody' });
  };
  for (const [why, onIdentify] of [
    ['gone', gone],
    ['finished', () => ({ ...identity, ended: true })],
  ] as const) {
    const scene = working();
    await scene.work.makeKey('ED25519');
    scene.onIdentify = onIdentify;
    assert.deepEqual(await scene.work.submit('req-0-key-1', 'first'), { type: 'podEnded', why });
    assert.deepEqual(scene.told, [`the pod is ${why}`]);
    assert.equal(await scene.work.find('refresh'), why);
    assert.deepEqual([scene.submitted, scene.restored], [[], []]);
  }
});

test('nothing else that fails says that a pod is gone', async () => {
  for (const fault of [
    new AgentError('NotFound', 'no', { actor: 'nobody' }),
    new AgentError('Unavailable', 'no', { actor: 'nobody' }),
    Object.assign(new Error('no'), { code: 'PodGone' }),
  ]) {
    const scene = working();
    await scene.work.makeKey('ED25519');
    scene.onIdentify = () => {
      throw fault;
    };
    assert.equal((await scene.work.submit('req-0-key-1', 'first')).type, 'submitFailed');
    assert.deepEqual(scene.told, []);
    await assert.rejects(scene.work.find('refresh'), fault);
  }
});

test('a request that was given up while its pod was looked for is not made', async () => {
  const givenUp = /^the request was given up before it was made$/;
  const happenings: readonly (readonly [RegExp, (scene: Working) => void])[] = [
    [/aborted/, (scene) => scene.stopping.abort()],
    [
      givenUp,
      (scene) => {
        scene.pending = undefined;
      },
    ],
    [
      givenUp,
      (scene) => {
        scene.pending = { requestName: 'req-0-key-2', keyType: 'ED25519', createdAt: begins };
      },
    ],
  ];
  for (const [message, happen] of happenings) {
    const scene = working();
    await scene.work.makeKey('ED25519');
    scene.onIdentify = () => {
      happen(scene);
      return identity;
    };
    const event = await scene.work.submit('req-0-key-1', 'first');
    assert.ok(event.type === 'submitFailed', event.type);
    assert.deepEqual([event.error.code, event.error.actor], ['Internal', 'nobody']);
    assert.match(event.error.message, message);
    assert.deepEqual([scene.submitted, scene.restored], [[], []]);
  }
});

test('what was begun before the kubelet called is taken up, with its key and its request', async () => {
  for (const hasArrived of [true, false]) {
    let taken = 0;
    const scene: Working = working(undefined, {
      ahead: {
        async take(wanted, call) {
          assert.deepEqual(wanted, { pod: record.pod, volumeName: 'mtls', source, keyType: 'ED25519' });
          assert.deepEqual(call, first(scene.stopping.signal));
          taken += 1;
          const key = await scene.dependencies.keys.generate('ED25519', first(scene.stopping.signal) as typeof call);
          return taken > 1 ? undefined : { key, requestName: 'req-early', submitted: async () => hasArrived };
        },
      },
    });
    assert.deepEqual(await scene.work.makeKey('ED25519'), { type: 'keyMade', requestName: 'req-early' });
    assert.equal(scene.generated.length, 1, 'no other key is made');
    assert.equal(scene.inMemory.size, 0);
    const event = await scene.work.submit('req-early', 'first');
    assert.deepEqual(event, { type: 'submitted', requestName: 'req-early' });
    assert.equal(scene.submitted.length, hasArrived ? 0 : 1);
    await scene.work.makeKey('ED25519');
    scene.inMemory.clear();
    await scene.work.submit('req-0-key-3', 'first');
    assert.deepEqual(
      scene.submitted.slice(hasArrived ? 0 : 1).map(({ order }) => order.requestName),
      ['req-0-key-3'],
    );
  }
});
