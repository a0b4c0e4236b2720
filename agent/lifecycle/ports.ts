/**
 * What the lifecycle needs from the rest of the agent, as interfaces: keys, a certificate API, trust anchors, pods.
 * `agent.ts` hands it the implementations; tests hand it plain objects. (The volume store's interface is in
 * `volumes/base/volume.ts`.)
 */

import type { IssuedChain, PodReference, TrustDomainAnchors } from '../../volumes/base/volume.ts';
import type { InlineVolume } from '../../volumes/csi/driver.ts';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import type { ClusterTrustBundleSource, RequestedNames } from '../../volumes/declaration/types.ts';
import type { CallOptions, Rank } from '../base/call.ts';

export type { InlineVolume, RequestedNames };

/** A private key in the agent's memory, for as long as one step takes. */
export interface PrivateKey {
  readonly keyType: KeyType;
  /** PKCS#8 DER. */
  readonly pkcs8: Uint8Array;
  /** SubjectPublicKeyInfo DER. */
  readonly spki: Uint8Array;
  /** Signature over the ASCII bytes of the pod UID, by the rule of `spec.proofOfPossession`. */
  proofOfPossession(podUID: string): Promise<Uint8Array>;
  /** Self-signed PKCS#10 request with empty subject and no attributes, DER (`spec.stubPKCS10Request`). */
  stubRequest(): Promise<Uint8Array>;
  /** PKCS#10 request, DER, made of its part that is signed (CertificationRequestInfo, DER, with this key in it). */
  signedRequest(info: Uint8Array): Promise<Uint8Array>;
  /** Overwrites the private parts. Nothing may be signed afterwards. */
  destroy(): void;
}

/** The parts of a key that are no secret. `spki` is SubjectPublicKeyInfo DER. */
export type KnownHalf = Pick<PrivateKey, 'keyType' | 'spki'>;

export interface KeyMaker {
  /** @param call its place among keys that wait to be made, and among signatures; as for calls. @throws AgentError */
  generate(keyType: KeyType, call?: CallOptions): Promise<PrivateKey>;
  /**
   * Reads a key made earlier; takes over the buffer (PKCS#8 DER) and zeroes it on `destroy`.
   * @param known spares the reading of the key, which leaves a copy to the garbage collector. A signature by another key
   * than `known` says is never handed out.
   */
  restore(pkcs8: Uint8Array, known?: KnownHalf, call?: CallOptions): PrivateKey;
  /** True when the private key (PKCS#8 DER) is that of the certificate (DER); false also when either cannot be read. */
  belongs(pkcs8: Uint8Array, leaf: Uint8Array): boolean;
}

/** The pod and its surroundings as the API server knows them now. */
export interface PodIdentity {
  readonly pod: PodReference;
  readonly serviceAccountUID: string;
  readonly nodeName: string;
  readonly nodeUID: string;
  /** True when the pod has ended: phase Succeeded or Failed. */
  readonly ended: boolean;
  /** Labels and annotations, for names that are made of them. */
  readonly about?: Readonly<Partial<Record<'pod' | 'node' | 'serviceAccount', Labelled>>>;
  /**
   * The pod's own addresses: none while it has not got them yet. Absent where it has none of its own, since it is on the
   * node's network.
   */
  readonly podIPs?: readonly string[];
  /** `spec.securityContext.fsGroup`. */
  readonly fsGroup?: number;
  /** The one runAsUser that every container of the pod runs as, where there is one. */
  readonly runAsUser?: number;
  /** By volume: names of the containers that mount but a part of it (`subPath`). Absent: none does. */
  readonly subPathMounts?: ReadonlyMap<string, readonly string[]>;
}

