/**
 * NodeRestriction for PodCertificateRequests: a node asks for pods bound to it, names them and their surroundings by the
 * UIDs that are stored, and never for mirror pods.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
 */

import type { AdmissionRequest, RulesContext } from '../base/cluster-rules.ts';
import type { ApiError } from '../base/errors.ts';
import { objectAt, stringAt } from '../base/fields.ts';
import type { ApiObject } from '../base/objects.ts';
import type { Authorizer } from '../identity/access.ts';
import { isMirrorPod, mountsPodCertificate, nodeNameOf } from '../identity/pods.ts';
import { refuse, retriable } from './admission.ts';

/** @returns the error to answer with, nothing when the node may write this request */
export function restrictRequests(
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
