/**
 * Admission of what nodes write (the NodeRestriction plugin): a node speaks for itself and for the pods bound to it,
 * and everything that it says about them must be true.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
 */
import { ApiError, forbidden, notFound } from '../api-server/errors.ts';
import type { ApiObject } from '../api-server/objects.ts';
import type { AdmissionRequest, RulesContext } from '../api-server/rules.ts';
import { type Authorizer, groupResource, nodeOf } from './access.ts';
import { objectAt, objectsAt, sameJson, stringAt, stringsAt } from './fields.ts';
import {
  csiDrivers,
  isMirrorPod,
  mirrorPodAnnotation,
  mountsPodCertificate,
  nodeNameOf,
  tokenAudiences,
} from './pods.ts';

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

/** A refusal names the object, or its prefix while it has no name yet. */
function refuse({ attributes, object }: AdmissionRequest, why: string): ApiError {
  const { apiGroup, resource } = attributes;
  const named = attributes.name || stringAt(object?.metadata, 'name') || stringAt(object?.metadata, 'generateName');
  return forbidden({ group: apiGroup, resource }, named || 'Unknown', why);
}

/** What a stale cache of the server's could explain is no refusal: the node may try again. */
function retriable(message: string): ApiError {
  return new ApiError(500, '', message);
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
      if (oldObject !== undefined && nodeNameOf(oldObject) !== node) {
        return refuse(request, `node ${self} can only update pod status for pods with spec.nodeName set to itself`);
      }
      return sameJson(objectAt(object?.metadata, 'labels'), objectAt(oldObject?.metadata, 'labels'))
        ? undefined
        : refuse(request, `node ${self} cannot update labels through pod status`);
    case 'eviction': {
      const pod = context.objects.get('pods', attributes.namespace, attributes.name);
      return pod !== undefined && nodeNameOf(pod) !== node
        ? refuse(request, `node ${node} can only evict pods with spec.nodeName set to itself`)
        : undefined;
    }
    default: {
      const what = JSON.stringify(attributes.subresource);
      return refuse(request, `unexpected pod subresource ${what}, only 'status' and 'eviction' are allowed`);
    }
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

/** True when a projected token of the pod, or the driver of one of its CSI volumes, is for this audience. */
function podWants(pod: ApiObject, audience: string, context: RulesContext): boolean {
  const ofDrivers = csiDrivers(pod).flatMap((driver) => {
    const stored = context.objects.get('csidrivers.storage.k8s.io', '', driver);
    return objectsAt(objectAt(stored, 'spec'), 'tokenRequests').map((token) => stringAt(token, 'audience'));
  });
  return [...tokenAudiences(pod), ...ofDrivers].some((wanted) => (wanted || apiServerAudience) === audience);
}

function restrictRequests(
  node: string,
  request: AdmissionRequest,
  authorize: Authorizer,
  context: RulesContext,
): ApiError | undefined {
  if (request.operation !== 'create') {
    return refuse(request, `unexpected operation ${request.operation.toUpperCase()}`);
  }
  const { namespace, subresource } = request.attributes;
  if (subresource !== '') {
    return refuse(request, `unexpected subresource ${subresource}`);
  }
  const spec = objectAt(request.object, 'spec');
  const claim = (field: string): string => stringAt(spec, field);
  const podPath = JSON.stringify(`${namespace}/${claim('podName')}`);
  if (claim('nodeName') !== node) {
    const named = JSON.stringify(claim('nodeName'));
    const why = `PodCertificateRequest.Spec.NodeName=${named}, which is not the requesting node ${JSON.stringify(node)}`;
    return refuse(request, why);
  }
  const stored = context.objects.get('nodes', '', node);
  if (stored === undefined) {
    return missing('node', JSON.stringify(node), node);
  }
  if (claim('nodeUID') !== stored.metadata.uid) {
    const uids = `${JSON.stringify(claim('nodeUID'))}, inconsistent with the running node ("${stored.metadata.uid}")`;
    return retriable(`PodCertificateRequest for pod ${podPath} names node UID ${uids}`);
  }
  const pod = context.objects.get('pods', namespace, claim('podName'));
  if (pod === undefined) {
    return missing('pod', podPath, claim('podName'));
  }
  return (
    podFault(request, pod, podPath, claim) ??
    serviceAccountFault(request, pod, podPath, claim, context) ??
    signerFault(request, pod, podPath, claim('signerName'), authorize, context)
  );
}

type Claim = (field: string) => string;

function missing(kind: string, path: string, name: string): ApiError {
  return retriable(
    `while retrieving ${kind} ${path} named in the PodCertificateRequest: ${kind.replace(' ', '')} ${JSON.stringify(name)} not found`,
  );
}

function podFault(request: AdmissionRequest, pod: ApiObject, podPath: string, claim: Claim): ApiError | undefined {
  if (claim('podUID') !== pod.metadata.uid) {
    const uids = `contains pod UID ("${claim('podUID')}") which differs from running pod "${pod.metadata.uid}"`;
    return retriable(`PodCertificateRequest for pod ${podPath} ${uids}`);
  }
  if (nodeNameOf(pod) !== claim('nodeName')) {
    return refuse(
      request,
      `pod ${podPath} is not running on node "${claim('nodeName')}" named in the PodCertificateRequest`,
    );
  }
  return isMirrorPod(pod) ? refuse(request, `pod ${podPath} is a mirror pod`) : undefined;
}

function serviceAccountFault(
  request: AdmissionRequest,
  pod: ApiObject,
  podPath: string,
  claim: Claim,
  context: RulesContext,
): ApiError | undefined {
  const { namespace } = request.attributes;
  const name = claim('serviceAccountName');
  const actual = stringAt(objectAt(pod, 'spec'), 'serviceAccountName');
  if (name !== actual) {
    const names = `contains serviceAccountName ("${name}") that differs from running pod ("${actual}")`;
    return refuse(request, `PodCertificateRequest for pod ${podPath} ${names}`);
  }
  const serviceAccount = context.objects.get('serviceaccounts', namespace, name);
  if (serviceAccount === undefined) {
    return missing('service account', JSON.stringify(`${namespace}/${name}`), name);
  }
  const uid = serviceAccount.metadata.uid;
  if (claim('serviceAccountUID') !== uid) {
    const uids = `"${claim('serviceAccountUID')}", which differs from the running service account ("${uid}")`;
    return retriable(`PodCertificateRequest for pod ${podPath} names service account UID ${uids}`);
  }
  return undefined;
}

/** From 1.37 a node may ask only for what the pod's projected volumes name, unless it may ask any signer by role. */
function signerFault(
  request: AdmissionRequest,
  pod: ApiObject,
  podPath: string,
  signerName: string,
  authorize: Authorizer,
  context: RulesContext,
): ApiError | undefined {
  if (context.kubernetes !== '1.37' || mountsPodCertificate(pod, signerName)) {
    return undefined;
  }
  // The signer's name stands where a resource stands, as audiences of tokens do.
  const mayAsk = ['certificates.k8s.io', ''].some(
    (apiGroup) =>
      authorize(
        { ...request.attributes, verb: 'request-podcertificate-signer', apiGroup, resource: signerName, name: '' },
        context,
      ).allowed,
  );
  const problem = `pod ${podPath} does not mount a podCertificate source of signer ${JSON.stringify(signerName)}`;
  const { username } = request.attributes.user;
  return mayAsk
    ? undefined
    : refuse(request, `${problem}, and ${username} is not authorized to request certificates from this signer`);
}
