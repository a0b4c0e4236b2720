/**
 * The moves that several states of a credential's life share: to a new key, to the API server, into the files, into a
 * pause; and the warnings about the certificate in the files. `credential.ts` says when each is made.
 */
import type { CertificateRecord, IssuedChain } from '../../volumes/base/volume.ts';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import { unreachable } from '../base/unreachable.ts';
import { remember } from './credential-setback.ts';
import type {
  Attempt,
  CredentialNews,
  CredentialState,
  Effect,
  Failure,
  Moment,
  Pausing,
  Transition,
  Trust,
} from './credential-state.ts';
import { tellMismatch, tellTime } from './credential-trust.ts';
import { overdueTime, pauseAfterFailure, refreshTime, shortestWokenPause } from './pace.ts';

/** An issuance that begins now, with the certificate in the files. */
export function newAttempt(
  keyType: KeyType,
  current: CertificateRecord | undefined,
  trust: Trust,
  at: Moment,
): Attempt {
  const none = { failures: 0, lastFailure: undefined };
  return { keyType, current, trust, warned: 'nothing', ...none, startedAt: at.now, since: at.now };
}

/** What is left of the certificate in the files, milliseconds; negative once it has expired; `-Infinity` without one. */
export function timeLeft(current: CertificateRecord | undefined, at: Moment): number {
  return current === undefined ? Number.NEGATIVE_INFINITY : current.notAfter - at.now;
}

/** A new key, and with it a new request. `before`: effects that come first. */
export function generate(attempt: Attempt, at: Moment, before: readonly Effect[] = []): Transition {
  return {
    state: { name: 'generating', attempt: { ...attempt, since: at.now } },
    effects: [...before, { type: 'makeKey', keyType: attempt.keyType }],
  };
}

/** The request goes to the API server. `before`: effects that come first. */
export function submit(attempt: Attempt, requestName: string, at: Moment, before: readonly Effect[]): Transition {
  const priority = attempt.current === undefined ? 'first' : 'refresh';
  return {
    state: { name: 'submitting', attempt: { ...attempt, since: at.now }, requestName },
    effects: [...before, { type: 'submit', requestName, priority }],
  };
}

/** A difference this small is not told: certificates have whole seconds, and clocks are never quite the same. */
const worthTellingMs = 2_000;

/**
 * The answer goes into the files, with its refresh time drawn; or it waits until it is valid. Once nothing in the files is
 * valid either, one that will be valid soon does no harm. `before`: effects that come first.
 */
export function take(
  attempt: Attempt,
  requestName: string,
  answer: IssuedChain,
  at: Moment,
  before: readonly Effect[],
): Transition {
  const { serialNumber, notBefore, notAfter, beginRefreshAt, podIPs } = answer;
  const begun: Attempt = { ...attempt, since: at.now };
  const until = Math.min(notBefore, attempt.current?.notAfter ?? notBefore);
  if (at.now < until) {
    const aheadMs = notBefore - at.now;
    const notYetValid = notify({ type: 'notYetValid', requestName, notBefore, aheadMs, until });
    return {
      state: { name: 'maturing', attempt: begun, requestName, answer, until },
      effects: [
        ...before,
        ...(aheadMs < worthTellingMs ? [] : [notYetValid]),
        { type: 'saveAnswer', requestName, answer },
      ],
    };
  }
  const refreshAt = refreshTime(answer, at.now, at.random);
  const { keyType } = attempt;
  const dates = { notBefore, notAfter, beginRefreshAt, refreshAt };
  const certificate = { requestName, keyType, serialNumber, ...dates, ...(podIPs === undefined ? {} : { podIPs }) };
  return {
    state: { name: 'projecting', attempt: begun, answer, certificate },
    effects: [...before, { type: 'project', certificate, answer }],
  };
}

/**
 * Counts a failure and waits. With `resubmit` the same request is tried again; otherwise it is forgotten, and
 * `requestName` says in the notice which one it was.
 */
