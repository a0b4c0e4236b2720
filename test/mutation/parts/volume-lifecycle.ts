/** The files of agent/lifecycle/ that look after whole volumes, each with the tests that hold it. */
import type { Part } from './part.ts';

/** In the order in which they are tried: what is pure first. */
const testsOf: Readonly<Record<string, readonly string[]>> = {
  projection: ['projection', 'projection-pauses'],
  'stray-volumes': ['strays', 'strays-gone'],
  'publish-call': ['publish-call'],
  snapshots: ['snapshots'],
  'volume-status': ['volume-status'],
  relief: ['relieved'],
  'trust-check': ['trust-check'],
  'volume-runner': ['volume-runner', 'volume-runner-anchors', 'volume-runner-reliefs'],
  'volume-manager': ['manager-publishing', 'manager-keeping'],
  ahead: ['begun-ahead', 'taken-over'],
};

export const volumeLifecycle: readonly Part[] = Object.entries(testsOf).map(([name, tests]) => ({
  file: `agent/lifecycle/${name}.ts`,
  tests: tests.map((test) => `test/agent/lifecycle/${test}.test.ts`),
}));
