/** The files of agent/issuance/, each with the tests that hold it. */
import type { Part } from './part.ts';

export const issuance: readonly Part[] = ['name-forms', 'outcome', 'template', 'usages'].map((name) => ({
  file: `agent/issuance/${name}.ts`,
  tests: [`test/agent/issuance/${name}.test.ts`],
}));
