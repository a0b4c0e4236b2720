/**
 * Finds every block of a PEM text (RFC 7468), with its label: keys and certificates may stand in one file. The blocks
 * are views of the given bytes, so that a key is never copied into a string.
 *
 * https://www.rfc-editor.org/rfc/rfc7468
 */

export interface PemBlock {
  /** Such as `CERTIFICATE` or `PRIVATE KEY`. */
  readonly label: string;
  /** The block with its BEGIN and END lines. */
  readonly bytes: Buffer;
}

const beginning = '-----BEGIN ';
const dashes = '-----';
const longestLabel = 64;

export interface PemText {
  /** The complete blocks in their order; text between them is left out. */
  readonly blocks: readonly PemBlock[];
  /** How many more are begun and not ended. */
  readonly unfinished: number;
  /** There are more than were to be read. */
  readonly isCut: boolean;
}

/** @param most blocks, finished or not */
export function pemBlocks(text: Buffer, most: number): PemText {
  const blocks: PemBlock[] = [];
  let unfinished = 0;
  let position = 0;
  for (;;) {
    const start = text.indexOf(beginning, position);
    const isCut = start >= 0 && blocks.length + unfinished >= most;
    if (start < 0 || isCut) {
      return { blocks, unfinished, isCut };
    }
    const labelStart = start + beginning.length;
    const labelEnd = text.indexOf(dashes, labelStart);
    if (labelEnd < 0) {
      return { blocks, unfinished: unfinished + 1, isCut };
    }
    position = labelEnd + dashes.length;
    if (labelEnd - labelStart > longestLabel) {
      unfinished += 1;
      continue;
    }
    const label = text.toString('latin1', labelStart, labelEnd);
    const end = `-----END ${label}-----`;
    const endStart = text.indexOf(end, position);
    // Another block that begins before this one ends: the first has no end of its own.
    const next = text.indexOf(beginning, position);
    if (endStart < 0 || (next >= 0 && next < endStart)) {
      unfinished += 1;
      continue;
    }
    position = endStart + end.length;
    blocks.push({ label, bytes: text.subarray(start, position) });
  }
}
