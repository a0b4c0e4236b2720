/**
 * What a PodCertificateRequest gets, in whichever version it was made. The API server has checked that its maker holds the private key.
 *
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/4317-pod-certificates
 */
import 'reflect-metadata';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import type { PodCertificateRequest } from '../../agent/kubernetes/objects.ts';
import { type Decision, type Refusal, refuse } from './decision.ts';
import { namesOf } from './names.ts';
import { type Evidence, podFault } from './pod.ts';
import type { Policy } from './policy.ts';
import { keyFault } from './public-key.ts';
import { timesOf } from './times.ts';

/** @param authorityEnd no certificate of the CA ends later. Times are milliseconds since the epoch. */
export function decidePodCertificateRequest(
  { metadata, spec }: PodCertificateRequest,
  evidence: Evidence,
  policy: Policy,
  authorityEnd: number,
  now: number,
): Decision {
  const { namespace = '' } = metadata;
  const unfit =
    podFault(`${namespace}/${spec.podName}`, evidence, spec) ?? annotationFault(spec.unverifiedUserAnnotations ?? {});
  if (unfit !== undefined) {
    return unfit;
  }
  const requested = requestedKey(spec);
  if (requested.type === 'refuse') {
    return requested;
  }
  const unsupported = keyFault(requested.publicKey, policy.keyTypes);
  if (unsupported !== undefined) {
    return unsupported;
  }
  const longestMs = (spec.maxExpirationSeconds ?? Number.POSITIVE_INFINITY) * 1000;
  const times = timesOf(policy, longestMs, authorityEnd, now);
  if (times === undefined) {
    return { type: 'wait', message: 'the CA ends too soon for a certificate; its successor is awaited' };
  }
  const { notBefore, notAfter, beginRefreshAt } = times;
  const names = namesOf(namespace, spec.serviceAccountName, policy);
  const usages = ['digital signature', 'server auth', 'client auth'] as const;
  return {
    type: 'issue',
    order: { ...names, publicKey: requested.publicKey, usages, notBefore, notAfter },
    beginRefreshAt,
  };
}

/** They are the words of the pod's author, and this signer knows none. */
function annotationFault(annotations: Readonly<Record<string, string>>): Refusal | undefined {
  const [key] = Object.keys(annotations).toSorted();
  return key === undefined
    ? undefined
    : refuse(
        'InvalidUnverifiedUserAnnotations',
        `this signer knows no userAnnotations, and the request has ${JSON.stringify(key.slice(0, 200))}`,
      );
}

type RequestedKey = { readonly type: 'key'; readonly publicKey: Uint8Array } | Refusal;

/** An empty field counts as none: v1beta1 shows bytes that are not set as null. */
function requestedKey({ stubPKCS10Request, pkixPublicKey }: PodCertificateRequest['spec']): RequestedKey {
  if (!stubPKCS10Request) {
    return { type: 'key', publicKey: new Uint8Array(Buffer.from(pkixPublicKey ?? '', 'base64')) };
  }
  try {
    const stub = new Pkcs10CertificateRequest(Buffer.from(stubPKCS10Request, 'base64'));
    return stub.subject === '' && stub.attributes.length === 0 && stub.extensions.length === 0
      ? { type: 'key', publicKey: new Uint8Array(stub.publicKey.rawData) }
      : refuse('InvalidRequest', 'spec.stubPKCS10Request must have an empty subject and no attributes');
  } catch {
    return refuse('InvalidRequest', 'spec.stubPKCS10Request is no PKCS#10 request');
  }
}
