/**
 * CertificateSigningRequests as they may be created, approved and answered.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
 */
import type { ValidationRequest } from '../base/cluster-rules.ts';
import { type FieldError, fieldError } from '../base/errors.ts';
import { bytesAt, isFieldSet, numberAt, objectAt, objectsAt, sameJson, stringAt, stringsAt } from '../base/fields.ts';
import { signerNameFaults } from '../base/names.ts';
import type { ApiObject, JsonObject } from '../base/objects.ts';
import { readCertificate } from './certificates.ts';
import { readCertificationRequest } from './certification-request.ts';
import { metadataFaults, mutableMetadataFaults } from './metadata.ts';
import { pemBlocks } from './pem.ts';

const shortestExpirationSeconds = 600;
const usages = new Set([
  ...['signing', 'digital signature', 'content commitment', 'key encipherment', 'key agreement', 'data encipherment'],
  ...['cert sign', 'crl sign', 'encipher only', 'decipher only', 'any', 'server auth', 'client auth', 'code signing'],
  ...['email protection', 's/mime', 'ipsec end system', 'ipsec tunnel', 'ipsec user', 'timestamping', 'ocsp signing'],
  ...['microsoft sgc', 'netscape sgc'],
]);
const conditionTypes = ['Approved', 'Denied', 'Failed'];

/** All faults of a new request. */
export function createFaults({ object }: ValidationRequest): FieldError[] {
  const spec = objectAt(object, 'spec');
  const expirationSeconds = numberAt(spec, 'expirationSeconds');
  return [
    ...metadataFaults(object.metadata, { namespaced: false, name: () => [] }),
    ...requestFaults(spec),
    ...usageFaults(stringsAt(spec, 'usages')),
    ...signerFaults(stringAt(spec, 'signerName')),
    ...(expirationSeconds !== undefined && expirationSeconds < shortestExpirationSeconds
      ? [
          fieldError.invalid(
            'spec.expirationSeconds',
            expirationSeconds,
            'may not specify a duration less than 600 seconds (10 minutes)',
          ),
        ]
      : []),
  ];
}

function requestFaults(spec: JsonObject): FieldError[] {
  const [block] = pemBlocks(bytesAt(spec, 'request').toString('latin1'));
  const refuse = (why: string) => [fieldError.invalid('spec.request', spec['request'], why)];
  if (block?.type !== 'CERTIFICATE REQUEST') {
    return refuse('PEM block type must be CERTIFICATE REQUEST');
  }
  const request = readCertificationRequest(block.bytes);
  if (request === undefined) {
    return refuse('asn1: structure error');
  }
  return request.isSelfSigned() ? [] : refuse('invalid signature');
}

function usageFaults(given: readonly string[]): FieldError[] {
  if (given.length === 0) {
    return [fieldError.required('spec.usages', '')];
  }
  return given.flatMap((usage, index) => [
    ...(usages.has(usage) ? [] : [fieldError.invalid(`spec.usages[${index}]`, usage, 'is no usage')]),
    ...(given.indexOf(usage) === index ? [] : [fieldError.invalid(`spec.usages[${index}]`, usage, 'is a duplicate')]),
  ]);
}

function signerFaults(signerName: string): FieldError[] {
  if (signerName === 'kubernetes.io/legacy-unknown') {
    return [
      fieldError.invalid('spec.signerName', signerName, 'the legacy signerName is not allowed via this API version'),
    ];
  }
  return signerNameFaults('spec.signerName', signerName);
}

/** All faults of an update outside of the subresources: nothing but metadata may change. */
export function updateFaults({ object }: ValidationRequest, old: ApiObject): FieldError[] {
  const faults = mutableMetadataFaults(object.metadata);
  const isSame = sameJson(object.spec, old.spec);
  return isSame ? faults : [...faults, fieldError.invalid('spec', object.spec, 'field is immutable')];
}

/** All faults of an update of the status, through `/status` or `/approval`. */
export function statusFaults({ object }: ValidationRequest, old: ApiObject): FieldError[] {
  const status = objectAt(object, 'status');
  const oldStatus = objectAt(old, 'status');
  const isSigned = isFieldSet(oldStatus, 'certificate');
  return [
    ...updateFaults({ object } as ValidationRequest, old),
    ...conditionFaults(objectsAt(status, 'conditions'), objectsAt(oldStatus, 'conditions')),
    ...(isSigned && !sameJson(status['certificate'], oldStatus['certificate'])
      ? [fieldError.invalid('status.certificate', '<value omitted>', 'field is immutable')]
      : []),
    ...(isSigned || !isFieldSet(status, 'certificate') ? [] : certificateFaults(bytesAt(status, 'certificate'))),
  ];
}

function conditionFaults(conditions: readonly JsonObject[], old: readonly JsonObject[]): FieldError[] {
  const field = 'status.conditions';
  const types = conditions.map((condition) => stringAt(condition, 'type'));
  const removed = old.filter((condition) => !types.includes(stringAt(condition, 'type')));
  return [
    ...conditions.flatMap((condition, index) => {
      const type = stringAt(condition, 'type');
      const status = stringAt(condition, 'status');
      return [
        ...(types.indexOf(type) === index
          ? []
          : [fieldError.invalid(`${field}[${index}].type`, type, 'is a duplicate')]),
        ...(conditionTypes.includes(type) && status !== 'True'
          ? [fieldError.invalid(`${field}[${index}].status`, status, 'must be True')]
          : []),
      ];
    }),
    ...removed.map((condition) =>
      fieldError.forbidden(field, `updates may not remove a condition of type ${JSON.stringify(condition['type'])}`),
    ),
    ...(types.includes('Approved') && types.includes('Denied')
      ? [fieldError.invalid(field, '<value omitted>', 'Approved and Denied conditions are mutually exclusive')]
      : []),
  ];
}

function certificateFaults(pem: Uint8Array): FieldError[] {
  const blocks = pemBlocks(Buffer.from(pem).toString('latin1'));
  const isGood =
    blocks.length > 0 &&
    blocks.every(
      (block) => block.type === 'CERTIFICATE' && !block.hasHeaders && readCertificate(block.bytes) !== undefined,
    );
  return isGood
    ? []
    : [fieldError.invalid('status.certificate', '<value omitted>', 'must contain one or more PEM blocks')];
}
