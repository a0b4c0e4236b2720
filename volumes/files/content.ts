/**
 * What a file is to hold. Content is an object of its own: files that hold the same object hold the same bytes, and are one file with
 * several names. Trust anchors are made into bytes piece by piece, as they are written, since a volume may hold many.
 */
import { hash } from 'node:crypto';
import { certificateBlockSize, encodeCertificate } from './pem.ts';

export interface FileContent {
  /** Bytes. */
  readonly length: number;
  /** The bytes, in pieces. A piece is good until the next one is asked for. */
  pieces(): Iterable<Uint8Array>;
}

/** Content that is there already. */
export function wholeContent(bytes: Uint8Array): FileContent {
  return { length: bytes.length, pieces: () => [bytes] };
}

/** Some hundred certificates. */
const pieceBytes = 256 * 1024;

/** PEM of certificates (DER), one after the other. */
export function certificatesContent(certificates: readonly Uint8Array[]): FileContent {
  const length = certificates.reduce((sum, der) => sum + certificateBlockSize(der), 0);
  return { length, pieces: () => encodeInPieces(certificates) };
}

function* encodeInPieces(certificates: readonly Uint8Array[]): Iterable<Uint8Array> {
  let texts: string[] = [];
  let length = 0;
  for (const der of certificates) {
    const text = encodeCertificate(der);
    texts.push(text);
    length += text.length;
    if (length >= pieceBytes) {
      yield Buffer.from(texts.join(''), 'latin1');
      texts = [];
      length = 0;
    }
  }
  if (length > 0) {
    yield Buffer.from(texts.join(''), 'latin1');
  }
}

/** Gives the same content for the same certificates. Sources that select the same are told of the same array. */
export function createCertificatesContents(): (certificates: readonly Uint8Array[]) => FileContent {
  const byArray = new Map<readonly Uint8Array[], FileContent>();
  const byDigest = new Map<string, FileContent>();
  return (certificates) => {
    const known = byArray.get(certificates);
    if (known !== undefined) {
      return known;
    }
    const digest = hash('sha256', certificates.map((der) => hash('sha256', der, 'base64')).join(' '), 'base64');
    const content = byDigest.get(digest) ?? certificatesContent(certificates);
    byArray.set(certificates, content);
    byDigest.set(digest, content);
    return content;
  };
}
