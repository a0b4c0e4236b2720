/**
 * `npm run release`: makes a release, and shows or carries out its publishing. docs/releasing.md says who needs what of it.
 */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleAgent } from '../bundle.ts';
import { tarGz } from './archive.ts';
import { chartOfRelease, type Digests, packChart } from './chart-package.ts';
import { type FileNames, fileNames } from './files.ts';
import { buildImage } from './image.ts';
import { layOut } from './image-root.ts';
import { images } from './images.ts';
import { manifestsOf, writeBases } from './manifests.ts';
import { help, type Options, parseOptions } from './options.ts';
import { Refusal } from './programs.ts';
import { publish, publishingCommands, shown } from './publish.ts';
import { sbom } from './sbom.ts';
import { readVersion, type Version } from './version.ts';

const root = join(import.meta.dirname, '../..');
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function main(args: readonly string[]): Promise<void> {
  const options = parseOptions(args, process.env);
  if (options === 'help') {
    say(help.trimEnd());
    return;
  }
  const version = readVersion(process.env);
  if (version.isChanged && options.publishing === 'for real') {
    throw new Refusal('the clone has changes that are in no commit: what is published must be what the commit holds');
  }
  empty(options.output);
  const work = mkdtempSync(join(tmpdir(), 'release-'));
  try {
    const digests = await make(options, version, work);
    finish(options, version, digests);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Clears what an earlier release left; a directory with anything else in it stays as it is. */
function empty(output: string): void {
  const { checksums } = fileNames('');
  if (existsSync(output) && readdirSync(output).length > 0 && !existsSync(join(output, checksums))) {
    throw new Refusal(`${output} has something else in it than a release: name another directory with --output`);
  }
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
}

/** Makes everything that others can take from a release. @returns the images' digests */
async function make(options: Options, version: Version, work: string): Promise<Digests> {
  const names = fileNames(version.version);
  const put = (name: string, content: string | Buffer): void => {
    writeFileSync(join(options.output, name), content);
    say(`  ${name}, ${content.length.toLocaleString('en')} bytes`);
  };
  say(`pod-certificate-agent ${version.version}, commit ${version.revision}${version.isChanged ? ' and changes' : ''}`);

  say('the bundle');
  const bundle = join(work, 'bundle');
  const packages = await bundleAgent(bundle);
  cpSync(join(root, 'LICENSE'), join(bundle, 'LICENSE'));
  // Maps name the files by the way from the directory that they were written to.
  for (const map of readdirSync(bundle).filter((file) => file.endsWith('.map'))) {
    rmSync(join(bundle, map));
  }
  put(names.bundle, tarGz(bundle, version.epoch));
  put(names.licenses, readFileSync(join(bundle, names.licenses)));

  const digests = options.withImages ? makeImages(options, version, work, put) : new Map<string, string>();
  makeManifests(options, version, work, digests, put);
  say('the list of what is in it');
  put(names.sbom, sbom(version, packages, digests.size > 0));
  put(names.checksums, checksums(options.output));
  return digests;
}

type Put = (name: string, content: string | Buffer) => void;

function makeImages(options: Options, version: Version, work: string, put: Put): Digests {
  say('the images, for amd64 and arm64');
  const context = join(work, 'context');
  layOut(context, join(work, 'bundle'), options.cache);
  return new Map(
    images.map((image) => {
      const { archive, digest } = buildImage(image, context, join(work, 'buildah'), version);
      put(fileNames(version.version).image(image), archive);
      say(`  ${image.name}@${digest}`);
      return [image.name, digest];
    }),
  );
}

function makeManifests(options: Options, version: Version, work: string, digests: Digests, put: Put): void {
  const names: FileNames = fileNames(version.version);
  say('chart and manifests');
  const chart = chartOfRelease(join(work, 'chart'), options.registry, digests);
  put(names.chart, packChart(chart, join(work, 'chart'), version.epoch));
  const manifests = manifestsOf(chart, options.registry, version.version);
  for (const { mode, text } of manifests) {
    put(names.manifest(mode), text);
  }
  const bases = join(work, 'kustomize');
  writeBases(bases, manifests);
  put(names.kustomize, tarGz(bases, version.epoch));
}

/** In the form of sha256sum(1). */
function checksums(directory: string): string {
  const line = (name: string): string => {
    const sum = createHash('sha256')
      .update(readFileSync(join(directory, name)))
      .digest('hex');
    return `${sum}  ${name}\n`;
  };
  return readdirSync(directory).toSorted().map(line).join('');
}

function finish({ publishing, output, registry }: Options, { version }: Version, digests: Digests): void {
  say(`everything is in ${output}`);
  const commands = publishingCommands(output, fileNames(version), registry, digests);
  switch (publishing) {
    case 'no':
      return;
    case 'shown':
      say('nothing is published; --publish would run:');
      for (const command of commands) {
        say(`  ${shown(command)}`);
      }
      return;
    case 'for real':
      publish(commands, say);
      return;
    default:
      publishing satisfies never;
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Refusal)) {
    throw error;
  }
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
