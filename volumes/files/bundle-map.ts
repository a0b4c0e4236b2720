/**
 * A SPIFFE bundle map: JSON that holds, under the name of each trust domain, its anchors as a JWK set. Readers differ in what they take,
 * and most refuse the whole map for one entry that they do not: so an entry has one certificate, the parameters of its key, and nothing
 * else (some refuse `kid`).
 *
 * https://github.com/grpc/proposal/blob/master/A87-mtls-spiffe-support.md
 * https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Trust_Domain_and_Bundle.md#4-spiffe-bundle-format
 */
import { X509Certificate } from 'node:crypto';
import type { Steps } from '../base/steps.ts';
import type { TrustDomainAnchors } from '../base/volume.ts';
import { type FileContent, wholeContent } from './content.ts';

/** Parameters of public keys, in the order in which they are written. */
const parameters = ['kty', 'crv', 'x', 'y', 'n', 'e'] as const;

export function* bundleMapInSteps(bundles: readonly TrustDomainAnchors[]): Steps<FileContent> {
  const texts: string[] = [];
  for (const { trustDomain, certificates = [] } of bundles) {
    const keys: string[] = [];
    for (const der of certificates) {
      keys.push(...keyOf(der).map((key) => JSON.stringify(key)));
      yield;
    }
    // A trust domain without anchors verifies nobody, and some readers refuse it.
    if (keys.length > 0) {
      texts.push(`${JSON.stringify(trustDomain)}:{"keys":[\n${keys.join(',\n')}\n]}`);
    }
  }
  return wholeContent(Buffer.from(`{"trust_domains":{\n${texts.join(',\n')}\n}}\n`));
}

/** None for a certificate that cannot be read: it costs the others nothing. */
function keyOf(der: Uint8Array): readonly Readonly<Record<string, unknown>>[] {
  try {
    const jwk = new X509Certificate(der).publicKey.export({ format: 'jwk' });
    // What this kind of key does not have is undefined, which JSON leaves out.
    const key = Object.fromEntries(parameters.map((name) => [name, jwk[name]]));
    return [{ use: 'x509-svid', ...key, x5c: [Buffer.from(der).toString('base64')] }];
  } catch {
    return [];
  }
}
