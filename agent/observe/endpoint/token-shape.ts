/**
 * Tells whether a text can be a bearer token at all, without asking anybody: other text costs the API server no call.
 *
 * Characters are those of RFC 6750 (b64token). What begins like a JWT must be a signed one (RFC 7519), as the tokens of service
 * accounts and OpenID providers are; everything else is for a webhook to know and is shorter.
 */
import { maxOpaqueTokenLength } from '../limits.ts';

export function isTokenShaped(token: string): boolean {
  if (!/^[\w.~+/-]+=*$/.test(token)) {
    return false;
  }
  // The base64url of `{"`.
  if (!token.startsWith('eyJ')) {
    return token.length <= maxOpaqueTokenLength;
  }
  const [header = '', payload = '', signature = '', ...more] = token.split('.', 4);
  if (more.length > 0) {
    return false;
  }
  return typeof objectIn(header)?.['alg'] === 'string' && objectIn(payload) !== undefined && /^[\w-]+$/.test(signature);
}

/** The JSON object in a part of a JWT; undefined when there is none. */
function objectIn(part: string): Readonly<Record<string, unknown>> | undefined {
  if (!/^[\w-]+$/.test(part)) {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
