/**
 * Makes and restores private keys. Limits keep RSA from taking the whole thread pool, elliptic curves from blocking the
 * event loop, and one pod from using up either.
 */
import { createPublicKey, type KeyObject, createPrivateKey as readPrivateKey } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type KeyType, keyTypes } from '../../volumes/declaration/key-types.ts';
import type { CallOptions } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import { createQueue, type Queue } from '../base/queue.ts';
import type { KeyMaker, KnownHalf, PrivateKey } from '../lifecycle/ports.ts';
import { asBuffer, type KeyPair } from './algorithm.ts';
import { belongsTo } from './belonging.ts';
import { algorithms } from './key-types.ts';
import { createPrivateKey } from './private-key.ts';
import { generateRsa, type RsaGenerator } from './rsa.ts';
import { askSecondOpinion, type SecondOpinion, type Signed } from './second-opinion.ts';

const warmUpMessage = new TextEncoder().encode('warm-up');

export interface KeyMakerOptions {
  /**
   * RSA keys made at the same time; default 1. Each takes a thread of libuv's pool (4 unless UV_THREADPOOL_SIZE says
   * more) for about a second, and one more thread is used for RSA signatures, so keep it two below the pool's size.
   */
  readonly rsaConcurrency?: number;
  /** Jobs that may wait in each queue; default 1000. Beyond it one is refused with AgentError Unavailable. */
  readonly maxWaiting?: number;
  /** Of these, jobs of one pod; default 200, more than the sources of a volume. */
  readonly maxWaitingPerPod?: number;
  /** Makes RSA keys; default OpenSSL in the thread pool. */
  readonly generateRsa?: RsaGenerator;
  /** Default: noble, in a process of its own. */
  readonly secondOpinion?: SecondOpinion;
}

export interface WarmKeyMaker extends KeyMaker {
  /**
   * Makes a key of each kind that has a second implementation, and has that one verify its signatures: what two implementations
   * disagree on must not be used. Keys of these kinds, and signatures by them, wait until that is known, and fail where they disagree.
   * @throws AgentError Internal when they disagree
   */
  warmUp(): Promise<void>;
}

export function createKeyMaker(options: KeyMakerOptions = {}): WarmKeyMaker {
  const { rsaConcurrency = 1, maxWaiting = 1000, maxWaitingPerPod: maxWaitingPerOwner = 200 } = options;
  const limits = { maxWaiting, maxWaitingPerOwner };
  const table = algorithms(options.generateRsa ?? generateRsa);
  const turns = createQueue({ name: 'elliptic-curve jobs', concurrency: 1, ...limits });
  const rsaKeys = createQueue({ name: 'RSA keys', concurrency: rsaConcurrency, ...limits });
  // Apart from the keys: a signature of milliseconds does not wait behind a key of a second.
  const rsaSignatures = createQueue({ name: 'RSA signatures', concurrency: 1, ...limits });

  let judged = Promise.resolve();
  const quickly: Queue = (job, call) =>
    turns(async () => {
      await judged;
      await nextTurn();
      return job();
    }, call);

  function wrap(keyType: KeyType, { pkcs8, spki }: KeyPair, call: CallOptions | undefined): PrivateKey {
    const algorithm = table[keyType];
    const queue = algorithm.takes === 'milliseconds' ? quickly : rsaSignatures;
    const signing: Queue = (job) => queue(job, call);
    return createPrivateKey({ keyType, algorithm, pkcs8, spki, signing });
  }

  async function generate(keyType: KeyType, call?: CallOptions): Promise<PrivateKey> {
    const algorithm = table[keyType];
    const queue = algorithm.takes === 'milliseconds' ? quickly : rsaKeys;
    return wrap(keyType, await queue(() => algorithm.generate(), call), call);
  }

  function restore(pkcs8: Uint8Array, known?: KnownHalf, call?: CallOptions): PrivateKey {
    try {
      const { keyType, spki } = known ?? recognise(pkcs8);
      return wrap(keyType, { pkcs8, spki }, call);
    } catch (error) {
      pkcs8.fill(0);
      throw error;
    }
  }

  /** Costs a KeyObject, which holds the key until it is collected. */
  function recognise(pkcs8: Uint8Array): KnownHalf {
    const key = readPkcs8(pkcs8);
    const keyType = keyTypes.find((candidate) => table[candidate].owns(key));
    if (keyType === undefined) {
      throw unusable('is of no key type that is supported');
    }
    return { keyType, spki: createPublicKey(key).export({ format: 'der', type: 'spki' }) };
  }

  async function judge(): Promise<void> {
    const signed: Signed[] = [];
    for (const keyType of keyTypes.filter((type) => table[type].takes === 'milliseconds')) {
      const { generate: make, proofOfPossession, signRequest } = table[keyType];
      const pair = await make();
      const proof = await proofOfPossession(pair, warmUpMessage);
      const request = await signRequest(pair, warmUpMessage);
      pair.pkcs8.fill(0);
      signed.push({ keyType, spki: pair.spki, message: warmUpMessage, proof, request });
    }
    const refused = await (options.secondOpinion ?? askSecondOpinion)(signed);
    if (refused.length > 0) {
      const message = `two implementations disagree about signatures by ${refused.join(', ')}; none of these keys is made`;
      throw new AgentError('Internal', message, { actor: 'nobody' });
    }
  }

  return {
    generate,
    restore,
    belongs: belongsTo,
    warmUp() {
      judged = judge();
      return judged;
    },
  };
}

function readPkcs8(pkcs8: Uint8Array): KeyObject {
  try {
    return readPrivateKey({ key: asBuffer(pkcs8), format: 'der', type: 'pkcs8' });
  } catch {
    // The cause stays here: nothing that was read next to a key goes into an error.
    throw unusable('cannot be read as PKCS#8');
  }
}

function unusable(why: string): AgentError {
  return new AgentError('Internal', `the stored private key ${why}`, { actor: 'nobody' });
}
