/**
 * What the images need of an operating system, from Debian's packages: the C and C++ libraries that Node.js is linked to, and
 * mount(8). No image is built upon: a base image would bring a shell, a package manager and some eighty packages that nothing here
 * uses. Versions and checksums are in system-packages.json; `npm run lock-system-packages` writes it.
 *
 * https://www.debian.org/doc/debian-policy/ch-archive.html
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Architecture } from './images.ts';
import { Refusal, run } from './programs.ts';
import lock from './system-packages.json' with { type: 'json' };

/** Debian 13. */
export const suite = 'trixie';

export const lockFile = join(import.meta.dirname, 'system-packages.json');

export interface SystemPackage {
  readonly name: string;
  readonly architecture: string;
  readonly version: string;
  /** In Debian's archive. */
  readonly path: string;
  /** Of the package's file, hexadecimal. */
  readonly sha256: string;
}

export interface Lock {
  readonly suite: string;
  /** When it was written, as names of Debian's snapshots have it. */
  readonly snapshot: string;
  readonly packages: readonly SystemPackage[];
}

/** What machine names the directory of libraries carries. */
const triplets: Readonly<Record<Architecture, string>> = { amd64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** The program that loads the libraries, where programs look for it. */
const loaders: Readonly<Record<Architecture, string>> = {
  amd64: 'usr/lib64/ld-linux-x86-64.so.2',
  arm64: 'usr/lib/ld-linux-aarch64.so.1',
};

/** Of each package, the files that something in an image opens; `LIB` is the directory of libraries. */
const files: Readonly<Record<string, readonly string[]>> = {
  'base-files': ['usr/lib/os-release'],
  libc6: ['libc.so.6', 'libdl.so.2', 'libm.so.6', 'libpthread.so.0'].map((name) => `LIB/${name}`),
  'libgcc-s1': ['LIB/libgcc_s.so.1'],
  'libstdc++6': ['LIB/libstdc++.so.6'],
  libblkid1: ['LIB/libblkid.so.1'],
  libmount1: ['LIB/libmount.so.1'],
  'libpcre2-8-0': ['LIB/libpcre2-8.so.0'],
  libselinux1: ['LIB/libselinux.so.1'],
  mount: ['usr/bin/mount', 'usr/bin/umount'],
};

/** Names of the packages, in order. */
export const packageNames = Object.keys(files).toSorted();

/** The packages for one architecture, as they are locked. */
export function lockedPackages(architecture: Architecture): readonly SystemPackage[] {
  const { packages }: Lock = lock;
  return packages.filter((entry) => entry.architecture === architecture);
}

/** Paths of a package's files in an image. */
export function filesOf(name: string, architecture: Architecture): readonly string[] {
  const libraries = `usr/lib/${triplets[architecture]}`;
  const loader = name === 'libc6' ? [loaders[architecture]] : [];
  return [...(files[name] ?? []).map((file) => file.replace(/^LIB/, libraries)), ...loader];
}

/** Debian's file for a package, from the cache or from the archive. @throws Refusal when it cannot be had as it is locked */
export function fetchPackage(entry: SystemPackage, cache: string): string {
  const file = join(cache, basename(entry.path));
  if (!existsSync(file) || !isLocked(file, entry)) {
    mkdirSync(cache, { recursive: true });
    download(entry, `${file}.${process.pid}`);
    renameSync(`${file}.${process.pid}`, file);
  }
  return file;
}

function isLocked(file: string, { sha256 }: SystemPackage): boolean {
  return createHash('sha256').update(readFileSync(file)).digest('hex') === sha256;
}

/**
 * Debian's archives, as URIs: those that the machine's apt is set up with, which have the newest packages only; then the one that keeps
 * what they ever had.
 *
 * https://snapshot.debian.org/
 */
function archives(): readonly string[] {
  const targets = run('apt-get', [
    'indextargets',
    '--format',
    '$(ORIGIN) $(REPO_URI)',
    'Created-By: Packages',
  ]).toString();
  const near = targets.split('\n').flatMap((line) => /^Debian (\S+)/.exec(line)?.[1] ?? []);
  const kept = ['debian', 'debian-security'].map(
    (name) => `https://snapshot.debian.org/archive/${name}/${lock.snapshot}/`,
  );
  return [...new Set(near), ...kept];
}

/** apt knows the way to Debian's archive, proxies included, and compares the checksum. */
function download(entry: SystemPackage, file: string): void {
  const problems: string[] = [];
  for (const archive of archives()) {
    const uri = `${archive.replace(/\/$/, '')}/${entry.path}`;
    try {
      run('/usr/lib/apt/apt-helper', ['download-file', uri, file, `SHA256:${entry.sha256}`]);
      return;
    } catch (error) {
      rmSync(file, { force: true });
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Refusal(
    `${entry.name} ${entry.version} for ${entry.architecture} cannot be had; if Debian has a newer version by now, ` +
      `\`npm run lock-system-packages\` takes that. ${problems.join('; ')}`,
  );
}
