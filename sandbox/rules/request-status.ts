/**
 * The status of a PodCertificateRequest: who may write it, when, and what an issued chain must look like.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#pod-certificate-requests
 */

import type { RulesContext, ValidationRequest } from '../base/cluster-rules.ts';
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
} from '../base/fields.ts';
import type { ApiObject, JsonObject } from '../base/objects.ts';
import { type Certificate, isMailAddress, readCertificate } from './certificates.ts';
import { readCertificationRequest } from './certification-request.ts';
import { conditionFaults, conditionTypes, isTerminal } from './conditions.ts';
import { mutableMetadataFaults } from './metadata.ts';
import { pemBlocks } from './pem.ts';
import { judgePublicKey } from './public-keys.ts';

const chainField = 'status.certificateChain';
const chainMaxBytes = 100 * 1024;
const minuteMs = 60_000;
/** How far notBefore may lie from the server's clock. */
const notBeforeToleranceMs = 5 * minuteMs;
const shortestLifetimeMs = 60 * minuteMs;
/** Room between beginRefreshAt and either end of the certificate's life. */
const refreshMarginMs = 10 * minuteMs;

/** Faults of a status update, without the question who may write it. `request.object.spec` is the stored one. */
export function statusFaults(request: ValidationRequest, old: ApiObject, context: RulesContext): FieldError[] {
  const status = objectAt(request.object, 'status');
  const early = [...mutableMetadataFaults(request.object.metadata), ...conditionFaults(status)];
  if (early.length > 0) {
    return early;
  }
  if (conditionTypes.some((type) => isTerminal(old, type))) {
    return unless(
      sameJson(status, old.status),
      'status',
      'immutable after PodCertificateRequest is issued, denied, or failed',
    );
  }
  if (isTerminal(request.object, 'Denied') || isTerminal(request.object, 'Failed')) {
    const rule = 'non-condition status fields must be empty when denying or failing the PodCertificateRequest';
    return unless(sameJson(status, { conditions: status['conditions'] }), 'status', rule);
  }
  if (isTerminal(request.object, 'Issued')) {
    return issuedFaults(status, objectAt(old, 'spec'), context);
  }
  const rule = 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"';
  return unless(sameJson(status, old.status), 'status', rule);
}

function unless(good: boolean, field: string, detail: string): FieldError[] {
  return good ? [] : [invalidWithoutValue(field, detail)];
}

function issuedFaults(status: JsonObject, spec: JsonObject, context: RulesContext): FieldError[] {
  const chain = stringAt(status, 'certificateChain');
  if (byteLength(chain) > chainMaxBytes) {
    return [fieldError.tooLong(chainField, chainMaxBytes)];
  }
  const badChain = (detail: string): FieldError[] => [fieldError.invalid(chainField, chain, detail)];
  const [first, ...others] = pemBlocks(chain);
  if (first === undefined) {
    return badChain('issued certificate chain must contain at least one certificate');
  }
  if (first.type !== 'CERTIFICATE') {
    return badChain('issued certificate chain must consist entirely of CERTIFICATE PEM blocks');
  }
  const leaf = readCertificate(first.bytes);
  if (leaf === undefined) {
    return badChain('leaf certificate does not parse as valid X.509');
  }
  const nameFaults = leafNameFaults(leaf);
  if (!holdsRequestedKey(leaf, spec)) {
    return [...nameFaults, ...badChain('leaf certificate was not issued to the requested public key')];
  }
  const missing = missingTimes(status);
  if (nameFaults.length > 0 || missing.length > 0) {
    return [...nameFaults, ...missing];
  }
  const [timeFault] = timeFaults(status, leaf, numberAt(spec, 'maxExpirationSeconds') ?? 0, context);
  if (timeFault !== undefined) {
    return [timeFault];
  }
  for (const block of others) {
    if (block.type !== 'CERTIFICATE') {
      return badChain('issued certificate chain must consist entirely of CERTFICATE PEM blocks');
    }
    if (readCertificate(block.bytes) === undefined) {
      return badChain('intermediate certificate does not parse as valid X.509');
    }
  }
  return [];
}

