/** The files of volumes/keystores/ that make and seal keystores, each with the tests that hold it. */
import type { Part } from './part.ts';

const testsOf: Readonly<Record<string, readonly string[]>> = {
  make: ['make'],
  pkcs12: ['sameness', 'make'],
};

export const keystores: readonly Part[] = Object.entries(testsOf).map(([name, tests]) => ({
  file: `volumes/keystores/${name}.ts`,
  tests: tests.map((test) => `test/volumes/keystores/${test}.test.ts`),
}));
