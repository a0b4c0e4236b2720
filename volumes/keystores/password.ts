/**
 * A keystore's password: made by the agent, 256 random bits in hexadecimal, which every program and shell takes as it is.
 * Like a key it is bytes and never a string, in memory that can be zeroed.
 */
import { randomFillSync } from 'node:crypto';

const randomBytes = 32;
const digits = Buffer.from('0123456789abcdef', 'latin1');

/** @returns memory that the caller zeroes */
export function makePassword(): Uint8Array {
  const random = new Uint8Array(new ArrayBuffer(randomBytes));
  randomFillSync(random);
  const text = new Uint8Array(new ArrayBuffer(2 * randomBytes));
  for (let index = 0; index < randomBytes; index += 1) {
    text[2 * index] = digits[(random[index] ?? 0) >> 4] ?? 0;
    text[2 * index + 1] = digits[(random[index] ?? 0) & 15] ?? 0;
  }
  random.fill(0);
  return text;
}
