/**
 * What the images hold of npm's packages for one processor: Node.js, and for the agent koffi, by which it mounts.
 */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import lock from '../../package-lock.json' with { type: 'json' };
import type { Architecture } from './images.ts';
import { type NpmPackage, npmPackage, placeFiles } from './npm-packages.ts';

/** What npm calls the processor. */
const processors = { amd64: 'x64', arm64: 'arm64' } as const satisfies Readonly<Record<Architecture, string>>;

/** The package that holds Node.js for a processor, as it is locked. */
export function nodePackage(architecture: Architecture): NpmPackage {
  const name = `node-linux-${processors[architecture]}` as const;
  return npmPackage(name, lock.packages[`node_modules/${name}`]);
}

/** The package that holds koffi for a processor, as it is locked. */
export function koffiPackage(architecture: Architecture): NpmPackage {
  const name = `@koromix/koffi-linux-${processors[architecture]}` as const;
  return npmPackage(name, lock.packages[`node_modules/${name}`]);
}

/**
 * Puts Node.js and its licence below a directory.
 * @param directory such as `usr/local`; the program becomes `bin/node` in it
 * @throws Refusal when the package cannot be had as it is locked
 */
export function placeNode(directory: string, architecture: Architecture, cache: string): void {
  placeFiles(nodePackage(architecture), ['bin/node', 'LICENSE'], directory, 0, cache);
  chmodSync(join(directory, 'bin/node'), 0o755);
  chmodSync(join(directory, 'LICENSE'), 0o644);
}

/** Puts `koffi.node` into a directory. @throws Refusal when the package cannot be had as it is locked */
export function placeKoffi(directory: string, architecture: Architecture, cache: string): void {
  const file = `linux_${processors[architecture]}/koffi.node`;
  placeFiles(koffiPackage(architecture), [file], directory, 1, cache);
  chmodSync(join(directory, 'koffi.node'), 0o644);
}
