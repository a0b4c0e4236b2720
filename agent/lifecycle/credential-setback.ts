/**
 * The memory of a refusal, across restarts of the agent: what was refused is not asked for again because the agent is
 * another process now, and the pauses go on growing where they stood.
 */
import { longestSignerText } from '../../volumes/base/limits.ts';
import type { Setback } from '../../volumes/base/volume.ts';
import { AgentError } from '../base/errors.ts';
import { unreachable } from '../base/unreachable.ts';
import type { Attempt, Effect, Failure, Moment, Pausing } from './credential-state.ts';

/** What is kept of a failure; undefined for one that says nothing about the next request. */
export function setbackOf(failure: Failure, failures: number, at: number, until: number): Setback | undefined {
  const counted = { failures, at, until };
  switch (failure.kind) {
    case 'denied':
    case 'failed': {
      const { kind, reason, message } = failure;
      return {
        kind,
        reason: reason.slice(0, longestSignerText),
        message: message.slice(0, longestSignerText),
        ...counted,
      };
    }
    case 'error':
      return failure.phase === 'signer'
        ? { kind: 'unusable', reason: '', message: failure.error.message.slice(0, longestSignerText), ...counted }
        : undefined;
    case 'lost':
      return undefined;
    default:
      return unreachable(failure);
  }
}

/** Tells the volume of a failure that counts beyond a restart. */
export function remember(failure: Failure, failures: number, at: number, until: number): readonly Effect[] {
  const setback = setbackOf(failure, failures, at, until);
  return setback === undefined ? [] : [{ type: 'saveSetback', setback }];
}

/** The attempt with the failures that are known of; one that has waited long enough begins a new request with them. */
export function afterSetback(attempt: Attempt, setback: Setback | undefined): Attempt {
  return setback === undefined ? attempt : { ...attempt, failures: setback.failures, lastFailure: failureOf(setback) };
}

/** The pause that an earlier run of the agent began; undefined once it is over, or when the clock says nothing about it. */
export function pauseLeft(attempt: Attempt, setback: Setback | undefined, at: Moment): Pausing | undefined {
  if (setback === undefined || at.now < setback.at || at.now >= setback.until) {
    return undefined;
  }
  const since = { ...afterSetback(attempt, setback), since: setback.at };
  return { name: 'pausing', attempt: since, until: setback.until, failure: failureOf(setback), resubmit: undefined };
}

function failureOf({ kind, reason, message }: Setback): Failure {
  if (kind !== 'unusable') {
    return { kind, reason, message };
  }
  return { kind: 'error', phase: 'signer', error: new AgentError('InvalidChain', message, { actor: 'signer' }) };
}
