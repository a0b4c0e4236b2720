/**
 * Runs one credential: feeds `step` with events, carries its effects out, and wakes it when it asks to be woken. Results that
 * arrive after the state has moved on are dropped.
 */
import type { CertificateRecord, IssuedChain, OpenVolume } from '../../volumes/base/volume.ts';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import type { PodCertificateSource } from '../../volumes/declaration/types.ts';
import { AgentError } from '../base/errors.ts';
import { unreachable } from '../base/unreachable.ts';
import { begin, keyTypeOf, lacksAddresses, requestUnderWay, retryTime, step, wakeTime } from './credential.ts';
import type { CredentialEvent, CredentialState, Effect, Moment, Transition, TrustVerdict } from './credential-state.ts';
import { createCredentialWork, type WorkDependencies, type WorkVolume } from './credential-work.ts';
import type { EndReason, Reporter } from './notices.ts';
import type { NodePods } from './ports.ts';

/** What credentials need from the rest of the agent. */
export interface CredentialDependencies extends WorkDependencies {
  readonly nodePods: NodePods;
  /** Draws from [0, 1). */
  readonly random: () => number;
  readonly report: Reporter;
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
  /** The answer to this request is in the volume, if not yet in its files: a restart does not ask for it again. */
  kept(requestName: string): void;
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
  volume: WorkVolume & Pick<OpenVolume, 'kept' | 'isProjected' | 'saveAnswer' | 'saveSetback' | 'saveTrust'>,
  source: PodCertificateSource,
  host: CredentialHost,
  dependencies: CredentialDependencies,
): CredentialRunner {
  const { nodePods, issuer, clock, random, report } = dependencies;
  const { record } = volume;
  const { index, signerName } = source;
  const stopping = new AbortController();
  const events: CredentialEvent[] = [];
  let state: CredentialState;
  let stepping = false;
  let cancelAlarm = (): void => {};
  let unfollow = (): void => {};
  /** The request whose answer is waited for. */
  let followed: string | undefined;
  /** The request whose answer has come, until that is kept or of no use: before it is, nobody else has it. */
  let answered: string | undefined;
  let awaitAddresses: (() => void) | undefined;
  const work = createCredentialWork(
    {
      volume,
      source,
      state: () => state,
      signal: stopping.signal,
      heldUp: (requestName, waitsFor) => dispatch({ type: 'heldUp', requestName, waitsFor }),
      podEnded: (why) => host.podEnded(why),
    },
    dependencies,
  );

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
            attempt(() => carryOut(effect, keyType));
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
        void work.makeKey(effect.keyType).then(dispatch);
        return;
      case 'submit':
        void work.submit(effect.requestName, effect.priority).then(dispatch);
        return;
      case 'follow':
        followed = effect.requestName;
        unfollow = issuer.follow(
          { namespace: record.pod.namespace, requestName: effect.requestName, signerName },
          (outcome) => {
            followed = undefined;
            answered = outcome.type === 'gone' ? undefined : effect.requestName;
            dispatch(work.judge(outcome));
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
        void saveAnswer(effect.requestName, effect.answer);
        return;
      case 'saveSetback':
        volume.saveSetback(index, effect.setback);
        return;
      case 'saveTrust':
        volume.saveTrust(index, effect.trust);
        return;
      case 'discardPending':
        host.discard(index);
        release(answered);
        return;
      case 'notify':
        report({ ...effect.news, volume: record, source: index, signerName, keyType });
        return;
      default:
        unreachable(effect);
    }
  };

  const saveAnswer = async (requestName: string, answer: IssuedChain): Promise<void> => {
    try {
      await volume.saveAnswer(index, requestName, answer);
      release(requestName);
    } catch (error) {
      host.fault(index, error);
    }
  };

  /** The answered request may go, unless it went before or is another one's by now. */
  const release = (requestName: string | undefined): void => {
    if (requestName === answered) {
      answered = undefined;
      abandon(requestName);
    }
  };

  /** The request is of no more use. */
  const abandon = (requestName: string | undefined): void => {
    if (requestName !== undefined) {
      issuer.abandon?.({ namespace: record.pod.namespace, requestName, signerName });
    }
  };

  /** What fails here goes wrong alone: what a step asks for beside it is done all the same. */
  const attempt = (carry: () => void): void => {
    try {
      carry();
    } catch (error) {
      host.fault(index, error);
    }
  };

  const checkPod = async (): Promise<void> => {
    try {
      if (typeof (await work.find('refresh')) !== 'string') {
        host.podLives();
      }
    } catch (error) {
      // Without an answer the pod stays what it was taken for, until the next look.
      if (!(error instanceof AgentError)) {
        host.fault(index, error);
      }
    }
  };

  const kept = volume.kept(index);
  // The certificate in the files counts when its files are all there.
  const isInFiles = kept.current !== undefined && volume.isProjected(index);
  const found = { ...kept, current: isInFiles ? kept.current : undefined };
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
    kept: release,
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
        release(answered);
      }
    },
  };
}
