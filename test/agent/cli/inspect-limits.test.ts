/** `inspect` reads a bounded part of a volume, whatever a privileged container has put there, and says what it left out. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readVolumeFiles } from '../../../agent/cli/volume-files.ts';
import { createRootAuthority } from '../../support/certificates.ts';
import { makeDirectory } from '../../support/directory.ts';
import { createMaterial, createVolume } from './volume.ts';

const mib = 1024 * 1024;
const main = join(import.meta.dirname, '../../../agent/main.ts');
/** Nothing else tells how much memory a process has had that has ended. */
const tell = "process.on('exit', () => process.stderr.write('most KiB ' + process.resourceUsage().maxRSS))";

function inspect(directory: string) {
  const flags = ['--max-old-space-size=128', '--import', `data:text/javascript,${encodeURIComponent(tell)}`];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, main, 'inspect', directory], {
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * mib,
  });
  return { status, stdout, stderr, mostMiB: Number(/most KiB (\d+)/.exec(stderr)?.[1]) / 1024 };
}

function sparseFiles(directory: string, count: number, bytes: number): void {
  for (let index = 0; index < count; index += 1) {
    const file = join(directory, `zeros-${String(index).padStart(2, '0')}`);
    writeFileSync(file, '');
    truncateSync(file, bytes);
  }
}

test('of all files of a volume 8 MiB are read, and of each that does not fit it is told', async (t) => {
  const { key, leaf } = await createMaterial();
  const directory = makeDirectory(t);
  writeFileSync(join(directory, 'tls.pem'), key + leaf);
  const rest = 8 * mib - key.length - leaf.length;
  for (const [name, size] of Object.entries({ 'u-fits': rest, 'v-too-much': 1, 'w-empty': 0 })) {
    writeFileSync(join(directory, name), '');
    truncateSync(join(directory, name), size);
  }
  assert.deepEqual(
    readVolumeFiles(directory).map((file) => [file.path, file.type === 'read' ? file.bytes.length : file.reason]),
    [
      ['tls.pem', key.length + leaf.length],
      ['u-fits', rest],
      ['v-too-much', 'with it, more than 8 MiB of the volume would be read'],
      ['w-empty', 0],
    ],
  );
});

test('of a volume 4096 files and directories are looked at, and one more is told', (t) => {
  const directory = createVolume(t, { a: '' });
  // One directory is among them: the version, in which the files lie, counts for nothing.
  mkdirSync(join(directory, '..data', 'below'));
  for (let index = 0; index < 4094; index += 1) {
    writeFileSync(join(directory, '..data', 'below', String(index)), '');
  }
  assert.equal(readVolumeFiles(directory).length, 4095);
  writeFileSync(join(directory, '..data', 'below', 'one-more'), '');
  const files = readVolumeFiles(directory);
  assert.deepEqual(files.at(-1), {
    path: '.',
    type: 'unreadable',
    reason: 'there are more than 4096 files and directories; the rest was not looked at',
  });
  assert.equal(files.length, 4096);
});

test('of a volume 8192 keys and certificates are read, in whatever files, and more are told', async (t) => {
  const root = await createRootAuthority('CN=root');
  const half = root.pem.repeat(4096);
  const exactly = inspect(createVolume(t, { 'a.pem': half, 'b.pem': half }));
  assert.match(exactly.stdout, /^ok {4}a\.pem: 1 trust anchor\nok {4}b\.pem: 1 trust anchor\nwell$/m);
  const { stdout } = inspect(
    createVolume(t, { 'a.pem': half, 'b.pem': half + root.pem, 'c.pem': root.pem, 'd.pem': 'x' }),
  );
  const told = 'of the volume no more than 8192 keys and certificates are read, and it has more';
  assert.match(
    stdout,
    new RegExp(`^fail {2}b\\.pem: ${told}\nfail {2}c\\.pem: ${told}\nfail {2}d\\.pem: it holds neither`, 'm'),
  );
});

const floods: Readonly<Record<string, (directory: string) => void>> = {
  'sixty files of 32 MiB': (directory) => sparseFiles(directory, 60, 32 * mib),
  'zeros, which are elements of DER': (directory) => sparseFiles(directory, 1, 8 * mib),
  'blocks of nothing': (directory) =>
    writeFileSync(join(directory, 'a.pem'), '-----BEGIN A-----\n-----END A-----\n'.repeat(230_000)),
  'JSON of empty objects': (directory) =>
    writeFileSync(join(directory, 'map.json'), `{"a":[${'{},'.repeat(2_700_000)}{}]}`),
  'a record of gibibytes, and passwords of them': (directory) => {
    mkdirSync(join(directory, '..agent'));
    for (const name of ['volume.json', 'keystore-0.password', 'keystore-1.password']) {
      writeFileSync(join(directory, '..agent', name), '');
      truncateSync(join(directory, '..agent', name), 1024 * mib);
    }
  },
};

/** What a look at a directory without files takes is the program's, which here is read as TypeScript. */
const { mostMiB: emptyMiB } = inspect(makeDirectory());

for (const [what, flood] of Object.entries(floods)) {
  test(`a volume of ${what} costs inspect no more than 150 MiB, and is not well`, async (t) => {
    const directory = makeDirectory(t);
    flood(directory);
    const { status, stderr, mostMiB } = inspect(directory);
    assert.equal(status, 1, stderr);
    const more = mostMiB - emptyMiB;
    assert.ok(more < 150, `it took ${Math.round(more)} MiB more than an empty one`);
  });
}

test('a record or password that is a pipe or leads elsewhere keeps inspect from nothing', async (t) => {
  const { key, leaf, intermediate, root } = await createMaterial();
  const directory = createVolume(t, { 'tls.pem': key + leaf + intermediate.pem, 'ca.pem': root.pem });
  mkdirSync(join(directory, '..agent'));
  spawnSync('mkfifo', [join(directory, '..agent', 'volume.json'), join(directory, '..agent', 'keystore-0.password')]);
  symlinkSync('/dev/zero', join(directory, '..agent', 'keystore-1.password'));
  assert.equal(inspect(directory).status, 0);
});
