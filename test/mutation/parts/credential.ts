/** The files of agent/lifecycle/ that are one credential's life, each with the tests that hold it. */
import type { Part } from './part.ts';

const steps = ['credential-steps', 'credential'];
const others = ['overtaken', 'held-up'];

/** In the order in which they are tried: what is pure first. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  credential: [...steps, 'credential-pauses', 'credential-dates', 'credential-end', 'credential-trust', ...others],
  'credential-moves': ['credential-pauses', 'credential-dates', 'credential-trust', 'credential-end', ...steps],
  'credential-waiting': ['credential-waiting', 'credential-pauses', 'credential-dates', ...steps],
  'credential-end': ['credential-end', ...steps],
  'credential-trust': ['credential-trust', 'credential-end'],
  'credential-setback': ['credential-pauses', ...steps, 'standing'],
  'credential-work': ['credential-work', 'credential-answers'],
  'credential-runner': ['credential-runner', 'credential-abandoned'],
};

export const credential: readonly Part[] = Object.entries(testsOf).map(([name, tests]) => ({
  file: `agent/lifecycle/${name}.ts`,
  tests: tests.map((test) => `test/agent/lifecycle/${test}.test.ts`),
}));
