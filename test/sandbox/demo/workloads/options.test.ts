import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseWorkloadOptions } from '../../../../sandbox/demo/workloads/options.ts';

test('a workload reads the bundle credentials.pem unless it is told otherwise', () => {
  assert.deepEqual(parseWorkloadOptions(['--volume', '/v']), {
    volume: '/v',
    files: { credential: { kind: 'bundle', path: 'credentials.pem' }, anchorsPath: 'trust-anchors.pem' },
    port: 0,
    intervalMs: 100,
  });
});

test('wrong options are named', () => {
  for (const [args, message] of [
    [[], /--volume is missing/],
    [['--volume', '/v', '--key', 'k'], /--key and --chain go together/],
    [['--volume', '/v', '--key', 'k', '--chain', 'c', '--credential-bundle', 'b'], /exclude each other/],
    [['--volume', '/v', '--port', 'x'], /--port must be a whole number, not "x"/],
    [['--volume', '/v', '--what'], /--what/],
  ] as const) {
    assert.throws(() => parseWorkloadOptions(args), { message });
  }
});
