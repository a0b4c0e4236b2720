/**
 * The files that are changed, each with the tests that have to notice: those that lie nearest, the quick ones first, since a change is tried
 * until one fails. What holds a rule only by way of a whole agent is left to that agent's own tests.
 */

export interface Part {
  readonly file: string;
  readonly tests: readonly string[];
}

export const parts: readonly Part[] = ['name-forms', 'outcome', 'template', 'usages'].map((name) => ({
  file: `agent/issuance/${name}.ts`,
  tests: [`test/agent/issuance/${name}.test.ts`],
}));
