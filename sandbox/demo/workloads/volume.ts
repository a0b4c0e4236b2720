/**
 * How a workload reads the files that are projected for it: all of one version, and again when they change.
 *
 * Files change by an exchange of the symbolic link `..data`. A watch on the directory sees every exchange; a watch on a
 * file, or on `..data` itself, sees the first one only.
 */
import { watch } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the credential lies: one bundle of key and chain, or the two apart. Paths are relative to the volume. */
export type CredentialFiles =
  | { readonly kind: 'bundle'; readonly path: string }
  | { readonly kind: 'apart'; readonly keyPath: string; readonly chainPath: string };

export interface VolumeFiles {
  readonly credential: CredentialFiles;
  /** File of trust anchors, PEM. */
  readonly anchorsPath: string;
}

/** Contents of the files, PEM. `key` and `cert` may be the same bundle: TLS libraries pick what they need. */
export interface VolumeContents {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

const readAttempts = 5;

/**
 * Reads the files through one resolved directory, so that an exchange in between cannot mix two versions; when the
 * version is removed while it is read, the newest one is read instead.
 * @throws Error when the files are not there.
 */
async function readVolume(directory: string, files: VolumeFiles): Promise<VolumeContents> {
  const { credential, anchorsPath } = files;
  const keyPath = credential.kind === 'bundle' ? credential.path : credential.keyPath;
  const chainPath = credential.kind === 'bundle' ? credential.path : credential.chainPath;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const version = await realpath(join(directory, '..data'));
      const [key, cert, ca] = await Promise.all(
        [keyPath, chainPath, anchorsPath].map((path) => readFile(join(version, path), 'utf8')),
      );
      return { key: key ?? '', cert: cert ?? '', ca: ca ?? '' };
    } catch (error) {
      if (attempt === readAttempts) {
        throw error;
      }
    }
  }
}

export interface VolumeListener {
  /** New contents; never the same twice in a row. */
  changed(contents: VolumeContents): void;
  failed(error: unknown): void;
}

/** Reports the contents now and after every exchange. @returns ends the watch. */
export function followVolume(directory: string, files: VolumeFiles, listener: VolumeListener): () => void {
  let known: VolumeContents | undefined;
  let reading = false;
  let again = false;
  let closed = false;

  const read = async () => {
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    do {
      again = false;
      try {
        const contents = await readVolume(directory, files);
        if (closed) {
          return;
        }
        if (known === undefined || !same(known, contents)) {
          known = contents;
          listener.changed(contents);
        }
      } catch (error) {
        if (!closed) {
          listener.failed(error);
        }
      }
    } while (again);
    reading = false;
  };

  // The watch stands before the first reading: nothing is missed between the two.
  const watcher = watch(directory, () => void read());
  watcher.on('error', (error) => listener.failed(error));
  void read();
  return () => {
    closed = true;
    watcher.close();
  };
}

function same(a: VolumeContents, b: VolumeContents): boolean {
  return a.key === b.key && a.cert === b.cert && a.ca === b.ca;
}
