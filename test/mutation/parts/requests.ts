/** The files of agent/issuance/ that make requests, follow them and check what comes back, each with the tests that hold it. */
import type { Part } from './part.ts';

/** In the order in which they are tried: what is pure first. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  path: ['path', 'chain'],
  chain: ['chain', 'path'],
};

export const requests: readonly Part[] = Object.entries(testsOf).map(([name, tests]) => ({
  file: `agent/issuance/${name}.ts`,
  tests: tests.map((test) => `test/agent/issuance/${test}.test.ts`),
}));
