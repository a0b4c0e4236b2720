/**
 * Reads one `podCertificate` source: the kubelet's fields and rules, with `leafPath` and `intermediatesPath` beside them.
 *
 * https://kubernetes.io/docs/concepts/storage/projected-volumes/#podcertificate
 */

import { accessFields, readAccess } from './access.ts';
import {
  type Fault,
  isGiven,
  type Mapping,
  quote,
  readInteger,
  readKeepOrDrop,
  readList,
  readMapping,
  readString,
  readStringMap,
} from './fields.ts';
import { keyTypes } from './key-types.ts';
import { keystoreFields, readKeystoreFiles } from './keystore.ts';
import { type CertificateLayout, readCertificateLayout } from './layout-fields.ts';
import { maxRequestedNameLength, maxRequestedNames } from './limits.ts';
import { isKubernetesSigner, userAnnotationKeyFault } from './names.ts';
import { checkPath, type OutputPath } from './paths.ts';
import { readSignerName } from './signer-name.ts';
import type { PodCertificateSource, RequestedNames } from './types.ts';

/** The output fields; the first two hold the private key. */
const certificatePathFields = [
  'credentialBundlePath',
  'keyPath',
  'certificateChainPath',
  'leafPath',
  'intermediatesPath',
] as const;
/** With the trust anchors that come along with a certificate: alone they are no credential. */
export const pathFields = [...certificatePathFields, 'caPath'] as const;
const nameFields = ['dnsNames', 'uris', 'ipAddresses'] as const;
const fields = [
  'signerName',
  'keyType',
  'maxExpirationSeconds',
  'userAnnotations',
  ...nameFields,
  'commonName',
  ...pathFields,
  ...keystoreFields,
  'layout',
  'path',
  'roots',
  ...accessFields,
];

const minExpirationSeconds = 3600;
/** 91 days. */
const maxExpirationSeconds = 7_862_400;
const maxKubernetesExpirationSeconds = 86_400;

/** @returns the source, usable only if no fault was added. Its output paths are added to `outputs`. */
export function readPodCertificate(
  value: unknown,
  index: number,
  path: string,
  outputs: OutputPath[],
  faults: Fault[],
): PodCertificateSource | undefined {
  const mapping = readMapping(value, path, fields, faults);
  if (mapping === undefined) {
    return undefined;
  }
  const signerName = readSignerName(mapping, path, faults);
  const keyType = readKeyType(mapping, path, faults);
  const expiration = readExpiration(mapping, path, signerName ?? '', faults);
  const userAnnotations = readAnnotations(mapping, path, faults);
  const names = readNames(mapping, path, faults);
  const given = certificatePathFields.filter((name) => isGiven(mapping, name));
  const layout = readCertificateLayout(mapping, path, given, outputs, faults);
  const paths = { ...readPaths(mapping, path, outputs, faults), ...pathsOf(layout) };
  const keystores = readKeystoreFiles(mapping, path, ['keystorePath', 'truststorePath'], outputs, faults);
  if (given.length === 0 && !isGiven(mapping, 'keystorePath') && !isGiven(mapping, 'layout')) {
    const enough = [...certificatePathFields, 'keystorePath'].join(', ');
    faults.push({ field: path, message: `needs at least one of ${enough}, or layout` });
  }
  const dropsRoots = readKeepOrDrop(mapping, 'roots', path, faults) === 'drop' || layout?.roots === 'drop';
  const access = readAccess(mapping, path, hasKeyFile({ ...paths, ...keystores }), faults);
  if (signerName === undefined || keyType === undefined) {
    return undefined;
  }
  return {
    kind: 'podCertificate',
    index,
    signerName,
    keyType,
    ...(expiration === undefined ? {} : { maxExpirationSeconds: expiration }),
    userAnnotations,
    ...(names === undefined ? {} : { names }),
    ...paths,
    ...keystores,
    ...(dropsRoots ? { roots: 'drop' as const } : {}),
    ...access,
  };
}

function readKeyType(mapping: Mapping, path: string, faults: Fault[]) {
  const text = readString(mapping, 'keyType', path, faults);
  const keyType = keyTypes.find((known) => known === text);
  if (keyType === undefined) {
    const instead = text === undefined ? '' : `, not ${quote(text)}`;
    faults.push({ field: `${path}.keyType`, message: `must be one of ${keyTypes.join(', ')}${instead}` });
  }
  return keyType;
}

