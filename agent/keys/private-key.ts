/**
 * A private key in memory for as long as one issuance takes: it signs, and is wiped afterwards.
 */
import { inspect } from 'node:util';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import { AgentError } from '../base/errors.ts';
import type { Queue } from '../base/queue.ts';
import type { PrivateKey } from '../lifecycle/ports.ts';
import type { Algorithm, KeyPair } from './algorithm.ts';
import { requestInfo, signedRequest } from './stub-request.ts';

export interface PrivateKeyParts {
  readonly keyType: KeyType;
  readonly algorithm: Algorithm;
  /** PKCS#8 DER; taken over, and zeroed by `destroy`. */
  readonly pkcs8: Uint8Array;
  readonly spki: Uint8Array;
  /** Where signatures wait for their turn. */
  readonly signing: Queue;
}

/**
 * Logged, serialised or interpolated, the key shows its type and nothing else. `destroy` zeroes the PKCS#8, the one copy
 * that outlives a signature.
 */
export function createPrivateKey(parts: PrivateKeyParts): PrivateKey {
  const { keyType, algorithm, pkcs8, spki, signing } = parts;
  const shown = `[${keyType} private key]`;
  let destroyed = false;

  function inHand(): KeyPair {
    if (!destroyed) {
      return { pkcs8, spki };
    }
    throw new AgentError('Internal', `the ${keyType} key has been destroyed`, { actor: 'nobody' });
  }

  async function sign(info: Uint8Array): Promise<Uint8Array> {
    const signature = await algorithm.signRequest(inHand(), info);
    return signedRequest(info, algorithm.requestSignatureAlgorithm, signature);
  }

  const methods = {
    // The key is looked at when the turn has come: it may have been destroyed in the queue.
    proofOfPossession: (podUID: string) => signing(() => algorithm.proofOfPossession(inHand(), Buffer.from(podUID))),
    stubRequest: () => signing(() => sign(requestInfo(spki))),
    signedRequest: (info: Uint8Array) => signing(() => sign(info)),
    destroy() {
      destroyed = true;
      pkcs8.fill(0);
    },
    toJSON: () => shown,
    toString: () => shown,
    [inspect.custom]: () => shown,
  };
  return { keyType, pkcs8, spki, ...methods };
}
