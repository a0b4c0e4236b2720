/**
 * One credential's life as a pure function: `step(state, event, at)` gives the next state and the effects to carry out.
 * Nothing here waits, writes or asks; `credential-runner.ts` does. The states are drawn in `credential-state.ts`.
 */

import type { CertificateRecord, PendingRequest } from '../../volumes/base/volume.ts';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import { unreachable } from '../base/unreachable.ts';
import { endOf, expiryToTell, hastened, onEndedTimer, revive } from './credential-end.ts';
import {
  elapsed,
  generate,
  newAttempt,
  notify,
  pause,
  submit,
  take,
  unchanged,
  warn,
  warningTime,
  wokenPauseEnd,
} from './credential-moves.ts';
import { afterSetback, pauseLeft } from './credential-setback.ts';
import type {
  Attempt,
  CredentialEvent,
  CredentialState,
  Effect,
  Found,
  Fresh,
  Generating,
  Maturing,
  Moment,
  Pausing,
  Projecting,
  Submitting,
  Transition,
  Trust,
} from './credential-state.ts';
import {
  dueTime,
  hastenedTrust,
  judge,
  onRefresh,
  onWritten,
  tellMismatch,
  tellTime,
  unjudged,
} from './credential-trust.ts';
import { beginWaiting, onAwaitingTimer, timeToTell, whileAwaiting } from './credential-waiting.ts';
import type { EndReason } from './notices.ts';
import { isRefreshLate, latestRefresh } from './pace.ts';

/** Takes up a credential: a new one, or what an earlier run of the agent left. */
export function begin(keyType: KeyType, found: Found, at: Moment): Transition {
  const { pending } = found;
  const current = found.current && refreshedInTime(found.current);
  const trust = unjudged(found.trust);
  const attempt = newAttempt(keyType, current, trust, at);
  // When the files hold the answer to the pending request already, all that is left to do is to clear the request away.
  const isDone = pending !== undefined && pending.requestName === current?.requestName;
  if (!isDone && pending?.answer !== undefined && pending.answer.notAfter > at.now) {
    const resumed = { ...attempt, keyType: pending.keyType };
    return take(resumed, pending.requestName, pending.answer, at, [resume(pending)]);
  }
  if (!isDone && pending !== undefined && pending.answer === undefined) {
    return submit({ ...attempt, keyType: pending.keyType }, pending.requestName, at, [resume(pending)]);
  }
  const leftover: Effect[] = pending === undefined ? [] : [{ type: 'discardPending' }];
  const isDue = current === undefined || at.now >= dueTime(current, trust);
  const pausing = isDue ? pauseLeft(attempt, found.setback, at) : undefined;
  if (pausing !== undefined) {
    return { state: pausing, effects: [...leftover, ...adoption(current)] };
  }
  if (current === undefined) {
    return generate(afterSetback(attempt, found.setback), at, leftover);
  }
  const effects = [...leftover, ...adoption(current)];
  return { state: { name: 'fresh', keyType: current.keyType, current, trust }, effects };
}

/** The next state and what to do. An event that does not fit the state comes too late and changes nothing. */
export function step(state: CredentialState, event: CredentialEvent, at: Moment): Transition {
  if (event.type === 'podEnded') {
    return end(state, event.why, at);
  }
  if (event.type === 'timer') {
    return onTimer(state, at);
  }
  if (event.type === 'retryNow') {
    return onRetryNow(state, at);
  }
  if (event.type === 'trustJudged') {
    return onTrustJudged(state, event, at);
  }
  switch (state.name) {
    case 'generating':
      return whileGenerating(state, event, at);
    case 'submitting':
      return whileSubmitting(state, event, at);
    case 'awaiting':
      return whileAwaiting(state, event, at);
    case 'projecting':
      return whileProjecting(state, event, at);
    case 'ended':
      return event.type === 'podLives' ? revive(state, at) : unchanged(state);
    case 'fresh':
      return event.type === 'addressesKnown' && lacksAddresses(state)
        ? generate(newAttempt(state.keyType, state.current, state.trust, at), at)
        : unchanged(state);
    case 'maturing':
    case 'pausing':
      return unchanged(state);
    default:
      return unreachable(state);
  }
}

/** True while the files hold a certificate that is to name the pod's addresses and was asked for before there were any. */
export function lacksAddresses(state: CredentialState): boolean {
  return currentOf(state)?.podIPs?.length === 0;
}

/** The request that the API server may have and has not answered. */
export function requestUnderWay(state: CredentialState): string | undefined {
  switch (state.name) {
    case 'submitting':
    case 'awaiting':
      return state.requestName;
    case 'pausing':
      return state.resubmit;
    case 'generating':
    case 'maturing':
    case 'projecting':
    case 'fresh':
    case 'ended':
      return undefined;
    default:
      return unreachable(state);
  }
}

