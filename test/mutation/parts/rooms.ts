/** The files of volumes/ itself that find volumes and room for them, each with the tests that hold it. */
import type { Part } from './part.ts';

const names = ['room', 'search'];

export const rooms: readonly Part[] = names.map((name) => ({
  file: `volumes/${name}.ts`,
  tests: [`test/volumes/${name}.test.ts`],
}));
