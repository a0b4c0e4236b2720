/**
 * A file that is changed, with the tests that have to notice: those that lie nearest, the quick ones first, since a change is tried until one
 * fails. What holds a rule only by way of a whole agent is left to that agent's own tests.
 */
export interface Part {
  readonly file: string;
  readonly tests: readonly string[];
}
