/** Thousands of random histories of one credential, for whatever is to hold in each of them. */
import fc from 'fast-check';
import type { Effect } from '../../../agent/lifecycle/credential-state.ts';
import { live, type Observation, type Turn } from './histories.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

type Assertion = (observation: Observation, past: readonly Observation[]) => void;

/** Of a group of happenings one is drawn; the weight is the group's. */
function happenings(...groups: readonly (readonly [weight: number, ...those: Turn['happens'][]])[]) {
  return fc.oneof(...groups.map(([weight, ...those]) => ({ weight, arbitrary: fc.constantFrom(...those) })));
}

const anything = happenings(
  [80, 'succeeds'],
  [30, 'fails', 'is refused'],
  [20, 'is deleted', 'is unusable'],
  [20, 'is held up'],
  [60, 'nothing'],
  [20, 'the agent restarts', 'a late event', 'the clock jumps'],
  [20, 'the cause may be mended'],
  [50, 'the chain is compared'],
  [3, 'the pod ends'],
  [10, 'the pod turns out to live'],
);
/** Certificates are issued one after the other, and most of them lead to no anchor. */
const mostlyMismatches = happenings(
  [100, 'succeeds'],
  [60, 'the chain is compared'],
  [60, 'nothing'],
  [8, 'fails', 'is refused', 'the agent restarts'],
  [2, 'the cause may be mended', 'the clock jumps', 'the pod ends', 'the pod turns out to live'],
);

function turns(happens: fc.Arbitrary<Turn['happens']>): fc.Arbitrary<Turn> {
  return fc.record({
    happens,
    passes: fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0, max: 2, noNaN: true })),
    random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    retryAfterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 * minute }), fc.constant(24 * hour)),
    lifetime: fc.integer({ min: hour, max: 91 * 24 * hour }),
    refreshPoint: fc.double({ min: 0, max: 1, noNaN: true }),
    ahead: fc.oneof(fc.constant(-minute), fc.integer({ min: -5 * minute, max: 5 * minute })),
    verdict: fc.constantFrom('mismatch', 'mismatch', 'mismatch', 'leads', 'unknown'),
    jump: fc.integer({ min: -48 * hour, max: 48 * hour }),
  });
}

/** Runs the histories and hands every observation, with those before it, to the assertion. */
export function inEveryHistory(assertion: Assertion): void {
  run(10_000, fc.array(turns(anything), { minLength: 1, maxLength: 40, size: 'max' }), assertion);
}

/** The same for long histories in which chains seldom lead to their signer's anchors. */
export function inEveryMismatchHistory(assertion: Assertion): void {
  run(1_000, fc.array(turns(mostlyMismatches), { minLength: 100, maxLength: 300, size: 'max' }), assertion);
}

function run(count: number, histories: fc.Arbitrary<Turn[]>, assertion: Assertion): void {
  const lives = fc.property(histories, (history) => {
    const past: Observation[] = [];
    live(history, (observation) => {
      assertion(observation, past);
      past.push(observation);
    });
  });
  // Whoever runs the tests for each of many changes to the program asks for fewer.
  fc.assert(lives, { numRuns: Math.min(count, fc.readConfigureGlobal().numRuns ?? count) });
}

/** The effects of one type. */
export const of = <T extends Effect['type']>(effects: readonly Effect[], type: T) =>
  effects.filter((effect): effect is Effect & { type: T } => effect.type === type);
