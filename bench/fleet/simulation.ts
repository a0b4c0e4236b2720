/**
 * A whole cluster's certificates over simulated days: the agents' own state machine (agent/lifecycle/credential.ts) for each of
 * them, and beside it one API server and one signer that answer, or do not, as a scenario says. No time passes and nothing is
 * sent; the same seed gives the same run. Times and durations are in milliseconds, and a run begins at time 0.
 */
import { AgentError } from '../../agent/base/errors.ts';
import { begin, currentOf, requestUnderWay, step, trustOf, wakeTime } from '../../agent/lifecycle/credential.ts';
import type {
  CredentialEvent,
  CredentialState,
  Effect,
  Found,
  Transition,
} from '../../agent/lifecycle/credential-state.ts';
import { refreshTime } from '../../agent/lifecycle/pace.ts';
import { type Relief, relievedAt } from '../../agent/lifecycle/relief.ts';
import type { CertificateRecord, IssuedChain, Setback } from '../../volumes/base/volume.ts';
import { createLineOfEvents } from './line-of-events.ts';

const seconds = 1000;
const minutes = 60 * seconds;

/** Who does not do its part: the API server cannot be reached, the signer does not answer, or answers each request with Failed. */
export type Fault = 'apiServerAway' | 'signerSilent' | 'signerFails';

export interface Scenario {
  readonly name: string;
  readonly agents: number;
  readonly podsPerAgent: number;
  readonly lifetimeMs: number;
  readonly durationMs: number;
  readonly fault?: { readonly kind: Fault; readonly from: number; readonly until: number };
  /** All agents are restarted within a minute. */
  readonly restartAt?: number;
  /** The signer has another CA from now on, without an overlap. */
  readonly authorityChangedAt?: number;
  readonly seed: number;
}

export interface Outcome {
  /** Requests that reached the API server, in each minute. */
  readonly requests: readonly number[];
  /** Attempts that did not reach it. */
  readonly unheard: number;
  /** Certificates that expired in the files of a running pod. */
  readonly expired: number;
  /** Certificates written. */
  readonly issued: number;
}

/** Part of the lifetime after which the signer wants a refresh. */
export const refreshAfter = 2 / 3;

const keyMs = 10;
const callMs = 10;
const signerMs = 100;
const writeMs = 5;
/** How many answers a signer that comes back gives in a second, and how often requests without an answer are cleared away. */
const signerRate = 200;
const sweepMs = 5 * minutes;
const requestLifetimeMs = 15 * minutes;
/** An agent looks again for an API server that was away within this time. */
const reconnectMs = 30 * seconds;

const signerName = 'example.com/mesh';
const source = { kind: 'podCertificate', index: 0, signerName, keyType: 'ECDSAP256', userAnnotations: {} } as const;

