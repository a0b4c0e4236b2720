import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPair, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inspect, promisify } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import type { KeyPair } from '../../../agent/keys/algorithm.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import { type KeyType, keyTypes } from '../../../volumes/declaration/key-types.ts';

const pkcs8Of = (key: KeyObject) => Uint8Array.from(key.export({ format: 'der', type: 'pkcs8' }));
const pairOf = ({
  privateKey,
  publicKey,
}: {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}): KeyPair => ({
  pkcs8: pkcs8Of(privateKey),
  spki: publicKey.export({ format: 'der', type: 'spki' }),
});
const rsaKey = pairOf(generateKeyPairSync('rsa', { modulusLength: 3072 }));

/** A generator of RSA keys that says what it is asked for and answers when told. */
function scriptedRsa() {
  const asked: { readonly bits: number; readonly answer: (key: KeyPair) => void; fail(error: Error): void }[] = [];
  const generateRsa = (bits: number) => {
    const { promise, resolve, reject } = Promise.withResolvers<KeyPair>();
    asked.push({ bits, answer: ({ pkcs8, spki }) => resolve({ pkcs8: pkcs8.slice(), spki }), fail: reject });
    return promise;
  };
  return { asked, generateRsa };
}

const isInternal = (message: RegExp) => (error: unknown) =>
  error instanceof AgentError && error.code === 'Internal' && message.test(error.message);

describe('making keys', () => {
  it('makes one RSA key at a time, and other types meanwhile', async () => {
    const { asked, generateRsa } = scriptedRsa();
    const keys = createKeyMaker({ generateRsa });
    const first = keys.generate('RSA4096');
    const second = keys.generate('RSA3072');
    assert.equal((await keys.generate('ECDSAP256')).keyType, 'ECDSAP256');
    assert.deepEqual(
      asked.map(({ bits }) => bits),
      [4096],
    );
    asked[0]?.answer(rsaKey);
    await first;
    await nextTurn();
    assert.deepEqual(
      asked.map(({ bits }) => bits),
      [4096, 3072],
    );
    asked[1]?.answer(rsaKey);
    await second;
  });

  it('makes as many RSA keys at a time as it is told', async () => {
    const { asked, generateRsa } = scriptedRsa();
    const keys = createKeyMaker({ generateRsa, rsaConcurrency: 2 });
    const made = Promise.all([keys.generate('RSA3072'), keys.generate('RSA3072'), keys.generate('RSA3072')]);
    await nextTurn();
    assert.equal(asked.length, 2);
    asked[0]?.answer(rsaKey);
    asked[1]?.answer(rsaKey);
    await nextTurn();
    assert.equal(asked.length, 3);
    asked[2]?.answer(rsaKey);
    await made;
  });

  it('signs with an RSA key while another one is being made', async () => {
    const { asked, generateRsa } = scriptedRsa();
    const keys = createKeyMaker({ generateRsa });
    const key = keys.restore(rsaKey.pkcs8.slice());
    const pending = keys.generate('RSA4096');
    assert.equal((await key.proofOfPossession('uid')).length, 384);
    asked[0]?.answer(rsaKey);
    await pending;
  });

  it('goes on with the next RSA key when one cannot be made', async () => {
    const { asked, generateRsa } = scriptedRsa();
    const keys = createKeyMaker({ generateRsa });
    const failing = assert.rejects(keys.generate('RSA4096'), { message: 'no entropy' });
    const next = keys.generate('RSA3072');
    await nextTurn();
    asked[0]?.fail(new Error('no entropy'));
    await failing;
    await nextTurn();
    asked[1]?.answer(rsaKey);
    assert.equal((await next).keyType, 'RSA3072');
  });

  it('refuses work beyond its bound with an error that passes by itself', async () => {
    const { asked, generateRsa } = scriptedRsa();
    const keys = createKeyMaker({ generateRsa, maxWaiting: 1 });
    const taken = [keys.generate('RSA3072'), keys.generate('RSA3072')];
    await assert.rejects(
      keys.generate('RSA3072'),
      (error) => error instanceof AgentError && error.code === 'Unavailable' && error.actor === 'nobody',
    );
    asked[0]?.answer(rsaKey);
    await taken[0];
    await nextTurn();
    asked[1]?.answer(rsaKey);
    await taken[1];
  });

  it('makes another pod wait for one RSA key of a pod that asks for 32, and says so to a pod that asks for too many', {
    timeout: 20_000,
  }, async () => {
    const { asked, generateRsa } = scriptedRsa();
    const keys = createKeyMaker({ generateRsa, maxWaitingPerPod: 31 });
    const { signal } = new AbortController();
    const greedy = { priority: 'first', owner: 'greedy', signal } as const;
    const many = Array.from({ length: 32 }, () => keys.generate('RSA4096', greedy));
    await assert.rejects(keys.generate('RSA4096', greedy), { code: 'Unavailable', message: /31 RSA keys of this pod/ });
    const other = keys.generate('RSA3072', { priority: 'first', owner: 'web', signal });
    for (let index = 0; index < 3; index += 1) {
      await nextTurn();
      asked[index]?.answer(rsaKey);
    }
    await other;
    assert.deepEqual(
      asked.slice(0, 3).map(({ bits }) => bits),
      [4096, 4096, 3072],
    );
    for (let index = 3; index < 33; index += 1) {
      await nextTurn();
      asked[index]?.answer(rsaKey);
    }
    await Promise.all(many);
  });

  it('lets the event loop turn while an RSA key is made', async () => {
    const keys = createKeyMaker();
    let made = false;
    const key = keys.generate('RSA3072').finally(() => {
      made = true;
    });
    let turns = 0;
    while (!made) {
      turns += 1;
      await nextTurn();
    }
    (await key).destroy();
    // Made on this thread, it would be there after the first turn.
    assert.ok(turns > 10, `${turns} turns`);
  });

  it('lets the event loop turn between two P-521 keys, however many are asked for at once', async () => {
    const keys = createKeyMaker();
    let turns = 0;
    let counting = true;
    (function count() {
      turns += 1;
      if (counting) {
        setImmediate(count);
      }
    })();
    const turnsAt = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const key = await keys.generate('ECDSAP521');
        await key.proofOfPossession('uid');
        key.destroy();
        return turns;
      }),
    );
    counting = false;
    assert.equal(new Set(turnsAt).size, 5, `keys shared a turn: ${turnsAt}`);
  });

  it('warms up by using each curve, and makes no RSA key for it', async () => {
    const { asked, generateRsa } = scriptedRsa();
    await createKeyMaker({ generateRsa }).warmUp();
    assert.equal(asked.length, 0);
  });

  it('makes no key on a curve, and signs with none, before another implementation takes such signatures', async () => {
    const opinion = Promise.withResolvers<readonly KeyType[]>();
    const keys = createKeyMaker({ secondOpinion: () => opinion.promise });
    const done: string[] = [];
    const warm = keys.warmUp().then(() => done.push('judged'));
    const key = keys.generate('ECDSAP256').then(() => done.push('key'));
    await keys.generate('RSA3072');
    assert.deepEqual(done, []);
    opinion.resolve([]);
    await Promise.all([warm, key]);
    assert.deepEqual(done, ['judged', 'key']);
  });

  it('makes no key at all on curves where another implementation refuses signatures', async () => {
    const keys = createKeyMaker({ secondOpinion: async () => ['ED25519'] });
    const disagree = isInternal(
      /^two implementations disagree about signatures by ED25519; none of these keys is made$/,
    );
    await assert.rejects(keys.warmUp(), disagree);
    await assert.rejects(keys.generate('ED25519'), disagree);
  });

  it('never makes the same key twice', async () => {
    const keys = createKeyMaker();
    for (const keyType of keyTypes.filter((type) => !type.startsWith('RSA'))) {
      const [one, other] = await Promise.all([keys.generate(keyType), keys.generate(keyType)]);
      assert.notEqual(Buffer.compare(one.spki, other.spki), 0);
    }
  });
});

