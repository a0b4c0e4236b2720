/** One credential's life, event by event: a test says what happens and when, and sees what is done about it. */
import { AgentError } from '../../../agent/base/errors.ts';
import { begin, step, wakeTime } from '../../../agent/lifecycle/credential.ts';
import type {
  CredentialEvent,
  CredentialNews,
  CredentialState,
  Effect,
  Found,
  Trust,
} from '../../../agent/lifecycle/credential-state.ts';
import type { CertificateRecord, IssuedChain } from '../../../volumes/base/volume.ts';

export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
/** Times in a life are counted from here. */
export const begins = Date.UTC(2026, 10, 21);

/** A certificate of a day, to be refreshed at half time. */
const validity = {
  serialNumber: '0A',
  notBefore: begins,
  notAfter: begins + 24 * hour,
  beginRefreshAt: begins + 12 * hour,
};
/** What a signer answers with. */
export const answer: IssuedChain = { ...validity, certificates: [Uint8Array.of(48)] };
/** When its refresh is due, drawn with 0.5; when that is overdue. */
export const refreshAfter = 12 * hour + 2.5 * minute;
export const overdueAfter = 12 * hour + 10 * minute;
/** The same in the files. */
export const current: CertificateRecord = {
  ...validity,
  requestName: 'req-1',
  keyType: 'ED25519',
  refreshAt: begins + refreshAfter,
};
/** Of what nobody has compared with anchors. */
export const unknown: Trust = { earlyRefreshes: 0, isTold: false, verdict: 'unknown', anchors: 0 };
export const unavailable = new AgentError('Unavailable', 'no answer', { actor: 'nobody' });

export interface Life {
  state(): CredentialState;
  /** What was done when it began. */
  readonly begun: readonly Effect[];
  /** What is done about an event so long after the beginning. */
  happens(event: CredentialEvent, afterMs: number, random?: number): readonly Effect[];
  /** When it wants to be woken, counted from the beginning. */
  wakesAfter(): number | undefined;
}

/** @param found what an earlier run left; default: nothing. @param afterMs when it is taken up */
export function lifeOf(found: Partial<Found> = {}, afterMs = 0): Life {
  const whole = { current: undefined, pending: undefined, ...found };
  const first = begin('ED25519', whole, { now: begins + afterMs, random: 0.5 });
  let { state } = first;
  return {
    state: () => state,
    begun: first.effects,
    happens(event, after, random = 0.5) {
      const next = step(state, event, { now: begins + after, random });
      ({ state } = next);
      return next.effects;
    },
    wakesAfter() {
      const wake = wakeTime(state);
      return wake === undefined ? undefined : wake - begins;
    },
  };
}

/** The refresh of the certificate in the files, which begins when it is due. */
export function refreshing(found: Partial<Found> = {}): Life {
  const life = lifeOf({ current, ...found });
  life.happens({ type: 'timer' }, refreshAfter);
  return life;
}

type Name = CredentialState['name'];

const made: CredentialEvent = { type: 'keyMade', requestName: 'req-2' };
const submitted: CredentialEvent = { type: 'submitted', requestName: 'req-2' };
const accepted = (beginsAfter: number): CredentialEvent => ({
  type: 'accepted',
  answer: {
    ...answer,
    notBefore: begins + beginsAfter,
    notAfter: begins + beginsAfter + 24 * hour,
    beginRefreshAt: begins + beginsAfter + 12 * hour,
  },
});
/** What leads from a refresh that begins to each state. */
const ways: Readonly<Record<Exclude<Name, 'fresh'>, readonly CredentialEvent[]>> = {
  generating: [],
  submitting: [made],
  awaiting: [made, submitted],
  maturing: [made, submitted, accepted(13 * hour)],
  projecting: [made, submitted, accepted(12 * hour)],
  pausing: [{ type: 'keyFailed', error: unavailable }],
  ended: [{ type: 'podEnded', why: 'gone' }],
};

/** A life in this state since its refresh was due, with `current` in the files. */
export function lifeIn(name: Name): Life {
  if (name === 'fresh') {
    return lifeOf({ current });
  }
  const life = refreshing();
  for (const event of ways[name]) {
    life.happens(event, refreshAfter);
  }
  return life;
}

/** The names of all states. */
export const stateNames: readonly Name[] = ['fresh', ...(Object.keys(ways) as Exclude<Name, 'fresh'>[])];

/** What is told by the effects. */
export const newsIn = (effects: readonly Effect[]): readonly CredentialNews[] =>
  effects.flatMap((effect) => (effect.type === 'notify' ? [effect.news] : []));
