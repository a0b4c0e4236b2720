/**
 * The part of a credential's life in which somebody else has to act: its request is at the API server, and is approved,
 * answered, refused or lost.
 */
import { isDeepStrictEqual } from 'node:util';
import { elapsed, generate, notify, pause, take, timeLeft, unchanged, warn } from './credential-moves.ts';
import type { Attempt, Awaiting, CredentialEvent, Effect, Moment, Transition } from './credential-state.ts';
import { patience } from './pace.ts';

/** How long a signer may take before the pod is told that it is being waited for. */
const waitingNoticeAfterMs = 10_000;

/** How many doubtful answers in a row are asked for anew, which takes some ten minutes without a certificate; the next one is kept. */
const mostDoubts = 6;

/** The API server has the request: its answer is waited for. */
export function beginWaiting(attempt: Attempt, requestName: string, at: Moment): Transition {
  return {
    state: {
      name: 'awaiting',
      attempt: { ...attempt, since: at.now },
      requestName,
      giveUpAt: at.now + patience(timeLeft(attempt.current, at)),
      hurdle: undefined,
      told: undefined,
      tellAt: at.now + waitingNoticeAfterMs,
    },
    effects: [
      notify({ type: 'requested', requestName, tookMs: elapsed(attempt, at) }),
      { type: 'follow', requestName },
    ],
  };
}

/** An event while the signer is waited for. */
export function whileAwaiting(state: Awaiting, event: CredentialEvent, at: Moment): Transition {
  const { attempt, requestName } = state;
  switch (event.type) {
    case 'accepted': {
      if (event.doubt !== undefined && attempt.failures < mostDoubts) {
        return pause(attempt, { kind: 'error', phase: 'signer', error: event.doubt }, at);
      }
      const answered = notify({ type: 'answered', requestName, tookMs: elapsed(attempt, at) });
      return take(attempt, requestName, event.answer, at, [answered]);
    }
    case 'unusable':
      return pause(attempt, { kind: 'error', phase: 'signer', error: event.error }, at);
    case 'deleted':
      return pause(attempt, { kind: 'lost', why: 'deleted' }, at, { requestName });
    case 'refused':
      return whenRefused(state, event, at);
    case 'hindered': {
      const { turn } = event.hurdle;
      const isAnothers = turn !== (state.hurdle?.turn ?? 'signer');
      const giveUpAt = isAnothers ? at.now + patience(timeLeft(attempt.current, at), turn) : state.giveUpAt;
      return tellOfWaiting({ ...state, hurdle: event.hurdle, giveUpAt }, at, []);
    }
    default:
      return unchanged(state);
  }
}

function whenRefused(state: Awaiting, event: CredentialEvent & { type: 'refused' }, at: Moment): Transition {
  const { attempt, requestName } = state;
  const { kind, reason, message, suggested, followSuggestion } = event;
  const pausing = pause(attempt, { kind, reason, message }, at, { requestName });
  if (suggested === undefined) {
    return pausing;
  }
  const effects = [...pausing.effects, notify({ type: 'keyTypeSuggested', suggested, followed: followSuggestion })];
  if (!followSuggestion) {
    return { state: pausing.state, effects };
  }
  const next: Attempt = { ...pausing.state.attempt, keyType: suggested };
  // At once the first time; a signer that suggests in circles is followed at the pace of any other failure.
  if (attempt.failures === 0) {
    return generate(next, at, effects);
  }
  return { state: { ...pausing.state, attempt: next }, effects };
}

/** Gives up after long enough, and tells the pod what it waits for. */
export function onAwaitingTimer(state: Awaiting, at: Moment): Transition {
  const { attempt, effects } = warn(state.attempt, at);
  const { requestName, giveUpAt } = state;
  if (at.now >= giveUpAt) {
    const unanswered = pause(attempt, { kind: 'lost', why: 'unanswered' }, at, { requestName });
    return { state: unanswered.state, effects: [...effects, { type: 'unfollow' }, ...unanswered.effects] };
  }
  if (at.now < attempt.since) {
    // The wall clock was set back: the wait for the signer begins anew, at the new time.
    const shifted = (time: number): number => at.now + (time - attempt.since);
    const anew = { giveUpAt: shifted(giveUpAt), tellAt: shifted(state.tellAt) };
    return { state: { ...state, ...anew, attempt: { ...attempt, since: at.now } }, effects };
  }
  return tellOfWaiting({ ...state, attempt }, at, effects);
}

/** When the pod has to be told of its waiting; undefined while it knows. */
export function timeToTell(state: Awaiting): number | undefined {
  return hasNews(state) ? state.tellAt : undefined;
}

/** Whether the pod does not know yet that, or what for, its request waits. */
function hasNews({ told, hurdle }: Awaiting): boolean {
  return told === undefined || !isDeepStrictEqual(told.hurdle, hurdle);
}

/**
 * Tells the pod what it waits for, once that has lasted; more and more seldom where it changes all the time. `before`:
 * effects that come first.
 */
function tellOfWaiting(state: Awaiting, at: Moment, before: readonly Effect[]): Transition {
  if (at.now < state.tellAt || !hasNews(state)) {
    return { state, effects: before };
  }
  const { requestName, hurdle, told } = state;
  const { current } = state.attempt;
  const waitedMs = elapsed(state.attempt, at);
  const news = notify({
    type: 'waitingForSigner',
    requestName,
    waitedMs,
    ...(hurdle === undefined ? {} : { hurdle }),
    ...(told === undefined ? {} : { again: true }),
    ...(current === undefined ? {} : { notAfter: current.notAfter }),
  });
  const tellAt = at.now + Math.max(waitedMs, waitingNoticeAfterMs);
  return { state: { ...state, told: { hurdle }, tellAt }, effects: [...before, news] };
}
