/**
 * cert-manager's CertificateRequests as they may be created, approved and answered: first what the schema of the custom
 * resource says, then what cert-manager's webhook does.
 *
 * https://cert-manager.io/docs/usage/certificaterequest/
 */
import type { AdmissionRequest, RulesContext, UserInfo, ValidationRequest } from '../base/cluster-rules.ts';
import { type ApiError, type FieldError, fieldError, refusedByWebhook } from '../base/errors.ts';
import {
  bytesAt,
  isFieldSet,
  objectAt,
  objectsAt,
  sameJson,
  stringAt,
  stringEntriesAt,
  stringsAt,
} from '../base/fields.ts';
import { dnsSubdomain } from '../base/names.ts';
import type { ApiObject, JsonObject } from '../base/objects.ts';
import { sameUsages, type Usages, usageNames, usagesNamed } from '../base/usages.ts';
import type { Authorizer } from '../identity/access.ts';
import { readCertificationRequest } from './certification-request.ts';
import { metadataFaults, mutableMetadataFaults } from './metadata.ts';
import { pemBlocks } from './pem.ts';

export const certManagerGroup = 'cert-manager.io';
export const certificateRequestsResource = `certificaterequests.${certManagerGroup}`;
const webhook = 'webhook.cert-manager.io';
const defaultUsages = usagesNamed(['digital signature', 'key encipherment']);
const conditionStatuses = ['True', 'False', 'Unknown'];
const conditionsField = 'status.conditions';
/** Annotations that nobody may change once a request is made. */
const reservedPrefixes = ['cert-manager.io', 'acme.cert-manager.io'];
/** https://pkg.go.dev/time#ParseDuration */
const goDuration = /^[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
/** The resources of the kinds that a request may name, and whether they are namespaced. */
const issuerResources: ReadonlyMap<string, { readonly resource: string; readonly namespaced: boolean }> = new Map([
  ['Issuer', { resource: 'issuers', namespaced: true }],
  ['ClusterIssuer', { resource: 'clusterissuers', namespaced: false }],
]);

/** All faults of a new request by the schema. */
export function createFaults({ object }: ValidationRequest): FieldError[] {
  return [...metadataFaults(object.metadata, { namespaced: true, name: dnsSubdomain }), ...schemaFaults(object)];
}

/** All faults of an update by the schema; what may not change, the webhook knows. */
export function updateFaults({ object }: ValidationRequest): FieldError[] {
  return [...mutableMetadataFaults(object.metadata), ...schemaFaults(object)];
}

function schemaFaults(object: ApiObject): FieldError[] {
  const spec = objectAt(object, 'spec');
  const usages = stringsAt(spec, 'usages');
  return [
    ...(isFieldSet(spec, 'request') ? [] : [fieldError.required('spec.request', '')]),
    ...(isFieldSet(objectAt(spec, 'issuerRef'), 'name') ? [] : [fieldError.required('spec.issuerRef.name', '')]),
    ...usages.flatMap((usage, index) => [
      ...(usageNames.includes(usage) ? [] : [fieldError.notSupported(`spec.usages[${index}]`, usage, usageNames)]),
      ...(usages.indexOf(usage) === index ? [] : [fieldError.duplicate(`spec.usages[${index}]`, usage)]),
    ]),
    ...conditionFaults(conditionsOf(object)),
  ];
}

function conditionFaults(conditions: readonly JsonObject[]): FieldError[] {
  const types = conditions.map((condition) => stringAt(condition, 'type'));
  return conditions.flatMap((condition, index) => {
    const field = `${conditionsField}[${index}]`;
    const [type, status] = [stringAt(condition, 'type'), stringAt(condition, 'status')];
    return [
      ...(type === '' ? [fieldError.required(`${field}.type`, '')] : []),
      ...(conditionStatuses.includes(status)
        ? []
        : [fieldError.notSupported(`${field}.status`, status, conditionStatuses)]),
      ...(types.indexOf(type) === index ? [] : [fieldError.duplicate(field, { type })]),
    ];
  });
}

function conditionsOf(object: ApiObject | undefined): readonly JsonObject[] {
  return objectsAt(objectAt(object, 'status'), 'conditions');
}

/** What cert-manager's webhook says to a change of a request. @returns nothing when it may go on */
export function refusedByCertManager(
  request: AdmissionRequest,
  authorize: Authorizer,
  context: RulesContext,
): ApiError | undefined {
  const { attributes, object, oldObject } = request;
  const isRequest = attributes.apiGroup === certManagerGroup && attributes.resource === 'certificaterequests';
  if (!isRequest || object === undefined) {
    return undefined;
  }
  const faults = oldObject === undefined ? specFaults(object, attributes.namespace) : changeFaults(object, oldObject);
  const why =
    faults.length > 0
      ? faults.map(({ field, message }) => `${field}: ${message}`).join(', ')
      : attributes.subresource === 'status'
        ? approvalFault(object, oldObject, attributes.user, authorize, context)
        : undefined;
  return why === undefined ? undefined : refusedByWebhook(webhook, why);
}

function specFaults(object: ApiObject, namespace: string): FieldError[] {
  const spec = objectAt(object, 'spec');
  const { group, kind } = issuerOf(object, namespace);
  const duration = stringAt(spec, 'duration');
  return [
    ...(group === certManagerGroup && !issuerResources.has(kind)
      ? [fieldError.invalid('spec.issuerRef.kind', kind, 'must be one of Issuer or ClusterIssuer')]
      : []),
    ...(duration === '' || goDuration.test(duration)
      ? []
      : [fieldError.invalid('spec.duration', duration, 'is no duration')]),
    ...requestFaults(spec),
    ...approvalFaults(conditionsOf(object)),
  ];
}

function requestFaults(spec: JsonObject): FieldError[] {
  const refuse = (why: string): FieldError[] => [fieldError.invalid('spec.request', spec['request'], why)];
  const [block] = pemBlocks(bytesAt(spec, 'request').toString('latin1'));
  const request = block === undefined ? undefined : readCertificationRequest(block.bytes);
  if (request === undefined) {
    return refuse('failed to decode csr: error decoding certificate request PEM block');
  }
  if (!request.isSelfSigned()) {
    return refuse('failed to decode csr: the signature is not that of the key in it');
  }
  const named = usagesNamed(stringsAt(spec, 'usages'));
  const wanted: Usages = spec['isCA'] === true ? { ...named, keyUsage: named.keyUsage | 32 } : named;
  const isEither =
    [wanted, defaultUsages].some((usages) => sameUsages(request.usages, usages)) || isNone(request.usages);
  return isNone(named) || sameUsages(named, defaultUsages) || isEither
    ? []
    : refuse('csr key usages do not match specified usages, these should match if both are set');
}

function isNone({ keyUsage, extendedKeyUsage }: Usages): boolean {
  return keyUsage === 0 && extendedKeyUsage.length === 0;
}

function changeFaults(object: ApiObject, old: ApiObject): FieldError[] {
  return [
    ...annotationFaults(object, old),
    ...decisionFaults(conditionsOf(object), conditionsOf(old)),
    ...approvalFaults(conditionsOf(object)),
    ...(sameJson(object.spec, old.spec) ? [] : [fieldError.forbidden('spec', 'cannot change spec after creation')]),
  ];
}

function annotationFaults(object: ApiObject, old: ApiObject): FieldError[] {
  const [now, before] = [object, old].map(({ metadata }) => new Map(stringEntriesAt(metadata, 'annotations')));
  const keys = new Set([...(now?.keys() ?? []), ...(before?.keys() ?? [])]);
  return [...keys]
    .filter((key) => reservedPrefixes.some((prefix) => key.startsWith(prefix)) && now?.get(key) !== before?.get(key))
    .map((key) =>
      fieldError.forbidden(`metadata.annotations.${key}`, 'cannot change cert-manager annotation after creation'),
    );
}

const decisions = ['Approved', 'Denied'];

function decided(conditions: readonly JsonObject[], type: string): JsonObject | undefined {
  return conditions.find((condition) => condition['type'] === type);
}

/** A decision, once made, stays as it is. */
function decisionFaults(conditions: readonly JsonObject[], old: readonly JsonObject[]): FieldError[] {
  return decisions
    .filter((type) => decided(old, type) !== undefined && !sameJson(decided(conditions, type), decided(old, type)))
    .map((type) => fieldError.forbidden(conditionsField, `'${type}' condition may not be modified once set`));
}

function approvalFaults(conditions: readonly JsonObject[]): FieldError[] {
  const made = conditions.filter((condition) => decisions.includes(stringAt(condition, 'type')));
  return [
    ...made
      .filter((condition) => condition['status'] !== 'True')
      .map(({ type, status }) =>
        fieldError.invalid(`${conditionsField}.${String(type)}`, status, `"${type}" condition may only be set to True`),
      ),
    ...(made.length === decisions.length
      ? [fieldError.forbidden(conditionsField, "both 'Denied' and 'Approved' conditions cannot coexist")]
      : []),
  ];
}

/** A decision is made by those who may approve for the issuer that the request names. */
function approvalFault(
  object: ApiObject,
  old: ApiObject | undefined,
  user: UserInfo,
  authorize: Authorizer,
  context: RulesContext,
): string | undefined {
  const isNew = (type: string): boolean =>
    decided(conditionsOf(object), type) !== undefined && decided(conditionsOf(old), type) === undefined;
  if (!decisions.some(isNew)) {
    return undefined;
  }
  const { group, kind, name, namespace } = issuerOf(object, object.metadata.namespace ?? '');
  const known = group === certManagerGroup ? issuerResources.get(kind) : undefined;
  const reference = JSON.stringify({ name, kind, group });
  if (known === undefined) {
    return `spec.issuerRef: Forbidden: referenced signer resource does not exist: ${reference}`;
  }
  const domain = `${known.resource}.${group}`;
  const names = [`${domain}/*`, `${domain}/${known.namespaced ? `${namespace}.` : ''}${name}`];
  const mayApprove = names.some(
    (signer) =>
      authorize(
        {
          ...{ kind: 'resource', user, verb: 'approve', apiGroup: certManagerGroup, apiVersion: '*' },
          ...{ resource: 'signers', subresource: '', namespace: '', name: signer },
        },
        context,
      ).allowed,
  );
  const who = JSON.stringify(user.username);
  const may = `user ${who} does not have permissions to set approved/denied conditions for issuer ${reference}`;
  return mayApprove ? undefined : `${conditionsField}: Forbidden: ${may}`;
}

function issuerOf(object: ApiObject, namespace: string) {
  const reference = objectAt(objectAt(object, 'spec'), 'issuerRef');
  return {
    name: stringAt(reference, 'name'),
    kind: stringAt(reference, 'kind') || 'Issuer',
    group: stringAt(reference, 'group') || certManagerGroup,
    namespace,
  };
}