export function pause(
  attempt: Attempt,
  failure: Failure,
  at: Moment,
  request: { readonly requestName?: string; readonly resubmit?: string | undefined } = {},
): { readonly state: Pausing; readonly effects: readonly Effect[] } {
  const failures = attempt.failures + 1;
  const timeLeftMs = timeLeft(attempt.current, at);
  const nature = isPassing(failure) ? 'passing' : 'lasting';
  const retryAfterMs = failure.kind === 'error' ? (failure.error.retryAfterMs ?? 0) : 0;
  const failingSince = attempt.failingSince ?? at.now;
  const failingForMs = at.now - failingSince;
  const until = at.now + pauseAfterFailure({ failures, nature, timeLeftMs, retryAfterMs, failingForMs }, at.random);
  const effects: Effect[] = request.resubmit === undefined ? [{ type: 'discardPending' }] : [];
  effects.push(...remember(failure, failures, at.now, until));
  effects.push(notify(newsOf(failure, request.requestName ?? '', until)));
  const pausing: Attempt = { ...attempt, failures, failingSince, lastFailure: failure, since: at.now };
  return { state: { name: 'pausing', attempt: pausing, until, failure, resubmit: request.resubmit }, effects };
}

/** When a pause that is cut short ends: at once, or when the shortest pause since the failure is over. */
export function wokenPauseEnd({ attempt, until, failure }: Pausing): number {
  const isDeterministic = failure.kind === 'error' && failure.error.code === 'Rejected';
  return Math.min(until, attempt.since + shortestWokenPause(isDeterministic));
}

/** True when nobody has to act before another attempt can succeed. */
function isPassing(failure: Failure): boolean {
  return failure.kind === 'lost' || (failure.kind === 'error' && failure.error.actor === 'nobody');
}

function newsOf(failure: Failure, requestName: string, retryAt: number): CredentialNews {
  switch (failure.kind) {
    case 'denied':
    case 'failed':
      return { type: failure.kind, requestName, reason: failure.reason, message: failure.message, retryAt };
    case 'lost':
      return { type: 'requestLost', requestName, why: failure.why, retryAt };
    case 'error':
      return { type: 'attemptFailed', phase: failure.phase, error: failure.error, retryAt };
    default:
      return unreachable(failure);
  }
}

/** When the next warning about the current certificate is due. */
export function warningTime(attempt: Attempt): number | undefined {
  const times = [datesWarningTime(attempt), tellTime(attempt.trust)].filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.min(...times);
}

function datesWarningTime({ current, warned }: Attempt): number | undefined {
  if (current === undefined || warned === 'expired') {
    return undefined;
  }
  return warned === 'overdue' ? current.notAfter : Math.min(overdueTime(current, current.refreshAt), current.notAfter);
}

/**
 * Says once that the refresh of the current certificate is late, once that the certificate has expired, and once that its
 * chain leads to none of its signer's anchors.
 */
export function warn(attempt: Attempt, at: Moment): { readonly attempt: Attempt; readonly effects: readonly Effect[] } {
  const { current } = attempt;
  const { trust, effects } = tellMismatch(attempt.trust, current, at);
  const told = { ...attempt, trust };
  const due = datesWarningTime(attempt);
  if (current === undefined || due === undefined || at.now < due) {
    return { attempt: told, effects };
  }
  const { refreshAt, notAfter } = current;
  if (at.now >= notAfter) {
    return { attempt: { ...told, warned: 'expired' }, effects: [...effects, notify({ type: 'expired', notAfter })] };
  }
  const overdue = notify({ type: 'refreshOverdue', refreshAt, notAfter });
  return { attempt: { ...told, warned: 'overdue' }, effects: [...effects, overdue] };
}

/** Tells what happened. */
export function notify(news: CredentialNews): Effect {
  return { type: 'notify', news };
}

/** An event that changes nothing. */
export function unchanged(state: CredentialState): Transition {
  return { state, effects: [] };
}

/** How long the present step has taken, in milliseconds. */
export function elapsed(attempt: Attempt, at: Moment): number {
  return Math.max(0, at.now - attempt.since);
}
