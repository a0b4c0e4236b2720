import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AgentError } from '../../agent/base/errors.ts';
import { createListWatch } from '../../agent/kubernetes/list-watch.ts';
import { isSynced, raisesDoubt, watchCheck } from '../../agent/readiness.ts';
import { asSent } from '../../sandbox/base/client.ts';
import { eventOf, until } from '../support/bounded.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { clientOf, isWatch, openWatch, sendList, startLoopback, type Thing } from './kubernetes/loopback.ts';

const away = new AgentError('Unavailable', 'connect ECONNREFUSED', { actor: 'nobody' });
const forbidden = new AgentError('Forbidden', 'no right to list', { actor: 'cluster operator' });

test('an agent that does not hear from the API server for half a minute is not ready, and says since when', () => {
  const state = { synced: true, lastError: away, failingForMs: 29_999 };
  assert.deepEqual(watchCheck(state), { name: 'certificate-request-watch', ok: true });
  assert.deepEqual(watchCheck({ ...state, failingForMs: 95_000 }), {
    name: 'certificate-request-watch',
    ok: false,
    message: 'connect ECONNREFUSED (for 95 s)',
  });
  assert.equal(watchCheck({ synced: true, lastError: forbidden, failingForMs: 0 }).message, 'no right to list');
});

test('an agent that has never had a complete list is not ready, whatever the reason', () => {
  const unsynced = { synced: false, lastError: undefined, failingForMs: 0 };
  assert.equal(watchCheck(unsynced).message, 'the first list is under way');
  assert.equal(watchCheck({ ...unsynced, lastError: forbidden, failingForMs: 10 }).message, 'no right to list');
});

test("CSI's Probe follows no outage, only what somebody must mend", () => {
  const state = { synced: true, lastError: away, failingForMs: 3_600_000 };
  assert.equal(isSynced(state), true);
  assert.equal(isSynced({ ...state, lastError: forbidden }), false);
  assert.equal(isSynced({ ...state, synced: false }), false);
});

test('calls that fail for want of a server, of rights or of the node raise doubt, and others do not', () => {
  const doubtful = [0, 401, 403, 500, 503].every((status) => raisesDoubt({ resource: 'pods', status }));
  assert.ok(
    doubtful && raisesDoubt({ resource: 'nodes', status: 404 }),
    'a status that says that an API is missing raises no doubt',
  );
  assert.ok(
    ![200, 201, 404, 409, 410, 422, 429].some((status) => raisesDoubt({ resource: 'pods', status })),
    'a status that an API gives which is there raises doubt',
  );
});

test('a server that goes away makes the check fail after half a minute, and one that comes back mends it', {
  timeout: 20_000,
}, async (t) => {
  const clock = createManualClock();
  let isAway = false;
  const server = await startLoopback(t, (received) => {
    if (isAway) {
      received.reset();
    } else if (isWatch(received)) {
      openWatch(received.response);
    } else {
      sendList(received.response, 1, []);
    }
  });
  const client = clientOf(t, server, { clock });
  const watch = createListWatch<Thing>({
    decode: asSent<Thing>,
    client,
    clock,
    path: async () => '/apis/shop.example/v1/things',
  });
  t.after(() => watch.stop());
  const seen = (ok: boolean): Promise<void> =>
    until(
      () => watchCheck(watch.health()).ok === ok,
      `a watch that is ${ok ? 'well' : 'not well'}`,
      () => {
        clock.advance(1_000);
        return nextTurn();
      },
    );
  await seen(true);
  const { response } = await server.nth(1, isWatch);
  isAway = true;
  response.destroy();
  await eventOf(response, 'close', 'the connection of the request to be closed');
  await seen(false);
  assert.ok(watch.health().failingForMs >= 30_000, `${watch.health().failingForMs} is less than 30000`);
  isAway = false;
  await seen(true);
  assert.equal(watch.health().failingForMs, 0);
});
