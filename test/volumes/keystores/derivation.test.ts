/** The key of the MAC, compared with RFC 7292, appendix B.2, done once more as it is written there; OpenSSL and Java are asked elsewhere. */
import assert from 'node:assert/strict';
import { createHash, pbkdf2Sync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import { encryptionKey, iterations, macKey } from '../../../volumes/keystores/derivation.ts';
import { makePassword } from '../../../volumes/keystores/password.ts';

/** Repeated until it fills whole blocks of 64 bytes. */
function inBlocks(bytes: Buffer): Buffer {
  const size = 64 * Math.ceil(bytes.length / 64);
  return Buffer.concat(Array<Buffer>(size).fill(bytes)).subarray(0, size);
}

function expected(password: string, salt: Buffer, times: number): Buffer {
  const text = Buffer.from(`${password}\0`, 'utf16le').swap16();
  let key = Buffer.concat([Buffer.alloc(64, 3), inBlocks(salt), inBlocks(text)]);
  for (let count = 0; count < times; count += 1) {
    key = createHash('sha256').update(key).digest();
  }
  return key;
}

test('passwords and salts of every length give the key of the RFC', () => {
  for (const length of [1, 8, 30, 31, 32, 63, 64, 128]) {
    for (const saltLength of [8, 16, 63, 64, 65]) {
      const password = 'p~ '.repeat(43).slice(0, length);
      const salt = randomBytes(saltLength);
      const key = atOnce(macKey(Buffer.from(password), salt, 2));
      assert.ok(expected(password, salt, 2).equals(key), `${length} characters, ${saltLength} bytes of salt`);
    }
  }
});

test('the chain of hashes is as long as it is told to be, and pauses after every 256', () => {
  const salt = randomBytes(16);
  for (const [times, pauses] of [
    [1, 0],
    [256, 0],
    [257, 1],
    [513, 2],
  ] as const) {
    assert.ok(expected('secret', salt, times).equals(atOnce(macKey(Buffer.from('secret'), salt, times))), `${times}`);
    assert.equal([...macKey(Buffer.from('secret'), salt, times)].length, pauses, `${times}`);
  }
  assert.ok(
    expected('secret', salt, 10_000).equals(atOnce(macKey(Buffer.from('secret'), salt))),
    'as Java writes it, where nothing else is said',
  );
});

test('what is encrypted has a key of 32 bytes, and the password that made it is left as it was', async () => {
  const [password, salt] = [Buffer.from('secret'), randomBytes(16)];
  assert.equal(iterations, 10_000);
  assert.ok(
    pbkdf2Sync(password, salt, 10_000, 32, 'sha256').equals(await encryptionKey(password, salt)),
    'the key is another',
  );
  atOnce(macKey(password, salt, 1));
  assert.equal(password.toString(), 'secret');
});

/** All memory that was asked for by its size while something was done. */
function memoryOf(work: () => unknown): readonly ArrayBuffer[] {
  const real = globalThis.ArrayBuffer;
  const made: ArrayBuffer[] = [];
  globalThis.ArrayBuffer = class extends real {
    constructor(bytes = 0) {
      super(bytes);
      made.push(this);
    }
  };
  try {
    work();
  } finally {
    globalThis.ArrayBuffer = real;
  }
  return made;
}

const isZero = (memory: ArrayBuffer): boolean => new Uint8Array(memory).every((byte) => byte === 0);

test('nothing is left of a password in memory, however the work on it ends', () => {
  const [password, salt] = [Buffer.from('secret'), randomBytes(16)];
  const whole = memoryOf(() => atOnce(macKey(password, salt, 600)));
  const broken = memoryOf(() => {
    const steps = macKey(password, salt, 600);
    steps.next();
    steps.return(new Uint8Array());
  });
  for (const memory of [whole, broken]) {
    assert.deepEqual(
      memory.map(({ byteLength }) => byteLength),
      [14, 192],
      'the password as text, and with the salt in blocks',
    );
    assert.ok(memory.every(isZero), 'a part of it is left');
  }
  const [random, text] = memoryOf(makePassword);
  assert.ok(random !== undefined && isZero(random), 'what the password was made of is left');
  assert.ok(text !== undefined && !isZero(text), "the password itself is its user's");
});

test('a password that the agent makes is 64 hexadecimal digits, all of them in use, and never the same', () => {
  const made = Array.from({ length: 32 }, () => Buffer.from(makePassword()).toString('latin1'));
  assert.equal(new Set(made).size, 32);
  for (const text of made) {
    assert.match(text, /^[0-9a-f]{64}$/);
  }
  for (const half of [0, 1]) {
    const digits = made.flatMap((text) => [...text].filter((_, index) => index % 2 === half));
    assert.equal(new Set(digits).size, 16, 'a digit never stands there');
  }
});
