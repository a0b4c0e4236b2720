/**
 * Cuts a byte stream into lines. It cuts bytes, not characters: a chunk may end in the middle of a UTF-8 sequence, and
 * the byte 0x0A never occurs within one.
 */

const lineFeed = 0x0a;

/**
 * @param onLine gets each line without its end; empty lines are left out.
 * @param maxBytes longest line.
 * @returns takes the next chunk. @throws RangeError when a line grows beyond maxBytes, and whatever onLine throws.
 */
export function createLineSplitter(onLine: (line: string) => void, maxBytes: number): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let length = 0;

  function keep(part: Buffer): void {
    length += part.length;
    if (length > maxBytes) {
      throw new RangeError(`a line is longer than ${maxBytes} bytes`);
    }
    parts.push(part);
  }

  return (chunk) => {
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      keep(chunk.subarray(start, end));
      const line = Buffer.concat(parts).toString('utf8');
      parts = [];
      length = 0;
      start = end + 1;
      if (line.trim() !== '') {
        onLine(line);
      }
    }
    if (start < chunk.length) {
      keep(chunk.subarray(start));
    }
  };
}
