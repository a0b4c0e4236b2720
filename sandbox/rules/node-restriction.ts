/**
 * Admission of what nodes write (the NodeRestriction plugin): a node speaks for itself and for the pods bound to it,
 * and everything that it says about them must be true.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
 */

import type { AdmissionRequest, RulesContext } from '../base/cluster-rules.ts';
import { type ApiError, notFound } from '../base/errors.ts';
import { objectAt, objectsAt, sameJson, stringAt, stringsAt } from '../base/fields.ts';
import type { ApiObject } from '../base/objects.ts';
import { type Authorizer, groupResource, nodeOf } from '../identity/access.ts';
import {
  automountsToken,
  csiDrivers,
  isMirrorPod,
  mirrorPodAnnotation,
  nodeNameOf,
  tokenAudiences,
} from '../identity/pods.ts';
import { refuse } from './admission.ts';
import { restrictRequests } from './request-restriction.ts';

/** What a TokenRequest without audiences asks for. */
export const apiServerAudience = 'https://kubernetes.default.svc';

/** @returns the error to answer with, nothing when the change may go on */
export function restrictNode(
  request: AdmissionRequest,
  authorize: Authorizer,
  context: RulesContext,
): ApiError | undefined {
  const { attributes } = request;
  const node = nodeOf(attributes.user);
  if (node === undefined) {
    return undefined;
  }
  if (node === '') {
    const user = JSON.stringify(attributes.user.username);
    return refuse(request, `could not determine node from user ${user}`);
  }
  switch (groupResource(attributes)) {
    case 'pods':
      return restrictPods(node, request, context);
    case 'nodes':
      return restrictNodes(node, request);
    case 'serviceaccounts':
      return attributes.subresource === 'token' ? restrictTokens(node, request, authorize, context) : undefined;
    case 'podcertificaterequests.certificates.k8s.io':
      return restrictRequests(node, request, authorize, context);
    default:
      return undefined;
  }
}

function restrictPods(node: string, request: AdmissionRequest, context: RulesContext): ApiError | undefined {
  const { attributes, operation, object, oldObject } = request;
  const self = JSON.stringify(node);
  switch (attributes.subresource) {
    case '':
      if (operation === 'create' && object !== undefined) {
        return restrictMirrorPod(node, request, object, context);
      }
      if (operation !== 'delete') {
        const what = operation.toUpperCase();
        return refuse(
          request,
          `unexpected operation ${JSON.stringify(what)}, node ${self} can only create and delete mirror pods`,
        );
      }
      return oldObject !== undefined && nodeNameOf(oldObject) !== node
        ? refuse(request, `node ${self} can only delete pods with spec.nodeName set to itself`)
        : undefined;
    case 'status':
      return oldObject !== undefined && nodeNameOf(oldObject) !== node
        ? refuse(request, `node ${self} can only update pod status for pods with spec.nodeName set to itself`)
        : undefined;
    default:
      return undefined;
  }
}

function restrictMirrorPod(
  node: string,
  request: AdmissionRequest,
  pod: ApiObject,
  context: RulesContext,
): ApiError | undefined {
  const self = `node ${JSON.stringify(node)}`;
  if (!isMirrorPod(pod)) {
    return refuse(
      request,
      `pod does not have "${mirrorPodAnnotation}" annotation, ${self} can only create mirror pods`,
    );
  }
  if (nodeNameOf(pod) !== node) {
    return refuse(request, `${self} can only create pods with spec.nodeName set to itself`);
  }
  const [owner, ...others] = objectsAt(pod.metadata, 'ownerReferences');
  if (others.length > 0) {
    return refuse(request, `${self} can only create pods with a single owner reference set to itself`);
  }
  const isOwnedByNode =
    stringAt(owner, 'apiVersion') === 'v1' && stringAt(owner, 'kind') === 'Node' && stringAt(owner, 'name') === node;
  if (!isOwnedByNode) {
    return refuse(request, `${self} can only create pods with an owner reference set to itself`);
  }
  if (owner?.['controller'] !== true) {
    return refuse(request, `${self} can only create pods with a controller owner reference set to itself`);
  }
  if (owner['blockOwnerDeletion'] === true) {
    return refuse(request, `${self} must not set blockOwnerDeletion on an owner reference`);
  }
  const stored = context.objects.get('nodes', '', node);
  if (stored === undefined) {
    return notFound({ group: '', resource: 'node' }, node);
  }
  const [claimed, actual] = [stringAt(owner, 'uid'), stringAt(stored.metadata, 'uid')];
  return claimed === actual
    ? undefined
    : refuse(request, `node ${node} UID mismatch: expected ${claimed} got ${actual}`);
}

