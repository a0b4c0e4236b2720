/**
 * Questions to the API server that store nothing: whose a token is, who the caller is, what somebody may do; and tokens
 * for service accounts.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/
 * https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/
 */

import type { RequestAttributes, UserInfo } from '../base/cluster-rules.ts';
import { badRequest, conflict, fieldError, invalid, notFound } from '../base/errors.ts';
import { type ApiObject, asJson, isObject, type Json, type JsonObject } from '../base/objects.ts';
import { userJson } from '../base/user-json.ts';
import { apiAudience, type ServiceAccountClaims } from '../identity/tokens.ts';
import { type Api, attributesOf, rulesContext } from '../storage/api.ts';
import { decodeBody } from '../storage/body.ts';
import { timestamp } from '../storage/metadata.ts';
import type { ResourceInfo } from '../storage/request-info.ts';
import type { ReviewType } from '../storage/resource-type.ts';
import { tokenRequest } from '../storage/schemas/reviews.ts';
import { admit, storedObject, type WriteRequest } from '../storage/write.ts';

/** @returns the review with its status @throws ApiError */
export function answerReview(
  api: Api,
  type: ReviewType,
  info: ResourceInfo,
  user: UserInfo,
  review: JsonObject,
): JsonObject {
  const spec = isObject(review.spec) ? review.spec : {};
  const metadata = isObject(review.metadata) ? review.metadata : {};
  const answered = (status: JsonObject): JsonObject => ({
    kind: type.kind,
    apiVersion: `${type.group}/${type.version}`,
    metadata: { ...metadata, ...(info.namespace === '' ? {} : { namespace: info.namespace }) },
    ...(type.kind === 'SelfSubjectReview' ? {} : { spec }),
    status,
  });
  switch (type.kind) {
    case 'TokenReview':
      return answered(tokenReviewStatus(api, spec));
    case 'SelfSubjectReview':
      return { ...answered({ userInfo: userJson(user) }), metadata: { creationTimestamp: timestamp(api.now()) } };
    case 'SelfSubjectRulesReview':
      return answered(rulesStatus(api, user, String(spec.namespace ?? '')));
    case 'SelfSubjectAccessReview':
      return answered(accessStatus(api, accessAttributes(spec, user, type)));
    default: {
      const subject = subjectOfReview(spec, type);
      const attributes = accessAttributes(spec, subject, type);
      if (type.namespaced && attributes.kind === 'resource' && attributes.namespace !== info.namespace) {
        throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${info.namespace}`);
      }
      return answered(accessStatus(api, attributes));
    }
  }
}

function tokenReviewStatus(api: Api, spec: JsonObject): JsonObject {
  if (typeof spec.token !== 'string' || spec.token === '') {
    throw badRequest('token is required for TokenReview in authentication');
  }
  const audiences = strings(spec.audiences);
  const asked = audiences.length === 0 ? [apiAudience] : audiences;
  const result = api.tokens.authenticate(spec.token, asked, api.store, api.now());
  return result.authenticated
    ? { authenticated: true, user: userJson(result.user), audiences: [...result.audiences] }
    : { user: {}, error: result.why };
}

function strings(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function subjectOfReview(spec: JsonObject, type: ReviewType): UserInfo {
  const groups = strings(spec.groups);
  if (typeof spec.user !== 'string' && groups.length === 0) {
    const why = 'at least one of user or group must be specified';
    throw invalid({ group: type.group, resource: type.kind }, '', [fieldError.invalid('spec.user', '', why)]);
  }
  const extra = isObject(spec.extra) ? spec.extra : {};
  return {
    username: typeof spec.user === 'string' ? spec.user : '',
    ...(typeof spec.uid === 'string' ? { uid: spec.uid } : {}),
    groups,
    extra: Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, strings(values)])),
  };
}

function accessAttributes(spec: JsonObject, user: UserInfo, type: ReviewType): RequestAttributes {
  const { resourceAttributes, nonResourceAttributes } = spec;
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  if (isObject(resourceAttributes)) {
    const { group, version, resource, subresource, namespace, name, verb } = resourceAttributes;
    return {
      kind: 'resource',
      user,
      verb: text(verb),
      apiGroup: text(group),
      apiVersion: text(version) || '*',
      resource: text(resource),
      subresource: text(subresource),
      namespace: text(namespace),
      name: text(name),
    };
  }
  if (isObject(nonResourceAttributes)) {
    const { path, verb } = nonResourceAttributes;
    return { kind: 'path', user, verb: text(verb), path: text(path) };
  }
  const why = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
  throw invalid({ group: type.group, resource: type.kind }, '', [
    fieldError.invalid('spec.resourceAttributes', null, why),
  ]);
}

function accessStatus(api: Api, attributes: RequestAttributes): JsonObject {
  const { allowed, reason } = api.rules.authorize(attributes, rulesContext(api));
  return { allowed, ...(reason === undefined || reason === '' ? {} : { reason }) };
}

function rulesStatus(api: Api, user: UserInfo, namespace: string): JsonObject {
  if (namespace === '') {
    throw badRequest('no namespace on request');
  }
  const { resourceRules, nonResourceRules } = api.rules.rulesFor(user, namespace, rulesContext(api));
  return asJson({ resourceRules, nonResourceRules, incomplete: false });
}

/** A TokenRequest for a service account. @throws ApiError */
export function requestToken(
  api: Api,
  request: WriteRequest,
  body: Json,
): { readonly body: JsonObject; readonly warnings: readonly string[] } {
  const { info, user, query } = request;
  const account = storedObject(api, request);
  const expected = { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest', schema: tokenRequest };
  const { object, warnings } = decodeBody(body, expected, query);
  const metadata = isObject(object.metadata) ? object.metadata : {};
  const given: ApiObject = { ...object, metadata };
  const validation = { user, resource: 'serviceaccounts/token', version: 'v1', object: given };
  api.rules.default(validation, rulesContext(api));
  const spec = given.spec ?? {};
  const attributes = attributesOf(info, user, query);
  admit(api, { phase: 'before validation', operation: 'create', attributes, object: given });
  const errors = api.rules.validateCreate(validation, rulesContext(api));
  if (errors.length > 0) {
    throw invalid({ group: 'authentication.k8s.io', resource: 'TokenRequest' }, '', errors);
  }
  admit(api, { phase: 'after validation', operation: 'create', attributes, object: given });
  const claims = boundClaims(api, account, isObject(spec.boundObjectRef) ? spec.boundObjectRef : undefined);
  const audiences = strings(spec.audiences);
  const lifetimeSeconds = typeof spec.expirationSeconds === 'number' ? spec.expirationSeconds : 3600;
  const aud = audiences.length === 0 ? [apiAudience] : audiences;
  const { token, expiresAt } = api.tokens.issue(claims, aud, lifetimeSeconds, api.now());
  return {
    body: {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: {
        name: account.metadata.name ?? '',
        namespace: account.metadata.namespace ?? '',
        uid: account.metadata.uid ?? '',
        creationTimestamp: timestamp(api.now()),
      },
      spec: { boundObjectRef: null, ...spec, audiences: aud, expirationSeconds: lifetimeSeconds },
      status: { token, expirationTimestamp: timestamp(expiresAt) },
    },
    warnings,
  };
}

/** What the token is bound to, checked against what is stored. @throws ApiError 400, 404, 409 */
function boundClaims(api: Api, account: ApiObject, bound: JsonObject | undefined): ServiceAccountClaims {
  const { namespace = '', name = '', uid = '' } = account.metadata;
  const claims = { namespace, serviceAccount: { name, uid } };
  if (bound === undefined) {
    return claims;
  }
  const kind = String(bound.kind ?? '');
  const boundName = String(bound.name ?? '');
  const resource = kind === 'Pod' ? 'pods' : kind === 'Node' ? 'nodes' : undefined;
  if (resource === undefined) {
    throw badRequest(`cannot bind token for serviceaccount ${JSON.stringify(name)} to a ${kind}`);
  }
  const object = api.store.get(resource, resource === 'pods' ? namespace : '', boundName);
  if (object === undefined) {
    throw notFound({ group: '', resource }, boundName);
  }
  const reference = { name: boundName, uid: object.metadata.uid ?? '' };
  if (typeof bound.uid === 'string' && bound.uid !== '' && bound.uid !== reference.uid) {
    const why = `the UID in the bound object reference (${bound.uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw conflict({ group: '', resource: kind }, boundName, why);
  }
  if (resource === 'nodes') {
    return { ...claims, node: reference };
  }
  const podAccount = object.spec?.serviceAccountName ?? 'default';
  if (podAccount !== name) {
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(name)} to pod running with different serviceaccount name.`,
    );
  }
  const nodeName = object.spec?.nodeName;
  const node = typeof nodeName === 'string' ? api.store.get('nodes', '', nodeName) : undefined;
  return {
    ...claims,
    pod: reference,
    ...(node === undefined ? {} : { node: { name: String(nodeName), uid: node.metadata.uid ?? '' } }),
  };
}