/** When the state wants a `timer` event; undefined: never. */
export function wakeTime(state: CredentialState): number | undefined {
  switch (state.name) {
    case 'ended':
      return earliest(state.recheckAt, expiryToTell(state));
    case 'fresh':
      return earliest(dueTime(state.current, state.trust), tellTime(state.trust));
    case 'generating':
    case 'submitting':
      return warningTime(state.attempt);
    case 'awaiting':
      return earliest(state.giveUpAt, timeToTell(state), warningTime(state.attempt));
    case 'maturing':
      return earliest(state.until, warningTime(state.attempt));
    case 'projecting':
      return earliest(state.answer.notAfter, warningTime(state.attempt));
    case 'pausing':
      return earliest(state.until, warningTime(state.attempt));
    default:
      return unreachable(state);
  }
}

/** When the next attempt is due, where the last one failed; where the pod has ended, when it is looked for again. */
export function retryTime(state: CredentialState): number | undefined {
  if (state.name === 'ended') {
    return state.recheckAt;
  }
  return state.name === 'pausing' ? state.until : undefined;
}

/** The certificate in the volume's files, whatever else is under way. */
export function currentOf(state: CredentialState): CertificateRecord | undefined {
  return state.name === 'fresh' || state.name === 'ended' ? state.current : state.attempt.current;
}

/** How the chain in the files stands to its signer's anchors. */
export function trustOf(state: CredentialState): Trust {
  return state.name === 'fresh' || state.name === 'ended' ? state.trust : state.attempt.trust;
}

/** The key type that is in use: the one asked for, or one that the signer suggested. */
export function keyTypeOf(state: CredentialState): KeyType {
  return state.name === 'fresh' || state.name === 'ended' ? state.keyType : state.attempt.keyType;
}

function whileGenerating(state: Generating, event: CredentialEvent, at: Moment): Transition {
  const { attempt } = state;
  if (event.type === 'keyMade') {
    const { requestName } = event;
    const made = notify({ type: 'keyMade', requestName, tookMs: elapsed(attempt, at) });
    return submit(attempt, requestName, at, [made]);
  }
  if (event.type === 'keyFailed') {
    return pause(attempt, { kind: 'error', phase: 'key', error: event.error }, at);
  }
  return unchanged(state);
}

function whileSubmitting(state: Submitting, event: CredentialEvent, at: Moment): Transition {
  const { attempt, requestName } = state;
  // A pod that counted as ended and lives may have left one on its way: what becomes of that says nothing of this one.
  if ('requestName' in event && event.requestName !== requestName) {
    return unchanged(state);
  }
  if (event.type === 'submitted') {
    return beginWaiting(attempt, requestName, at);
  }
  if (event.type === 'heldUp') {
    const { waitsFor } = event;
    // What is waited for may be said in other words each time; the pod is told once.
    const told = state.waitsFor === undefined ? [notify({ type: 'requestHeldUp', requestName, waitsFor })] : [];
    return { state: { ...state, waitsFor }, effects: told };
  }
  if (event.type === 'submitFailed') {
    const { error } = event;
    // After a conflict the name is somebody else's, after an internal fault the stored key may be unusable; after
    // anything else the request may have arrived, and is asked for again under its own name.
    const resubmit = error.code === 'Conflict' || error.code === 'Internal' ? undefined : requestName;
    return pause(attempt, { kind: 'error', phase: 'request', error }, at, { resubmit });
  }
  return unchanged(state);
}

function whileProjecting(state: Projecting, event: CredentialEvent, at: Moment): Transition {
  if (event.type === 'written') {
    return whenWritten(state, at);
  }
  if (event.type === 'keyUnfit') {
    return pause(state.attempt, { kind: 'error', phase: 'key', error: event.error }, at);
  }
  return unchanged(state);
}

function whenWritten(state: Projecting, at: Moment): Transition {
  const { attempt, certificate } = state;
  const { requestName, serialNumber, notBefore, notAfter, refreshAt } = certificate;
  const { names } = state.answer;
  const first = attempt.current === undefined;
  const projected = notify({
    type: 'projected',
    requestName,
    first,
    ...(names === undefined ? {} : { names }),
    ...(first && isRefreshLate(certificate) ? { isRefreshLate: true } : {}),
    serialNumber,
    notBefore,
    notAfter,
    refreshAt,
    writeMs: elapsed(attempt, at),
    totalMs: Math.max(0, at.now - attempt.startedAt),
  });
  const { trust, effects } = onWritten(attempt.trust);
  const { keyType } = attempt;
  const forgotten: Effect = { type: 'saveSetback', setback: undefined };
  return {
    state: { name: 'fresh', keyType, current: certificate, trust },
    effects: [...effects, forgotten, projected],
  };
}

