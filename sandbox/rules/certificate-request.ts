/**
 * cert-manager's CertificateRequests as they may be created, approved and answered: first what the schema of the custom
 * resource says, then what cert-manager's webhook does.
 *
 * https://cert-manager.io/docs/usage/certificaterequest/
 */
import type { AdmissionRequest, RulesContext, UserInfo, ValidationRequest } from '../base/cluster-rules.ts';
import { type ApiError, type FieldError, fieldError, refusedByWebhook, unreadByWebhook } from '../base/errors.ts';
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
import type { ApiObject, Json, JsonObject } from '../base/objects.ts';
import { namesOf, type Usages, usageNames, usagesNamed } from '../base/usages.ts';
import type { Authorizer } from '../identity/access.ts';
import { readCertificationRequest } from './certification-request.ts';
import { metadataFaults, mutableMetadataFaults } from './metadata.ts';
import { pemBlocks } from './pem.ts';

export const certManagerGroup = 'cert-manager.io';
export const certificateRequestsResource = `certificaterequests.${certManagerGroup}`;
const webhook = 'webhook.cert-manager.io';
/** The bit of KeyUsage that an authority has. */
const certSign = 32;
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
    ...byteFaults(spec['request'], 'spec.request'),
    ...(objectAt(spec, 'issuerRef')['name'] === undefined ? [fieldError.required('spec.issuerRef.name', '')] : []),
    ...usages.flatMap((usage, index) =>
      usageNames.includes(usage) ? [] : [fieldError.notSupported(`spec.usages[${index}]`, usage, usageNames)],
    ),
    ...conditionFaults(conditionsOf(object)),
  ];
}

/** Bytes in base64, as the schema's format has them: one at least. */
function byteFaults(value: Json | undefined, field: string): FieldError[] {
  if (value === undefined) {
    return [fieldError.required(field, '')];
  }
  return value === ''
    ? [fieldError.invalid(field, value, `${field} in body must be of type byte: ${JSON.stringify(value)}`)]
    : [];
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
  const duration = stringAt(objectAt(object, 'spec'), 'duration');
  if (duration !== '' && !goDuration.test(duration)) {
    return unreadByWebhook(webhook, `time: invalid duration ${JSON.stringify(duration)}`);
  }
  const faults = oldObject === undefined ? specFaults(object) : changeFaults(object, oldObject);
  const approval =
    attributes.subresource === 'status'
      ? approvalFault(object, oldObject, attributes.user, authorize, context)
      : undefined;
  const identity = oldObject === undefined ? [] : identityFaults(object, oldObject);
  const all = [...identity.map(told), ...(approval ?? []), ...faults.map(told)];
  return all.length === 0 ? undefined : refusedByWebhook(webhook, all);
}

function told({ field, message }: FieldError): string {
  return `${field}: ${message}`;
}

const identityFields = ['uid', 'username', 'groups', 'extra'];

/** Who asked is for ever. */
function identityFaults(object: ApiObject, old: ApiObject): FieldError[] {
  return identityFields
    .filter((field) => !sameJson(objectAt(object, 'spec')[field], objectAt(old, 'spec')[field]))
    .map((field) => fieldError.forbidden(`spec.${field}`, `${field} identity cannot be changed once set`));
}

function specFaults(object: ApiObject): FieldError[] {
  const spec = objectAt(object, 'spec');
  const { group, kind, name } = issuerOf(object, '');
  const isGroupSaid = isFieldSet(objectAt(spec, 'issuerRef'), 'group');
  const hint = isGroupSaid ? '' : ' (did you forget to set spec.issuerRef.kind.group?)';
  return [
    ...(name === '' ? [fieldError.required('spec.issuerRef.name', 'must be specified')] : []),
    ...(group === certManagerGroup && !issuerResources.has(kind)
      ? [fieldError.invalid('spec.issuerRef.kind', kind, `must be one of Issuer or ClusterIssuer${hint}`)]
      : []),
    ...requestFaults(spec),
    ...approvalFaults(conditionsOf(object)),
  ];
}

const longestShown = 100;

/** What the request in it says has to be what the object says, the extended usages in the same order. */
function requestFaults(spec: JsonObject): FieldError[] {
  const pem = bytesAt(spec, 'request').toString('latin1');
  const shown = pem.length <= longestShown ? pem : `${pem.slice(0, longestShown - 3)}...`;
  const refuse = (why: string): FieldError[] => [fieldError.invalid('spec.request', shown, why)];
  const [block] = pemBlocks(pem);
  const request = block === undefined ? undefined : readCertificationRequest(block.bytes);
  if (request === undefined) {
    const why = block === undefined ? 'no PEM data was found in given input' : 'it is no request';
    return refuse(`error decoding certificate request PEM block: ${why}`);
  }
  if (!request.isSelfSigned()) {
    return refuse('x509: the signature is not that of the key in it');
  }
  const isCA = spec['isCA'] === true;
  if (request.isAuthority !== undefined && request.isAuthority !== isCA) {
    return refuse(`encoded CSR error: IsCA ${request.isAuthority} does not match expected value ${isCA}`);
  }
  if (request.usages === undefined) {
    return [];
  }
  const usages = stringsAt(spec, 'usages');
  const named = usages.length === 0 ? defaultUsages : usagesNamed(usages);
  const wanted: Usages = { ...named, keyUsage: named.keyUsage | (isCA ? certSign : 0) };
  const [says, expected] = [namesOf(request.usages), namesOf(wanted)];
  const differ = (what: string, ours: readonly string[], theirs: readonly string[]): FieldError[] =>
    ours.join() === theirs.join()
      ? []
      : refuse(`encoded CSR error: the ${what} ${listed(ours)} do not match the expected ${what} ${listed(theirs)}`);
  const [fault] = [
    ...differ('KeyUsages', says.keyUsage, expected.keyUsage),
    ...differ('ExtKeyUsages', says.extendedKeyUsage, expected.extendedKeyUsage),
  ];
  return fault === undefined ? [] : [fault];
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? '[]' : `[ ${names.map((name) => `'${name}'`).join(', ')} ]`;
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
): readonly string[] | undefined {
  const isNew = (type: string): boolean =>
    decided(conditionsOf(object), type) !== undefined && decided(conditionsOf(old), type) === undefined;
  if (!decisions.some(isNew)) {
    return undefined;
  }
  const { group, kind, name, namespace } = issuerOf(object, object.metadata.namespace ?? '');
  const known = group === certManagerGroup ? issuerResources.get(kind) : undefined;
  const stated = objectAt(objectAt(object, 'spec'), 'issuerRef');
  const reference = `{${['name', 'kind', 'group'].map((field) => stringAt(stated, field)).join(' ')}}`;
  if (known === undefined) {
    return [`spec.issuerRef: Forbidden: referenced signer resource does not exist: ${reference}`];
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
  return mayApprove ? undefined : [`${conditionsField}: Forbidden: ${may}`];
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
