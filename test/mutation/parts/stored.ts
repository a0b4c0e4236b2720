/** The files directly in volumes/, each with the tests that hold it. */
import type { Part } from './part.ts';

/** By file, its tests, by their path below test/volumes/. In the order in which they are tried: what is quick first. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  'open-volume': [
    'open-volume',
    'issued-anchors',
    'directory-mode',
    'generation',
    'files/trust-domains',
    'keystores/volume',
    'store',
    'keystores/line',
  ],
  store: ['in-the-way', 'directory-mode', 'told-once', 'store', 'mounted-over', 'keystores/line'],
};

export const stored: readonly Part[] = Object.entries(testsOf).map(([name, tests]) => ({
  file: `volumes/${name}.ts`,
  tests: tests.map((test) => `test/volumes/${test}.test.ts`),
}));
