/**
 * Files for the images from packages of npm's registry: the very ones that package-lock.json locks for development and tests, also those
 * for the other processor, which npm does not install.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Refusal, run } from './programs.ts';

/** A package as it is locked. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** As npm writes checksums: `sha512-` and Base64. */
  readonly integrity: string;
  readonly license: string;
}

/** The package by this name. @param locked its entry in package-lock.json */
export function npmPackage(name: string, locked: Omit<NpmPackage, 'name'>): NpmPackage {
  const { version, integrity, license } = locked;
  return { name, version, integrity, license };
}

/**
 * Puts files of a package into a directory.
 * @param strip how many directories of the files' paths are left out
 * @throws Refusal when the package cannot be had as it is locked
 */
export function placeFiles(
  { name, version, integrity }: NpmPackage,
  files: readonly string[],
  directory: string,
  strip: number,
  cache: string,
): void {
  const archive = join(cache, `${name.replace('/', '-')}-${version}.tgz`);
  if (!existsSync(archive)) {
    fetchArchive(`${name}@${version}`, archive, cache);
  }
  const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (found !== integrity) {
    throw new Refusal(`${archive} is not the ${name} ${version} that package-lock.json locks: remove it`);
  }
  mkdirSync(directory, { recursive: true });
  const into = [`--strip-components=${strip + 1}`, `--directory=${directory}`];
  run('tar', ['--extract', `--file=${archive}`, ...into, ...files.map((file) => `package/${file}`)]);
}

function fetchArchive(name: string, archive: string, cache: string): void {
  const directory = join(cache, `${basename(archive)}.${process.pid}`);
  mkdirSync(directory, { recursive: true });
  try {
    run('npm', ['pack', name, '--pack-destination', directory, '--silent'], { cwd: cache });
    const [file = ''] = readdirSync(directory);
    renameSync(join(directory, file), archive);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
