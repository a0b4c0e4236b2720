/**
 * Reads PEM exactly as the API server does, that is as Go's `encoding/pem` does: whatever is not a complete block is
 * text, and text is skipped. So a text that the API server accepted gives the same certificates here. Every character
 * is looked at a bounded number of times.
 *
 * https://pkg.go.dev/encoding/pem#Decode https://www.rfc-editor.org/rfc/rfc7468
 */

export interface PemBlock {
  /** What its BEGIN line names, such as `CERTIFICATE`. */
  readonly label: string;
  readonly bytes: Uint8Array;
}

interface Line {
  /** Without the line break, and without spaces and tabs before it. */
  readonly text: string;
  /** Where the next line begins. */
  readonly next: number;
}

/** A block, or undefined for one that is none; and where to read on, undefined when nothing that follows is a block. */
interface Attempt {
  readonly block?: PemBlock;
  readonly next: number | undefined;
}

const beginning = '-----BEGIN ';
const ending = '\n-----END ';
const dashes = '-----';

/**
 * What the `CERTIFICATE` blocks of a text hold, in their order, decoded and not yet looked at. Headers within blocks
 * (RFC 1421) are dropped.
 * @throws Error that names a block of another kind by its position from 1, and quotes nothing: it may be a private key.
 */
export function readCertificateBlocks(text: string): Uint8Array[] {
  return [...certificateBlockSteps(text)].filter((bytes) => bytes !== undefined);
}

/** The same in steps, so that a long text can be read over several turns: a step that meets text gives undefined. */
export function* certificateBlockSteps(text: string): Generator<Uint8Array | undefined> {
  let count = 0;
  for (const block of blockSteps(text)) {
    count += block === undefined ? 0 : 1;
    if (block !== undefined && block.label !== 'CERTIFICATE') {
      throw new Error(`block ${count} is not a CERTIFICATE`);
    }
    yield block?.bytes;
  }
}

/** The blocks of a text in their order, of every kind. */
export function readPemBlocks(text: string): PemBlock[] {
  return [...blockSteps(text)].filter((block) => block !== undefined);
}

function* blockSteps(text: string): Generator<PemBlock | undefined> {
  let position: number | undefined = 0;
  while (position !== undefined) {
    const { block, next }: Attempt = tryNext(text, position);
    yield block;
    position = next;
  }
}

/** Looks at the first END line and the last BEGIN line before it: a BEGIN line without an END of its own is text. */
function tryNext(text: string, from: number): Attempt {
  const end = text.indexOf(ending, from);
  if (end < 0) {
    return { next: undefined };
  }
  const afterEnd = end + ending.length;
  const begin = text.slice(from, end).lastIndexOf(beginning);
  // A line begins at the start, after a line break, or where the END line that was looked at last broke off.
  if (begin < 0 || (begin > 0 && text[from + begin - 1] !== '\n')) {
    return { next: afterEnd };
  }
  const first = readLine(text, from + begin + beginning.length);
  if (!first.text.endsWith(dashes)) {
    return { next: afterEnd };
  }
  const label = first.text.slice(0, -dashes.length);
  const body = skipHeaders(text, first.next);
  // Headers that swallow the END line leave nothing to read on from.
  if (body === undefined || body > afterEnd) {
    return { next: undefined };
  }
  if (body > end && body > first.next) {
    return { next: afterEnd };
  }
  const last = label + dashes;
  if (!text.startsWith(last, afterEnd)) {
    return { next: afterEnd };
  }
  const afterLast = readLine(text, afterEnd + last.length);
  const bytes = decode(text.slice(body, end));
  if (afterLast.text !== '' || bytes === undefined) {
    return { next: afterEnd };
  }
  return { block: { label, bytes }, next: afterLast.next };
}

/** Lines with a colon are headers: no base64 has one. @returns undefined when there is nothing else. */
function skipHeaders(text: string, from: number): number | undefined {
  let lineStart = from;
  let lineBreak = text.indexOf('\n', lineStart);
  while (lineBreak >= 0) {
    if (!text.slice(lineStart, lineBreak).includes(':')) {
      return lineStart;
    }
    lineStart = lineBreak + 1;
    lineBreak = text.indexOf('\n', lineStart);
  }
  return lineStart >= text.length || text.includes(':', lineStart) ? undefined : lineStart;
}

function readLine(text: string, from: number): Line {
  const lineBreak = text.indexOf('\n', from);
  let end = lineBreak < 0 ? text.length : lineBreak;
  if (lineBreak > from && text[end - 1] === '\r') {
    end -= 1;
  }
  while (end > from && (text[end - 1] === ' ' || text[end - 1] === '\t')) {
    end -= 1;
  }
  return { text: text.slice(from, end), next: lineBreak < 0 ? text.length : lineBreak + 1 };
}

/** What a character is in base64; anything else than these is none. */
const blank = 1;
const digit = 2;
const padding = 3;
const kinds = new Uint8Array(128);
for (const [characters, kind] of [
  [' \t\r\n', blank],
  ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', digit],
  ['=', padding],
] as const) {
  for (const character of characters) {
    kinds[character.charCodeAt(0)] = kind;
  }
}

/** Base64 with its padding, and white space anywhere in it; undefined when it is anything else. */
function decode(text: string): Uint8Array | undefined {
  // Node.js reads more than base64. What it would write in the same way is nothing else, and nearly all PEM is that.
  const usual = Buffer.from(text, 'base64');
  return usual.toString('base64') === text.replaceAll('\n', '') ? new Uint8Array(usual) : decodeOdd(text);
}

/** One pass without a text for each line: a line may be as short as one character. */
function decodeOdd(text: string): Uint8Array | undefined {
  const packed = Buffer.alloc(text.length);
  let length = 0;
  let padded = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    const kind = kinds[code];
    if (kind === blank) {
      continue;
    }
    padded += kind === padding ? 1 : 0;
    if ((kind !== digit && kind !== padding) || padded > 2 || (kind === digit && padded > 0)) {
      return undefined;
    }
    packed[length] = code;
    length += 1;
  }
  return length % 4 === 0 ? new Uint8Array(Buffer.from(packed.toString('latin1', 0, length), 'base64')) : undefined;
}
