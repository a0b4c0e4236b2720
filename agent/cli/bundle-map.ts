/**
 * Reads a SPIFFE bundle map, JSON that holds the trust anchors of each trust domain under its name, for whoever looks at a volume.
 *
 * https://github.com/grpc/proposal/blob/master/A87-mtls-spiffe-support.md
 */
import { X509Certificate } from 'node:crypto';

/** Bytes: the anchors of one source. Read, JSON takes up to twenty times as much. */
const longestMap = 4 * 1024 * 1024;

/** Where in a map the anchors of a trust domain are, as findings name it. */
export function placeIn(path: string, trustDomain: string): string {
  return `${path}[${trustDomain}]`;
}

/**
 * @param most certificates
 * @returns undefined when the bytes are something else
 * @throws Error when they are a map with an entry that cannot be understood, RangeError, in words for whoever looks, when there
 * is more in it than is read
 */
export function readBundleMap(
  bytes: Buffer,
  most: number,
): ReadonlyMap<string, readonly X509Certificate[]> | undefined {
  const isObject = bytes.toString('latin1', 0, 16).trimStart().startsWith('{');
  if (isObject && bytes.length > longestMap) {
    throw new RangeError(`it is JSON of ${bytes.length} bytes, and no more than ${longestMap} are read`);
  }
  const trustDomains = isObject ? fieldsOf(parsed(bytes))['trust_domains'] : undefined;
  if (typeof trustDomains !== 'object') {
    return undefined;
  }
  const bundles = Object.entries(fieldsOf(trustDomains)).map(([name, bundle]): [string, readonly unknown[]] => {
    const keys = fieldsOf(bundle)['keys'];
    return [name, Array.isArray(keys) ? keys : []];
  });
  if (bundles.reduce((sum, [, keys]) => sum + keys.length, 0) > most) {
    throw new RangeError(`it holds more certificates than the ${most} that are still read of the volume`);
  }
  return new Map(bundles.map(([name, keys]) => [name, keys.map(certificateOf)]));
}

function certificateOf(key: unknown): X509Certificate {
  const { use, x5c } = fieldsOf(key);
  const [text, ...others] = Array.isArray(x5c) ? x5c : [];
  if (use !== 'x509-svid' || typeof text !== 'string' || others.length > 0) {
    throw new Error('an entry is not one certificate for x509-svid');
  }
  return new X509Certificate(Buffer.from(text, 'base64'));
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** The fields of a JSON object; of anything else none. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
