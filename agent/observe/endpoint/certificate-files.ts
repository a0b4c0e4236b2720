/**
 * The HTTP endpoint's certificate from files, read again when they change. A pair that does not fit is not
 * taken over.
 */
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { watchFiles } from '../../base/file-watch.ts';

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

  const readAgain = (): void => {
    try {
      const next = readPair(certFile, keyFile);
      if (String(next.cert) === String(taken.cert) && String(next.key) === String(taken.key)) {
        return;
      }
      taken = next;
      listener?.(next);
    } catch (error) {
      onRejected(error);
    }
  };
  const watching = await watchFiles([certFile, keyFile], readAgain, onRejected);
  return {
    current,
    onChange: (given) => {
      listener = given;
    },
    close: watching.close,
  };
}

function readPair(certFile: string, keyFile: string): ServerCertificate {
  const pair = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  // OpenSSL compares the two, and its message quotes neither.
  createSecureContext(pair);
  return pair;
}
