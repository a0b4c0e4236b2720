/** The files of agent/issuance/, each with the tests that hold it. */
import type { Part } from './part.ts';

/** In the order in which they are tried: what is pure first. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  'name-forms': ['name-forms'],
  outcome: ['outcome'],
  template: ['template'],
  usages: ['usages'],
  'allow-list': ['allow-list'],
  certificate: ['certificate', 'path', 'chain'],
  'issued-anchors': ['issued-anchors'],
  'issuer-rules': ['issuer-rules'],
  'key-type-suggestion': ['key-type-suggestion'],
  'request-name': ['request-name'],
};

export const issuance: readonly Part[] = Object.entries(testsOf).map(([name, tests]) => ({
  file: `agent/issuance/${name}.ts`,
  tests: tests.map((test) => `test/agent/issuance/${test}.test.ts`),
}));
