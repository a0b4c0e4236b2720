/** The files of agent/lifecycle/, each with the tests that hold it. */
import type { Part } from './part.ts';

/** In the order in which they are tried: what is pure first. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  pace: ['pace'],
  'trust-domains': ['trust-domains'],
  order: ['order'],
  'steady-text': ['steady-text'],
  'volume-health': ['volume-health'],
};

export const lifecycle: readonly Part[] = Object.entries(testsOf).map(([name, tests]) => ({
  file: `agent/lifecycle/${name}.ts`,
  tests: tests.map((test) => `test/agent/lifecycle/${test}.test.ts`),
}));
