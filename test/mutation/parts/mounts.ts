/** The files of volumes/mounts/ that mount and look at mounts, each with the tests that hold it. */
import type { Part } from './part.ts';

/** By file, the names of its tests. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  'mount-calls': ['mount-calls', 'mounts'],
  'mount-point': ['mount-point'],
  'mount-programs': ['mount-programs'],
  mounts: ['mounts', 'unmount'],
};

export const mounts: readonly Part[] = Object.entries(testsOf).map(([name, tests]) => ({
  file: `volumes/mounts/${name}.ts`,
  tests: tests.map((test) => `test/volumes/mounts/${test}.test.ts`),
}));
