/**
 * PodCertificateRequests as they may be created and updated. Which fields there are depends on the API version and the
 * Kubernetes version.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/pod-certificate-request-v1beta1/
 */

import type { KubernetesVersion, RulesContext, ValidationRequest } from '../base/cluster-rules.ts';
import { type FieldError, fieldError } from '../base/errors.ts';
import {
  byteLength,
  bytesAt,
  invalidWithoutValue,
  isFieldSet,
  numberAt,
  objectAt,
  sameJson,
  stringAt,
  stringEntriesAt,
} from '../base/fields.ts';
import { dnsSubdomain, isKubernetesSigner, labelKey, signerNameFaults } from '../base/names.ts';
import type { ApiObject, JsonObject } from '../base/objects.ts';
import { readCertificationRequest } from './certification-request.ts';
import { annotationSizeFaults, invalids, metadataFaults, mutableMetadataFaults } from './metadata.ts';
import { judgePublicKey, type PublicKeyJudgement, provesPossession } from './public-keys.ts';

const defaultMaxExpirationSeconds = 86_400;
const shortestExpirationSeconds = 3600;
const longestExpirationSeconds = 91 * 86_400;
/** For signers of the Kubernetes project. */
const longestKubernetesExpirationSeconds = 86_400;
const uidMaxBytes = 128;
/** The limit of each of the three fields that hold key material. */
const keyFieldMaxBytes = 10 * 1024;

const everywhere = [
  'signerName',
  'podName',
  'podUID',
  'serviceAccountName',
  'serviceAccountUID',
  'nodeName',
  'nodeUID',
  'maxExpirationSeconds',
];
const keyPair = ['pkixPublicKey', 'proofOfPossession'];

/** The spec fields of an API version; the server drops all others. */
function requestFields(version: string, kubernetes: KubernetesVersion): readonly string[] {
  switch (version) {
    case 'v1alpha1':
      return [...everywhere, ...keyPair];
    case 'v1':
      return [...everywhere, 'stubPKCS10Request', 'unverifiedUserAnnotations'];
    default:
      return kubernetes === '1.35'
        ? [...everywhere, ...keyPair, 'unverifiedUserAnnotations']
        : [...everywhere, ...keyPair, 'stubPKCS10Request', 'unverifiedUserAnnotations'];
  }
}

/** Drops what the version does not know, and fills in the lifetime. */
export function defaultRequest(request: ValidationRequest, context: RulesContext): void {
  const spec = objectAt(request.object, 'spec');
  const known = requestFields(request.version, context.kubernetes);
  for (const field of Object.keys(spec)) {
    if (!known.includes(field)) {
      delete spec[field];
    }
  }
  spec['maxExpirationSeconds'] ??= defaultMaxExpirationSeconds;
  request.object.spec = spec;
}

/** All faults of a new request. */
export function createFaults(request: ValidationRequest, context: RulesContext): FieldError[] {
  const { object } = request;
  const spec = objectAt(object, 'spec');
  const faults = [
    ...metadataFaults(object.metadata, { namespaced: true, name: dnsSubdomain }),
    ...signerNameFaults('spec.signerName', stringAt(spec, 'signerName')),
    ...userAnnotationFaults(spec),
    ...['pod', 'serviceAccount', 'node'].flatMap((subject) => [
      ...invalids(
        `spec.${subject}Name`,
        stringAt(spec, `${subject}Name`),
        dnsSubdomain(stringAt(spec, `${subject}Name`)),
      ),
      ...uidFaults(`spec.${subject}UID`, stringAt(spec, `${subject}UID`)),
    ]),
  ];
  const maxExpirationSeconds = numberAt(spec, 'maxExpirationSeconds');
  if (maxExpirationSeconds === undefined) {
    return [...faults, fieldError.required('spec.maxExpirationSeconds', 'must be set')];
  }
  return [
    ...faults,
    ...expirationFaults(maxExpirationSeconds, stringAt(spec, 'signerName'), context),
    ...keyMaterialFaults(spec, request.version, context),
  ];
}

function userAnnotationFaults(spec: JsonObject): FieldError[] {
  const field = 'spec.unverifiedUserAnnotations';
  const entries = stringEntriesAt(spec, 'unverifiedUserAnnotations');
  return [
    ...entries.flatMap(([key]) => domainPrefixedKeyFaults(field, key.toLowerCase())),
    ...annotationSizeFaults(entries, field),
  ];
}

function domainPrefixedKeyFaults(field: string, key: string): FieldError[] {
  if (key === '') {
    return [fieldError.required(field, '')];
  }
  const complaints = labelKey(key);
  if (complaints.length === 0 && !key.includes('/')) {
    complaints.push('must be a domain-prefixed key (such as "acme.io/foo")');
  }
  return invalids(field, key, complaints);
}

