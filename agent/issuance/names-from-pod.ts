/**
 * Names that a pod asks for itself, and what the operator's rule lets it have. Without a rule that says so it is nothing.
 *
 * A pattern is matched from end to end. A `*` in it stands for one or more characters of one DNS label (`*.shop.example`)
 * or of one segment of a URI's path (`spiffe://td/ns/shop/sa/web/*`), never for a dot or a slash; there is one at most in
 * each, so that matching looks at every character once. A pod is never given a wildcard.
 */
import { BlockList, isIP } from 'node:net';
import * as v from 'valibot';
import { AgentError } from '../base/errors.ts';
import type { RequestedNames } from '../lifecycle/ports.ts';
import { isAttribute, isDnsName, isIpAddress, isUri } from './name-forms.ts';
import type { Filler } from './template-variables.ts';

/** Patterns by kind of name; text may hold variables. IP addresses are single ones or ranges (`10.0.0.0/8`). */
export interface AllowFromPod {
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly commonNames: readonly string[];
}

export const allowNothing: AllowFromPod = { dnsNames: [], uris: [], ipAddresses: [], commonNames: [] };

/** Scheme, nothing, and authority: who wants to give these away writes them out. */
const fixedUriPieces = 3;

/** The fault of a pattern, or undefined. @param separator between what a `*` may not reach across */
function patternFault(pattern: string, separator: '.' | '/'): string | undefined {
  const pieces = pattern.split(separator);
  if (pieces.some((piece) => piece.split('*').length > 2)) {
    return `may hold one "*" between two "${separator}"`;
  }
  if (separator === '/' && pieces.slice(0, fixedUriPieces).some((piece) => piece.includes('*'))) {
    return 'may hold a "*" in the path of a URI only';
  }
  return undefined;
}

/** Patterns as they are written in YAML. @param text what every text of a template must be */
export function allowFromPodSchema(text: v.GenericSchema<string>) {
  const most = 32;
  const patterns = (separator: '.' | '/') =>
    v.optional(
      v.pipe(
        v.array(
          v.pipe(
            text,
            v.check(
              (pattern) => patternFault(pattern, separator) === undefined,
              ({ input }) => patternFault(input, separator) ?? '',
            ),
          ),
        ),
        v.maxLength(most),
      ),
      () => [],
    );
  return v.strictObject({
    dnsNames: patterns('.'),
    uris: patterns('/'),
    commonNames: patterns('.'),
    ipAddresses: v.optional(
      v.pipe(
        v.array(v.pipe(v.string(), v.check(isRange, 'must be an IP address or a range like 10.0.0.0/8'))),
        v.maxLength(most),
      ),
      () => [],
    ),
  });
}

/** @throws AgentError Rejected, naming the first name that the pod may not have */
export function refuseUnlessAllowed(asked: RequestedNames, allowed: AllowFromPod, filler: Filler): void {
  const { dnsNames, uris, ipAddresses, commonName } = asked;
  const commonNames = commonName === undefined ? [] : [commonName];
  const dns = allowed.dnsNames.map((pattern) => filler(pattern, 'dns'));
  const paths = allowed.uris.map((pattern) => filler(pattern, 'uri'));
  const common = allowed.commonNames.map((pattern) => filler(pattern, 'attribute'));
  assertEach(dnsNames, 'DNS name', (name) => isDnsName(name) && !name.includes('*') && matchesAny(dns, name, '.'));
  assertEach(uris, 'URI', (uri) => isPlainUri(uri) && matchesAny(paths, uri, '/'));
  assertEach(ipAddresses, 'IP address', (address) => isIpAddress(address) && isInAny(allowed.ipAddresses, address));
  assertEach(
    commonNames,
    'common name',
    (name) => isAttribute(name) && !name.includes('*') && matchesAny(common, name, '.'),
  );
}

function assertEach(names: readonly string[], what: string, isAllowed: (name: string) => boolean): void {
  const refused = names.find((name) => !isAllowed(name));
  if (refused !== undefined) {
    const message = `the pod asks for the ${what} ${JSON.stringify(refused.slice(0, 256))}, which the operator's rule does not let it have (allowFromPod)`;
    throw new AgentError('Rejected', message, { actor: 'pod author' });
  }
}

/** A URI in which nothing but slashes has a meaning, and no segment of which leads elsewhere. */
function isPlainUri(text: string): boolean {
  const [, empty, ...pieces] = text.split('/');
  const isPlain = (piece: string): boolean => /^[A-Za-z0-9._~-]+$/.test(piece) && piece !== '.' && piece !== '..';
  return isUri(text) && empty === '' && pieces.every(isPlain);
}

function matchesAny(patterns: readonly string[], name: string, separator: string): boolean {
  const pieces = name.split(separator);
  return patterns.some((pattern) => {
    const wanted = pattern.split(separator);
    return wanted.length === pieces.length && wanted.every((piece, index) => matchesPiece(piece, pieces[index] ?? ''));
  });
}

function matchesPiece(pattern: string, piece: string): boolean {
  const [before = '', after] = pattern.split('*');
  if (after === undefined) {
    return pattern === piece;
  }
  return piece.length > before.length + after.length && piece.startsWith(before) && piece.endsWith(after);
}

function isInAny(ranges: readonly string[], address: string): boolean {
  const list = new BlockList();
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  for (const range of ranges) {
    const [network = '', prefix] = range.split('/');
    const isSameFamily = isIP(network) === isIP(address);
    if (isSameFamily && prefix !== undefined) {
      list.addSubnet(network, Number(prefix), family);
    } else if (isSameFamily) {
      list.addAddress(network, family);
    }
  }
  return list.check(address, family);
}

function isRange(text: string): boolean {
  const [network = '', prefix, ...rest] = text.split('/');
  const most = isIP(network) === 6 ? 128 : 32;
  const isPrefix = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= most);
  return isIpAddress(network) && isPrefix && rest.length === 0;
}
