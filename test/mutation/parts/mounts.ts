/** The files of volumes/mounts/ that mount and look at mounts, each with the tests that hold it. */
import type { Part } from './part.ts';

const names = ['mount-point', 'mount-programs'];

export const mounts: readonly Part[] = names.map((name) => ({
  file: `volumes/mounts/${name}.ts`,
  tests: [`test/volumes/mounts/${name}.test.ts`],
}));
