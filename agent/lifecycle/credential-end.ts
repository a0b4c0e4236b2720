/**
 * The end of a credential whose pod has ended, and the way back. Whoever said that the pod is gone may have been wrong, so
 * it is looked for as long as its volume is there.
 */
import { generate, newAttempt, notify, timeLeft } from './credential-moves.ts';
import type { Effect, Ended, Moment, Transition } from './credential-state.ts';
import { dueTime, unjudged } from './credential-trust.ts';
import { pauseBeforeRecheck, shortestWokenPause } from './pace.ts';

/** The pod has ended: whatever is under way is given up, and the certificate stays in the files. */
export function endOf(last: Pick<Ended, 'keyType' | 'current' | 'trust' | 'warned' | 'why'>, at: Moment): Transition {
  const { current, why } = last;
  const recheckAt = at.now + pauseBeforeRecheck(0, timeLeft(current, at), at.random);
  const expiry = current === undefined ? {} : { notAfter: current.notAfter };
  return {
    state: { name: 'ended', ...last, since: at.now, recheckAt, checks: 0 },
    effects: [
      { type: 'unfollow' },
      { type: 'discardPending' },
      notify({ type: 'podEnded', why, ...expiry, recheckAt }),
    ],
  };
}

/** The pod is looked for now, or as soon as it may be. */
export function hastened(state: Ended): Ended {
  return { ...state, recheckAt: Math.min(state.recheckAt, state.since + shortestWokenPause(false)) };
}

/** Looks for the pod when that is due, and tells once when its certificate expires. */
export function onEndedTimer(state: Ended, at: Moment): Transition {
  const { current, why } = state;
  const effects: Effect[] = [];
  let { warned, since, recheckAt, checks } = state;
  if (current !== undefined && at.now >= (expiryToTell(state) ?? Number.POSITIVE_INFINITY)) {
    warned = 'expired';
    effects.push(notify({ type: 'expired', notAfter: current.notAfter, podEnded: why }));
  }
  // With the wall clock set back to before the last look, `recheckAt` means nothing any more.
  if (at.now >= recheckAt || at.now < since) {
    since = at.now;
    checks += 1;
    recheckAt = at.now + pauseBeforeRecheck(checks, timeLeft(current, at), at.random);
    effects.push({ type: 'checkPod' });
  }
  return { state: { ...state, warned, since, recheckAt, checks }, effects };
}

/** The pod lives after all: its credential goes on where it stood. */
export function revive({ keyType, current, trust: before, warned }: Ended, at: Moment): Transition {
  const lives = notify({ type: 'podLives' });
  // Nobody has looked after its trust anchors meanwhile.
  const trust = unjudged(before);
  if (current !== undefined && at.now < dueTime(current, trust)) {
    return { state: { name: 'fresh', keyType, current, trust }, effects: [lives] };
  }
  return generate({ ...newAttempt(keyType, current, trust, at), warned }, at, [lives]);
}

/** When the expiry of a certificate that nobody renews has to be told. */
export function expiryToTell({ current, warned }: Ended): number | undefined {
  return warned === 'expired' ? undefined : current?.notAfter;
}
