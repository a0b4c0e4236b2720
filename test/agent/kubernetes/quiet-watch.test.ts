/**
 * Watches on which nothing comes. A server sends bookmarks of versions newer than a watch's beginning only, and with etcd's own settings
 * it learns of those every ten minutes: where nothing happens it has nothing to say, and that is no fault.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AgentError } from '../../../agent/base/errors.ts';
import { createListWatch } from '../../../agent/kubernetes/list-watch.ts';
import { asSent } from '../../../sandbox/base/client.ts';
import { until } from '../../support/bounded.ts';
import { clientOf, isList, isWatch, openWatch, sendList, startLoopback, type Thing, thing } from './loopback.ts';

/** A server whose watches say nothing. @param listed what its list of that number holds, counted from 1 */
async function startQuiet(t: TestContext, listed: (number: number) => readonly Thing[]) {
  const server = await startLoopback(t, ({ query, response }) => {
    if (query.get('watch')) {
      openWatch(response);
    } else {
      const number = server.received.filter(isList).length;
      sendList(response, 3 + number, [...listed(number)]);
    }
  });
  const errors: AgentError[] = [];
  const events: string[] = [];
  const watch = createListWatch<Thing>({
    decode: asSent<Thing>,
    client: clientOf(t, server),
    path: async () => '/apis/shop.example/v1/things',
    idleTimeoutMs: 50,
    backoffMs: { first: 60_000, longest: 60_000 },
    onError: (error) => errors.push(error),
  });
  t.after(() => watch.stop());
  watch.subscribe((event) => events.push(event.type));
  const heard = (lists: number) =>
    until(() => watch.lists().taken >= lists && server.received.filter(isWatch).length >= 2 * lists, 'another list');
  return { server, watch, errors, events, heard };
}

test('a server that has nothing to say is no fault: its watches begin anew, and every other time with a list', async (t) => {
  const { server, watch, errors, events, heard } = await startQuiet(t, () => [thing('a', 1)]);
  await heard(3);
  assert.deepEqual(errors, []);
  const { restarts, lastError, failingForMs } = watch.health();
  assert.deepEqual({ restarts, lastError, failingForMs }, { restarts: 0, lastError: undefined, failingForMs: 0 });
  assert.deepEqual([...new Set(events)].toSorted(), ['added', 'synced']);
  assert.deepEqual(
    server.received.slice(0, 6).map((request) => (isWatch(request) ? request.query.get('resourceVersion') : 'list')),
    ['list', '4', '4', 'list', '5', '5'],
  );
});

test('a server that says nothing of what changes is one, and what changed is found all the same', async (t) => {
  const { watch, errors, heard } = await startQuiet(t, (number) =>
    number < 2 ? [thing('a', 1), thing('b', 1)] : [thing('a', 4), thing('c', 4)],
  );
  await heard(3);
  assert.deepEqual(
    errors.map(({ message }) => message),
    ['the watch of things.shop.example was silent while 3 of them changed; they were found by a list'],
  );
  assert.equal(watch.health().restarts, 1);
  assert.deepEqual(
    watch
      .list()
      .map(({ metadata }) => metadata.name)
      .toSorted(),
    ['a', 'c'],
  );
});
