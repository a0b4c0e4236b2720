/**
 * PKCS#10 certification requests (RFC 2986): the key in them, and whether they are signed with it. The API server does
 * not look at anything else in them.
 *
 * https://datatracker.ietf.org/doc/html/rfc2986
 */
import 'reflect-metadata';
import { Buffer } from 'node:buffer';
import { constants, type KeyObject, verify } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
} from '@peculiar/x509';
import type { Usages } from '../base/usages.ts';
import { firstElement, isOneSequence } from './der.ts';
import { judgePublicKey, type PublicKeyJudgement } from './public-keys.ts';

/** A well-formed request. */
export interface CertificationRequest {
  /** SubjectPublicKeyInfo in DER. */
  readonly spki: Buffer;
  readonly publicKey: PublicKeyJudgement;
  /** What the extensions ask for; nothing where there are none. */
  readonly usages: Usages | undefined;
  /** Whether it is for an authority, where its extensions say. */
  readonly isAuthority: boolean | undefined;
  /** Checks the request's signature with its own key. */
  isSelfSigned(): boolean;
}

/** @returns nothing when the bytes are not one well-formed request */
export function readCertificationRequest(der: Buffer): CertificationRequest | undefined {
  if (!isOneSequence(der)) {
    return undefined;
  }
  let request: Pkcs10CertificateRequest;
  let spki: Buffer;
  try {
    request = new Pkcs10CertificateRequest(der);
    spki = Buffer.from(request.publicKey.rawData);
  } catch {
    return undefined;
  }
  const publicKey = judgePublicKey(spki);
  const signed = firstElement(firstElement(der)?.contents ?? Buffer.alloc(0))?.encoding;
  if (publicKey.kind === 'malformed' || signed === undefined) {
    return undefined;
  }
  return {
    spki,
    publicKey,
    usages: usagesOf(request),
    isAuthority: request.extensions.find((each) => each instanceof BasicConstraintsExtension)?.ca,
    isSelfSigned: () => publicKey.kind === 'supported' && isSigned(request, signed, publicKey.key),
  };
}

function usagesOf({ extensions }: Pkcs10CertificateRequest): Usages | undefined {
  const keyUsage = extensions.find((each) => each instanceof KeyUsagesExtension);
  const extended = extensions.find((each) => each instanceof ExtendedKeyUsageExtension);
  return keyUsage === undefined && extended === undefined
    ? undefined
    : { keyUsage: keyUsage?.usages ?? 0, extendedKeyUsage: (extended?.usages ?? []).map(String) };
}

/** The algorithm named in the request must be one for its key: https://pkg.go.dev/crypto/x509#SignatureAlgorithm */
function isSigned(request: Pkcs10CertificateRequest, signed: Buffer, key: KeyObject): boolean {
  const signature = Buffer.from(request.signature);
  const { name, hash } = signatureAlgorithm(request);
  const keyType = key.asymmetricKeyType;
  try {
    if (name === 'Ed25519') {
      return keyType === 'ed25519' && verify(null, signed, key, signature);
    }
    if (hash === undefined) {
      return false;
    }
    if (name === 'ECDSA') {
      return keyType === 'ec' && verify(hash, signed, { key, dsaEncoding: 'der' }, signature);
    }
    if (name === 'RSASSA-PKCS1-v1_5') {
      return keyType === 'rsa' && verify(hash, signed, key, signature);
    }
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
    return name === 'RSA-PSS' && keyType === 'rsa' && verify(hash, signed, { key, padding, saltLength }, signature);
  } catch {
    return false;
  }
}

/** The library's algorithm in the words of Web Cryptography, whose types are not part of this project's. */
function signatureAlgorithm(request: Pkcs10CertificateRequest): { readonly name: string; readonly hash?: string } {
  try {
    const algorithm: { readonly name?: unknown; readonly hash?: { readonly name?: unknown } } =
      request.signatureAlgorithm;
    const hash = algorithm.hash?.name;
    return { name: String(algorithm.name), ...(typeof hash === 'string' ? { hash } : {}) };
  } catch {
    return { name: 'unknown' };
  }
}
