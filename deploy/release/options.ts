/**
 * The command line of `npm run release`.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { defaultRegistry } from './images.ts';
import { Refusal } from './programs.ts';

export interface Options {
  /** What was made is published, or the commands that would do it are shown. */
  readonly publishing: 'for real' | 'shown' | 'no';
  readonly registry: string;
  /** Absolute. */
  readonly output: string;
  readonly withImages: boolean;
  /** Where fetched packages are kept; absolute. */
  readonly cache: string;
}

const defaultOutput = join(import.meta.dirname, '../../dist/release');

export const help = `Makes everything that a release consists of, the same bytes from the same commit on any machine.

  npm run release -- [options]

  --dry-run          Make everything, and show the commands that would publish it.
  --publish          Make everything, push images and chart to the registry, and sign them with cosign. Needs a registry,
                     a login to it, and a clone without changes.
  --registry <name>  Where images and chart are, such as registry.example.com/team. Manifests and chart name the images
                     there. Default: ${defaultRegistry}, which nobody serves.
  --output <dir>     Where to; a directory that is new, empty, or holds an earlier release. Default: dist/release.
  --no-image         Leave the images out.
  --help             This text.

Needs git, GNU tar and Helm; for images also buildah, apt and dpkg; for --publish also skopeo and cosign. What is fetched
(Node.js from npm, system libraries from Debian, by checksum) is kept in $XDG_CACHE_HOME or ~/.cache.

Exit codes: 0 done, 1 something is missing or failed.
`;

/** @throws Refusal for arguments that are not known or do not go together */
export function parseOptions(args: readonly string[], environment: NodeJS.ProcessEnv): Options | 'help' {
  const values = valuesOf(args);
  if (values.help) {
    return 'help';
  }
  const registry = values.registry.replace(/\/+$/, '');
  if (!/^[a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*$/.test(registry)) {
    throw new Refusal(`--registry ${values.registry}: a host, and parts of a path in lower case`);
  }
  if (values.publish && registry === defaultRegistry) {
    throw new Refusal(`--publish needs --registry: ${defaultRegistry} is a name that nobody serves`);
  }
  if (values.publish && (values['dry-run'] || values['no-image'])) {
    throw new Refusal('--publish goes with neither --dry-run nor --no-image');
  }
  return {
    publishing: values.publish ? 'for real' : values['dry-run'] ? 'shown' : 'no',
    registry,
    output: resolve(values.output),
    withImages: !values['no-image'],
    cache: cacheDirectory(environment),
  };
}

/** Where fetched packages are kept. */
export function cacheDirectory(environment: NodeJS.ProcessEnv): string {
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'pod-certificate-agent', 'release');
}

function valuesOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        'dry-run': { type: 'boolean', default: false },
        publish: { type: 'boolean', default: false },
        registry: { type: 'string', default: defaultRegistry },
        output: { type: 'string', default: defaultOutput },
        'no-image': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new Refusal(`${error instanceof Error ? error.message : String(error)} (--help lists the options)`);
  }
}
