/**
 * The PodCertificateRequest object for an order, by the rules of the API version that it goes to, and whether an object
 * that exists already is the same request.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/pod-certificate-request-v1beta1/
 */
import { AgentError } from '../base/errors.ts';
import { unreachable } from '../base/unreachable.ts';
import type { PodCertificateApi } from '../kubernetes/discovery.ts';
import type { NodeRequest, PodCertificateRequest } from '../kubernetes/objects.ts';
import type { CertificateOrder, PrivateKey } from '../lifecycle/ports.ts';

type Spec = PodCertificateRequest['spec'];

/** @throws AgentError Rejected when the API version cannot carry what the pod asks for. */
export async function requestBody(
  order: CertificateOrder,
  key: PrivateKey,
  api: PodCertificateApi,
): Promise<PodCertificateRequest> {
  const { identity, signerName, maxExpirationSeconds } = order;
  const { pod, serviceAccountUID, nodeName, nodeUID } = identity;
  return {
    apiVersion: api.apiVersion,
    kind: 'PodCertificateRequest',
    metadata: {
      name: order.requestName,
      namespace: pod.namespace,
      // The request goes when the pod goes.
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: pod.name, uid: pod.uid }],
    },
    spec: {
      signerName,
      podName: pod.name,
      podUID: pod.uid,
      serviceAccountName: pod.serviceAccountName,
      serviceAccountUID,
      nodeName,
      nodeUID,
      ...(maxExpirationSeconds === undefined ? {} : { maxExpirationSeconds }),
      ...annotations(order, api),
      ...(await evidence(pod.uid, key, api)),
    },
  };
}

function annotations({ userAnnotations }: CertificateOrder, api: PodCertificateApi): Partial<Spec> {
  if (Object.keys(userAnnotations).length === 0) {
    return {};
  }
  if (api.userAnnotations) {
    return { unverifiedUserAnnotations: userAnnotations };
  }
  throw new AgentError(
    'Rejected',
    `userAnnotations cannot be passed to the signer: this cluster serves PodCertificateRequests as ${api.apiVersion}, which has no such field`,
    { actor: 'pod author' },
  );
}

async function evidence(podUID: string, key: PrivateKey, api: PodCertificateApi): Promise<Partial<Spec>> {
  switch (api.evidence) {
    case 'stub':
      return { stubPKCS10Request: base64(await key.stubRequest()) };
    case 'keyAndProof':
      return { pkixPublicKey: base64(key.spki), proofOfPossession: base64(await key.proofOfPossession(podUID)) };
    default:
      return unreachable(api.evidence);
  }
}

/**
 * True when an existing request of the same name is this one: for the same pod, node, signer and public key. The key may
 * be carried in the other form, when the API version changed between two attempts.
 */
export function isSameRequest(existing: NodeRequest, order: CertificateOrder, spki: Uint8Array): boolean {
  const { identity, signerName } = order;
  const { spec } = existing;
  return (
    spec.podUID === identity.pod.uid &&
    spec.nodeName === identity.nodeName &&
    spec.signerName === signerName &&
    (spec.pkixPublicKey === base64(spki) ||
      Buffer.from(spec.stubPKCS10Request ?? '', 'base64').includes(Buffer.from(spki)))
  );
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
