import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
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
          if (problem !== undefined) {
            throw new AgentError('NotFound', problem, { actor: 'cluster operator' });
          }
        },
      },
      { name: 'api', check: () => Promise.resolve() },
    ],
    onMissing: (name, error) => said.push(`${name}: ${error.message}`),
    onMet: (name) => said.push(`${name} met`),
    onRecovered: () => said.push('recovered'),
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
  assert.deepEqual(said, ['node: node node-a does not exist', 'node: forbidden', 'node met', 'recovered']);
  assert.ok(
    preflight.checks().every(({ ok }) => ok),
    inspect(preflight.checks()),
  );
});

test('after a stop nothing is checked or said any more', async () => {
  const clock = createManualClock(0);
  let checks = 0;
  const preflight = startPreflight({
    clock,
    requirements: [{ name: 'node', check: () => Promise.reject(new Error(`no answer ${++checks}`)) }],
    onMissing: () => {},
    onMet: () => assert.fail('nothing is met'),
    onRecovered: () => assert.fail('nothing has recovered'),
  });
  await settle();
  preflight.stop();
  clock.advance(60_000);
  await settle();
  assert.equal(checks, 1);
});

/** One requirement whose answers the test plays. */
function start(t: TestContext) {
  const clock = createManualClock(0);
  const said: string[] = [];
  const state = { problem: undefined as string | undefined, asked: 0, recovered: 0 };
  const preflight = startPreflight({
    clock,
    requirements: [
      {
        name: 'node',
        check: async () => {
          state.asked += 1;
          if (state.problem !== undefined) {
            throw new Error(state.problem);
          }
        },
      },
    ],
    onMissing: (name, error) => said.push(`${name}: ${error.message}`),
    onMet: (name) => said.push(`${name} met`),
    onRecovered: () => {
      state.recovered += 1;
    },
  });
  t.after(() => preflight.stop());
  const pass = async (durationMs: number): Promise<void> => {
    clock.advance(durationMs);
    await settle();
  };
  return { preflight, said, state, pass, isWell: () => preflight.checks().every(({ ok }) => ok) };
}

test('what was there is asked for again when something raises doubt, and is missing once that has lasted', async (t) => {
  const { preflight, said, state, pass, isWell } = start(t);
  await pass(60_000);
  assert.equal(isWell(), true, 'the checks do not let the agent be ready');
  assert.equal(state.asked, 1, 'nothing is polled');
  state.problem = 'connection refused';
  preflight.doubt();
  await pass(0);
  assert.ok(isWell(), 'one failure says little');
  await pass(15_000);
  assert.equal(isWell(), true, 'the checks do not let the agent be ready');
  await pass(15_000);
  assert.deepEqual(preflight.checks(), [{ name: 'node', ok: false, message: 'connection refused' }]);
  state.problem = undefined;
  await pass(15_000);
  assert.equal(isWell(), true, 'the checks do not let the agent be ready');
  assert.deepEqual(said, ['node: connection refused', 'node met']);
  assert.equal(state.recovered, 1);
});

test('a failure that passes is not told, and however often doubt is raised, it is asked once in a quarter minute', async (t) => {
  const { preflight, said, state, pass, isWell } = start(t);
  await pass(60_000);
  state.problem = 'reset';
  for (let count = 0; count < 100; count += 1) {
    preflight.doubt();
  }
  await pass(0);
  state.problem = undefined;
  for (let count = 0; count < 100; count += 1) {
    preflight.doubt();
  }
  await pass(15_000);
  assert.equal(state.asked, 3);
  for (let count = 0; count < 100; count += 1) {
    preflight.doubt();
  }
  await pass(14_999);
  assert.equal(state.asked, 3);
  assert.equal(isWell(), true, 'the checks do not let the agent be ready');
  assert.deepEqual(said, []);
});

test('whoever waits for the API server hears that it is back, also when its absence was too short to be told', async (t) => {
  const { preflight, said, state, pass } = start(t);
  await pass(60_000);
  preflight.doubt();
  await pass(0);
  assert.equal(state.recovered, 0, 'it was there all the time');
  state.problem = 'connection refused';
  preflight.doubt();
  await pass(15_000);
  assert.equal(state.recovered, 0);
  state.problem = undefined;
  await pass(15_000);
  assert.equal(state.recovered, 1);
  assert.deepEqual(said, []);
});
