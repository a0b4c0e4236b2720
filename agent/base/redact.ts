/**
 * Keeps secrets out of the text that leaves the process: log lines and events. Much of that text was written elsewhere
 * (a signer's message, a library's error), so secrets are recognised by what they look like.
 *
 * Private keys are recognised as PEM (RFC 7468) and as base64 of PKCS#8 (RFC 5958), tokens as JWT (RFC 7519) and as
 * Bearer credentials (RFC 6750).
 */
import { cut } from './cut.ts';

const patterns: readonly (readonly [RegExp, string])[] = [
  // Up to the END line, or to the end of a text that was cut before it.
  [/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g, '[redacted private key]'],
  // SEQUENCE, INTEGER 0 or 1, SEQUENCE in base64, for the three lengths that the outer length field may have.
  [
    /(?:M[A-P][A-Za-z0-9+/]CAQ[AE]w|MI[GH][A-Za-z0-9+/]AgE[AB]M|MI[I-L][A-Za-z0-9+/]{2}[AQgw]IBA[DT]A)[A-Za-z0-9+/=\s]{20,}/g,
    '[redacted private key]',
  ],
  [/\bBearer\s+[\w.~+/=-]{16,}/gi, 'Bearer [redacted]'],
];

/** Longest text from outside that is looked at, in characters; the rest is cut off unread. */
const maxOutsideTextLength = 8_192;

/**
 * Replaces whatever in the text could be a private key or a token; the rest stays as it is, up to the longest length.
 */
export function redact(text: string): string {
  const start = cut(text, maxOutsideTextLength);
  const bare = patterns.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), start);
  // Shorter runs cannot be one, and in most texts nothing can.
  return bare.includes('eyJ') ? bare.replace(/[\w.-]{11,}/g, withoutToken) : bare;
}

/**
 * Looks at the dotted parts one by one. A pattern for a whole token could begin at every letter of a long run, which
 * takes quadratic time.
 */
function withoutToken(run: string): string {
  let start = 0;
  for (const part of run.split('.').slice(0, -1)) {
    const at = part.indexOf('eyJ');
    if (at >= 0 && part.length - at >= 11) {
      return `${run.slice(0, start + at)}[redacted token]`;
    }
    start += part.length + 1;
  }
  return run;
}

/** How much more than it keeps a line looks at, since what is taken out makes room. */
const lookedAtPerCharacter = 4;

/**
 * Text in one line of at most `limit` characters: control characters, which can end a line, command a terminal or turn the
 * direction of what follows, become spaces.
 */
export function singleLine(text: string, limit: number): string {
  // What is far behind the limit is not looked at; a secret that is cut off there is told by what is left of it.
  const flat = redact(text.slice(0, lookedAtPerCharacter * limit))
    .replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]+/gu, ' ')
    .trim();
  return flat.length <= limit ? flat : `${flat.slice(0, limit - 1)}…`;
}

/** How many errors of a chain of causes are told at most; a chain may be circular. */
const maxCauses = 5;

/**
 * An error and its causes as one text: `asking the signer: connection lost: read ECONNRESET`. A cause whose message is
 * part of its parent's is left out. Accepts whatever can be thrown.
 */
export function errorText(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < maxCauses && current !== undefined && current !== null; depth += 1) {
    const text =
      current instanceof Error ? current.message || current.name : typeof current === 'string' ? current : '';
    if (text !== '' && !parts.some((part) => part.includes(text))) {
      parts.push(text);
    }
    current = current instanceof Error ? current.cause : undefined;
  }
  return redact(parts.length === 0 ? 'unknown error' : parts.join(': '));
}
