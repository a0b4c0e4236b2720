/**
 * The files that images are made of, laid out as `docker build` and `buildah build` copy them: `system-<architecture>/` with
 * Node.js and what the system must give, a directory for each image with its programs, and one for each processor with what the agent
 * mounts by.
 */
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Architecture, architectures, type Image, images } from './images.ts';
import { placeKoffi, placeNode } from './node-program.ts';
import { run } from './programs.ts';
import { fetchPackage, filesOf, lockedPackages, type SystemPackage } from './system-packages.ts';

/** Where directories of programs and libraries are looked for, beside where they are. */
const links: Readonly<Record<string, string>> = {
  bin: 'usr/bin',
  sbin: 'usr/sbin',
  lib: 'usr/lib',
  lib64: 'usr/lib64',
  'etc/os-release': '../usr/lib/os-release',
};

/** Small files that no package brings. */
const written: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin\n',
  'etc/group': 'root:x:0:\nnonroot:x:65532:\n',
  'etc/nsswitch.conf': 'hosts: files dns\n',
};

/** Directories that are empty, and that the system mounts or programs expect. */
const empty = ['dev', 'proc', 'root', 'run', 'sys', 'tmp', 'usr/sbin', 'usr/lib64'];

/**
 * Lays the files out.
 * @param directory where to; must not exist
 * @param bundle the directory that `bundleAgent` has written
 * @param cache where what was fetched is kept
 * @throws Refusal when a package cannot be had
 */
export function layOut(directory: string, bundle: string, cache: string): void {
  for (const architecture of architectures) {
    layOutSystem(join(directory, `system-${architecture}`), architecture, cache);
  }
  for (const image of images) {
    layOutPrograms(join(directory, image.target), image, bundle);
  }
  for (const image of images.filter(({ mounts }) => mounts)) {
    for (const architecture of architectures) {
      layOutKoffi(join(directory, `${image.target}-${architecture}`), image, architecture, cache);
    }
  }
}

function layOutSystem(root: string, architecture: Architecture, cache: string): void {
  for (const name of empty) {
    mkdirSync(join(root, name), { recursive: true });
  }
  for (const entry of lockedPackages(architecture)) {
    unpack(root, entry, architecture, cache);
  }
  for (const [name, content] of Object.entries(written)) {
    place(root, name, Buffer.from(content), 0o644);
  }
  for (const [name, target] of Object.entries(links)) {
    symlinkSync(target, join(root, name));
  }
  placeNode(join(root, 'usr/local'), architecture, cache);
  chmodSync(join(root, 'tmp'), 0o1777);
}

/** Takes from a Debian package what is wanted of it, and notes it where scanners for vulnerabilities look. */
function unpack(root: string, entry: SystemPackage, architecture: Architecture, cache: string): void {
  const archive = fetchPackage(entry, cache);
  const unpacked = join(root, '.unpacked');
  mkdirSync(unpacked);
  run('dpkg-deb', ['--extract', archive, unpacked]);
  for (const name of filesOf(entry.name, architecture)) {
    // Without set-user-ID, which mount has in the package: whoever runs it here is root or has no use for it.
    place(root, name, readFileSync(join(unpacked, name)), /bin\/|\/ld-linux/.test(name) ? 0o755 : 0o644);
  }
  const copyright = `usr/share/doc/${entry.name}/copyright`;
  if (existsSync(join(unpacked, copyright))) {
    place(root, copyright, readFileSync(join(unpacked, copyright)), 0o644);
  }
  place(root, `var/lib/dpkg/status.d/${entry.name}`, run('dpkg-deb', ['--field', archive]), 0o644);
  rmSync(unpacked, { recursive: true });
}

function layOutPrograms(root: string, image: Image, bundle: string): void {
  const programs = `usr/local/lib/${image.name}`;
  for (const name of image.programs) {
    // There is no /usr/bin/env, which looks node up elsewhere.
    const text = readFileSync(join(bundle, name), 'utf8').replace(
      /^#!\/usr\/bin\/env node\n/,
      '#!/usr/local/bin/node\n',
    );
    place(root, `${programs}/${name}`, Buffer.from(text), 0o755);
  }
  cpSync(join(bundle, 'THIRD-PARTY-LICENSES.txt'), join(root, programs, 'THIRD-PARTY-LICENSES.txt'));
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
  symlinkSync(`/${programs}/${image.programs[0]}`, join(root, 'usr/local/bin', image.name));
}

/** The package brings no text of its licence. */
function layOutKoffi(root: string, image: Image, architecture: Architecture, cache: string): void {
  const directory = `usr/local/lib/${image.name}`;
  placeKoffi(join(root, directory), architecture, cache);
  place(root, `${directory}/koffi-license.txt`, readFileSync(join(import.meta.dirname, 'koffi-license.txt')), 0o644);
}

function place(root: string, name: string, content: Buffer, mode: number): void {
  const file = join(root, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  // Whatever the umask is.
  chmodSync(file, mode);
}
