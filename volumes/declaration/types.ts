/**
 * What a volume asks for, as the rest of the program sees it: sources of files, checked and with every default resolved.
 *
 * https://kubernetes.io/docs/concepts/storage/projected-volumes/
 */
import type { KeyType } from './key-types.ts';
import type { Probe } from './probe.ts';
import type { Reload } from './reload.ts';
import type { SecretText } from './secret-text.ts';

/** What a source says about the owner and mode of its files. */
export interface SourceAccess {
  /** Owner of its files, a user ID; absent: the volume's `defaultUser`, else whom the pod's security context says. */
  readonly user?: number;
  /** Mode of its files, whoever owns them; absent: by the owner, see `files/layout.ts`. Not a kubelet field. */
  readonly mode?: number;
}

/** PKCS#12 files of a source, and where their password comes from. Not kubelet fields. */
export interface KeystoreFiles {
  /** Key and chain; of podCertificate sources only. */
  readonly keystorePath?: string;
  /** Trust anchors: those that come with the certificate, or those of the bundle. */
  readonly truststorePath?: string;
  /** File that the agent writes a random password to; absent: the pod has given one. */
  readonly passwordPath?: string;
  /** The password that the pod has given, in a declaration that was just read. The volume's state keeps it apart from the declaration. */
  readonly password?: SecretText;
}

/** A private key and its certificate chain, to be issued by a signer. At least one of the five paths, or a `keystorePath`, is set. */
export interface PodCertificateSource extends SourceAccess, KeystoreFiles {
  readonly kind: 'podCertificate';
  /** Position in the `sources` list, from 0: the source's name in messages and in the volume's state. */
  readonly index: number;
  readonly signerName: string;
  readonly keyType: KeyType;
  /** Longest acceptable lifetime, 3600 … 7862400 (91 days); absent: the API server's default of 86400. */
  readonly maxExpirationSeconds?: number;
  /** Passed to the signer as `unverifiedUserAnnotations`; empty when the pod gives none. */
  readonly userAnnotations: Readonly<Record<string, string>>;
  /** Names that the pod asks for, beside those that the cluster's operator gives every pod. Not kubelet fields. */
  readonly names?: RequestedNames;
  /** What becomes of root certificates in the chain that the signer sends; absent: they are kept. Not a kubelet field. */
  readonly roots?: 'drop';
  /** One file with the PKCS#8 key followed by the chain, leaf first. */
  readonly credentialBundlePath?: string;
  readonly keyPath?: string;
  readonly certificateChainPath?: string;
  /** The leaf alone. Not a kubelet field. */
  readonly leafPath?: string;
  /** The chain without its leaf, possibly empty. Not a kubelet field. */
  readonly intermediatesPath?: string;
  /** The trust anchors that come with the certificate, from an issuer that gives them. Not a kubelet field. */
  readonly caPath?: string;
}

/** Names for a certificate, as a pod wrote them: whether it may have them is for others to say. */
export interface RequestedNames {
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly commonName?: string;
}

/** A requirement on one label, as in Kubernetes `LabelSelectorRequirement`. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
}

/** Kubernetes `LabelSelector`: all requirements must hold; an empty selector matches everything. */
export interface LabelSelector {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly matchExpressions: readonly LabelRequirement[];
}

/** The trust anchors of one ClusterTrustBundle, or of all bundles of a signer whose labels match. */
export interface ClusterTrustBundleSource extends SourceAccess, Omit<KeystoreFiles, 'keystorePath'> {
  readonly kind: 'clusterTrustBundle';
  readonly index: number;
  readonly select:
    | { readonly by: 'name'; readonly name: string }
    /** An absent `labelSelector` matches nothing; an empty one matches everything. */
    | { readonly by: 'signer'; readonly signerName: string; readonly labelSelector?: LabelSelector };
  /** With true, finding nothing gives an empty file; with false it holds the pod back. */
  readonly optional: boolean;
  /** What becomes of anchors that have expired; absent: they are kept. Not a kubelet field. */
  readonly expired?: 'drop';
  readonly path: string;
}

export type Source = PodCertificateSource | ClusterTrustBundleSource;

/** What one volume asks for, validated. */
export interface VolumeDeclaration {
  readonly sources: readonly Source[];
  /** File mode bits for files whose mode is not set by their owner; absent: 0644, and 0600 for private keys. */
  readonly defaultMode?: number;
  /** Owner of the files of sources without `user`, a user ID. */
  readonly defaultUser?: number;
  /** How programs of the pod are told that the files have changed; absent: they are not. Not a kubelet field. */
  readonly reload?: Reload;
  /** Where it is looked whether a new certificate is served; absent: nowhere. Not a kubelet field. */
  readonly probe?: Probe;
}
