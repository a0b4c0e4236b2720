/** The files of volumes/ that write and read files, each with the tests that hold it. */
import type { Part } from './part.ts';

/** By file, its tests; both by their path below volumes/. In the order in which they are tried: what is pure first. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  'files/entries': ['files/entries'],
  'files/generation': ['files/generation'],
  'files/stored-set': ['files/stored-set', 'files/atomic-writer'],
  'files/remove': ['files/remove'],
  'files/files': ['files/files', 'files/atomic-writer', 'state/state'],
  'files/atomic-writer': ['files/plan', 'files/atomic-writer'],
  'files/new-set': ['files/new-set', 'files/atomic-writer'],
};

export const files: readonly Part[] = Object.entries(testsOf).map(([name, tests]) => ({
  file: `volumes/${name}.ts`,
  tests: tests.map((test) => `test/volumes/${test}.test.ts`),
}));