function uidFaults(field: string, uid: string): FieldError[] {
  if (uid === '') {
    return [fieldError.invalid(field, uid, 'must not be empty')];
  }
  return byteLength(uid) > uidMaxBytes ? [fieldError.tooLong(field, uidMaxBytes)] : [];
}

function expirationFaults(seconds: number, signerName: string, { timeScale }: RulesContext): FieldError[] {
  const shortest = Math.ceil(shortestExpirationSeconds / timeScale);
  const longest = isKubernetesSigner(signerName) ? longestKubernetesExpirationSeconds : longestExpirationSeconds;
  return seconds >= shortest && seconds <= longest
    ? []
    : [fieldError.invalid('spec.maxExpirationSeconds', seconds, `must be in the range [${shortest}, ${longest}]`)];
}

function keyMaterialFaults(spec: JsonObject, version: string, context: RulesContext): FieldError[] {
  const known = requestFields(version, context.kubernetes);
  if (!known.includes('stubPKCS10Request')) {
    return keyAndProofFaults(spec);
  }
  const stub = isFieldSet(spec, 'stubPKCS10Request');
  const key = known.includes('pkixPublicKey') && isFieldSet(spec, 'pkixPublicKey');
  const proof = known.includes('proofOfPossession') && isFieldSet(spec, 'proofOfPossession');
  if (stub && !key && !proof) {
    return stubFaults(spec);
  }
  if (!stub && key && proof) {
    return keyAndProofFaults(spec);
  }
  const rule = 'exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set';
  return [invalidWithoutValue('spec', rule)];
}

function keyAndProofFaults(spec: JsonObject): FieldError[] {
  const field = 'spec.pkixPublicKey';
  const spki = bytesAt(spec, 'pkixPublicKey');
  const proof = bytesAt(spec, 'proofOfPossession');
  if (spki.length > keyFieldMaxBytes) {
    return [fieldError.tooLong(field, keyFieldMaxBytes)];
  }
  if (proof.length > keyFieldMaxBytes) {
    return [fieldError.tooLong('spec.proofOfPossession', keyFieldMaxBytes)];
  }
  const judged = judgePublicKey(spki);
  switch (judged.kind) {
    case 'malformed':
      return [fieldError.invalid(field, spec['pkixPublicKey'], 'must be a valid PKIX-serialized public key')];
    case 'unsupported':
      return [fieldError.invalid(field, spec['pkixPublicKey'], unsupportedKey)];
    case 'wrongCurve':
      return [fieldError.invalid(field, judged.found, 'elliptic public keys must use curve P256 or P384')];
    case 'wrongModulus':
      return [fieldError.invalid(field, judged.found, wrongModulus)];
    case 'supported':
      return provesPossession(judged.key, stringAt(spec, 'podUID'), proof)
        ? []
        : [invalidWithoutValue('spec.proofOfPossession', 'could not verify proof-of-possession signature')];
    default:
      return judged satisfies never;
  }
}

const unsupportedKey = 'unknown public key type; supported types are Ed25519, ECDSA, and RSA';
const wrongModulus = 'RSA keys must have modulus size 3072 or 4096';

function stubFaults(spec: JsonObject): FieldError[] {
  const field = 'spec.stubPKCS10Request';
  const der = bytesAt(spec, 'stubPKCS10Request');
  if (der.length > keyFieldMaxBytes) {
    return [fieldError.tooLong(field, keyFieldMaxBytes)];
  }
  const stub = readCertificationRequest(der);
  if (stub === undefined) {
    return [invalidWithoutValue(field, 'must be a valid PKCS#10 CSR')];
  }
  const keyFaults = stubKeyFaults(field, stub.publicKey);
  if (keyFaults.length > 0) {
    return keyFaults;
  }
  return stub.isSelfSigned() ? [] : [invalidWithoutValue(field, 'invalid signature')];
}

function stubKeyFaults(field: string, judged: PublicKeyJudgement): FieldError[] {
  switch (judged.kind) {
    case 'wrongCurve':
      return [fieldError.invalid(field, judged.found, 'elliptic public keys must use curve P256, P384, or P521')];
    case 'wrongModulus':
      return [fieldError.invalid(field, judged.found, wrongModulus)];
    case 'supported':
      return [];
    case 'unsupported':
    case 'malformed':
      return [invalidWithoutValue(field, unsupportedKey)];
    default:
      return judged satisfies never;
  }
}

/** All faults of an update outside of `/status`: nothing but metadata may change. */
export function updateFaults(request: ValidationRequest, old: ApiObject): FieldError[] {
  const faults = mutableMetadataFaults(request.object.metadata);
  const isSame = sameJson(request.object.spec, old.spec);
  return isSame ? faults : [...faults, fieldError.invalid('spec', request.object.spec, 'field is immutable')];
}
