/**
 * Issuance ahead of the publish call. When a pod is bound to this node, the kubelet will soon ask for its volumes: for the
 * certificates that they ask for, keys are made and requests created already. The publish call that comes takes them over.
 *
 * What has been begun lies in memory only, as any key does while it is made, and is for exactly the pod and the source that the
 * publish call names, or it is dropped: then the call begins anew, as it would have without. It is dropped also when no call comes
 * in time, when the pod is being deleted or has ended, and when the agent stops. What fails here is told nobody: the publish
 * call meets the same and tells the pod.
 *
 * This work stands behind all other work (`background`) until the publish call comes; from then on it is as urgent as that.
 */
import { isDeepStrictEqual } from 'node:util';
import { createBoundedMap } from '../../volumes/base/bounded-map.ts';
import type { PodReference } from '../../volumes/base/volume.ts';
import type { Foresight, PublishRequest } from '../../volumes/csi/driver.ts';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import type { PodCertificateSource } from '../../volumes/declaration/types.ts';
import type { CallOptions, Rank } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import { createQueue } from '../base/queue.ts';
import type { Clock } from '../time/clock.ts';
import { orderFor, whyNotReachable } from './order.ts';
import type { BoundPod, BoundPods, Issuer, KeyMaker, PodIdentity, PrivateKey, RequestSubject } from './ports.ts';

export interface AheadOptions {
  readonly clock: Clock;
  readonly keys: KeyMaker;
  readonly issuer: Issuer;
  readonly boundPods: BoundPods;
  /** Who the pod is, by what the API server has just shown of it. */
  readonly identify: (pod: PodReference, call: CallOptions) => Promise<PodIdentity>;
  /** What the publish call of a volume will ask for, judged by its checks; undefined when it will be refused. */
  readonly foresee: Foresight;
  readonly onFault: (error: unknown, what: string) => void;
}

/** The certificate that a publish call wants. */
export interface Wanted {
  readonly pod: PodReference;
  readonly volumeName: string;
  readonly source: PodCertificateSource;
  readonly keyType: KeyType;
}

/** What was begun for it. */
export interface Begun {
  /** A copy of the key; the caller destroys it. */
  readonly key: PrivateKey;
  readonly requestName: string;
  /** True once the API server has the request; false when it may not, so that it is to be made again under its name. */
  submitted(): Promise<boolean>;
}

export interface Ahead {
  /** Begins to look for pods; to be called once the volumes of an earlier run are taken up. */
  start(): void;
  /** The kubelet has called for a volume of the pod: nothing more is begun for it, and what is under way is as urgent as the call. */
  called(pod: PodReference): void;
  /** Hands over what was begun for this certificate, once; undefined: nothing, or for another one. */
  take(wanted: Wanted, call: CallOptions): Promise<Begun | undefined>;
  /** Drops everything. */
  stop(): void;
}

/** A kubelet publishes a pod's volumes within seconds of its binding; what it has not called for by then is dropped. */
const keptMs = 120_000;
/** Pods for which something is begun or kept at the same time: more than a node runs. The others are not begun for. */
const mostPods = 256;
/** Sources of one pod; what goes beyond is begun when it is published. */
const mostSources = 32;
/** Requests under way at the same time, one a pod. */
const concurrency = 8;
/** Pods that are remembered, so that nothing is begun twice, or after a publish call. */
const rememberedPods = 4_096;

interface Credential {
  readonly source: PodCertificateSource;
  readonly dropping: AbortController;
  /** Whoever waits for it beside the work itself. */
  readonly alsoFor: Rank[];
  /** The key as soon as it is made; undefined: it cannot be. */
  readonly made: Promise<MadeKey | undefined>;
  /** Whether the API server has accepted the request. */
  readonly accepted: Promise<boolean>;
  /** The publish call has its key. */
  isHandedOver: boolean;
  /** The credential of the volume follows the request from here on. */
  isTaken: boolean;
  /** The request was there and is no more. */
  isGone: boolean;
  unfollow: () => void;
}

interface MadeKey {
  readonly key: PrivateKey;
  readonly requestName: string;
}

