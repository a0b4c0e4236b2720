/**
 * Brings a release to a registry, and signs what was brought there: without a key of anybody's, by an identity that the signer
 * proves to Sigstore (in a workflow: the repository's).
 *
 * https://docs.sigstore.dev/cosign/signing/overview/
 */
import { join } from 'node:path';
import { helmProgram } from '../chart.ts';
import type { Digests } from './chart-package.ts';
import type { FileNames } from './files.ts';
import { images, repositoryOf } from './images.ts';
import { run } from './programs.ts';

/** One command, program first. */
export type Command = readonly [string, ...string[]];

/**
 * The commands that publish a release, in order: nothing names an image that is not there yet.
 * @param directory where the release is
 */
export function publishingCommands(
  directory: string,
  names: FileNames,
  registry: string,
  digests: Digests,
): readonly Command[] {
  const pushed = images.flatMap((image): readonly Command[] => {
    const digest = digests.get(image.name);
    const repository = repositoryOf(image, registry);
    const archive = join(directory, names.image(image));
    return digest === undefined
      ? []
      : [
          [
            'skopeo',
            'copy',
            '--all',
            '--preserve-digests',
            `oci-archive:${archive}`,
            `docker://${repository}:${names.version}`,
          ],
          ['cosign', 'sign', '--yes', '--recursive', `${repository}@${digest}`],
          [
            'cosign',
            'attest',
            '--yes',
            '--type=spdxjson',
            `--predicate=${join(directory, names.sbom)}`,
            `${repository}@${digest}`,
          ],
        ];
  });
  const checksums = join(directory, names.checksums);
  return [
    ...pushed,
    [helmProgram(), 'push', join(directory, names.chart), `oci://${registry}/charts`],
    ['cosign', 'sign-blob', '--yes', `--bundle=${checksums}.sigstore.json`, checksums],
  ];
}

/** Runs the commands one after the other. @throws Refusal at the first that fails */
export function publish(commands: readonly Command[], say: (line: string) => void): void {
  for (const [program, ...args] of commands) {
    say(shown([program, ...args]));
    run(program, args);
  }
}

/** A command as it can be typed. */
export function shown(command: Command): string {
  return command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}
