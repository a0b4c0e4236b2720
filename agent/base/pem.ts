/**
 * Reads certificates from PEM (RFC 7468): one line at a time, so that no text takes longer than its length.
 * https://www.rfc-editor.org/rfc/rfc7468
 */

const beginning = /^-----BEGIN (.*)-----$/;
const ending = '-----END CERTIFICATE-----';
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * What the `CERTIFICATE` blocks of a text hold, in their order, decoded and not yet looked at. Text between blocks and
 * headers within them (RFC 1421) are dropped.
 * @throws Error that names the block at fault by its position from 1, and quotes nothing: it may be a private key.
 */
export function readCertificateBlocks(text: string): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  let lines: string[] | undefined;
  for (const raw of text.split('\n')) {
    const line = raw.trimEnd();
    const position = `block ${blocks.length + 1}`;
    if (lines === undefined) {
      const label = beginning.exec(line)?.[1];
      if (label !== undefined && label !== 'CERTIFICATE') throw new Error(`${position} is not a CERTIFICATE`);
      if (label !== undefined) lines = [];
    } else if (line === ending) {
      blocks.push(decode(lines, position));
      lines = undefined;
    } else if (line.startsWith('-----')) {
      throw new Error(`${position} has no END line of its own`);
    } else {
      lines.push(line);
    }
  }
  if (lines !== undefined) throw new Error(`block ${blocks.length + 1} has no END line`);
  return blocks;
}

function decode(lines: readonly string[], position: string): Uint8Array {
  // No base64 line has a colon. A header goes on in lines that begin with white space.
  let inHeader = false;
  const data = lines.filter((line) => {
    inHeader = line.includes(':') || (inHeader && /^[ \t]/.test(line));
    return !inHeader;
  });
  const text = data.join('').replaceAll(/[ \t]/g, '');
  if (!base64.test(text)) throw new Error(`${position} is not base64`);
  return new Uint8Array(Buffer.from(text, 'base64'));
}
