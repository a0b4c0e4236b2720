import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../agent/base/errors.ts';
import { startPreflight } from '../../agent/preflight.ts';
import { createManualClock } from '../support/manual-clock.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('what is missing is said once, checked again, and reported as met when it is there', async (t) => {
  const clock = createManualClock(0);
  const said: string[] = [];
  let problem: string | undefined = 'node node-a does not exist';
  const preflight = startPreflight({
    clock,
    requirements: [
      {
        name: 'node',
        check: async () => {
          if (problem !== undefined) throw new AgentError('NotFound', problem, { actor: 'cluster operator' });
        },
      },
      { name: 'api', check: () => Promise.resolve() },
    ],
    onMissing: (name, error) => said.push(`${name}: ${error.message}`),
    onMet: (name) => said.push(`${name} met`),
  });
  t.after(() => preflight.stop());
  assert.deepEqual(
    preflight.checks().map(({ ok }) => ok),
    [false, false],
  );
  await settle();
  assert.deepEqual(preflight.checks(), [
    { name: 'node', ok: false, message: 'node node-a does not exist' },
    { name: 'api', ok: true },
  ]);
  clock.advance(15_000);
  await settle();
  problem = 'forbidden';
  clock.advance(15_000);
  await settle();
  problem = undefined;
  clock.advance(15_000);
  await settle();
  assert.deepEqual(said, ['node: node node-a does not exist', 'node: forbidden', 'node met']);
  assert.ok(preflight.checks().every(({ ok }) => ok));
});

test('after a stop nothing is checked or said any more', async () => {
  const clock = createManualClock(0);
  let checks = 0;
  const preflight = startPreflight({
    clock,
    requirements: [{ name: 'node', check: () => Promise.reject(new Error(`no answer ${++checks}`)) }],
    onMissing: () => {},
    onMet: () => assert.fail('nothing is met'),
  });
  await settle();
  preflight.stop();
  clock.advance(60_000);
  await settle();
  assert.equal(checks, 1);
});
