/**
 * The part of a PKCS#10 request that is signed (RFC 2986, CertificationRequestInfo), with names and usages. The library
 * for it is loaded with the first request of this kind, so that it costs no memory on nodes without such an issuer.
 *
 * https://www.rfc-editor.org/rfc/rfc2986#section-4
 */
import type { RequestNames } from './template.ts';
import { extendedKeyUsageIds, keyUsageBits, type Usage } from './usages.ts';

const extensionRequest = '1.2.840.113549.1.9.14';
const commonNameType = '2.5.4.3';
const organizationType = '2.5.4.10';

/**
 * @param spki SubjectPublicKeyInfo, DER
 * @returns CertificationRequestInfo, DER
 */
export async function certificationRequestInfo(
  spki: Uint8Array,
  names: RequestNames,
  usages: readonly Usage[],
): Promise<Uint8Array> {
  const [{ AsnConvert, OctetString }, x509, csr] = await Promise.all([
    import('@peculiar/asn1-schema'),
    import('@peculiar/asn1-x509'),
    import('@peculiar/asn1-csr'),
  ]);
  const attribute = (type: string, text: string) =>
    new x509.RelativeDistinguishedName([
      new x509.AttributeTypeAndValue({ type, value: new x509.AttributeValue({ utf8String: text }) }),
    ]);
  const subject = new x509.Name([
    ...names.organizations.map((name) => attribute(organizationType, name)),
    ...(names.commonName === undefined ? [] : [attribute(commonNameType, names.commonName)]),
  ]);
  const extension = (extnID: string, critical: boolean, value: object) =>
    new x509.Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });

  const extensions: InstanceType<typeof x509.Extension>[] = [];
  const bits = keyUsageBits(usages);
  if (bits.length > 0) {
    const flags = bits.reduce((all, bit) => all | (1 << bit), 0);
    extensions.push(extension(x509.id_ce_keyUsage, true, new x509.KeyUsage(flags)));
  }
  const ids = extendedKeyUsageIds(usages);
  if (ids.length > 0) {
    extensions.push(extension(x509.id_ce_extKeyUsage, false, new x509.ExtendedKeyUsage([...ids])));
  }
  const alternatives = [
    ...names.uris.map((uri) => new x509.GeneralName({ uniformResourceIdentifier: uri })),
    ...names.dnsNames.map((dNSName) => new x509.GeneralName({ dNSName })),
    ...names.ipAddresses.map((iPAddress) => new x509.GeneralName({ iPAddress })),
  ];
  if (alternatives.length > 0) {
    // RFC 5280, 4.2.1.6: critical where the subject is empty.
    const critical = subject.length === 0;
    const value = new x509.SubjectAlternativeName(alternatives);
    extensions.push(extension(x509.id_ce_subjectAltName, critical, value));
  }
  const attributes = new csr.Attributes();
  if (extensions.length > 0) {
    const values = [AsnConvert.serialize(new x509.Extensions(extensions))];
    attributes.push(new x509.Attribute({ type: extensionRequest, values }));
  }
  const info = new csr.CertificationRequestInfo({
    version: 0,
    subject,
    subjectPKInfo: AsnConvert.parse(spki, x509.SubjectPublicKeyInfo),
    attributes,
  });
  return new Uint8Array(AsnConvert.serialize(info));
}
