/**
 * Asks another implementation about signatures, in a process that lives no longer than that takes: what it needs of memory is given
 * back, which a thread does not do, and the agent goes on starting meanwhile. Nothing that goes either way is secret.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { type KeyType, keyTypes } from '../../volumes/declaration/key-types.ts';
import { AgentError } from '../base/errors.ts';

/** Two signatures of one message by one key. */
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

/** In the bundle a file of its own beside the agent's. */
const program = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './second-opinion-program.ts' : './second-opinion.mjs', import.meta.url),
);
/** It takes a second on a busy node. */
const timeLimitMs = 60_000;
const longestAnswer = 4_096;

const bytes = v.pipe(
  v.string(),
  v.base64(),
  v.transform((text) => Uint8Array.from(Buffer.from(text, 'base64'))),
);
const keyType = v.picklist(keyTypes);
const signedSchema = v.array(v.object({ keyType, spki: bytes, message: bytes, proof: bytes, request: bytes }));

/** What the process is asked. @throws when the text is something else */
export function signedIn(text: string): readonly Signed[] {
  return v.parse(signedSchema, JSON.parse(text));
}

/** The same as text. */
function textOf(signed: readonly Signed[]): string {
  const base64 = (value: Uint8Array): string => Buffer.from(value).toString('base64');
  return JSON.stringify(
    signed.map(({ keyType: type, spki, message, proof, request }) => ({
      keyType: type,
      spki: base64(spki),
      message: base64(message),
      proof: base64(proof),
      request: base64(request),
    })),
  );
}

export const askSecondOpinion: SecondOpinion = async (signed) => {
  try {
    return v.parse(v.array(keyType), JSON.parse(await answerOf(textOf(signed))));
  } catch (cause) {
    const message = 'the second implementation of signatures could not be asked';
    throw new AgentError('Internal', message, { actor: 'nobody', cause });
  }
};

function answerOf(question: string): Promise<string> {
  const options = { timeout: timeLimitMs, killSignal: 'SIGKILL', maxBuffer: longestAnswer, env: {} } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, [program], options, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    );
    // One that does not even start does not listen either; its end is what counts.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(question);
  });
}
