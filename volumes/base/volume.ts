/**
 * The types that describe one volume on this node: whose it is, what it holds, and the state kept beside its files.
 * They are what the rest of the agent and this folder exchange.
 */
import type { KeyType } from '../declaration/key-types.ts';
import type { VolumeDeclaration } from '../declaration/types.ts';

/** The pod a volume belongs to, as the kubelet names it in the volume context. */
export interface PodReference {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly serviceAccountName: string;
}

/** Whose the files are: the pod's fsGroup, else the one runAsUser that all its containers share, else nobody's. */
export type FileOwner =
  | { readonly kind: 'group'; readonly gid: number }
  | { readonly kind: 'user'; readonly uid: number }
  | { readonly kind: 'none' };

/** Everything that must be known to look after a volume; written once, into the volume itself. */
export interface VolumeRecord {
  /** CSI volume_id, unique on the node. */
  readonly volumeId: string;
  /** Absolute path that the kubelet binds into the pod's containers. */
  readonly targetPath: string;
  /** The volume's name in the pod's spec. */
  readonly volumeName: string;
  readonly pod: PodReference;
  readonly declaration: VolumeDeclaration;
  readonly owner: FileOwner;
  /** The SELinux context that the volume is mounted with. */
  readonly seLinuxContext?: string;
}

/** A certificate as issued: DER, leaf first. Times are milliseconds since the epoch. */
export interface IssuedChain {
  readonly certificates: readonly Uint8Array[];
  /** The leaf's serial number, upper-case hexadecimal without separators. */
  readonly serialNumber: string;
  /** The leaf's subject alternative names as text, cut to be shown, empty where it has none; absent where nobody has looked. Not kept. */
  readonly names?: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly beginRefreshAt: number;
  /** The trust anchors that came with it, DER, where the source wants them. */
  readonly anchors?: readonly Uint8Array[];
  /** The pod's addresses that were asked for with it; absent where none are wanted. */
  readonly podIPs?: readonly string[];
}

/** A request that is on its way. Its private key lies beside it in the volume. */
export interface PendingRequest {
  readonly requestName: string;
  readonly keyType: KeyType;
  /** SubjectPublicKeyInfo DER of its key. A request that an older agent stored has none. */
  readonly publicKey?: Uint8Array;
  /** When the key was made, milliseconds since the epoch. */
  readonly createdAt: number;
  /** The accepted answer, once there is one and until it is projected. */
  readonly answer?: IssuedChain;
}

/** What a volume notes of a certificate in its files, the current one. Times are milliseconds since the epoch. */
export interface CertificateRecord {
  readonly requestName: string;
  readonly keyType: KeyType;
  readonly serialNumber: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly beginRefreshAt: number;
  /** beginRefreshAt plus the jitter drawn for this certificate. */
  readonly refreshAt: number;
  /** The pod's addresses that were asked for with it: none, when the pod had none yet; absent where none are wanted. */
  readonly podIPs?: readonly string[];
}

/**
 * How the last request for a source came to nothing. A restart of the agent is no reason to ask again sooner, and a signer
 * that is asked by a hundred volumes after each is asked a hundred times. Times are milliseconds since the epoch.
 */
export interface Setback {
  readonly kind: 'denied' | 'failed' | 'unusable';
  readonly reason: string;
  readonly message: string;
  /** Failures in a row, 1 or more. */
  readonly failures: number;
  readonly at: number;
  /** When it may be asked again. */
  readonly until: number;
}

/** What was decided when the chain in the files turned out to lead to none of its signer's anchors beside it. */
export interface TrustMismatch {
  /** When that was seen, milliseconds since the epoch, like all times here. */
  readonly since: number;
  /** When the pod is told, if it lasts; absent once that is done. */
  readonly tellAt?: number;
  /** When the certificate is refreshed for it, if it lasts. */
  readonly refreshAt: number;
}

/** What a volume keeps of how a chain stands to its signer's anchors, so that a restart changes nothing about it. */
export interface TrustRecord {
  /** Refreshes brought forward for a mismatch since the last one that came at its own time. */
  readonly earlyRefreshes: number;
  /** True from when the pod has been told of a mismatch until it is told that it is over. */
  readonly isTold: boolean;
  readonly mismatch?: TrustMismatch;
}

/** What a source's files are made from. */
export type SourceContent =
  | {
      readonly kind: 'credential';
      /** PKCS#8 DER. The caller owns the buffer and zeroes it. */
      readonly privateKey: Uint8Array;
      /** DER, leaf first. */
      readonly certificates: readonly Uint8Array[];
      /** The trust anchors that came with it, DER, where the source has a file for them. */
      readonly anchors?: readonly Uint8Array[];
    }
  | {
      /** The trust anchors that came with the credential in the files, alone: its other files stay as they are. */
      readonly kind: 'issuedAnchors';
      readonly anchors: readonly Uint8Array[];
    }
  | {
      readonly kind: 'trustAnchors';
      /** DER, in file order. */
      readonly certificates: readonly Uint8Array[];
      /** Of a source that keeps trust domains apart: all of them, and then nothing else is written. */
      readonly byTrustDomain?: readonly TrustDomainAnchors[];
    };

