/**
 * Keys leave no trace: the memory of a process that made, used and wrote keys of all types, started as the image starts
 * the agent, is searched from outside for any eight bytes in a row of a secret number, and for whatever a key may look like in a file. What to look for is learnt from the files alone.
 *
 * Eight bytes are found by chance once in 2^64 / (bytes of memory × patterns), which is less than once in ten thousand runs.
 * Fewer bytes in a row are not looked for: of four there are chance matches in every run.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { keyTypes } from '../../../volumes/declaration/key-types.ts';
import { eventOf } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';
import { findInMemory, memorySkip, type Patterns } from '../../support/process-memory.ts';

const memoryDirectory = '/dev/shm';
/** Of each elliptic curve; of RSA one. */
const keysOfEachType = 6;
const windowBytes = 8;
/** linux/magic.h */
const tmpfsMagic = 0x01021994;
const skip = whyNot();

test('no private key, nor eight bytes of one, is found in the memory of a process that made, used and wrote it', {
  skip,
  timeout: 300_000,
}, async (t) => {
  const directory = makeDirectory(t, memoryDirectory);
  const pid = await settledChild(t, directory);
  const names = readdirSync(directory);
  assert.equal(names.length, 4 * keysOfEachType + 2, 'there are keys of all types');
  assert.ok(
    keyTypes.every((keyType) => names.some((name) => name.startsWith(keyType))),
    'of each type',
  );
  const patterns = names.flatMap((name) =>
    patternsOf(readFileSync(path.join(directory, name, 'key.pem'), 'utf8')).map(
      ([form, bytes]) => [`${form} of ${name}`, bytes] as const,
    ),
  );
  const passwords = names.flatMap((name) =>
    passwordPatterns(`the password of ${name}`, readFileSync(path.join(directory, name, 'password'))),
  );
  const { found, bytes } = findInMemory(pid, [...patterns, ...passwords]);
  assert.ok(bytes > 50 * 1024 * 1024, `${bytes} bytes were searched`);
  assert.deepEqual(found, []);
});

test('the search finds what a process has, whole or in part', { skip }, async (t) => {
  const secret = Buffer.from(new ArrayBuffer(66));
  crypto.getRandomValues(secret);
  const program = `const kept = Buffer.from(process.argv[1], 'hex').subarray(58); process.stdout.write('settled\\n'); process.stdin.on('data', () => process.stdout.write(kept)).resume();`;
  const child = spawn(process.execPath, ['-e', program, secret.toString('hex')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await eventOf(child.stdout, 'data', 'the word of the child');
  const never = crypto.getRandomValues(Buffer.from(new ArrayBuffer(66)));
  const patterns = [...windowsOf('held', secret), ...windowsOf('never held', never)];
  assert.deepEqual(findInMemory(child.pid ?? 0, patterns).found, ['held']);
});

function whyNot(): string | false {
  if (statfsSync(memoryDirectory).type !== tmpfsMagic) {
    return `needs a tmpfs at ${memoryDirectory}`;
  }
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime === undefined ? 'needs glibc, as the image has it' : memorySkip(process.pid);
}

/** How the image starts Node.js: its variables of the C library, and its flags for the heap. */
function imageSettings(): { readonly tunables: string; readonly flags: readonly string[] } {
  const dockerfile = readFileSync(path.join(import.meta.dirname, '../../../Dockerfile'), 'utf8');
  const [, tunables = ''] = /^ENV GLIBC_TUNABLES=(\S+)$/m.exec(dockerfile) ?? [];
  const [, entrypoint = '[]'] = /^ENTRYPOINT (.*)$/m.exec(dockerfile) ?? [];
  const words: readonly string[] = JSON.parse(entrypoint);
  return { tunables, flags: words.slice(1, -1) };
}

async function settledChild(t: TestContext, directory: string): Promise<number> {
  const program = path.join(import.meta.dirname, 'key-memory-child.ts');
  const { tunables, flags } = imageSettings();
  const values = [...flags, '--expose-gc', program, directory, String(keysOfEachType)];
  const env = { ...process.env, GLIBC_TUNABLES: tunables };
  const child = spawn(process.execPath, values, { stdio: ['pipe', 'pipe', 'inherit'], env });
  const exit = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  const ended = exit.then(([code]) => assert.fail(`the child ended with ${code}`));
  const [line] = await Promise.race([once(child.stdout, 'data'), ended]);
  assert.equal(String(line), 'settled\n');
  assert.ok(child.pid !== undefined, 'it runs');
  return child.pid;
}

/** All that a number's bytes may be found by, in whatever part of it is left. */
function windowsOf(name: string, number: Uint8Array, step = 1): Patterns {
  const starts = Array.from(
    { length: Math.floor((number.length - windowBytes) / step) + 1 },
    (_, index) => index * step,
  );
  return starts.map((start) => [name, number.subarray(start, start + windowBytes)] as const);
}

/** A password as it is, and as PKCS#12 derives keys from it. Eight of its digits are four bytes, and would be found by chance. */
function passwordPatterns(name: string, password: Buffer): Patterns {
  const wide = Buffer.from(password.toString('latin1'), 'utf16le').swap16();
  return [password, wide].flatMap((bytes) =>
    Array.from(
      { length: bytes.length / 16 },
      (_, index) => [name, bytes.subarray(index * 16, (index + 1) * 16)] as const,
    ),
  );
}

/** How a key may lie in memory. Numbers are big-endian as in files, and little-endian as OpenSSL computes with them. */
function patternsOf(pem: string): Patterns {
  const key = createPrivateKey(pem);
  const isRsa = key.asymmetricKeyType === 'rsa';
  // The first line says little but the type; an elliptic curve's later ones hold the public key.
  const lines = pem.split('\n').filter((line) => line !== '' && !line.startsWith('-----'));
  const line = isRsa ? (lines.at(-2) ?? '') : (lines[0] ?? '').slice(52);
  const patterns: (readonly [string, Uint8Array])[] = [
    ['PKCS#8', key.export({ type: 'pkcs8', format: 'der' })],
    ['PEM', Buffer.from(line.slice(0, 12))],
  ];
  const jwk = key.export({ format: 'jwk' });
  for (const part of ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const) {
    const text = jwk[part];
    if (text === undefined) {
      continue;
    }
    const number = Buffer.from(String(text), 'base64url');
    // Of a long number every eighth start finds any fifteen bytes in a row.
    const step = isRsa ? windowBytes : 1;
    patterns.push(...windowsOf(`${part}, big-endian`, number, step));
    patterns.push(...windowsOf(`${part}, little-endian`, Buffer.from(number).reverse(), step));
    patterns.push([`${part}, hexadecimal`, Buffer.from(number.subarray(-windowBytes).toString('hex'))]);
  }
  return patterns;
}