describe('restoring keys', () => {
  const keys = createKeyMaker();

  it('refuses bytes that are no PKCS#8, tells nothing of them, and zeroes them', () => {
    const bytes = rsaKey.pkcs8.slice();
    bytes[0] = 0;
    assert.throws(
      () => keys.restore(bytes),
      (error: unknown) => {
        assert.ok(isInternal(/^the stored private key cannot be read as PKCS#8$/)(error), inspect(error));
        assert.equal((error as Error).cause, undefined);
        return true;
      },
    );
    assert.ok(
      bytes.every((byte) => byte === 0),
      'bytes of the key are left in the buffer that was handed in',
    );
    assert.throws(() => keys.restore(new Uint8Array()), isInternal(/cannot be read/));
  });

  it('refuses a key of a type or size outside the six, and zeroes it', async () => {
    const make = promisify(generateKeyPair);
    const others = [
      (await make('rsa', { modulusLength: 2048 })).privateKey,
      (await make('rsa-pss', { modulusLength: 3072 })).privateKey,
      (await make('ec', { namedCurve: 'secp256k1' })).privateKey,
      (await make('x25519')).privateKey,
      (await make('ed448')).privateKey,
    ];
    for (const other of others) {
      const bytes = pkcs8Of(other);
      assert.throws(() => keys.restore(bytes), isInternal(/no key type that is supported/));
      assert.ok(
        bytes.every((byte) => byte === 0),
        'bytes of the key are left in the buffer that was handed in',
      );
    }
  });

  it('reads a key from the middle of a larger buffer and zeroes that part only', () => {
    const pkcs8 = pkcs8Of(generateKeyPairSync('ed25519').privateKey);
    const memory = new Uint8Array(pkcs8.length + 20).fill(7);
    memory.set(pkcs8, 10);
    const key = keys.restore(memory.subarray(10, 10 + pkcs8.length));
    assert.equal(key.keyType, 'ED25519');
    assert.doesNotThrow(() => createPrivateKey({ key: Buffer.from(key.pkcs8), format: 'der', type: 'pkcs8' }));
    key.destroy();
    assert.ok(
      memory.subarray(10, -10).every((byte) => byte === 0),
      'bytes of the key are left in the memory',
    );
    assert.ok(
      [...memory.subarray(0, 10), ...memory.subarray(-10)].every((byte) => byte === 7),
      'memory beside the key was written to',
    );
  });
});
