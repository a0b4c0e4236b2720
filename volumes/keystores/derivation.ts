/**
 * Keys from a password, as PKCS#12 files of today derive them: PBKDF2 with HMAC-SHA-256 for what is encrypted (RFC 8018), the function
 * of PKCS#12 itself for the MAC (RFC 7292, appendix B.2). OpenSSL's thread pool knows the first only; the second is a chain of hashes
 * that takes some ten milliseconds of the main thread, and so is done in steps.
 *
 * https://www.rfc-editor.org/rfc/rfc7292
 */
import { hash, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import type { Steps } from '../base/steps.ts';

/**
 * As Java has written since 17, for both; OpenSSL 3 writes 2048. It is no choice of a pod's: what it costs, it costs the node. Against
 * a password that the agent has made, of 256 random bits, one would do.
 */
export const iterations = 10_000;

const keyBytes = 32;
const deriveInPool = promisify(pbkdf2);

/** A key for AES-256. @returns memory that the caller zeroes */
export function encryptionKey(password: Uint8Array, salt: Uint8Array): Promise<Uint8Array> {
  return deriveInPool(password, salt, iterations, keyBytes, 'sha256');
}

/** Bytes that SHA-256 works on at a time: `v` of the RFC. */
const blockBytes = 64;
/** Says that the key is for a MAC: `ID` of the RFC. */
const macPurpose = 3;
/** Some tenths of a millisecond. */
const hashesPerStep = 256;

/** A key for HMAC-SHA-256. One block of output is all it takes. @returns memory that the caller zeroes */
export function* macKey(password: Uint8Array, salt: Uint8Array, times = iterations): Steps<Uint8Array> {
  const secret = utf16(password);
  const saltBytes = wholeBlocks(salt.length);
  const input = new Uint8Array(new ArrayBuffer(blockBytes + saltBytes + wholeBlocks(secret.length)));
  try {
    input.fill(macPurpose, 0, blockBytes);
    repeat(salt, input.subarray(blockBytes, blockBytes + saltBytes));
    repeat(secret, input.subarray(blockBytes + saltBytes));
    let key = hash('sha256', input, 'buffer');
    for (let count = 1; count < times; count += 1) {
      if (count % hashesPerStep === 0) {
        yield;
      }
      key = hash('sha256', key, 'buffer');
    }
    return key;
  } finally {
    secret.fill(0);
    input.fill(0);
  }
}

function wholeBlocks(length: number): number {
  return Math.ceil(length / blockBytes) * blockBytes;
}

function repeat(bytes: Uint8Array, into: Uint8Array): void {
  for (let index = 0; index < into.length; index += 1) {
    into[index] = bytes[index % bytes.length] ?? 0;
  }
}

/** ASCII as two bytes a character, the greater first, with a zero character at its end: what PKCS#12 takes for a password. */
function utf16(password: Uint8Array): Uint8Array {
  const characters = new Uint8Array(new ArrayBuffer(2 * password.length + 2));
  for (let index = 0; index < password.length; index += 1) {
    characters[2 * index + 1] = password[index] ?? 0;
  }
  return characters;
}
