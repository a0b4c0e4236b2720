/** The reader has to see what it is there for: a set that is whole is read, and one that is not is told. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createRootAuthority, now } from './certificates.ts';
import { makeDirectory } from './directory.ts';
import { startVolumeReader } from './volume-reader.ts';

const dayMs = 86_400_000;

interface Pair {
  readonly key: string;
  readonly chain: string;
}

async function makePair(notAfter: number): Promise<Pair> {
  const authority = await createRootAuthority();
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const key = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return { key, chain: await authority.issueLeaf({ spki, notAfter }) };
}

function put(directory: string, set: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(join(directory, set));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(directory, set, name), text);
  }
  symlinkSync(set, join(directory, '..next'));
  renameSync(join(directory, '..next'), join(directory, '..data'));
}

async function startReading(t: TestContext) {
  const directory = makeDirectory({ after: (remove) => t.after(() => remove()) });
  const reader = await startVolumeReader(t, [{ directory, key: 'key.pem', certificate: 'chain.pem' }]);
  const [first, later] = [await makePair(now + dayMs), await makePair(now + 2 * dayMs)];
  return { directory, reader, first, later };
}

test('a reader tells of each set that it reads, and finds nothing wrong with sets that are whole', async (t) => {
  const { directory, reader, first, later } = await startReading(t);
  put(directory, '..1', { 'key.pem': first.key, 'chain.pem': first.chain });
  await reader.seen(({ set }) => set === '..1');
  put(directory, '..2', { 'key.pem': later.key, 'chain.pem': later.chain });
  rmSync(join(directory, '..1'), { recursive: true });
  const { notAfter } = await reader.seen(({ set }) => set === '..2');
  assert.equal(notAfter, now + 2 * dayMs);
  assert.deepEqual(await reader.close(), []);
  assert.deepEqual(
    reader.read(directory).map(({ set }) => set),
    ['..1', '..2'],
  );
});

test('a reader tells of a key that is another certificate’s, of files that are missing, and of one that ends sooner', async (t) => {
  const { directory, reader, first, later } = await startReading(t);
  put(directory, '..1', { 'key.pem': later.key, 'chain.pem': later.chain });
  await reader.seen(({ set }) => set === '..1');
  put(directory, '..2', { 'key.pem': later.key, 'chain.pem': first.chain });
  await reader.wrong(/not that of the certificate/);
  put(directory, '..3', { 'key.pem': later.key });
  await reader.wrong(/ENOENT/);
  put(directory, '..4', { 'key.pem': first.key, 'chain.pem': first.chain });
  await reader.seen(({ set }) => set === '..4');
  assert.match((await reader.close()).join('\n'), /not that of the certificate\n.*ENOENT.*\n.*which ends sooner$/);
});

test('a volume that was never read is not well', async (t) => {
  const { directory, reader } = await startReading(t);
  assert.deepEqual(await reader.close(), [`${directory}: nothing was read`]);
});
