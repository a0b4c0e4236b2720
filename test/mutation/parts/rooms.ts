/** The files of volumes/ itself that find volumes, each with the tests that hold it. */
import type { Part } from './part.ts';

const names = ['search'];

export const rooms: readonly Part[] = names.map((name) => ({
  file: `volumes/${name}.ts`,
  tests: [`test/volumes/${name}.test.ts`],
}));
