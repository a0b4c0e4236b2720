/**
 * Runs one credential: feeds `step` with events, carries its effects out, and wakes it when it asks to be woken.
 *
 * The private key is in this process only while a key is made, a request is signed or an answer is checked; between those
 * steps it lies in the volume. Results that arrive after the state has moved on are dropped, and their keys zeroed.
 */

import { messageOf } from '../../volumes/base/errors.ts';
import type { CertificateRecord, IssuedChain, OpenVolume, Setback, TrustRecord } from '../../volumes/base/volume.ts';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import type { PodCertificateSource } from '../../volumes/declaration/types.ts';
import type { CallOptions, Priority } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import { unreachable } from '../base/unreachable.ts';
import type { Clock } from '../time/clock.ts';
import {
  begin,
  currentOf,
  keyTypeOf,
  lacksAddresses,
  requestUnderWay,
  retryTime,
  step,
  wakeTime,
} from './credential.ts';
import type { CredentialEvent, CredentialState, Effect, Moment, Transition, TrustVerdict } from './credential-state.ts';
import type { EndReason, Reporter } from './notices.ts';
import type { Issuer, KeyMaker, NodePods, Outcome, PodDirectory, PodIdentity, PrivateKey } from './ports.ts';

/** What credentials need from the rest of the agent. */
export interface CredentialDependencies {
  readonly keys: KeyMaker;
  readonly pods: PodDirectory;
  readonly nodePods: NodePods;
  readonly issuer: Issuer;
  readonly clock: Clock;
  /** Draws from [0, 1). */
  readonly random: () => number;
  readonly report: Reporter;
  /** The key type that a signer's refusal suggests, if it does. */
  readonly suggestedKeyType: (reason: string, message: string, refused: KeyType) => KeyType | undefined;
  /** Whether a suggested key type is used from now on; asked at every suggestion. */
  readonly followSuggestedKeyType: () => boolean;
}

/** What a credential needs from its volume. */
export interface CredentialHost {
  /** Projects the answer as soon as the volume's other sources allow it, then calls `written`. */
  project(index: number, content: { readonly certificate: CertificateRecord; readonly answer: IssuedChain }): void;
  /** Forgets the request, its key and an answer that waits to be projected. */
  discard(index: number): void;
  /** The pod has ended, with all its credentials. */
  podEnded(why: EndReason): void;
  /** The pod counted as ended, and lives. */
  podLives(): void;
  /** Takes a fault of the agent itself; never throws. */
  fault(index: number, error: unknown): void;
  /** The state is another one now. */
  changed(): void;
}

export interface CredentialRunner {
  readonly source: PodCertificateSource;
  state(): CredentialState;
  /** When the next attempt is due, milliseconds since the epoch; undefined while none is waited for. */
  retryAt(): number | undefined;
  /**
   * Something changed that may let the next attempt succeed: a pause ends now, though not within a second of the failure
   * (ten where the API server judged the request invalid). May be called at any time and as often as one likes.
   */
  wake(): void;
  /** The answer is in the files. */
  written(): void;
  /** The stored key cannot be projected. */
  keyUnfit(why: string): void;
  /** The chain in the files was compared with so many anchors of its signer that lie beside it. */
  judged(verdict: TrustVerdict, anchors: number): void;
  /** The pod has ended. */
  end(why: EndReason): void;
  /** The pod lives after all. */
  revive(): void;
  /**
   * Stops without a trace: nothing is discarded, so that the next run of the agent goes on here.
   * @param isRemoved the volume goes, and with it the use of a request that is under way
   */
  stop(isRemoved?: boolean): void;
}

