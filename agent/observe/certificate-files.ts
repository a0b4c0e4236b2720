/**
 * The HTTP endpoint's certificate from files, read again when they change: a Secret that is mounted is a chain of symbolic
 * links of which one is swapped, so the directories are watched. A pair that does not fit is not taken over.
 */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createSecureContext } from 'node:tls';
import { watch } from 'chokidar';

/** PEM: the chain, leaf first, and its key. */
export interface ServerCertificate {
  readonly cert: Buffer | string;
  readonly key: Buffer | string;
}

export interface CertificateSource {
  readonly current: ServerCertificate;
  /** The listener gets each later certificate until the source is closed; there is one listener. */
  onChange(listener: (certificate: ServerCertificate) => void): void;
  close(): Promise<void>;
}

/** Longer than it takes to write two files one after the other. */
const settleMs = 100;

/**
 * Reads the pair and watches it.
 * @param options.onRejected takes why a later pair is not taken over; the earlier one stays
 * @throws Error when the files cannot be read or do not fit together
 */
export async function watchCertificateFiles(options: {
  readonly certFile: string;
  readonly keyFile: string;
  readonly onRejected: (error: unknown) => void;
}): Promise<CertificateSource> {
  const { certFile, keyFile, onRejected } = options;
  const current = readPair(certFile, keyFile);
  let taken = current;
  let listener: ((certificate: ServerCertificate) => void) | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const readAgain = (): void => {
    timer = undefined;
    try {
      const next = readPair(certFile, keyFile);
      if (String(next.cert) === String(taken.cert) && String(next.key) === String(taken.key)) return;
      taken = next;
      listener?.(next);
    } catch (error) {
      onRejected(error);
    }
  };
  const settle = (): void => {
    if (!closed) timer ??= setTimeout(readAgain, settleMs);
  };
  const watcher = watch([...new Set([dirname(certFile), dirname(keyFile)])], { depth: 0, ignoreInitial: true });
  watcher.on('all', settle);
  watcher.on('error', onRejected);
  await new Promise<void>((resolve) => {
    watcher.once('ready', resolve);
  });
  // A change between the first reading and now has been seen by nobody.
  settle();
  return {
    current,
    onChange: (given) => {
      listener = given;
    },
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await watcher.close();
    },
  };
}

function readPair(certFile: string, keyFile: string): ServerCertificate {
  const pair = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  // OpenSSL compares the two, and its message quotes neither.
  createSecureContext(pair);
  return pair;
}
