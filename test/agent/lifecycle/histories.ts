/**
 * Random histories of one credential: a world that answers effects with random results after random times, sets the
 * clock, restarts the agent and ends pods, and watches what the lifecycle does.
 */
import { AgentError } from '../../../agent/base/errors.ts';
import { begin, currentOf, step, trustOf, wakeTime } from '../../../agent/lifecycle/credential.ts';
import type {
  CredentialEvent,
  CredentialState,
  Effect,
  Transition,
  TrustVerdict,
} from '../../../agent/lifecycle/credential-state.ts';
import type {
  CertificateRecord,
  IssuedChain,
  PendingRequest,
  Setback,
  TrustRecord,
} from '../../../volumes/base/volume.ts';

/** One turn of the world, drawn by the property test. */
export interface Turn {
  /** What happens if something is under way; what cannot happen then is skipped. */
  readonly happens:
    | 'succeeds'
    | 'fails'
    | 'is refused'
    | 'is deleted'
    | 'is unusable'
    | 'is held up'
    | 'nothing'
    | 'the agent restarts'
    | 'a late event'
    | 'the clock jumps'
    | 'the cause may be mended'
    | 'the chain is compared'
    | 'the pod ends'
    | 'the pod turns out to live';
  /** How much of the time until the next wake-up passes: 0 … 2. */
  readonly passes: number;
  readonly random: number;
  readonly retryAfterMs: number;
  /** Lifetime of the next certificate in milliseconds, and where in it beginRefreshAt lies, 0 … 1. */
  readonly lifetime: number;
  readonly refreshPoint: number;
  /** How far the signer's clock is ahead when it writes notBefore, milliseconds; negative: notBefore lies in the past. */
  readonly ahead: number;
  /** What a comparison of the chain in the files with the anchors comes to. */
  readonly verdict: TrustVerdict;
  /** Milliseconds, negative for a clock that is set back. */
  readonly jump: number;
}

/** What the world saw, in order; assertions read it. */
export interface Observation {
  readonly now: number;
  readonly turn: Turn;
  readonly event: CredentialEvent | 'restart';
  readonly before: CredentialState;
  readonly after: CredentialState;
  readonly effects: readonly Effect[];
}

interface World {
  now: number;
  state: CredentialState;
  /** The effect that has not been answered yet; there is never more than one. */
  open: Effect | undefined;
  pending: PendingRequest | undefined;
  current: CertificateRecord | undefined;
  setback: Setback | undefined;
  trust: TrustRecord | undefined;
  requests: number;
}

const keyType = 'ECDSAP256';
/** Done at once; or, as a look for the pod, answered by any later turn or by none. */
const effectsWithoutAnswer = new Set<Effect['type']>([
  'notify',
  'discardPending',
  'unfollow',
  'checkPod',
  'saveAnswer',
  'saveSetback',
  'saveTrust',
]);

/** Lives a whole history. @throws whatever the observer throws */
export function live(turns: readonly Turn[], observe: (observation: Observation) => void): void {
  const now = Date.UTC(2026, 10, 21);
  const first = begin(keyType, { current: undefined, pending: undefined }, { now, random: 0.5 });
  const world: World = {
    now,
    state: first.state,
    open: undefined,
    pending: undefined,
    current: undefined,
    setback: undefined,
    trust: undefined,
    requests: 0,
  };
  carryOut(world, first);
  for (const turn of turns) {
    pass(world, turn);
    const before = world.state;
    const at = { now: world.now, random: turn.random };
    if (turn.happens === 'the agent restarts') {
      const { current, trust, pending, setback } = world;
      const restarted = begin(keyType, { current, trust, pending, setback }, at);
      world.open = undefined;
      carryOut(world, restarted);
      observe({ now: world.now, turn, event: 'restart', before, after: world.state, effects: restarted.effects });
      continue;
    }
    const event = eventOf(world, turn);
    if (event === undefined) {
      continue;
    }
    const transition = step(before, event, at);
    carryOut(world, transition, event);
    observe({ now: world.now, turn, event, before, after: world.state, effects: transition.effects });
  }
}

function pass(world: World, turn: Turn): void {
  const wake = wakeTime(world.state) ?? world.now + 3_600_000;
  world.now += Math.round(Math.max(0, wake - world.now) * turn.passes);
  if (turn.happens === 'the clock jumps') {
    world.now += turn.jump;
  }
}

