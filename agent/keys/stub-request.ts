/**
 * The empty PKCS#10 request of `spec.stubPKCS10Request` (RFC 2986): no subject, no attributes, a public key and a
 * signature by it. Everything but those two is constant, so the DER is put together here.
 * https://www.rfc-editor.org/rfc/rfc2986#section-4
 */
const SEQUENCE = 0x30;
const BIT_STRING = 0x03;
const VERSION_1 = Uint8Array.of(0x02, 0x01, 0x00);
const NO_SUBJECT = Uint8Array.of(SEQUENCE, 0x00);
const NO_ATTRIBUTES = Uint8Array.of(0xa0, 0x00);
const NO_UNUSED_BITS = Uint8Array.of(0x00);

/** The part that is signed: CertificationRequestInfo, DER, for a public key given as SubjectPublicKeyInfo DER. */
export function requestInfo(spki: Uint8Array): Uint8Array {
  return encode(SEQUENCE, VERSION_1, NO_SUBJECT, spki, NO_ATTRIBUTES);
}

/** The whole request: the signed part, the DER AlgorithmIdentifier of its signature, and the signature. */
export function signedRequest(info: Uint8Array, algorithm: Uint8Array, signature: Uint8Array): Uint8Array {
  return encode(SEQUENCE, info, algorithm, encode(BIT_STRING, NO_UNUSED_BITS, signature));
}

/** One DER value: tag, length in the shortest form (X.690 section 10.1), contents up to 64 KiB. */
function encode(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(contents);
  const size = body.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...length), body]);
}
