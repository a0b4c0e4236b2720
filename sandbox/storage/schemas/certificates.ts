/**
 * The types of certificates.k8s.io, as each served version of each Kubernetes version has them.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/
 */
import type { KubernetesVersion } from '../../base/cluster-rules.ts';
import {
  bytes,
  condition,
  int32,
  kindOf,
  list,
  map,
  type Schema,
  type StructSchema,
  struct,
  text,
  time,
} from './schema.ts';

const group = 'io.k8s.api.certificates';

/** The fields by which a PodCertificateRequest proves possession of its key, per version. */
function proofFields(version: string, kubernetes: KubernetesVersion): Readonly<Record<string, Schema>> {
  const pair = {
    pkixPublicKey: bytes('The public key, PKIX DER.'),
    proofOfPossession: bytes('Signature by the key over the bytes of podUID.'),
  };
  const stub = { stubPKCS10Request: bytes('A PKCS#10 request, DER, signed by the key; only the key in it counts.') };
  switch (version) {
    case 'v1alpha1':
      return pair;
    case 'v1beta1':
      return kubernetes === '1.35' ? pair : { ...pair, ...stub };
    default:
      return stub;
  }
}

export function podCertificateRequest(version: string, kubernetes: KubernetesVersion): StructSchema {
  const prefix = `${group}.${version}`;
  const identity = {
    signerName: text('The signer that is asked.'),
    podName: text('Name of the pod that the certificate is for.'),
    podUID: text('UID of that pod.'),
    serviceAccountName: text('Name of the service account of that pod.'),
    serviceAccountUID: text('UID of that service account.'),
    nodeName: text('Name of the node that the pod runs on.'),
    nodeUID: text('UID of that node.'),
  };
  const proofs = proofFields(version, kubernetes);
  const spec = struct(
    `${prefix}.PodCertificateRequestSpec`,
    'What is asked for. All fields are immutable.',
    {
      ...identity,
      maxExpirationSeconds: int32('Longest acceptable lifetime; the signer may choose a shorter one. Default 86400.'),
      ...proofs,
      ...(version === 'v1alpha1'
        ? {}
        : { unverifiedUserAnnotations: map(text(), 'Passed on from the pod to the signer, checked by nobody.') }),
    },
    [...Object.keys(identity), ...(version === 'v1' ? ['stubPKCS10Request'] : [])],
    {
      ...Object.fromEntries(Object.keys(identity).map((field) => [field, ''])),
      ...Object.fromEntries(Object.keys(proofs).map((field) => [field, null])),
    },
  );
  const status = struct(`${prefix}.PodCertificateRequestStatus`, 'The answer of the signer.', {
    conditions: list(condition, 'At most one of Issued, Denied and Failed.'),
    certificateChain: text('The certificates in PEM, leaf first.'),
    notBefore: time('Start of the validity of the leaf.'),
    beginRefreshAt: time('When to begin to ask for the next certificate.'),
    notAfter: time('End of the validity of the leaf.'),
  });
  return kindOf(
    `${prefix}.PodCertificateRequest`,
    'A request for a certificate on behalf of a pod, made by its node and answered by a signer.',
    { spec, status },
    ['spec'],
    { spec: {}, status: {} },
  );
}

export function clusterTrustBundle(version: string): StructSchema {
  const prefix = `${group}.${version}`;
  const spec = struct(
    `${prefix}.ClusterTrustBundleSpec`,
    'The signer and its trust anchors.',
    {
      signerName: text('The signer whose anchors these are; absent for bundles of no signer. Immutable.'),
      trustBundle: text('CA certificates in PEM.'),
    },
    ['trustBundle'],
    { trustBundle: '' },
  );
  return kindOf(
    `${prefix}.ClusterTrustBundle`,
    'A set of X.509 trust anchors that every service account may read.',
    { spec },
    ['spec'],
    { spec: {} },
  );
}

export function certificateSigningRequest(): StructSchema {
  const prefix = `${group}.v1`;
  const spec = struct(
    `${prefix}.CertificateSigningRequestSpec`,
    'What is asked for, and by whom.',
    {
      request: bytes('A PKCS#10 request in PEM.'),
      signerName: text('The signer that is asked.'),
      expirationSeconds: int32('Wished-for lifetime; the signer may choose another.'),
      usages: list(text(), 'Key usages.'),
      username: text('Who made the request; set by the server.'),
      uid: text('Set by the server.'),
      groups: list(text(), 'Set by the server.'),
      extra: map(list(text()), 'Set by the server.'),
    },
    ['request', 'signerName'],
    { request: null, signerName: '' },
  );
  const requestCondition = struct(
    `${prefix}.CertificateSigningRequestCondition`,
    'Approved, Denied or Failed.',
    {
      type: text('Approved, Denied or Failed.'),
      status: text('True.'),
      reason: text('One word for the reason.'),
      message: text('Details for people.'),
      lastUpdateTime: time('When the condition was last updated.'),
      lastTransitionTime: time('When the status last changed.'),
    },
    ['type', 'status'],
  );
  const status = struct(`${prefix}.CertificateSigningRequestStatus`, 'The answer.', {
    conditions: list(requestCondition, 'At most one of each type.'),
    certificate: bytes('The certificates in PEM, leaf first.'),
  });
  return kindOf(`${prefix}.CertificateSigningRequest`, 'A request for a certificate.', { spec, status }, ['spec'], {
    spec: {},
    status: {},
  });
}