/** Runs a scenario to its end. */
export function simulate(scenario: Scenario): Outcome {
  const { agents, podsPerAgent, lifetimeMs, durationMs, fault } = scenario;
  const count = agents * podsPerAgent;
  const random = createRandom(scenario.seed);
  const line = createLineOfEvents<() => void>();
  const states: CredentialState[] = [];
  const setbacks = new Map<number, Setback>();
  const wakeups = new Float64Array(count).fill(Number.NaN);
  /** Requests that the signer has not answered, or whose answer could not be told: by credential. */
  const unanswered = new Map<number, { readonly requestName: string; readonly createdAt: number }>();
  const requests = new Array<number>(Math.ceil(durationMs / minutes)).fill(0);
  let [now, unheard, expired, issued, named, serial] = [0, 0, 0, 0, 0, 0];
  /** CAs whose certificates verify against the bundle: the number of the newest; and by credential that of its own. */
  let authority = 0;
  const authorities = new Uint8Array(count);

  const has = (kind: Fault): boolean => fault?.kind === kind && now >= fault.from && now < fault.until;
  const later = (delay: number, what: () => void): void => line.add(now + delay, what);

  const move = (id: number, { state, effects }: Transition): void => {
    states[id] = state;
    for (const effect of effects) {
      carryOut(id, effect);
    }
    wake(id, state);
  };
  const tell = (id: number, event: CredentialEvent): void => {
    const state = states[id];
    if (state !== undefined) {
      move(id, step(state, event, { now, random: random() }));
    }
  };
  const wake = (id: number, state: CredentialState): void => {
    const at = Math.max(now, wakeTime(state) ?? Number.POSITIVE_INFINITY);
    if (at === wakeups[id] || !Number.isFinite(at)) {
      return;
    }
    wakeups[id] = at;
    line.add(at, () => {
      if (wakeups[id] === at) {
        wakeups[id] = Number.NaN;
        tell(id, { type: 'timer' });
      }
    });
  };

  const answer = (id: number, requestName: string): void => {
    unanswered.delete(id);
    const state = states[id];
    if (state?.name !== 'awaiting' || state.requestName !== requestName) {
      return;
    }
    if (has('signerFails')) {
      tell(id, { type: 'refused', kind: 'failed', reason: 'Failed', message: 'failed', followSuggestion: false });
      return;
    }
    serial += 1;
    authorities[id] = authority;
    const validity = { notBefore: now, notAfter: now + lifetimeMs, beginRefreshAt: now + lifetimeMs * refreshAfter };
    tell(id, { type: 'accepted', answer: { certificates: [], serialNumber: serial.toString(16), ...validity } });
    relieve(Math.floor(id / podsPerAgent), { type: 'signerAnswered', signerName });
  };

  const relieve = (agent: number, relief: Relief): void => {
    for (let id = agent * podsPerAgent; id < (agent + 1) * podsPerAgent; id += 1) {
      const state = states[id];
      const at = state && relievedAt(relief, source, state, { now, random: random() });
      if (at !== undefined) {
        line.add(at, () => tell(id, { type: 'retryNow' }));
      }
    }
  };

  const judge = (id: number): void => {
    const verdict = authorities[id] === authority ? 'leads' : 'mismatch';
    tell(id, { type: 'trustJudged', verdict, anchors: 1 });
  };

  const submit = (id: number, requestName: string): void => {
    if (has('apiServerAway')) {
      unheard += 1;
      const error = new AgentError('Unavailable', 'connection refused', { actor: 'nobody' });
      later(callMs, () => tell(id, { type: 'submitFailed', requestName, error }));
      return;
    }
    const minute = Math.floor(now / minutes);
    requests[minute] = (requests[minute] ?? 0) + 1;
    later(callMs, () => tell(id, { type: 'submitted', requestName }));
  };

  const follow = (id: number, requestName: string): void => {
    unanswered.set(id, { requestName, createdAt: now });
    if (!has('signerSilent')) {
      later(signerMs, () => {
        if (!has('apiServerAway')) {
          answer(id, requestName);
        }
      });
    }
  };

  const carryOut = (id: number, effect: Effect): void => {
    switch (effect.type) {
      case 'makeKey':
        named += 1;
        later(keyMs, () => tell(id, { type: 'keyMade', requestName: `request-${named}` }));
        return;
      case 'submit':
        submit(id, effect.requestName);
        return;
      case 'follow':
        follow(id, effect.requestName);
        return;
      case 'unfollow':
      case 'discardPending':
        unanswered.delete(id);
        return;
      case 'project':
        issued += 1;
        later(writeMs, () => {
          tell(id, { type: 'written' });
          if (authority > 0) {
            judge(id);
          }
        });
        return;
      case 'saveSetback':
        if (effect.setback === undefined) {
          setbacks.delete(id);
        } else {
          setbacks.set(id, effect.setback);
        }
        return;
      case 'notify':
        expired += effect.news.type === 'expired' ? 1 : 0;
        return;
      default:
        return;
    }
  };

  /** The signer works off what has waited for it. */
  const workOff = (): void => {
    let place = 0;
    for (const [id, { requestName }] of unanswered) {
      place += 1;
      later(signerMs + (place * seconds) / signerRate, () => answer(id, requestName));
    }
  };
  const sweep = (): void => {
    later(sweepMs, sweep);
    if (has('apiServerAway')) {
      return;
    }
    for (const [id, { createdAt }] of unanswered) {
      if (now - createdAt >= requestLifetimeMs) {
        unanswered.delete(id);
        tell(id, { type: 'deleted' });
      }
    }
  };
  const restart = (id: number): void => {
    const state = states[id];
    if (state !== undefined) {
      move(id, begin('ECDSAP256', foundIn(state, setbacks.get(id)), { now, random: random() }));
    }
  };

  for (let id = 0; id < count; id += 1) {
    // The pods were started at any time within the last refresh interval.
    const notBefore = -random() * lifetimeMs * refreshAfter;
    const dates = {
      notBefore,
      notAfter: notBefore + lifetimeMs,
      beginRefreshAt: notBefore + lifetimeMs * refreshAfter,
    };
    const refreshAt = refreshTime(dates, notBefore, random());
    const current: CertificateRecord = { requestName: '', keyType: 'ECDSAP256', serialNumber: '', ...dates, refreshAt };
    move(id, begin('ECDSAP256', { current, pending: undefined }, { now, random: random() }));
  }
  line.add(sweepMs, sweep);
  if (fault !== undefined) {
    line.add(fault.until, () => {
      workOff();
      if (fault.kind === 'apiServerAway') {
        for (let agent = 0; agent < agents; agent += 1) {
          later(random() * reconnectMs, () => relieve(agent, { type: 'apiServerHeard' }));
        }
      }
    });
  }
  const { restartAt, authorityChangedAt } = scenario;
  if (restartAt !== undefined) {
    for (let id = 0; id < count; id += 1) {
      line.add(restartAt + (Math.floor(id / podsPerAgent) / agents) * minutes, () => restart(id));
    }
  }
  if (authorityChangedAt !== undefined) {
    line.add(authorityChangedAt, () => {
      authority += 1;
      for (let id = 0; id < count; id += 1) {
        judge(id);
      }
    });
  }

  for (let event = line.next(); event !== undefined && event.at < durationMs; event = line.next()) {
    now = event.at;
    event.what();
  }
  return { requests, unheard, expired, issued };
}

/** What the next run of the agent finds in the volume. */
function foundIn(state: CredentialState, setback: Setback | undefined): Found {
  const { earlyRefreshes, isTold } = trustOf(state);
  const known = { current: currentOf(state), trust: { earlyRefreshes, isTold }, setback };
  const requestName = requestUnderWay(state);
  if (requestName !== undefined) {
    return { ...known, pending: { requestName, keyType: 'ECDSAP256', createdAt: 0 } };
  }
  const answered: IssuedChain | undefined =
    state.name === 'projecting' || state.name === 'maturing' ? state.answer : undefined;
  return answered === undefined
    ? { ...known, pending: undefined }
    : {
        ...known,
        pending: { requestName: answered.serialNumber, keyType: 'ECDSAP256', createdAt: 0, answer: answered },
      };
}

/** A number in [0, 1) at each call, the same ones for the same seed (xorshift32). */
function createRandom(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