function onTimer(state: CredentialState, at: Moment): Transition {
  switch (state.name) {
    case 'ended':
      return onEndedTimer(state, at);
    case 'fresh':
      return onFreshTimer(state, at);
    case 'generating':
    case 'submitting': {
      const { attempt, effects } = warn(state.attempt, at);
      return { state: { ...state, attempt }, effects };
    }
    case 'awaiting':
      return onAwaitingTimer(state, at);
    case 'maturing':
      return onMaturingTimer(state, at);
    case 'projecting': {
      const { attempt, effects } = warn(state.attempt, at);
      if (at.now < state.answer.notAfter) {
        return { state: { ...state, attempt }, effects };
      }
      return outdated(attempt, state.certificate.requestName, at, effects);
    }
    case 'pausing':
      return onPausingTimer(state, at);
    default:
      return unreachable(state);
  }
}

function onFreshTimer(state: Fresh, at: Moment): Transition {
  const { keyType, current } = state;
  const told = tellMismatch(state.trust, current, at);
  if (at.now < dueTime(current, told.trust)) {
    return { state: { ...state, trust: told.trust }, effects: told.effects };
  }
  const { trust, effects } = onRefresh(told.trust, current, at);
  return generate(newAttempt(keyType, current, trust, at), at, [...told.effects, ...effects]);
}

/** The certificate in the files was compared with its signer's anchors; nothing that is under way changes by it. */
function onTrustJudged(
  state: CredentialState,
  event: CredentialEvent & { type: 'trustJudged' },
  at: Moment,
): Transition {
  const current = currentOf(state);
  if (current === undefined || state.name === 'ended') {
    return unchanged(state);
  }
  if (state.name === 'fresh') {
    const { trust, effects } = judge(state.trust, current, event, at);
    return { state: { ...state, trust }, effects };
  }
  const { trust, effects } = judge(state.attempt.trust, current, event, at);
  return { state: { ...state, attempt: { ...state.attempt, trust } }, effects };
}

function onMaturingTimer(state: Maturing, at: Moment): Transition {
  const { attempt, effects } = warn(state.attempt, at);
  const { requestName, answer, until } = state;
  if (at.now < until) {
    return { state: { ...state, attempt }, effects };
  }
  return at.now < answer.notAfter
    ? take(attempt, requestName, answer, at, effects)
    : outdated(attempt, requestName, at, effects);
}

/** The certificate ran out before it could be written. `before`: effects that come first. */
function outdated(attempt: Attempt, requestName: string, at: Moment, before: readonly Effect[]): Transition {
  const { state, effects } = pause(attempt, { kind: 'lost', why: 'outdated' }, at, { requestName });
  return { state, effects: [...before, ...effects] };
}

function onPausingTimer(state: Pausing, at: Moment): Transition {
  const { attempt, effects } = warn(state.attempt, at);
  // With the wall clock set back to before the pause, `until` means nothing any more.
  if (at.now < state.until && at.now >= attempt.since) {
    return { state: { ...state, attempt }, effects };
  }
  return state.resubmit === undefined ? generate(attempt, at, effects) : submit(attempt, state.resubmit, at, effects);
}

/**
 * Cuts a pause short: it ends at once, or as soon as it may. So does the pause before the pod is looked for again, and the
 * time until a refresh for a mismatch.
 */
function onRetryNow(state: CredentialState, at: Moment): Transition {
  switch (state.name) {
    case 'pausing':
      return onPausingTimer({ ...state, until: wokenPauseEnd(state) }, at);
    case 'ended':
      return onEndedTimer(hastened(state), at);
    case 'fresh': {
      const { trust, effects } = hastenedTrust(state.trust);
      const next = effects.length === 0 ? unchanged(state) : onFreshTimer({ ...state, trust }, at);
      return { state: next.state, effects: [...effects, ...next.effects] };
    }
    default:
      return unchanged(state);
  }
}

function end(state: CredentialState, why: EndReason, at: Moment): Transition {
  if (state.name === 'ended') {
    return unchanged(state);
  }
  const warned = state.name === 'fresh' ? 'nothing' : state.attempt.warned;
  const trust = unjudged(trustOf(state));
  return endOf({ keyType: keyTypeOf(state), current: currentOf(state), trust, warned, why }, at);
}

/** A refresh time that was drawn by another version of the agent, or got lost, still comes before notAfter. */
function refreshedInTime(current: CertificateRecord): CertificateRecord {
  return current.refreshAt < current.notAfter
    ? current
    : { ...current, refreshAt: latestRefresh(current, current.beginRefreshAt) };
}

function adoption(current: CertificateRecord | undefined): readonly Effect[] {
  return current === undefined
    ? []
    : [notify({ type: 'adopted', notAfter: current.notAfter, refreshAt: current.refreshAt })];
}

function resume(pending: PendingRequest): Effect {
  return notify({ type: 'resumed', requestName: pending.requestName });
}

function earliest(...times: readonly (number | undefined)[]): number {
  return Math.min(...times.map((time) => time ?? Number.POSITIVE_INFINITY));
}
