/**
 * Images for both processors from the Dockerfile, built by buildah into an archive in the OCI's layout. Nothing of it comes
 * near the machine's own images.
 *
 * https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tar } from './archive.ts';
import { architectures, type Image } from './images.ts';
import { run } from './programs.ts';
import type { Version } from './version.ts';

const dockerfile = join(import.meta.dirname, '../../Dockerfile');

export interface BuiltImage {
  /** An OCI layout as tar. */
  readonly archive: Buffer;
  /** Of the index over all architectures: what a registry calls the image. */
  readonly digest: string;
}

/**
 * Builds one image.
 * @param context the files, as `layOut` laid them out
 * @param work a directory for buildah alone
 * @throws Refusal when buildah is missing or fails
 */
export function buildImage(
  image: Image,
  context: string,
  work: string,
  { version, revision, epoch }: Version,
): BuiltImage {
  mkdirSync(work, { recursive: true });
  // The machine's logins take no part: nothing is fetched.
  const noLogins = join(work, 'no-logins.json');
  writeFileSync(noLogins, '{}');
  const storage = ['--root', join(work, 'storage'), '--runroot', join(work, 'run')];
  const buildah = (...args: readonly string[]) =>
    run('buildah', [...storage, ...args], { env: { ...process.env, REGISTRY_AUTH_FILE: noLogins } });
  const layout = join(work, `${image.target}-layout`);
  const list = `localhost/${image.name}`;
  buildah('manifest', 'create', list);
  for (const architecture of architectures) {
    const name = `localhost/${image.target}-${architecture}`;
    buildah(
      ...['build', '--isolation=chroot', '--layers=false', '--format=oci', '--identity-label=false', '--pull=never'],
      ...[`--platform=linux/${architecture}`, `--timestamp=${epoch}`, `--target=${image.target}`, `--tag=${name}`],
      ...[`--build-arg=VERSION=${version}`, `--build-arg=REVISION=${revision}`, `--file=${dockerfile}`, context],
    );
    buildah('manifest', 'add', `--arch=${architecture}`, '--os=linux', list, name);
  }
  buildah('manifest', 'push', '--all', '--format=oci', list, `oci:${layout}:${version}`);
  return { archive: tar(layout, epoch), digest: digestIn(layout) };
}

function digestIn(layout: string): string {
  const index: { readonly manifests: readonly { readonly digest: string }[] } = JSON.parse(
    readFileSync(join(layout, 'index.json'), 'utf8'),
  );
  return index.manifests[0]?.digest ?? '';
}