/** The event that a turn brings, if there is one. */
function eventOf(world: World, turn: Turn): CredentialEvent | undefined {
  switch (turn.happens) {
    case 'nothing':
    case 'the clock jumps':
      return { type: 'timer' };
    case 'the cause may be mended':
      return { type: 'retryNow' };
    case 'the chain is compared':
      return { type: 'trustJudged', verdict: turn.verdict, anchors: turn.verdict === 'unknown' ? 0 : 1 };
    case 'the pod ends':
      return { type: 'podEnded', why: 'gone' };
    case 'the pod turns out to live':
      return { type: 'podLives' };
    case 'a late event':
      return world.state.name === 'projecting' ? { type: 'submitted', requestName: 'request-0' } : { type: 'written' };
    case 'the agent restarts':
      return undefined;
    default:
      return answer(world, turn, turn.happens);
  }
}

type Answer = 'succeeds' | 'fails' | 'is refused' | 'is deleted' | 'is unusable' | 'is held up';

function answer(world: World, turn: Turn, how: Answer): CredentialEvent | undefined {
  const { open } = world;
  const error = new AgentError('Unavailable', 'no answer', { actor: 'nobody', retryAfterMs: turn.retryAfterMs });
  switch (open?.type) {
    case 'makeKey':
      return how === 'succeeds'
        ? { type: 'keyMade', requestName: `request-${world.requests}` }
        : { type: 'keyFailed', error };
    case 'submit':
      return how === 'succeeds'
        ? { type: 'submitted', requestName: open.requestName }
        : { type: 'submitFailed', requestName: open.requestName, error };
    case 'follow':
      if (how === 'succeeds') {
        return { type: 'accepted', answer: certificate(world, turn) };
      }
      if (how === 'is deleted') {
        return { type: 'deleted' };
      }
      if (how === 'is unusable') {
        return { type: 'unusable', error };
      }
      if (how === 'is held up') {
        const hurdle = { turn: 'signer', text: 'not signed', detail: String(Math.round(turn.random * 2)) } as const;
        return { type: 'hindered', hurdle };
      }
      return { type: 'refused', kind: 'denied', reason: 'Policy', message: 'no', followSuggestion: false };
    case 'project':
      if (how === 'is unusable') {
        return { type: 'keyUnfit', error };
      }
      return how === 'succeeds' ? { type: 'written' } : undefined;
    default:
      return undefined;
  }
}

function certificate(world: World, turn: Turn): IssuedChain {
  const notBefore = world.now + turn.ahead;
  const notAfter = notBefore + turn.lifetime;
  const margin = 600_000;
  const beginRefreshAt = notBefore + margin + turn.refreshPoint * (turn.lifetime - 2 * margin);
  return { certificates: [], serialNumber: String(world.requests), notBefore, notAfter, beginRefreshAt };
}

/** What the runner and the volume would do. */
function carryOut(world: World, transition: Transition, event?: CredentialEvent): void {
  if (event?.type === 'keyMade' && world.state.name === 'generating') {
    world.pending = { requestName: event.requestName, keyType, createdAt: world.now };
    world.requests += 1;
  }
  if (event?.type === 'written' && world.state.name === 'projecting') {
    world.current = world.state.certificate;
    world.trust = undefined;
    world.pending = undefined;
  }
  if (transition.state.name !== world.state.name) {
    world.open = undefined;
  }
  for (const effect of transition.effects) {
    if (effect.type === 'saveSetback') {
      world.setback = effect.setback;
    }
    if (effect.type === 'discardPending') {
      world.pending = undefined;
    }
    if (effect.type === 'saveTrust') {
      world.trust = effect.trust;
    }
    if ((effect.type === 'project' || effect.type === 'saveAnswer') && world.pending !== undefined) {
      world.pending = { ...world.pending, answer: effect.answer };
    }
    if (effectsWithoutAnswer.has(effect.type)) {
      continue;
    }
    if (world.open !== undefined) {
      throw new Error(`${effect.type} while ${world.open.type} is under way`);
    }
    world.open = effect;
  }
  world.state = transition.state;
  agree(world);
}

/** What the volume keeps is what a restart begins with. */
function agree(world: World): void {
  if (currentOf(world.state) !== world.current) {
    throw new Error('the state and the files disagree about the certificate');
  }
  const { earlyRefreshes, isTold } = trustOf(world.state);
  const kept = world.trust ?? { earlyRefreshes: 0, isTold: false };
  if (kept.earlyRefreshes !== earlyRefreshes || kept.isTold !== isTold) {
    throw new Error('a restart would know something else about the anchors');
  }
}
