/**
 * PEM (RFC 7468) written straight into bytes. A JavaScript string cannot be overwritten, so a private key must never
 * become one on its way into a file.
 *
 * https://www.rfc-editor.org/rfc/rfc7468
 */

const alphabet = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1');
const padding = '='.charCodeAt(0);
const newline = '\n'.charCodeAt(0);
const charactersPerLine = 64;

/** One block, as it will be written. */
export interface PemBlock {
  readonly label: 'CERTIFICATE' | 'PRIVATE KEY';
  /** DER. */
  readonly bytes: Uint8Array;
}

/**
 * Blocks one after the other, without headers or text between them.
 * @returns a buffer of its own, which the caller zeroes when a block is a key.
 */
export function encodePem(blocks: readonly PemBlock[]): Uint8Array {
  const sizes = blocks.map((block) => blockSize(block));
  const out = new Uint8Array(new ArrayBuffer(sizes.reduce((sum, size) => sum + size, 0)));
  let offset = 0;
  for (const block of blocks) {
    offset = writeBlock(out, offset, block);
  }
  return out;
}

function blockSize(block: PemBlock): number {
  const characters = 4 * Math.ceil(block.bytes.length / 3);
  const lines = Math.ceil(characters / charactersPerLine);
  return boundary('BEGIN', block).length + characters + lines + boundary('END', block).length;
}

function boundary(word: 'BEGIN' | 'END', block: PemBlock): Buffer {
  return Buffer.from(`-----${word} ${block.label}-----\n`, 'latin1');
}

function writeBlock(out: Uint8Array, start: number, block: PemBlock): number {
  const begin = boundary('BEGIN', block);
  out.set(begin, start);
  const body = writeBase64(out, start + begin.length, block.bytes);
  const end = boundary('END', block);
  out.set(end, body);
  return body + end.length;
}

function writeBase64(out: Uint8Array, start: number, bytes: Uint8Array): number {
  let offset = start;
  const put = (character: number | undefined) => {
    out[offset++] = character ?? padding;
  };
  for (let index = 0; index < bytes.length; index += 3) {
    // Not destructured: that would make an array of key bytes on the heap.
    const first = bytes[index] ?? 0;
    const second = bytes[index + 1];
    const third = bytes[index + 2];
    put(alphabet[first >> 2]);
    put(alphabet[((first & 3) << 4) | ((second ?? 0) >> 4)]);
    put(second === undefined ? padding : alphabet[((second & 15) << 2) | ((third ?? 0) >> 6)]);
    put(third === undefined ? padding : alphabet[third & 63]);
    const isLast = index + 3 >= bytes.length;
    if (isLast || (index + 3) % ((charactersPerLine / 4) * 3) === 0) {
      put(newline);
    }
  }
  return offset;
}

const beginCertificate = '-----BEGIN CERTIFICATE-----\n';
const endCertificate = '-----END CERTIFICATE-----\n';

/** A certificate (DER) as PEM. It is no secret, so it may be a string, which the engine makes much faster. */
export function encodeCertificate(der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  let lines = '';
  for (let start = 0; start < base64.length; start += charactersPerLine) {
    lines += `${base64.slice(start, start + charactersPerLine)}\n`;
  }
  return beginCertificate + lines + endCertificate;
}

/** Bytes of `encodeCertificate`. */
export function certificateBlockSize(der: Uint8Array): number {
  return blockSize({ label: 'CERTIFICATE', bytes: der });
}