export function runCredential(
  volume: OpenVolume,
  source: PodCertificateSource,
  host: CredentialHost,
  dependencies: CredentialDependencies,
): CredentialRunner {
  const { keys, pods, nodePods, issuer, clock, random, report } = dependencies;
  const { record } = volume;
  const { index, signerName } = source;
  const subject = { pod: record.pod, volumeName: record.volumeName, sourceIndex: index, signerName };
  const stopping = new AbortController();
  const events: CredentialEvent[] = [];
  let state: CredentialState;
  let stepping = false;
  let cancelAlarm = (): void => {};
  let unfollow = (): void => {};
  /** The request whose answer is waited for. */
  let followed: string | undefined;
  let awaitAddresses: (() => void) | undefined;
  /** The last request whose key this run of the agent has made. */
  let madeHere: string | undefined;
  /** The addresses that this run of the agent has asked for, and with which request. */
  let asked: { readonly requestName: string; readonly podIPs: readonly string[] | undefined } | undefined;

  const moment = (): Moment => ({ now: clock.now(), random: random() });

  const dispatch = (event: CredentialEvent): void => {
    if (stopping.signal.aborted) {
      return;
    }
    events.push(event);
    if (!stepping) {
      advance();
    }
  };

  /** Works off the waiting events; effects may add to them. */
  const advance = (first?: Transition): void => {
    stepping = true;
    try {
      let transition = first;
      for (;;) {
        if (transition !== undefined) {
          // Notices are about this key type, even where the signer has suggested another for the next attempt.
          const keyType = keyTypeOf(state);
          state = transition.state;
          for (const effect of transition.effects) {
            carryOut(effect, keyType);
          }
        }
        const event = events.shift();
        if (event === undefined || stopping.signal.aborted) {
          break;
        }
        transition = step(state, event, moment());
      }
    } catch (error) {
      // A fault of the agent itself costs no other credential anything, and this one goes on from the state it is in.
      host.fault(index, error);
    }
    stepping = false;
    setAlarm();
    followAddresses();
    host.changed();
  };

  /** Asks to be told of the pod's addresses while the certificate in the files is to name them and does not. */
  const followAddresses = (): void => {
    const isWanted = state.name === 'fresh' && lacksAddresses(state) && !stopping.signal.aborted;
    if (!isWanted) {
      awaitAddresses?.();
      awaitAddresses = undefined;
      return;
    }
    awaitAddresses ??= nodePods.onAddresses(record.pod, () => {
      awaitAddresses = undefined;
      dispatch({ type: 'addressesKnown' });
    });
  };

  const setAlarm = (): void => {
    cancelAlarm();
    const wake = stopping.signal.aborted ? undefined : wakeTime(state);
    cancelAlarm = wake === undefined ? () => {} : clock.at(wake, () => dispatch({ type: 'timer' }));
  };

  const carryOut = (effect: Effect, keyType: KeyType): void => {
    switch (effect.type) {
      case 'makeKey':
        void makeKey(effect.keyType).then(dispatch);
        return;
      case 'submit':
        void submit(effect.requestName, effect.priority).then(dispatch);
        return;
      case 'follow':
        followed = effect.requestName;
        unfollow = issuer.follow(
          { namespace: record.pod.namespace, requestName: effect.requestName, signerName },
          (outcome) => {
            followed = undefined;
            dispatch(judge(outcome));
          },
          (hurdle) => dispatch({ type: 'hindered', hurdle }),
        );
        return;
      case 'unfollow':
        unfollow();
        abandon(followed);
        followed = undefined;
        return;
      case 'project':
        host.project(index, { certificate: effect.certificate, answer: effect.answer });
        return;
      case 'checkPod':
        void checkPod();
        return;
      case 'saveAnswer':
        volume.saveAnswer(index, effect.answer).catch((error: unknown) => host.fault(index, error));
        return;
      case 'saveSetback':
        saveSetback(effect.setback);
        return;
      case 'saveTrust':
        saveTrust(effect.trust);
        return;
      case 'discardPending':
        host.discard(index);
        return;
      case 'notify':
        report({ ...effect.news, volume: record, source: index, signerName, keyType });
        return;
      default:
        unreachable(effect);
    }
  };

  /** Gives up a request that nobody has answered. */
  const abandon = (requestName: string | undefined): void => {
    if (requestName !== undefined) {
      issuer.abandon?.({ namespace: record.pod.namespace, requestName, signerName });
    }
  };

  /** Without it a restart would ask again too soon, and nothing else would go wrong. */
  const saveSetback = (setback: Setback | undefined): void => {
    try {
      volume.saveSetback(index, setback);
    } catch (error) {
      host.fault(index, error);
    }
  };

  /** What cannot be kept costs no more than a restart that does not know it. */
  const saveTrust = (trust: TrustRecord): void => {
    try {
      volume.saveTrust(index, trust);
    } catch (error) {
      host.fault(index, error);
    }
  };

  /** How urgent this credential's work is, and what ends it. */
  const callOptions = (): CallOptions => {
    const expiresAt = currentOf(state)?.notAfter;
    const priority = expiresAt === undefined ? 'first' : 'refresh';
    return { priority, owner: record.pod.uid, expiresAt, signal: stopping.signal };
  };

  const makeKey = async (keyType: KeyType): Promise<CredentialEvent> => {
    let key: PrivateKey | undefined;
    try {
      key = await keys.generate(keyType, callOptions());
      const requestName = issuer.requestName(subject, key.spki);
      // The volume may have been unpublished while the key was made.
      if (!stopping.signal.aborted && state.name === 'generating') {
        const pending = { requestName, keyType, publicKey: key.spki, createdAt: clock.now() };
        volume.savePending(index, pending, key.pkcs8);
      }
      madeHere = requestName;
      return { type: 'keyMade', requestName };
    } catch (error) {
      return { type: 'keyFailed', error: asAgentError(error, 'the key could not be made or stored') };
    } finally {
      key?.destroy();
    }
  };

  const pendingKey = (call: CallOptions): PrivateKey => {
    const { keyType, publicKey: spki } = volume.pending(index) ?? {};
    const known = keyType === undefined || spki === undefined ? undefined : { keyType, spki };
    return keys.restore(volume.readPendingKey(index), known, call);
  };

  const submit = async (requestName: string, priority: Priority): Promise<CredentialEvent> => {
    let key: PrivateKey | undefined;
    try {
      const call = { ...callOptions(), priority };
      // Before the pod is looked up and the key is read: this may take until the kubelet calls again.
      await issuer.prepare?.({ ...subject, requestName }, stopping.signal, (waitsFor) =>
        dispatch({ type: 'heldUp', waitsFor }),
      );
      const identity = await find(priority);
      if (typeof identity === 'string') {
        return podEnded(identity);
      }
      stopping.signal.throwIfAborted();
      noteAddresses(requestName, identity);
      key = pendingKey(call);
      const { maxExpirationSeconds, userAnnotations, names, caPath } = source;
      const order = { requestName, identity, signerName, userAnnotations, priority, expiresAt: call.expiresAt };
      const wish = {
        ...(maxExpirationSeconds === undefined ? {} : { maxExpirationSeconds }),
        ...(names === undefined ? {} : { names }),
        ...(caPath === undefined ? {} : { wantsAnchors: true }),
      };
      await issuer.submit({ ...order, ...wish }, key, stopping.signal);
      return { type: 'submitted' };
    } catch (error) {
      return { type: 'submitFailed', error: asAgentError(error, 'the request could not be made') };
    } finally {
      key?.destroy();
    }
  };

  /**
   * Remembers which addresses are asked for. Of a request that an earlier attempt may have made they count as none: at
   * worst one certificate is renewed that need not be.
   */
  const noteAddresses = (requestName: string, { podIPs }: PodIdentity): void => {
    const isEarly = podIPs?.length === 0 && lacksAddresses(state) && clock.now() < (currentOf(state)?.refreshAt ?? 0);
    if (isEarly) {
      throw new AgentError('Unavailable', 'the API server does not show the addresses of the pod yet', {
        actor: 'nobody',
      });
    }
    const isFirst = asked?.requestName !== requestName && madeHere === requestName;
    asked = { requestName, podIPs: isFirst ? podIPs : podIPs && [] };
  };

  /** The addresses that the answer to this request was to name; absent where the rules want none, or the pod has none of its own. */
  const addressesAsked = (): { readonly podIPs?: readonly string[] } => {
    const isWanted = issuer.namesAddresses?.(record.pod.namespace, signerName) === true;
    return isWanted && asked?.podIPs !== undefined ? { podIPs: asked.podIPs } : {};
  };

  /** The pod, or why it counts as ended. Nothing else that fails says that. */
  const find = async (priority: Priority): Promise<PodIdentity | EndReason> => {
    try {
      const identity = await pods.identify(record.pod, { ...callOptions(), priority }, lacksAddresses(state));
      return identity.ended ? 'finished' : identity;
    } catch (error) {
      if (error instanceof AgentError && error.code === 'PodGone') {
        return 'gone';
      }
      throw error;
    }
  };

  const podEnded = (why: EndReason): CredentialEvent => {
    host.podEnded(why);
    return { type: 'podEnded', why };
  };

  const checkPod = async (): Promise<void> => {
    try {
      if (typeof (await find('refresh')) !== 'string') {
        host.podLives();
      }
    } catch (error) {
      // Without an answer the pod stays what it was taken for, until the next look.
      if (!(error instanceof AgentError)) {
        host.fault(index, error);
      }
    }
  };

  const judge = (outcome: Outcome): CredentialEvent => {
    switch (outcome.type) {
      case 'issued':
        return check(outcome);
      case 'denied':
      case 'failed': {
        const { type: kind, reason, message } = outcome;
        const suggested = dependencies.suggestedKeyType(reason, message, keyTypeOf(state));
        const followSuggestion = dependencies.followSuggestedKeyType();
        const refusal = { type: 'refused', kind, reason, message, followSuggestion } as const;
        return suggested === undefined ? refusal : { ...refusal, suggested };
      }
      case 'gone':
        return { type: 'deleted' };
      default:
        return unreachable(outcome);
    }
  };

  const check = (outcome: Outcome & { readonly type: 'issued' }): CredentialEvent => {
    let key: PrivateKey | undefined;
    try {
      key = pendingKey(callOptions());
      const answer = issuer.verify(outcome, key.spki, clock.now(), source.caPath !== undefined);
      return { type: 'accepted', answer: { ...answer, ...addressesAsked() } };
    } catch (error) {
      return { type: 'unusable', error: asAgentError(error, 'the answer could not be checked') };
    } finally {
      key?.destroy();
    }
  };

  const found = {
    current: currentCertificate(volume, index),
    trust: volume.trust(index),
    pending: volume.pending(index),
    setback: volume.setback(index),
  };
  const first = begin(source.keyType, found, moment());
  state = first.state;
  advance(first);
  if (found.pending?.answer !== undefined) {
    // Its answer is kept here, and nobody follows it: an earlier run may have ended before the request was removed.
    abandon(found.pending.requestName);
  }

  return {
    source,
    state: () => state,
    retryAt: () => retryTime(state),
    wake: () => dispatch({ type: 'retryNow' }),
    written: () => dispatch({ type: 'written' }),
    keyUnfit(why) {
      const message = `the stored private key ${why}; another is made`;
      dispatch({ type: 'keyUnfit', error: new AgentError('Internal', message, { actor: 'nobody' }) });
    },
    judged: (verdict, anchors) => dispatch({ type: 'trustJudged', verdict, anchors }),
    end: (why) => dispatch({ type: 'podEnded', why }),
    revive: () => dispatch({ type: 'podLives' }),
    stop(isRemoved = false) {
      stopping.abort();
      cancelAlarm();
      unfollow();
      awaitAddresses?.();
      if (isRemoved) {
        abandon(requestUnderWay(state));
      }
    },
  };
}

/** The certificate in the files, when its files are all there. */
function currentCertificate(volume: OpenVolume, index: number): CertificateRecord | undefined {
  return volume.isProjected(index) ? volume.current(index) : undefined;
}

/** Errors of the volume and of the agent itself get the agent's type; their message carries no secret. */
function asAgentError(error: unknown, what: string): AgentError {
  if (error instanceof AgentError) {
    return error;
  }
  const reason = messageOf(error);
  return new AgentError('Internal', `${what}: ${reason}`, { actor: 'nobody', cause: error });
}
