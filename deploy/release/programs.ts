/**
 * Runs the programs that a release needs beside Node.js, each with a word on how to get it where it is missing.
 */
import { type SpawnSyncOptions, spawnSync } from 'node:child_process';
import { helmAdvice, helmProgram } from '../chart.ts';

/** What whoever makes the release can mend; its message is all that is printed. */
export class Refusal extends Error {}

const maxOutputBytes = 1024 * 1024 * 1024;

const advice = {
  git: 'install git, or name the commit in REVISION and its time in SOURCE_DATE_EPOCH',
  tar: 'install GNU tar',
  npm: 'install npm, which comes with Node.js',
  '/usr/lib/apt/apt-helper': 'images are made on Debian and its kin; leave them out with --no-image',
  'apt-get': 'images are made on Debian and its kin; leave them out with --no-image',
  'dpkg-deb': 'install dpkg, which has it',
  buildah: 'install buildah, or leave the image out with --no-image',
  skopeo: 'install skopeo',
  cosign: 'https://docs.sigstore.dev/cosign/system_config/installation/ says how to install it',
  [helmProgram()]: helmAdvice,
};

/** Runs a program to its end. @returns what it printed @throws Refusal when it is missing or fails */
export function run(program: string, args: readonly string[], options: SpawnSyncOptions = {}): Buffer {
  const { error, status, stdout, stderr } = spawnSync(program, args, {
    maxBuffer: maxOutputBytes,
    ...options,
    encoding: 'buffer',
  });
  if (error !== undefined) {
    const isMissing = 'code' in error && error.code === 'ENOENT';
    throw new Refusal(isMissing ? `${program} is not here: ${adviceFor(program)}` : `${program}: ${error.message}`);
  }
  if (status !== 0) {
    const said = stderr?.toString('utf8').trim() || `it ended with exit code ${status}`;
    throw new Refusal(`${program} ${args.join(' ')}: ${said}`);
  }
  return stdout;
}

/** Whether a program can be started at all. */
export function isHere(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;
}

function adviceFor(program: string): string {
  return new Map(Object.entries(advice)).get(program) ?? 'install it';
}
