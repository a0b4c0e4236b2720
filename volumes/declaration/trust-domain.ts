/**
 * The names of SPIFFE trust domains, which become names of files. They come from labels that somebody puts on objects of the cluster, so
 * nothing is taken for one that is not also a plain name of a file.
 *
 * https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md#21-trust-domain
 */
import { type Fault, type Mapping, quote, readString } from './fields.ts';

/** SPIFFE lets a name have 255 characters, a label's value 63. */
const maxTrustDomainLength = 63;
/** As SPIFFE and label values both have it: no slash, and no dot at either end. */
const form = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/;

export const trustDomainForm = `at most ${maxTrustDomainLength} of the characters a-z, 0-9, ".", "-" and "_", with a letter or digit at both ends`;

export function isTrustDomain(text: string): boolean {
  return text.length <= maxTrustDomainLength && form.test(text);
}

/** `trustDomain`, required. */
export function readTrustDomain(mapping: Mapping, path: string, faults: Fault[]): string | undefined {
  const before = faults.length;
  const field = `${path}.trustDomain`;
  const text = readString(mapping, 'trustDomain', path, faults);
  if (faults.length > before) {
    return undefined;
  }
  if (text === undefined) {
    faults.push({ field, message: 'is required with this layout: the pod\'s own trust domain, like "example.org"' });
    return undefined;
  }
  if (!isTrustDomain(text)) {
    faults.push({ field, message: `must be a trust domain, ${trustDomainForm}, not ${quote(text)}` });
    return undefined;
  }
  return text;
}
