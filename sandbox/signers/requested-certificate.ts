/** The certificate for a PKCS#10 request: with its key and with whatever names it asks for. */
import 'reflect-metadata';
import { type Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from '@peculiar/x509';
import type { Authority } from './authority.ts';

/**
 * @param now milliseconds since the epoch; validity begins a second earlier
 * @returns leaf and intermediate, PEM
 */
export async function requestedCertificate(
  authority: Authority,
  csr: Pkcs10CertificateRequest,
  lifetimeSeconds: number,
  now: number,
): Promise<string> {
  const names = csr.extensions.flatMap((each) =>
    each instanceof SubjectAlternativeNameExtension ? each.names.items : [],
  );
  const notBefore = now - 1000;
  const leaf = await authority.issue({
    publicKey: new Uint8Array(csr.publicKey.rawData),
    uris: names.filter(({ type }) => type === 'url').map(({ value }) => value),
    dnsNames: names.filter(({ type }) => type === 'dns').map(({ value }) => value),
    notBefore,
    notAfter: notBefore + lifetimeSeconds * 1000,
  });
  return leaf + authority.intermediatePem;
}
