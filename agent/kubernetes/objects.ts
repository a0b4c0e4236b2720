/**
 * Kubernetes objects as they travel: plain JSON, with the fields the agent reads or writes. Unknown fields stay in the
 * objects and are ignored. Byte fields are base64 strings, times RFC 3339 strings.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/
 */

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  /** When the object's deletion was asked for, RFC 3339. */
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** `namespace/name`, of a cluster-scoped object its name. */
export function keyOf({ metadata: { namespace, name } }: KubernetesObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface PodCertificateRequest extends KubernetesObject {
  readonly spec: {
    readonly signerName: string;
    readonly podName: string;
    readonly podUID: string;
    readonly serviceAccountName: string;
    readonly serviceAccountUID: string;
    readonly nodeName: string;
    readonly nodeUID: string;
    readonly maxExpirationSeconds?: number;
    readonly pkixPublicKey?: string;
    readonly proofOfPossession?: string;
    readonly stubPKCS10Request?: string;
    readonly unverifiedUserAnnotations?: Readonly<Record<string, string>>;
  };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly certificateChain?: string;
    readonly notBefore?: string;
    readonly notAfter?: string;
    readonly beginRefreshAt?: string;
  };
}

/**
 * What an agent reads of a PodCertificateRequest of its node: whose it is, for which key, and its answer. There may be many, of other
 * makers too, and each may be a megabyte.
 */
export interface NodeRequest {
  readonly metadata: Pick<ObjectMeta, 'name' | 'namespace' | 'uid' | 'resourceVersion'>;
  readonly spec: Pick<
    PodCertificateRequest['spec'],
    'signerName' | 'podUID' | 'nodeName' | 'pkixPublicKey' | 'stubPKCS10Request'
  >;
  readonly status?: PodCertificateRequest['status'];
}

/** certificates.k8s.io/v1, cluster-scoped. */
export interface CertificateSigningRequest extends KubernetesObject {
  readonly spec: {
    /** PEM, base64. */
    readonly request: string;
    readonly signerName: string;
    readonly usages?: readonly string[];
    readonly expirationSeconds?: number;
  };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    /** PEM, base64. */
    readonly certificate?: string;
  };
}

/** cert-manager.io/v1, namespaced. https://cert-manager.io/docs/usage/certificaterequest/ */
export interface CertificateRequest extends KubernetesObject {
  readonly spec: {
    /** PEM, base64. */
    readonly request: string;
    readonly issuerRef: { readonly name: string; readonly kind?: string; readonly group?: string };
    /** As Go writes it: `3600s`. */
    readonly duration?: string;
    readonly usages?: readonly string[];
    readonly isCA?: boolean;
  };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    /** PEM, base64, as is `ca`. */
    readonly certificate?: string;
    readonly ca?: string;
  };
}

export interface ClusterTrustBundle extends KubernetesObject {
  readonly spec: { readonly signerName?: string; readonly trustBundle: string };
}

export interface Pod extends KubernetesObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly serviceAccountName?: string;
    readonly hostNetwork?: boolean;
    readonly securityContext?: { readonly runAsUser?: number; readonly fsGroup?: number };
    readonly containers?: readonly Container[];
    readonly initContainers?: readonly Container[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIPs?: readonly { readonly ip?: string }[];
    /** Of its node. */
    readonly hostIPs?: readonly { readonly ip?: string }[];
  };
}

export interface Container {
  readonly name: string;
  readonly securityContext?: { readonly runAsUser?: number };
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly subPath?: string;
    readonly subPathExpr?: string;
  }[];
}

/** metav1.Status: the body of an error reply. */
export interface Status {
  readonly kind: 'Status';
  readonly status?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: {
    readonly name?: string;
    readonly kind?: string;
    readonly retryAfterSeconds?: number;
    readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[];
  };
}