interface PodWork {
  readonly pod: PodReference;
  /** When it was bound, milliseconds since the epoch. */
  readonly boundAt: number;
  readonly ending: AbortController;
  /** By volume and source. */
  readonly credentials: Map<string, Credential>;
  isCalled: boolean;
}

export function createAhead(options: AheadOptions): Ahead {
  const { clock, keys, issuer, identify, foresee, onFault } = options;
  const pods = new Map<string, PodWork>();
  const seen = createBoundedMap<string, true>(rememberedPods);
  const line = createQueue({ name: 'certificates ahead', concurrency, maxWaiting: mostPods });

  const drop = (uid: string): void => {
    const work = pods.get(uid);
    pods.delete(uid);
    work?.ending.abort();
    for (const credential of work?.credentials.values() ?? []) {
      credential.dropping.abort();
    }
  };

  const bound = (found: BoundPod): void => {
    const { pod } = found;
    if (seen.get(pod.uid) === true || pods.size >= mostPods) {
      return;
    }
    seen.set(pod.uid, true);
    const boundAt = clock.now();
    const work: PodWork = { pod, boundAt, ending: new AbortController(), credentials: new Map(), isCalled: false };
    pods.set(pod.uid, work);
    const cancel = clock.at(boundAt + keptMs, () => drop(pod.uid));
    work.ending.signal.addEventListener('abort', cancel, { once: true });
    void beginAll(work, found).catch((error: unknown) => {
      if (!(error instanceof AgentError)) {
        onFault(error, `a fault while certificates of pod ${pod.namespace}/${pod.name} were begun ahead`);
      }
    });
  };

  /** One after the other: a pod that asks for many holds up no other pod's. */
  const beginAll = async (work: PodWork, { pod, hostNetwork, volumes }: BoundPod): Promise<void> => {
    const { signal } = work.ending;
    const isOver = (): boolean => signal.aborted || work.isCalled;
    let begun = 0;
    for (const [name, volume] of volumes) {
      const request = isOver() ? undefined : await foresee(pod, name, volume);
      const sources = request === undefined || whyNotReachable(request, !hostNetwork) ? [] : beginnable(request);
      for (const source of sources) {
        begun += 1;
        if (begun > mostSources || isOver()) {
          return;
        }
        await line(
          async () => {
            if (!isOver()) {
              const credential = begin(pod, name, source);
              work.credentials.set(keyOf(name, source.index), credential);
              await credential.accepted;
            }
          },
          { priority: 'background', owner: pod.uid, signal },
        );
      }
    }
  };

  const beginnable = ({ pod, declaration }: PublishRequest): readonly PodCertificateSource[] =>
    declaration.sources
      .filter((source) => source.kind === 'podCertificate')
      .filter(({ signerName }) => issuer.beginsAhead?.(pod.namespace, signerName) === true);

  const begin = (pod: PodReference, volumeName: string, source: PodCertificateSource): Credential => {
    const { signerName } = source;
    const dropping = new AbortController();
    const { signal } = dropping;
    const alsoFor: Rank[] = [];
    const call: CallOptions = { priority: 'background', owner: pod.uid, alsoFor, signal };
    const subject = { pod, volumeName, sourceIndex: source.index, signerName };

    const make = async (): Promise<MadeKey> => {
      const key = await keys.generate(source.keyType, call);
      try {
        return { key, requestName: issuer.requestName(subject, key.spki) };
      } catch (error) {
        key.destroy();
        throw error;
      }
    };

    const submit = async (made: MadeKey | undefined): Promise<boolean> => {
      if (made === undefined) {
        return false;
      }
      const { key, requestName } = made;
      try {
        const identity = await identify(pod, call);
        signal.throwIfAborted();
        await issuer.submit({ ...orderFor(source, { requestName, identity }), ...call }, key, signal);
        return true;
      } catch (error) {
        hide(error);
        return false;
      }
    };

    /** Nobody is told: the publish call meets the same. */
    const hide = (error: unknown): undefined => {
      if (!(error instanceof AgentError) && !signal.aborted) {
        onFault(error, `a fault while a certificate of pod ${pod.namespace}/${pod.name} was begun ahead`);
      }
      return undefined;
    };

    const made = make().catch(hide);
    const accepted = made.then(submit);
    const credential: Credential = {
      ...{ source, dropping, alsoFor, made, accepted },
      ...{ isHandedOver: false, isTaken: false, isGone: false, unfollow: () => undefined },
    };
    void whenAccepted(credential, subject);
    return credential;
  };

  /** Follows the request until it is taken over, and lets go of the key once nobody needs it. */
  const whenAccepted = async (
    credential: Credential,
    { pod: { namespace }, signerName }: RequestSubject,
  ): Promise<void> => {
    const { signal } = credential.dropping;
    const isAccepted = await credential.accepted;
    const made = await credential.made;
    if (made === undefined) {
      return;
    }
    const { key, requestName } = made;
    const request = { namespace, requestName, signerName };
    const letGo = (): void => {
      key.destroy();
      credential.unfollow();
      if (isAccepted && !credential.isTaken) {
        issuer.abandon?.(request);
      }
    };
    if (signal.aborted) {
      letGo();
      return;
    }
    signal.addEventListener('abort', letGo, { once: true });
    if (!isAccepted) {
      return;
    }
    credential.unfollow = issuer.follow(request, ({ type }) => {
      if (type === 'gone') {
        credential.isGone = true;
        credential.dropping.abort();
      }
    });
  };

  const called = ({ uid }: PodReference): void => {
    seen.set(uid, true);
    const work = pods.get(uid);
    if (work === undefined || work.isCalled) {
      return;
    }
    work.isCalled = true;
    for (const { alsoFor } of work.credentials.values()) {
      alsoFor.push({ priority: 'first', owner: uid });
    }
  };

  const take = async ({ pod, volumeName, source, keyType }: Wanted, call: CallOptions): Promise<Begun | undefined> => {
    called(pod);
    const work = pods.get(pod.uid);
    const credential = work?.credentials.get(keyOf(volumeName, source.index));
    if (work === undefined || credential === undefined || credential.isHandedOver) {
      return undefined;
    }
    credential.isHandedOver = true;
    const { dropping, made } = credential;
    const age = clock.now() - work.boundAt;
    const isWanted =
      isDeepStrictEqual(work.pod, pod) &&
      isDeepStrictEqual(credential.source, source) &&
      source.keyType === keyType &&
      age >= 0 &&
      age < keptMs &&
      issuer.beginsAhead?.(pod.namespace, source.signerName) === true;
    const onAbort = (): void => dropping.abort();
    call.signal.addEventListener('abort', onAbort, { once: true });
    const found = isWanted ? await made : undefined;
    const subject = { pod, volumeName, sourceIndex: source.index, signerName: source.signerName };
    const isUsable =
      found !== undefined &&
      !dropping.signal.aborted &&
      !call.signal.aborted &&
      // The rules may name another certificate API by now.
      issuer.requestName(subject, found.key.spki) === found.requestName;
    if (!isUsable) {
      call.signal.removeEventListener('abort', onAbort);
      dropping.abort();
      return undefined;
    }
    const key = keys.restore(Uint8Array.from(found.key.pkcs8), found.key, call);
    const submitted = async (): Promise<boolean> => {
      const isAccepted = await credential.accepted;
      call.signal.removeEventListener('abort', onAbort);
      credential.isTaken = true;
      dropping.abort();
      work.credentials.delete(keyOf(volumeName, source.index));
      return isAccepted && !credential.isGone;
    };
    return { key, requestName: found.requestName, submitted };
  };

  let unfollow = (): void => undefined;
  let isStopped = false;

  return {
    start() {
      if (!isStopped) {
        unfollow = options.boundPods.follow({ bound, over: drop });
      }
    },
    called,
    take,
    stop() {
      isStopped = true;
      unfollow();
      for (const uid of [...pods.keys()]) {
        drop(uid);
      }
    },
  };
}

function keyOf(volumeName: string, sourceIndex: number): string {
  return `${volumeName}/${sourceIndex}`;
}