function readExpiration(mapping: Mapping, path: string, signerName: string, faults: Fault[]): number | undefined {
  const seconds = readInteger(mapping, 'maxExpirationSeconds', path, faults);
  if (seconds === undefined) {
    return undefined;
  }
  const ofKubernetes = isKubernetesSigner(signerName);
  const max = ofKubernetes ? maxKubernetesExpirationSeconds : maxExpirationSeconds;
  if (seconds < minExpirationSeconds || seconds > max) {
    const signers = ofKubernetes ? ' for a kubernetes.io signer' : '';
    const message = `must be from ${minExpirationSeconds} to ${max} seconds${signers}, not ${seconds}`;
    faults.push({ field: `${path}.maxExpirationSeconds`, message });
  }
  return seconds;
}

function readAnnotations(mapping: Mapping, path: string, faults: Fault[]): Readonly<Record<string, string>> {
  const field = `${path}.userAnnotations`;
  const annotations = readStringMap(mapping, 'userAnnotations', path, faults);
  for (const key of annotations.keys()) {
    const message = userAnnotationKeyFault(key);
    if (message !== undefined) {
      faults.push({ field, message });
    }
  }
  return Object.fromEntries(annotations);
}

/** Whether they are names of their kind, and the pod's to have, the operator's rule for the signer says. */
function readNames(mapping: Mapping, path: string, faults: Fault[]): RequestedNames | undefined {
  const [dnsNames = [], uris = [], ipAddresses = []] = nameFields.map((field) =>
    readTexts(mapping, field, path, faults),
  );
  const commonName = readString(mapping, 'commonName', path, faults);
  const names = [...dnsNames, ...uris, ...ipAddresses, ...(commonName === undefined ? [] : [commonName])];
  if (names.some((name) => name.length > maxRequestedNameLength)) {
    faults.push({ field: path, message: `asks for a name of more than ${maxRequestedNameLength} characters` });
  }
  if (names.length === 0) {
    return undefined;
  }
  return { dnsNames, uris, ipAddresses, ...(commonName === undefined ? {} : { commonName }) };
}

function readTexts(mapping: Mapping, name: string, path: string, faults: Fault[]): readonly string[] {
  const field = `${path}.${name}`;
  const entries = readList(mapping, name, path, faults);
  if (entries.length > maxRequestedNames) {
    faults.push({ field, message: `must hold at most ${maxRequestedNames} names, not ${entries.length}` });
  }
  const texts = entries.filter((entry): entry is string => typeof entry === 'string' && entry !== '');
  if (texts.length < entries.length) {
    faults.push({ field, message: 'must be a list of strings that are not empty: put numbers in quotes' });
  }
  return texts;
}

function readPaths(
  mapping: Mapping,
  path: string,
  outputs: OutputPath[],
  faults: Fault[],
): Partial<Record<(typeof pathFields)[number], string>> {
  const paths: Partial<Record<(typeof pathFields)[number], string>> = {};
  for (const name of pathFields) {
    const text = readString(mapping, name, path, faults);
    if (text === undefined) {
      continue;
    }
    const field = `${path}.${name}`;
    const checked = checkPath(text);
    if (checked.ok) {
      paths[name] = checked.path;
      outputs.push({ field, path: checked.path });
    } else {
      faults.push({ field, message: checked.message });
    }
  }
  return paths;
}

function pathsOf({ roots: _, ...paths }: CertificateLayout = {}): Omit<CertificateLayout, 'roots'> {
  return paths;
}

/** True when the trust anchors that come with the certificate have a file. */
export function wantsAnchors({ caPath, truststorePath }: PodCertificateSource): boolean {
  return caPath !== undefined || truststorePath !== undefined;
}

const secretFields = ['keyPath', 'credentialBundlePath', 'keystorePath', 'passwordPath'] as const;

/** True when a file of the source holds the private key, or the password of a file that does. */
export function hasKeyFile(source: Pick<PodCertificateSource, (typeof secretFields)[number]>): boolean {
  return secretFields.some((field) => source[field] !== undefined);
}
