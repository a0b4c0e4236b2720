/** The files of volumes/csi/ that speak with the kubelet, each with the tests that hold it. */
import type { Part } from './part.ts';

const testsOf: Readonly<Record<string, readonly string[]>> = {
  node: ['node', 'node-service', 'foresight'],
  health: ['health', 'node-service'],
  foresight: ['foresight'],
  protocol: ['protocol'],
  registration: ['registration'],
  socket: ['socket'],
  'grpc-socket': ['socket', 'kept-socket'],
  'kept-socket': ['kept-socket'],
  refusals: ['refusals'],
  server: ['server'],
};

export const csi: readonly Part[] = Object.entries(testsOf).map(([name, tests]) => ({
  file: `volumes/csi/${name}.ts`,
  tests: tests.map((test) => `test/volumes/csi/${test}.test.ts`),
}));
