/** What a privileged container writes into its own volume's state is held to what the agent would have written there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';

/** As in the image. */
const heap = ['--optimize-for-size', '--max-semi-space-size=1', '--max-old-space-size=128'];
const program = path.join(import.meta.dirname, 'forged-state-program.ts');

test('one file of half a megabyte under the names of 256 sources does not use up the heap of the agent that starts with it', () => {
  const { status, signal, stdout } = spawnSync(process.execPath, [...heap, '--test-reporter=tap', program], {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    encoding: 'utf8',
    timeout: 120_000,
  });
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, stdout);
  assert.match(stdout, /^# pass 1$/m);
});
