/**
 * ClusterTrustBundles as they may be created and updated.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#cluster-trust-bundles
 */
import type { Buffer } from 'node:buffer';
import type { ValidationRequest } from '../base/cluster-rules.ts';
import { type FieldError, fieldError } from '../base/errors.ts';
import { byteLength, objectAt, stringAt } from '../base/fields.ts';
import { asPrefix, dnsSubdomain, type NameCheck, signerNameFaults } from '../base/names.ts';
import type { ApiObject, JsonObject } from '../base/objects.ts';
import { readCertificate } from './certificates.ts';
import { metadataFaults } from './metadata.ts';
import { type PemBlock, pemBlocks } from './pem.ts';

const bundleField = 'spec.trustBundle';
const bundleMaxBytes = 1024 * 1024;

/** All faults of a new bundle. */
export function createFaults(request: ValidationRequest): FieldError[] {
  const spec = objectAt(request.object, 'spec');
  return [...headFaults(request.object, spec), ...trustBundleFaults(stringAt(spec, 'trustBundle'))];
}

/** All faults of an update. Certificates that stay as they are are not read again. */
export function updateFaults(request: ValidationRequest, old: ApiObject): FieldError[] {
  const spec = objectAt(request.object, 'spec');
  const oldSpec = objectAt(old, 'spec');
  const signerName = stringAt(spec, 'signerName');
  const trustBundle = stringAt(spec, 'trustBundle');
  return [
    ...headFaults(request.object, spec),
    ...(trustBundle === stringAt(oldSpec, 'trustBundle') ? [] : trustBundleFaults(trustBundle)),
    ...(signerName === stringAt(oldSpec, 'signerName')
      ? []
      : [fieldError.invalid('spec.signerName', signerName, 'field is immutable')]),
  ];
}

function headFaults(bundle: ApiObject, spec: JsonObject): FieldError[] {
  const signerName = stringAt(spec, 'signerName');
  const [name, generateName] = [bundleName(signerName, false), bundleName(signerName, true)];
  return [
    ...metadataFaults(bundle.metadata, { namespaced: false, name, generateName }),
    ...(signerName === '' ? [] : signerNameFaults('spec.signerName', signerName)),
  ];
}

/** With a signer the name starts with the signer's, the slash turned into a colon; without one it holds no colon. */
function bundleName(signerName: string, isPrefix: boolean): NameCheck {
  const checkRest: NameCheck = isPrefix ? asPrefix(dnsSubdomain) : dnsSubdomain;
  if (signerName === '') {
    return (name) =>
      name.includes(':') ? ['ClusterTrustBundle without signer name must not have ":" in its name'] : checkRest(name);
  }
  const prefix = `${signerName.replaceAll('/', ':')}:`;
  return (name) =>
    name.startsWith(prefix)
      ? checkRest(name.slice(prefix.length))
      : [`ClusterTrustBundle for signerName ${signerName} must be named with prefix ${prefix}`];
}

function trustBundleFaults(text: string): FieldError[] {
  if (byteLength(text) > bundleMaxBytes) {
    return [fieldError.tooLong(bundleField, bundleMaxBytes)];
  }
  const blocks = pemBlocks(text);
  const complaints = blocks.flatMap((block, index) => {
    const complaint = anchorComplaint(block);
    return complaint === undefined ? [] : [`entry ${index} ${complaint}`];
  });
  if (complaints.length === 0) {
    complaints.push(...(blocks.length === 0 ? ['at least one trust anchor must be provided'] : duplicates(blocks)));
  }
  return complaints.map((complaint) => fieldError.invalid(bundleField, '<value omitted>', complaint));
}

function anchorComplaint(block: PemBlock): string | undefined {
  if (block.type !== 'CERTIFICATE') {
    return `has bad block type: ${block.type}`;
  }
  if (block.hasHeaders) {
    return 'has PEM block headers';
  }
  const certificate = readCertificate(block.bytes);
  if (certificate === undefined) {
    return 'does not parse as X.509';
  }
  return certificate.isCA ? undefined : 'does not have the CA bit set';
}

function duplicates(blocks: readonly PemBlock[]): string[] {
  const indices = Map.groupBy(blocks.keys(), (index) => text(blocks[index]?.bytes));
  return [...indices.values()]
    .filter((same) => same.length > 1)
    .map((same) => `duplicate trust anchor (indices [${same.join(' ')}])`);
}

function text(bytes: Buffer | undefined): string {
  return bytes?.toString('base64') ?? '';
}
