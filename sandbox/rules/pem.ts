/**
 * PEM (RFC 7468) as the API server reads it: blocks may stand anywhere between lines of other text, and what merely
 * looks like a block is skipped.
 *
 * https://pkg.go.dev/encoding/pem#Decode
 */
import { Buffer } from 'node:buffer';

export interface PemBlock {
  /** `CERTIFICATE`, `PRIVATE KEY`. */
  readonly type: string;
  /** True when there are `Key: value` lines before the data. */
  readonly hasHeaders: boolean;
  readonly bytes: Buffer;
}

const begin = '-----BEGIN ';
const end = '-----END ';
const dashes = '-----';
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The well-formed blocks of a text, in order. */
export function pemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  const lines = text.split('\n').map(withoutTrailingSpace);
  let start: number | undefined;
  for (const [index, line] of lines.entries()) {
    // The last BEGIN before an END opens the block: earlier ones without an END of their own are text.
    if (line.startsWith(begin)) {
      start = index;
    } else if (line.startsWith(end) && start !== undefined) {
      const block = readBlock(lines.slice(start, index + 1));
      if (block !== undefined) {
        blocks.push(block);
      }
      start = undefined;
    }
  }
  return blocks;
}

/** A pattern would take quadratic time on a long run of spaces that does not end the line. */
function withoutTrailingSpace(line: string): string {
  let end = line.endsWith('\r') ? line.length - 1 : line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) {
    end -= 1;
  }
  return line.slice(0, end);
}

/** @param lines from the BEGIN line to the END line */
function readBlock(lines: readonly string[]): PemBlock | undefined {
  const [first = '', ...rest] = lines;
  const last = rest.pop();
  const type = first.endsWith(dashes) ? first.slice(begin.length, -dashes.length) : undefined;
  if (type === undefined || last !== `${end}${type}${dashes}`) {
    return undefined;
  }
  const firstDataLine = rest.findIndex((line) => !line.includes(':'));
  const headerCount = firstDataLine < 0 ? rest.length : firstDataLine;
  const data = rest
    .slice(headerCount)
    .join('')
    .replaceAll(/[ \t\r]/g, '');
  return base64.test(data) ? { type, hasHeaders: headerCount > 0, bytes: Buffer.from(data, 'base64') } : undefined;
}
