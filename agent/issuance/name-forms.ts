/**
 * The forms of the names that a certificate may bear (RFC 5280, 4.2.1.6). A text is one of them or is refused: nothing is
 * corrected, so that what an approver reads is what was checked.
 *
 * https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.6
 * https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md#2-spiffe-identity
 */
import { isIP } from 'node:net';
import { isDnsLabel } from '../../volumes/declaration/names.ts';

const longestDnsName = 253;
const longestUri = 2048;
/** What may stand in a URI without meaning anything else: no percent sign, query, fragment, user or backslash. */
const plainUri = /^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/[\]@!$&'()*+,;=-]+$/;
const spiffeScheme = 'spiffe://';
const spiffeTrustDomain = /^[a-z0-9._-]{1,255}$/;
const spiffeSegment = /^[A-Za-z0-9._-]+$/;
/** RFC 5280, ub-common-name and ub-organization-name. */
const longestAttribute = 64;

/** In lower case; its first label may be a `*`. */
export function isDnsName(text: string): boolean {
  const labels = text.split('.');
  const [first, ...others] = labels;
  const named = first === '*' && others.length > 0 ? others : labels;
  return text.length <= longestDnsName && named.every(isDnsLabel);
}

export function isUri(text: string): boolean {
  if (text.length > longestUri || !plainUri.test(text) || !URL.canParse(text)) {
    return false;
  }
  return !text.toLowerCase().startsWith('spiffe:') || isSpiffeId(text);
}

/** A trust domain and a path of plain segments, none of which leads elsewhere. */
export function isSpiffeId(text: string): boolean {
  if (!text.startsWith(spiffeScheme) || text.length > longestUri) {
    return false;
  }
  const [trustDomain = '', ...path] = text.slice(spiffeScheme.length).split('/');
  const isPlain = (segment: string): boolean => spiffeSegment.test(segment) && segment !== '.' && segment !== '..';
  return spiffeTrustDomain.test(trustDomain) && path.every(isPlain);
}

/** Without a zone, and none that is the other family's in disguise. */
export function isIpAddress(text: string): boolean {
  const family = isIP(text);
  return family === 4 || (family === 6 && /^[0-9A-Fa-f:]+$/.test(text));
}

/** A common name or an organization. */
export function isAttribute(text: string): boolean {
  return text.length > 0 && text.length <= longestAttribute && !/\p{Cc}|\p{Cf}/u.test(text);
}
