/**
 * The trust anchors that an issuer gives along with a certificate, as cert-manager does in `status.ca`, checked before they
 * become a file: a pod trusts whatever stands in it.
 *
 * https://cert-manager.io/docs/usage/certificaterequest/
 */
import { X509Certificate } from 'node:crypto';
import { longestChainBytes, mostCertificates } from '../../volumes/base/limits.ts';
import { AgentError } from '../base/errors.ts';
import { readCertificateBlocks } from '../base/pem.ts';

/**
 * @param pem what came; undefined or empty where the issuer gives none
 * @returns DER, each once, in the issuer's order
 * @throws AgentError InvalidChain
 */
export function readIssuedAnchors(pem = ''): readonly Uint8Array[] {
  const size = Buffer.byteLength(pem);
  if (size > longestChainBytes) {
    throw refusal(`they have ${size} bytes, more than ${longestChainBytes}`);
  }
  const blocks = blocksOf(pem);
  if (blocks.length === 0) {
    throw refusal(
      'the issuer gives none (status.ca is empty), so a source for it cannot have a caPath or a truststorePath',
    );
  }
  if (blocks.length > mostCertificates) {
    throw refusal(`they are ${blocks.length} certificates, more than ${mostCertificates}`);
  }
  for (const [index, der] of blocks.entries()) {
    if (!isAuthority(der)) {
      throw refusal(`certificate ${index + 1} of ${blocks.length} is not a certificate of an authority`);
    }
  }
  return blocks.filter((der, index) => blocks.findIndex((other) => Buffer.compare(der, other) === 0) === index);
}

function blocksOf(pem: string): readonly Uint8Array[] {
  try {
    return readCertificateBlocks(pem);
  } catch (cause) {
    throw refusal(cause instanceof Error ? cause.message : 'they are not PEM', cause);
  }
}

function isAuthority(der: Uint8Array): boolean {
  try {
    return new X509Certificate(der).ca;
  } catch {
    return false;
  }
}

function refusal(why: string, cause?: unknown): AgentError {
  const message = `the trust anchors that came with the certificate cannot be used: ${why}`;
  return new AgentError('InvalidChain', message, { actor: 'signer', cause });
}
