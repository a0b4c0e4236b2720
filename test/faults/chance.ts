/** Chance that can be played again: whoever prints the seed can have the same course of things once more. */
import { isLongForm } from './form.ts';
import { drawFrom } from './fuzzing/mutation.ts';

export interface Chance {
  readonly seed: number;
  /** A whole number from 0 to below `count`. */
  below(count: number): number;
  /** One of them. @throws when there is none */
  oneOf<T>(choices: readonly T[]): T;
}

/** What is drawn from in the short form is always the same; in the long form it is another one each time, or what `FAULTS_SEED` says. */
export function chosenSeed(): number {
  return Number(process.env['FAULTS_SEED'] ?? (isLongForm ? Date.now() % 0x7fff_ffff : 1));
}

export function createChance(): Chance {
  const seed = chosenSeed();
  const below = drawFrom(seed);
  return {
    ...{ seed, below },
    oneOf(choices) {
      if (choices.length === 0) {
        throw new Error('there is nothing to choose from');
      }
      return choices[below(choices.length)] as (typeof choices)[number];
    },
  };
}
