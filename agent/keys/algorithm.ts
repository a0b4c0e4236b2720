/**
 * What a key type is made of: how its keys are made, how they sign, and where that work runs. The six key types are
 * this interface filled in (`key-types.ts`); everything else in this folder is written once over it.
 *
 * A private key is held as a node:crypto `KeyObject`: OpenSSL's memory, which it overwrites when the object is
 * collected, and which prints as nothing. OpenSSL also writes the PKCS#8, so no secret passes through a string, as it
 * would through a JWK. The raw formats that this needs came with Node 24.15.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { AgentError } from '../base/errors.ts';

/** Signs `message`; `spki` is the DER public key that verifies it. @throws AgentError Internal */
export type Sign = (key: KeyObject, spki: Uint8Array, message: Uint8Array) => Promise<Uint8Array>;

export interface Algorithm {
  /**
   * - `main thread`: the work is JavaScript; one job at a time, with a turn of the event loop between two.
   * - `thread pool`: the work is OpenSSL's, in the thread pool that file writes and look-ups use as well.
   */
  readonly runsOn: 'main thread' | 'thread pool';
  /** DER AlgorithmIdentifier of `signRequest`'s signatures. */
  readonly requestSignatureAlgorithm: Uint8Array;
  /** True for a private key of exactly this type and size. */
  owns(key: KeyObject): boolean;
  generate(): Promise<KeyObject>;
  /** A signature by the rule of `spec.proofOfPossession`. */
  readonly proofOfPossession: Sign;
  /** The signature of a PKCS#10 request, by `requestSignatureAlgorithm`. */
  readonly signRequest: Sign;
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads a SubjectPublicKeyInfo. It is read anew for each check, so what is verified is what will be sent. */
export function publicKeyOf(spki: Uint8Array): KeyObject {
  return createPublicKey({ key: asBuffer(spki), format: 'der', type: 'spki' });
}

/**
 * Hands a signature on when OpenSSL accepts it. Signing and verifying are two implementations by different people, so
 * a fault in one, or a flipped bit that would give a key away, does not leave the process.
 * @throws AgentError Internal
 */
export function checked(signature: Uint8Array, accepted: boolean): Uint8Array {
  if (accepted) return signature;
  throw new AgentError('Internal', 'OpenSSL does not verify a signature that was just made', { actor: 'nobody' });
}

/**
 * Lends the raw private key (the scalar of an EC key, the seed of an Ed25519 key) in a buffer that is zeroed on return.
 * What `use` throws is replaced, because a library may name the bytes that it stumbles over.
 * @throws AgentError Internal
 */
export function withRawSecret<T>(key: KeyObject, use: (secret: Uint8Array) => T): T {
  const secret = key.export({ format: 'raw-private' });
  try {
    return use(secret);
  } catch {
    throw new AgentError('Internal', `signing with an ${key.asymmetricKeyType} key failed`, { actor: 'nobody' });
  } finally {
    secret.fill(0);
  }
}