/** An object's labels and annotations, by key. */
export interface Labelled {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface PodDirectory {
  /**
   * @param withAddresses a remembered answer without addresses is not good enough
   * @throws AgentError PodGone when no pod of that name and UID exists, by more than one reply.
   */
  identify(pod: PodReference, call: CallOptions, withAddresses?: boolean): Promise<PodIdentity>;
}

/** A pod of this node as the API server lists it. */
export interface ListedPod {
  readonly pod: PodReference;
  /** Its inline CSI volumes, by their names in the pod's spec. */
  readonly csiVolumes: ReadonlyMap<
    string,
    { readonly driver: string; readonly attributes: Readonly<Record<string, string>> }
  >;
}

/** The pods of this node, as far as the agent may list them. */
export interface NodePods {
  /** All of them by UID, in one complete list as of now. @throws AgentError where it cannot be had */
  list(call: CallOptions): Promise<ReadonlyMap<string, ListedPod>>;
  /**
   * Calls back once when the pod is being deleted or is not there, never before this call has returned; never, where
   * the agent may not list pods. Fit for ending a wait, where a mistake does no harm. @returns ends the asking
   */
  onEnding(pod: PodReference, listener: () => void): () => void;
  /** Calls back once when the pod has addresses of its own; otherwise as `onEnding`. */
  onAddresses(pod: PodReference, listener: () => void): () => void;
}

/** A pod that is bound to this node and has not started. */
export interface BoundPod {
  readonly pod: PodReference;
  /** True for a pod on the node's network: it has no addresses of its own. */
  readonly hostNetwork: boolean;
  /** Those of its volumes that a publish call may be foreseen for, by their names in the pod's spec. */
  readonly volumes: ReadonlyMap<string, InlineVolume>;
}

/** Pods that have just been bound to this node, as far as the agent may watch them. */
export interface BoundPods {
  /**
   * Tells of each once, if it was bound after the following began, and when it is over with it: the pod has started, has
   * ended or is being deleted. @returns ends that
   */
  follow(listener: { bound(pod: BoundPod): void; over(podUID: string): void }): () => void;
}

/** Takes the tokens of a pod's service account that the kubelet hands over with a publish call. */
export interface TokenDesk {
  /**
   * @param signerNames whom the volume asks
   * @param tokens what the kubelet sent, or undefined when it sent none; a function, so that nothing that prints a call
   * prints it
   */
  take(pod: PodReference, signerNames: readonly string[], tokens: (() => string) | undefined): void;
  /** The last volume of the pod is gone. */
  forget(pod: PodReference): void;
}

/** A certificate to ask for. */
export interface CertificateOrder {
  readonly requestName: string;
  readonly identity: PodIdentity;
  readonly signerName: string;
  readonly maxExpirationSeconds?: number;
  readonly userAnnotations: Readonly<Record<string, string>>;
  /** Names that the pod asks for itself. */
  readonly names?: RequestedNames;
  /** True when the pod wants the trust anchors that come with the certificate. */
  readonly wantsAnchors?: boolean;
  readonly priority: Rank['priority'];
  /** Others who wait for it; they may join while it waits. */
  readonly alsoFor?: readonly Rank[] | undefined;
  /** End of the certificate that a refresh replaces, milliseconds since the epoch. */
  readonly expiresAt?: number | undefined;
}

/** What became of a request. Times are milliseconds since the epoch. */
export type Outcome =
  | {
      readonly type: 'issued';
      /** PEM, leaf first, as the signer wrote it. */
      readonly certificateChain: string;
      readonly notBefore: number;
      readonly notAfter: number;
      readonly beginRefreshAt: number;
      /** PEM, the issuer's trust anchors, where its API gives them. */
      readonly anchors?: string;
    }
  | { readonly type: 'denied' | 'failed'; readonly reason: string; readonly message: string }
  /** The request was deleted before it was answered. */
  | { readonly type: 'gone' };

/** What a request that is not answered yet waits for, where its API shows that. It is no failure. */
export interface Hurdle {
  /** Whose turn it is: somebody must approve the request, or whoever issues the certificate must go on. */
  readonly turn: 'approver' | 'signer';
  /** In the agent's own words, who has to do what and how; the same for as long as the request waits for the same. */
  readonly text: string;
  /** What the other side says about it, as it says it. */
  readonly detail?: string;
}

/** What a request is made for. */
export interface RequestSubject {
  readonly pod: PodReference;
  readonly volumeName: string;
  readonly sourceIndex: number;
  readonly signerName: string;
}

/** The same, with the request's name. */
export interface NamedSubject extends RequestSubject {
  readonly requestName: string;
}

/** A request that was made, by this run of the agent or an earlier one. */
export interface RequestReference {
  /** The pod's, also where requests are cluster-scoped. */
  readonly namespace: string;
  readonly requestName: string;
  readonly signerName: string;
}

/** Where certificates come from. */
export interface Issuer {
  /**
   * Name for a request with this public key: the same inputs give the same name, in every run of the agent that asks the
   * signer through the same API. @throws AgentError when the operator's rules do not let this pod ask
   */
  requestName(subject: RequestSubject, spki: Uint8Array): string;
  /**
   * Resolves when the request can be made: at once, unless something that this node is sent has to come first.
   * @param onWait told what that is. @throws AgentError
   */
  prepare?(request: NamedSubject, signal: AbortSignal, onWait: (what: string) => void): Promise<void>;
  /**
   * Creates the request. A request of the same name and key that exists already is taken as this one, so a call
   * whose answer was lost can be repeated. @throws AgentError
   */
  submit(order: CertificateOrder, key: PrivateKey, signal: AbortSignal): Promise<void>;
  /**
   * Reports what becomes of a request, once, never before this call has returned. A submitted request that the watch
   * has not shown yet is waited for; one that was there and is no more, or is absent from a complete list made after
   * the call, is `gone`.
   * @param onHurdle hears what the request waits for, where the API shows it, and again when that changes; not after
   * the outcome
   * @returns ends the watching.
   */
  follow(
    request: RequestReference,
    listener: (outcome: Outcome) => void,
    onHurdle?: (hurdle: Hurdle) => void,
  ): () => void;
  /**
   * The checks before a chain is used: it parses, the leaf holds the key (`spki`, DER), its times agree with the
   * status, it has not expired at `now` (milliseconds since the epoch).
   * @param withAnchors the trust anchors that came with it are wanted, and checked too
   * @throws AgentError InvalidChain
   */
  verify(
    outcome: Outcome & { readonly type: 'issued' },
    spki: Uint8Array,
    now: number,
    withAnchors?: boolean,
  ): IssuedChain;
  /**
   * The request is of no more use: its answer is kept in the volume, or is a refusal, or nobody waits for one any more.
   * Absent: whoever made the API sees to it.
   */
  abandon?(request: RequestReference): void;
  /**
   * Whether a request to this signer may be made before the kubelet has published the volume: it needs nothing that only
   * the publish call brings, and the operator's rules let the pod ask. Absent: never.
   */
  beginsAhead?(namespace: string, signerName: string): boolean;
  /** Whether a certificate by the rules in force names the pod's addresses. Absent: none does. */
  namesAddresses?(namespace: string, signerName: string): boolean;
}

/** What a clusterTrustBundle source selects now. */
export type Anchors =
  | {
      readonly type: 'found';
      /** DER, deduplicated, in stable order. */
      readonly certificates: readonly Uint8Array[];
      /** How many of those that are selected have expired, where any has; the source says whether they are among these. */
      readonly expired?: number;
      /** Of a source that keeps trust domains apart: the anchors of each. `certificates` are those of the pod's own. */
      readonly byTrustDomain?: readonly TrustDomainAnchors[];
      /** Why bundles that were selected are not among these, where that is so. */
      readonly leftOut?: string;
    }
  /** Nothing matches; the message says what was looked for. */
  | {
      readonly type: 'missing';
      readonly message: string;
      /** No bundle is missing, but something that the cluster operator has to provide. */
      readonly isOperators?: true;
      /** Of a source that keeps trust domains apart: the anchors of the others, where they are known. */
      readonly byTrustDomain?: readonly TrustDomainAnchors[];
      readonly leftOut?: string;
      readonly expired?: number;
    }
  /** There are bundles and they cannot be used: what is in the files stays, and no source goes without. */
  | { readonly type: 'refused'; readonly message: string };

/**
 * Does the chain (DER, leaf first) lead to one of the anchors (DER) at a time (milliseconds since the epoch)?
 * @returns undefined where that cannot be said
 */
export type LeadsToAnchor = (
  chain: readonly Uint8Array[],
  anchors: readonly Uint8Array[],
  now: number,
) => boolean | undefined;

export interface TrustAnchors {
  /**
   * Reports the anchors once the watch behind them is synced, and again whenever they change; never before this call
   * has returned. @returns ends the subscription.
   */
  subscribe(source: ClusterTrustBundleSource, listener: (anchors: Anchors) => void): () => void;
}
