/**
 * What a key type is made of: how its keys are made, how they sign, and where that work runs. The six key types
 * implement this interface (`key-types.ts`); everything else in this folder works with any of them.
 *
 * A private key is held as PKCS#8 in a buffer that can be overwritten, and in nothing else. It is never a string, a
 * bigint or a JWK, which JavaScript cannot overwrite, and never a node:crypto `KeyObject`, which nobody can destroy: it
 * lives until it is garbage-collected, which takes minutes in a quiet process. OpenSSL's asynchronous calls take and
 * give DER, and overwrite their own copy before they answer.
 */
import { createPublicKey, type KeyObject, type SignKeyObjectInput, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { AgentError } from '../base/errors.ts';

/** Both halves of a key, DER, each in memory of its own. */
export interface KeyPair {
  readonly pkcs8: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
}

/** Signs `message`, and verifies the signature with the public half. @throws AgentError Internal */
export type Sign = (pair: KeyPair, message: Uint8Array) => Promise<Uint8Array>;

export interface Algorithm {
  /**
   * How long OpenSSL takes for a key, in the thread pool that file writes and look-ups use as well. What takes milliseconds is done one
   * job at a time, with a turn of the event loop between two.
   */
  readonly takes: 'milliseconds' | 'seconds';
  /** DER AlgorithmIdentifier of `signRequest`'s signatures. */
  readonly requestSignatureAlgorithm: Uint8Array;
  /** True for a private key of exactly this type and size. */
  owns(key: KeyObject): boolean;
  generate(): Promise<KeyPair>;
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

/** The public key alone: the uncompressed point of an elliptic curve (SEC 1 section 2.3.3), or Ed25519's 32 bytes. */
export function rawPublicKeyOf(spki: Uint8Array): Uint8Array {
  return publicKeyOf(spki).export({ format: 'raw-public' });
}

const signInPool = promisify(sign);
const verifyInPool = promisify(verify);

/**
 * Signs by OpenSSL in the thread pool, and verifies the signature there with the public half. The key is read before this
 * returns, so the buffer may be zeroed meanwhile, and OpenSSL's copy is overwritten when the signature is there.
 * @param hash OpenSSL's name of it; none for Ed25519.
 * @throws AgentError Internal; OpenSSL's words are not passed on, because they may name the bytes that it stumbles over.
 */
export async function signByOpenSsl(
  { pkcs8, spki }: KeyPair,
  hash: string | null,
  message: Uint8Array,
  options: Pick<SignKeyObjectInput, 'padding' | 'saltLength' | 'dsaEncoding'> = {},
): Promise<Uint8Array> {
  let signature: Uint8Array;
  try {
    signature = await signInPool(hash, message, { ...options, key: asBuffer(pkcs8), format: 'der', type: 'pkcs8' });
  } catch {
    throw new AgentError('Internal', 'OpenSSL cannot sign with a private key that was stored', { actor: 'nobody' });
  }
  return checked(signature, await verifyInPool(hash, message, { ...options, key: publicKeyOf(spki) }, signature));
}

/**
 * Hands a signature on when it verifies, so that a fault in the signer, or a flipped bit that would give a key away,
 * does not leave the process.
 * @throws AgentError Internal
 */
export function checked(signature: Uint8Array, verifies: boolean): Uint8Array {
  if (verifies) {
    return signature;
  }
  throw new AgentError('Internal', 'a signature that was just made does not verify', { actor: 'nobody' });
}