/** The trust anchors of one trust domain, never to be mixed with those of another. */
export interface TrustDomainAnchors {
  /** A name that is fit for a file. */
  readonly trustDomain: string;
  /** DER, in file order; absent: they are not known now, and what the files have of them stays. */
  readonly certificates?: readonly Uint8Array[];
}

/** What a volume keeps of one source for the agent's next run. */
export interface Kept {
  readonly current: CertificateRecord | undefined;
  readonly trust: TrustRecord | undefined;
  readonly pending: PendingRequest | undefined;
  readonly setback: Setback | undefined;
}

/**
 * One volume, open for work. Its state is read and written at once, since it lies in memory (tmpfs); its files, of which there may be
 * many, in steps over several turns of the event loop.
 */
export interface OpenVolume {
  readonly record: VolumeRecord;
  /** What is kept of source `index`, in one look. */
  kept(index: number): Kept;
  /** The request that source `index` waits for, with its key stored beside it. */
  pending(index: number): PendingRequest | undefined;
  /** Stores a request and its key (PKCS#8 DER), replacing an earlier one of this source, all or nothing. */
  savePending(index: number, pending: PendingRequest, privateKey: Uint8Array): void;
  /** Adds the accepted answer to the stored request, unless another request has taken the place of the one that it answers. */
  saveAnswer(index: number, requestName: string, answer: IssuedChain): Promise<void>;
  /** PKCS#8 DER of the pending request's key, in a fresh buffer that the caller zeroes. */
  readPendingKey(index: number): Uint8Array;
  /** The request and its key, in one look. @throws VolumeError Corrupt where there is none */
  pendingWithKey(index: number): { readonly pending: PendingRequest; readonly privateKey: Uint8Array };
  /** Removes the request and its key; nothing happens when there is none. */
  discardPending(index: number): void;
  /** The certificate in the source's files. */
  current(index: number): CertificateRecord | undefined;
  /** Notes what the files of the source hold: the certificate, its chain (DER, leaf first), and the anchors that came with it. */
  saveCurrent(
    index: number,
    certificate: CertificateRecord,
    chain: readonly Uint8Array[],
    anchors?: readonly Uint8Array[],
  ): Promise<void>;
  /** The chain in the files, DER, leaf first; undefined where an older agent wrote them. */
  currentChain(index: number): readonly Uint8Array[] | undefined;
  /** The anchors that came with it, DER; undefined where the source has no file for them, or an older agent wrote them. */
  currentAnchors(index: number): readonly Uint8Array[] | undefined;
  /** What was kept of how the chain in the files stands to its signer's anchors. */
  trust(index: number): TrustRecord | undefined;
  /** Keeps it beside the certificate in the files, of which there must be one. */
  saveTrust(index: number, trust: TrustRecord): void;
  setback(index: number): Setback | undefined;
  /** @param setback undefined: forgets an earlier one */
  saveSetback(index: number, setback: Setback | undefined): void;
  /** False once the volume was unmounted, removed or replaced; every change to it then fails. */
  isInPlace(): boolean;
  /** Name of the set of files in place; it is another after each change. Nothing before the first. */
  generation(): string | undefined;
  /** By what was to be done once files have changed: the generation for which it was done last. Nothing where none was noted. */
  uptake(): Readonly<Record<string, string>> | undefined;
  saveUptake(done: Readonly<Record<string, string>>): void;
  /** True when every file of the source is in place. */
  isProjected(index: number): boolean;
  /** The sources of which every file is in place, in one look. */
  projected(): ReadonlySet<number>;
  /**
   * Changes the files of the given sources, all at once; the files of the others stay as they are. One call waits for the other.
   * @returns 'unchanged' when every byte, mode and owner was as asked, and then nothing is written.
   * @throws VolumeError; the files are then as they were before.
   */
  project(contents: ReadonlyMap<number, SourceContent>): Promise<'written' | 'unchanged'>;
}

/** A place found on the node that looks like a volume and cannot be used as one. */
export interface UnusableVolume {
  readonly targetPath: string;
  /** What the path says of the volume. */
  readonly podUID: string;
  readonly volumeName: string;
  readonly reason: string;
}

/** What the kubelet keeps beside a target path, where no pod reaches it, and reads back after its own restart. */
export interface KubeletNotes {
  readonly driverName: string;
  /** The volume's name in the pod's spec. */
  readonly volumeName: string;
  /** CSI volume_id. */
  readonly volumeId: string;
}

/** All volumes of this driver on this node. */
export interface VolumeStore {
  /** Mounts the volume where it is not mounted yet, and stores its record. Idempotent. @throws VolumeError */
  create(record: VolumeRecord): Promise<OpenVolume>;
  /** Finds what an earlier run of the agent left: the mount table (or the directory tree) is the only record. */
  recover(): Promise<{
    readonly volumes: readonly OpenVolume[];
    readonly unusable: readonly UnusableVolume[];
    /**
     * Target paths beside which the kubelet keeps no notes: it will never unpublish them. Whoever finds their pod gone
     * removes them. Absent or empty in directory mode.
     */
    readonly unknownToKubelet?: readonly string[];
  }>;
  /** What the kubelet notes of a volume; `none` where there are no notes, and `unreadable` where they say nothing of this driver's. */
  kubeletNotes(targetPath: string): KubeletNotes | 'none' | 'unreadable';
  /** Unmounts and removes the target path whatever state it is in. Idempotent. @throws VolumeError */
  remove(targetPath: string): Promise<void>;
}
