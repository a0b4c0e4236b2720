/**
 * The chart as one file, with the names of the images that belong to it.
 *
 * https://helm.sh/docs/helm/helm_package/
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseDocument } from 'yaml';
import { chartDirectory, helmProgram } from '../chart.ts';
import { tarGz } from './archive.ts';
import { type Image, images, repositoryOf } from './images.ts';
import { run } from './programs.ts';

/** Digests of the images for all architectures, by the image's name; none where no image was made. */
export type Digests = ReadonlyMap<string, string>;

/**
 * A copy of the chart whose values name the images of this release.
 * @param directory where to; must be empty
 * @returns the chart's directory
 */
export function chartOfRelease(directory: string, registry: string, digests: Digests): string {
  const chart = join(directory, basename(chartDirectory));
  cpSync(chartDirectory, chart, { recursive: true });
  const file = join(chart, 'values.yaml');
  writeFileSync(file, withImages(readFileSync(file, 'utf8'), registry, digests));
  return chart;
}

/** Values with the images' names and digests in place of what is there; comments stay. */
export function withImages(values: string, registry: string, digests: Digests): string {
  return images.reduce((text, image) => {
    const repository = replaced(text, [...image.chartValue, 'repository'], repositoryOf(image, registry));
    const digest = digests.get(image.name);
    return digest === undefined ? repository : replaced(repository, digestOf(image), digest);
  }, values);
}

const digestOf = (image: Image): readonly string[] => [...image.chartValue, 'digest'];

/** Puts a value in the place of the one at this path, and leaves every other character as it is. */
function replaced(text: string, path: readonly string[], value: string): string {
  const node = parseDocument(text).getIn(path, true);
  const range: unknown = Reflect.get(Object(node), 'range');
  if (!Array.isArray(range)) {
    throw new TypeError(`values.yaml has no ${path.join('.')}`);
  }
  return text.slice(0, Number(range[0])) + value + text.slice(Number(range[1]));
}

/**
 * Packs a chart as Helm does, and then once more: Helm writes the time of packing into the archive.
 * @param work a directory that is there for this alone
 */
export function packChart(chart: string, work: string, epoch: number): Buffer {
  const packed = join(work, 'packed');
  const unpacked = join(work, 'unpacked');
  mkdirSync(packed);
  mkdirSync(unpacked);
  run(helmProgram(), ['package', chart, '--destination', packed]);
  const [file = ''] = readdirSync(packed);
  run('tar', ['--extract', '--gzip', `--file=${join(packed, file)}`, `--directory=${unpacked}`]);
  return tarGz(unpacked, epoch);
}
