/**
 * Whether a private key and a certificate belong together, found out by a signature. OpenSSL reads the key for the length of one
 * call and no `KeyObject` of it is made, so nothing waits for a garbage collection.
 */
import { type KeyObject, sign, verify, X509Certificate } from 'node:crypto';
import { asBuffer } from './algorithm.ts';

const message = Buffer.from('belongs');

/** @param leaf DER. @returns false also when either of the two cannot be read */
export function belongsTo(pkcs8: Uint8Array, leaf: Uint8Array): boolean {
  try {
    return signsFor(pkcs8, new X509Certificate(leaf).publicKey);
  } catch {
    return false;
  }
}

/** True when what the private key signs is verified by the public one; false also when the private one cannot be read. */
export function signsFor(pkcs8: Uint8Array, publicKey: KeyObject): boolean {
  const hash = publicKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  try {
    const signature = sign(hash, message, { key: asBuffer(pkcs8), format: 'der', type: 'pkcs8' });
    return verify(hash, message, publicKey, signature);
  } catch {
    // OpenSSL's words may name the bytes that it stumbles over.
    return false;
  }
}
