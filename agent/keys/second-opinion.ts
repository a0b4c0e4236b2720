/**
 * Asks another implementation about signatures, in a thread that lives no longer than that takes: what it needs of memory is given back,
 * and the agent goes on starting meanwhile.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import { AgentError } from '../base/errors.ts';

/** Two signatures of one message by one key; nothing in it is secret. */
export interface Signed {
  readonly keyType: KeyType;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly message: Uint8Array;
  readonly proof: Uint8Array;
  readonly request: Uint8Array;
}

/** @returns the key types whose signatures the other implementation refuses @throws AgentError Internal when it cannot be asked */
export type SecondOpinion = (signed: readonly Signed[]) => Promise<readonly KeyType[]>;

const memory = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4, codeRangeSizeMb: 8, stackSizeMb: 2 };

/** In the bundle a file of its own beside the agent's. */
const program = new URL(
  import.meta.url.endsWith('.ts') ? './second-opinion-program.ts' : './second-opinion.mjs',
  import.meta.url,
);

export const askSecondOpinion: SecondOpinion = async (signed) => {
  const worker = new Worker(program, { workerData: signed, resourceLimits: memory, env: {}, stdin: false });
  const over = new AbortController();
  try {
    const { signal } = over;
    const ended = once(worker, 'exit', { signal }).then(() => {
      throw new Error('it ended without an answer');
    });
    const [refused]: (readonly KeyType[])[] = await Promise.race([once(worker, 'message', { signal }), ended]);
    return refused ?? [];
  } catch (cause) {
    const message = 'the second implementation of signatures could not be asked';
    throw new AgentError('Internal', message, { actor: 'nobody', cause });
  } finally {
    over.abort();
    await worker.terminate();
  }
};
