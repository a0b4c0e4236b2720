/**
 * What a signer reads from a PodCertificateRequest: the public key, and the names that a workload of this pod may bear.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#pod-certificate-requests
 */
import 'reflect-metadata';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import type { PodCertificateRequest } from '../../agent/kubernetes/objects.ts';

export type RequestedKey =
  | { readonly type: 'key' /** SubjectPublicKeyInfo, DER. */; readonly publicKey: Uint8Array }
  /** What is wrong with the request, for the condition's message. */
  | { readonly type: 'unusable'; readonly message: string };

/**
 * The key to certify: from `spec.stubPKCS10Request`, or from `spec.pkixPublicKey` where an older API sends that. The API
 * server has checked its proof of possession. Signers of the Kubernetes project take empty stub requests only, and so does
 * this one.
 */
export function requestedKey(request: PodCertificateRequest): RequestedKey {
  // What is not used is absent, empty, or null: v1beta1 shows bytes that are not set as null.
  const { stubPKCS10Request, pkixPublicKey } = request.spec;
  if (stubPKCS10Request) {
    const stub = new Pkcs10CertificateRequest(Buffer.from(stubPKCS10Request, 'base64'));
    if (stub.subject !== '' || stub.attributes.length > 0 || stub.extensions.length > 0) {
      return { type: 'unusable', message: 'spec.stubPKCS10Request must have an empty subject and no attributes' };
    }
    return { type: 'key', publicKey: new Uint8Array(stub.publicKey.rawData) };
  }
  if (!pkixPublicKey) {
    return { type: 'unusable', message: 'the request holds no public key' };
  }
  return { type: 'key', publicKey: Buffer.from(pkixPublicKey, 'base64') };
}

/**
 * The pod's SPIFFE ID: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
 * @param pathAnnotation the user annotation that names another path, where the signer believes one
 */
export function spiffeId(trustDomain: string, request: PodCertificateRequest, pathAnnotation?: string): string {
  const path = request.spec.unverifiedUserAnnotations?.[pathAnnotation ?? ''];
  if (path !== undefined) {
    return `spiffe://${trustDomain}/${path}`;
  }
  return `spiffe://${trustDomain}/ns/${request.metadata.namespace}/sa/${request.spec.serviceAccountName}`;
}

/** DNS names of the pod's certificate: those of a Service that is named like its service account. */
export function dnsNames(request: PodCertificateRequest): readonly string[] {
  const service = `${request.spec.serviceAccountName}.${request.metadata.namespace}`;
  return [service, `${service}.svc`, `${service}.svc.cluster.local`];
}

/** True while no condition has been set: the request waits for its signer. */
export function isPending(request: PodCertificateRequest): boolean {
  return (request.status?.conditions ?? []).length === 0;
}