function restrictNodes(node: string, request: AdmissionRequest): ApiError | undefined {
  const { attributes, object, oldObject, operation } = request;
  const self = `node ${JSON.stringify(node)}`;
  const name = attributes.name || stringAt(object?.metadata, 'name');
  if (name !== node) {
    return refuse(request, `${self} is not allowed to modify node ${JSON.stringify(name)}`);
  }
  if (operation !== 'update') {
    return undefined;
  }
  if (!sameJson(objectAt(object, 'spec')['taints'], objectAt(oldObject, 'spec')['taints'])) {
    return refuse(request, `${self} is not allowed to modify taints`);
  }
  return sameJson(object?.metadata.ownerReferences, oldObject?.metadata.ownerReferences)
    ? undefined
    : refuse(request, `${self} is not allowed to modify ownerReferences`);
}

function restrictTokens(
  node: string,
  request: AdmissionRequest,
  authorize: Authorizer,
  context: RulesContext,
): ApiError | undefined {
  if (request.operation !== 'create') {
    return undefined;
  }
  const { attributes } = request;
  const spec = objectAt(request.object, 'spec');
  const bound = objectAt(spec, 'boundObjectRef');
  const [podName, podUID] = [stringAt(bound, 'name'), stringAt(bound, 'uid')];
  if (stringAt(bound, 'apiVersion') !== 'v1' || stringAt(bound, 'kind') !== 'Pod' || podName === '') {
    return refuse(request, 'node requested token not bound to a pod');
  }
  if (podUID === '') {
    return refuse(request, 'node requested token with a pod binding without a uid');
  }
  const pod = context.objects.get('pods', attributes.namespace, podName);
  if (pod === undefined) {
    return notFound({ group: '', resource: 'pod' }, podName);
  }
  if (podUID !== pod.metadata.uid) {
    const why = 'does not match the UID in record. The object might have been deleted and then recreated';
    return refuse(request, `the UID in the bound object reference (${podUID}) ${why}`);
  }
  if (nodeNameOf(pod) !== node) {
    return refuse(request, 'node requested token bound to a pod scheduled on a different node');
  }
  const audiences = stringsAt(spec, 'audiences');
  const [audience = apiServerAudience] = audiences;
  if (audiences.length > 1) {
    return refuse(request, 'node may only request 0 or 1 audiences');
  }
  const mayAsk = (): boolean =>
    authorize(
      { ...attributes, verb: 'request-serviceaccounts-token-audience', resource: audience, subresource: '' },
      context,
    ).allowed;
  const problem = `audience ${JSON.stringify(audience)} not found in pod spec volume`;
  return podWants(pod, audience, context) || mayAsk()
    ? undefined
    : refuse(request, `${problem}, ${attributes.user.username} is not authorized to request tokens for this audience`);
}

/**
 * True when the pod has a use for a token of this audience: a projected one, the one that clusters add by themselves, or
 * one that the driver of an inline CSI volume asks for.
 */
function podWants(pod: ApiObject, audience: string, context: RulesContext): boolean {
  const account = stringAt(objectAt(pod, 'spec'), 'serviceAccountName');
  const serviceAccount = context.objects.get('serviceaccounts', stringAt(pod.metadata, 'namespace'), account);
  const ofDrivers = csiDrivers(pod).flatMap((driver) => {
    const stored = context.objects.get('csidrivers.storage.k8s.io', '', driver);
    return objectsAt(objectAt(stored, 'spec'), 'tokenRequests').map((token) => stringAt(token, 'audience'));
  });
  const own = automountsToken(pod, serviceAccount) ? [apiServerAudience] : [];
  return [...own, ...tokenAudiences(pod), ...ofDrivers].some((wanted) => (wanted || apiServerAudience) === audience);
}