function leafNameFaults(leaf: Certificate): FieldError[] {
  const dnsFaults = leaf.dnsNames.flatMap((name) =>
    [
      ...(name === '' ? ['leaf certificate should not contain empty DNSName'] : []),
      ...(name.includes('..') ? ["leaf certificate's DNSName should not contain '..'"] : []),
      ...(name.startsWith('.') || name.endsWith('.')
        ? ["leaf certificate's DNSName should not start or end with '.'"]
        : []),
    ].map((detail) => fieldError.invalid(chainField, name, detail)),
  );
  const emailFaults = leaf.emailAddresses
    .filter((address) => !isMailAddress(address))
    .map((address) =>
      fieldError.invalid(chainField, address, 'leaf certificate should not contain invalid EmailAddress'),
    );
  return [...dnsFaults, ...emailFaults];
}

function holdsRequestedKey(leaf: Certificate, spec: JsonObject): boolean {
  const requested = isFieldSet(spec, 'stubPKCS10Request')
    ? readCertificationRequest(bytesAt(spec, 'stubPKCS10Request'))?.spki
    : bytesAt(spec, 'pkixPublicKey');
  return requested !== undefined && judgePublicKey(requested).kind === 'supported' && leaf.spki.equals(requested);
}

function missingTimes(status: JsonObject): FieldError[] {
  const consistent = 'must be present and consistent with the issued certificate';
  const details = {
    notBefore: consistent,
    notAfter: consistent,
    beginRefreshAt: 'must be present and in the range [notbefore+10min, notafter-10min]',
  };
  return Object.entries(details)
    .filter(([field]) => !isFieldSet(status, field))
    .map(([field, detail]) => fieldError.required(`status.${field}`, detail));
}

/** The faults in the order in which the real server, which stops at the first, looks for them. */
function timeFaults(
  status: JsonObject,
  leaf: Certificate,
  maxExpirationSeconds: number,
  { now, timeScale }: RulesContext,
): FieldError[] {
  const time = (field: string): number => Date.parse(stringAt(status, field));
  const fault = (field: string, detail: string): FieldError =>
    fieldError.invalid(`status.${field}`, stringAt(status, field), detail);
  const notBefore = time('notBefore');
  const notAfter = time('notAfter');
  const beginRefreshAt = time('beginRefreshAt');
  const lifetimeMs = leaf.notAfter - leaf.notBefore;
  // The real server shows a duration as a number of nanoseconds.
  const lifetimeFault = (detail: string): FieldError =>
    fieldError.invalid(chainField, lifetimeMs * 1e6, `leaf certificate lifetime must be ${detail}`);
  const marginMs = refreshMarginMs / timeScale;
  const margin = timeScale === 1 ? '10 minutes' : `${marginMs / 1000} seconds`;
  const shortestMs = shortestLifetimeMs / timeScale;
  const shortest = timeScale === 1 ? '1 hour' : `${shortestMs / 1000} seconds`;
  const faults: [boolean, () => FieldError][] = [
    [
      notBefore === leaf.notBefore,
      () => fault('notBefore', 'must be set to the NotBefore time encoded in the leaf certificate'),
    ],
    [
      Math.abs(notBefore - now) < notBeforeToleranceMs,
      () => fault('notBefore', "must be set to within 5 minutes of kube-apiserver's current time"),
    ],
    [
      notAfter === leaf.notAfter,
      () => fault('notAfter', 'must be set to the NotAfter time encoded in the leaf certificate'),
    ],
    [lifetimeMs >= shortestMs, () => lifetimeFault(`>= ${shortest}`)],
    [
      lifetimeMs <= maxExpirationSeconds * 1000,
      () => lifetimeFault(`<= spec.maxExpirationSeconds (${maxExpirationSeconds})`),
    ],
    [
      beginRefreshAt >= notBefore + marginMs,
      () => fault('beginRefreshAt', `must be at least ${margin} after status.notBefore`),
    ],
    [
      beginRefreshAt <= notAfter - marginMs,
      () => fault('beginRefreshAt', `must be at least ${margin} before status.notAfter`),
    ],
  ];
  return faults.filter(([good]) => !good).map(([, describe]) => describe());
}
