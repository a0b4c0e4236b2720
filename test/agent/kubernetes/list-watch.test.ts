import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import type { FinishedCall } from '../../../agent/base/call.ts';
import type { AgentError } from '../../../agent/base/errors.ts';
import { createListWatch, type ListWatch, type ListWatchOptions } from '../../../agent/kubernetes/list-watch.ts';
import type { ListWatchEvent } from '../../../agent/kubernetes/live-copy.ts';
import { createPageGuard } from '../../../agent/kubernetes/page-guard.ts';
import { isOlder } from '../../../agent/kubernetes/resource-version.ts';
import { asSent } from '../../../sandbox/base/client.ts';
import { eventOf, until, withinBound } from '../../support/bounded.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import {
  clientOf,
  type Handler,
  isList,
  isWatch,
  type Loopback,
  openWatch,
  sendEvent,
  sendList,
  sendStatus,
  startLoopback,
  type Thing,
  thing,
} from './loopback.ts';

interface Subject {
  readonly server: Loopback;
  readonly watch: ListWatch<Thing>;
  readonly events: string[];
  readonly errors: AgentError[];
  /** Resolves once the events told so far end with this one. */
  told(event: string): Promise<void>;
}

const fast = { first: 5, longest: 20 };

async function start(
  t: TestContext,
  handle: Handler | Loopback,
  options: Partial<ListWatchOptions<Thing>> = {},
): Promise<Subject> {
  const server = typeof handle === 'function' ? await startLoopback(t, handle) : handle;
  const errors: AgentError[] = [];
  const watch = createListWatch<Thing>({
    decode: asSent<Thing>,
    client: clientOf(t, server),
    path: async () => '/apis/shop.example/v1/things',
    backoffMs: fast,
    onError: (error) => errors.push(error),
    ...options,
  });
  t.after(() => watch.stop());
  const events: string[] = [];
  const waiting = new Set<() => void>();
  watch.subscribe((event) => {
    events.push(wordFor(event));
    for (const check of [...waiting]) {
      check();
    }
  });
  const told = (wanted: string): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = (): void => {
      if (events.includes(wanted)) {
        resolve();
      }
    };
    waiting.add(check);
    check();
    const what = (): string => `${wanted}, among ${events.join(', ')}`;
    return withinBound(promise, what).finally(() => waiting.delete(check));
  };
  return { server, watch, events, errors, told };
}

function wordFor(event: ListWatchEvent<Thing>): string {
  return event.type === 'synced'
    ? 'synced'
    : `${event.type} ${event.object.metadata.name} ${event.object.value ?? ''}`.trim();
}

test('a list is read page by page and told once it is complete', async (t) => {
  const { server, watch, told, events } = await start(
    t,
    ({ query, response }) => {
      if (query.get('watch')) {
        openWatch(response);
      } else if (query.get('continue') === null) {
        sendList(response, 10, [thing('a', 1), thing('b', 2)], 'page-2');
      } else {
        sendList(response, 10, [thing('c', 3)]);
      }
    },
    { pageSize: 2, query: { fieldSelector: 'spec.nodeName=n1' } },
  );
  await told('synced');
  assert.deepEqual(events, ['added a', 'added b', 'added c', 'synced']);
  assert.equal(watch.get('shop/b')?.metadata.resourceVersion, '2');
  assert.equal(watch.list().length, 3);
  const watching = await server.nth(1, isWatch);
  assert.deepEqual(
    server.received.filter(isList).map(({ query }) => [query.get('limit'), query.get('continue')]),
    [
      ['2', null],
      ['2', 'page-2'],
    ],
  );
  assert.equal(watching.query.get('resourceVersion'), '10');
  assert.equal(watching.query.get('allowWatchBookmarks'), 'true');
  assert.equal(watching.query.get('fieldSelector'), 'spec.nodeName=n1');
  const timeoutSeconds = Number(watching.query.get('timeoutSeconds'));
  assert.ok(timeoutSeconds >= 300 && timeoutSeconds < 600, `the watch asks for ${timeoutSeconds} seconds`);
});

test('an object that cannot be read is reported, hides no other, and stays as it was known', async (t) => {
  let lists = 0;
  const unreadable = { metadata: { namespace: 'shop', name: 'a', uid: 'a', resourceVersion: '5' }, value: 3 };
  const { server, watch, told, errors } = await start(
    t,
    ({ query, response }) => {
      if (query.get('watch')) {
        openWatch(response);
      } else {
        lists += 1;
        sendList(response, 10 + lists, lists === 1 ? [thing('a', 1, 'old')] : [unreadable, thing('c', 6)]);
      }
    },
    { decode: decodeThing },
  );
  await told('synced');
  const first = await server.nth(1, isWatch);
  const lines = [
    { type: 'MODIFIED', object: unreadable },
    { type: 'ADDED', object: thing('b', 7, 'new') },
  ];
  first.response.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  await told('added b new');
  assert.equal(watch.get('shop/a')?.value, 'old', 'the last readable form is kept');
  assert.equal(errors.length, 1, 'the unreadable object is reported');
  const expired = { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } };
  first.response.end(`${JSON.stringify(expired)}\n`);
  await told('added c');
  assert.equal(watch.get('shop/a')?.value, 'old', 'a list with an unreadable item does not mean that it is gone');
  assert.equal(watch.get('shop/b'), undefined, 'what a list lacks is gone');
});

/** @throws Error for a value that is no text */
function decodeThing(value: unknown): Thing {
  const object = value as Thing;
  if (typeof object.value !== 'string') {
    throw new Error('value is no text');
  }
  return object;
}

test('events of the watch change the copy and are told, also when a character is cut in two by a chunk', async (t) => {
  const { server, watch, told, events } = await start(t, ({ query, response }) =>
    query.get('watch') ? openWatch(response) : sendList(response, 1, [thing('a', 1)]),
  );
  const { response } = await server.nth(1, isWatch);
  const line = Buffer.from(`${JSON.stringify({ type: 'MODIFIED', object: thing('a', 2, 'Grüße €') })}\n`);
  const middle = line.indexOf('€') + 1;
  response.write(line.subarray(0, middle));
  await new Promise((resolve) => response.write('', resolve));
  response.write(
    Buffer.concat([
      line.subarray(middle),
      Buffer.from(`${JSON.stringify({ type: 'ADDED', object: thing('b', 3) })}\n`),
    ]),
  );
  sendEvent(response, 'DELETED', thing('a', 4, 'last'));
  await told('deleted a last');
  assert.deepEqual(events, ['added a', 'synced', 'modified a Grüße €', 'added b', 'deleted a last']);
  assert.deepEqual(
    watch.list().map(({ metadata }) => metadata.name),
    ['b'],
  );
});

test('a watch that the server ends in order is taken up again at once from the last bookmark', async (t) => {
  const { server, events, errors, watch } = await start(t, ({ query, response }) => {
    if (!query.get('watch')) {
      sendList(response, 1, []);
      return;
    }
    openWatch(response);
    if (query.get('resourceVersion') === '1') {
      sendEvent(response, 'BOOKMARK', { metadata: { resourceVersion: '7' } });
      response.end();
    }
  });
  const again = await server.nth(2, isWatch);
  assert.equal(again.query.get('resourceVersion'), '7');
  assert.equal(server.received.filter(isList).length, 1);
  assert.deepEqual(events, ['synced']);
  assert.deepEqual(errors, []);
  assert.equal(watch.health().restarts, 0);
});

test('an event of an unknown type, or a bookmark without a version, ends no watch and moves nothing', async (t) => {
  const { server, told, events, errors } = await start(t, ({ query, response }) => {
    if (!query.get('watch')) {
      sendList(response, 1, []);
      return;
    }
    openWatch(response);
    if (query.get('resourceVersion') === '1') {
      sendEvent(response, 'PROGRESS', { metadata: { name: 'a', resourceVersion: '9' } });
      sendEvent(response, 'BOOKMARK', { metadata: {} });
      sendEvent(response, 'BOOKMARK', { metadata: { resourceVersion: 8 } });
      sendEvent(response, 'ADDED', thing('b', 3));
      response.end();
    }
  });
  await told('added b');
  const again = await server.nth(2, isWatch);
  assert.equal(again.query.get('resourceVersion'), '3');
  assert.deepEqual([events, errors], [['synced', 'added b'], []]);
});

test('a 410 in a watch leads to a new list that tells only the differences', async (t) => {
  let lists = 0;
  const { server, told, events } = await start(t, ({ query, response }) => {
    if (!query.get('watch')) {
      lists += 1;
      const first = [thing('stays', 1), thing('changes', 2), thing('goes', 3), thing('replaced', 4, '', 'old')];
      const second = [
        thing('stays', 1),
        thing('changes', 9, 'new'),
        thing('comes', 8),
        thing('replaced', 7, '', 'new'),
      ];
      sendList(response, lists * 10, lists === 1 ? first : second);
      return;
    }
    openWatch(response);
    if (query.get('resourceVersion') === '10') {
      sendEvent(response, 'ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' });
    }
  });
  await told('added comes');
  await server.nth(2, isWatch);
  assert.deepEqual(events.slice(5), [
    'deleted goes',
    'modified changes new',
    'added comes',
    'deleted replaced',
    'added replaced',
    'synced',
  ]);
});

test('a list that is older than what was seen takes nothing away, until the server stays with it', async (t) => {
  let lists = 0;
  const stale = { count: 2 };
  const subject = await start(t, ({ query, response }) => {
    if (query.get('watch')) {
      openWatch(response);
      if (query.get('resourceVersion') === '9') {
        sendEvent(response, 'ADDED', thing('made', 10));
      }
      sendEvent(response, 'ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' });
      return;
    }
    lists += 1;
    const isStale = lists > 1 && lists <= 1 + stale.count;
    sendList(response, isStale ? 9 : 8 + lists, [
      thing('old', 1),
      ...(lists === 1 || isStale ? [] : [thing('made', 10)]),
    ]);
  });
  await until(() => lists > 4, 'lists after the stale ones');
  assert.deepEqual(subject.events.slice(0, 3), ['added old', 'synced', 'added made']);
  assert.ok(!subject.events.includes('deleted made'), 'a list from before it was made takes it away');
  assert.ok(
    subject.errors.some(({ message }) => /9 is older than what was seen, 10/.test(message)),
    'nobody is told',
  );
  // From a backup: this server will never know of what was made since.
  stale.count = Number.POSITIVE_INFINITY;
  await subject.told('deleted made');
});

for (const bookmarks of [true, false]) {
  const said = bookmarks ? 'a bookmark of the present' : 'nothing';
  test(`a watch on data that were restored from a backup, which brings ${said}, leads to a list: what is gone goes, what changes is told`, async (t) => {
    let isRestored = false;
    const handle: Handler = ({ query, response }) => {
      if (!query.get('watch')) {
        sendList(response, isRestored ? 12 : 40, [thing('kept', 9), ...(isRestored ? [] : [thing('made', 30)])]);
        return;
      }
      // A watch from a version that is still to come is taken up like any other.
      openWatch(response);
      if (isRestored && query.get('resourceVersion') === '12') {
        sendEvent(response, 'MODIFIED', thing('kept', 13, 'changed'));
      } else if (isRestored && bookmarks) {
        sendEvent(response, 'BOOKMARK', { metadata: { resourceVersion: '12' } });
      }
    };
    const subject = await start(t, handle, bookmarks ? {} : { idleTimeoutMs: 500 });
    await subject.told('synced');
    await subject.server.nth(1, isWatch);
    isRestored = true;
    subject.server.breakConnections();
    await subject.told('deleted made');
    await subject.told('modified kept changed');
  });
}

test('history that expires after each event is not listed anew at once each time', async (t) => {
  const clock = createManualClock();
  const { server, watch } = await start(
    t,
    ({ query, response }) => {
      const version = Number(query.get('resourceVersion'));
      if (!query.get('watch')) {
        sendList(response, server.received.filter(isList).length * 10, []);
        return;
      }
      openWatch(response);
      sendEvent(response, 'BOOKMARK', { metadata: { resourceVersion: String(version + 1) } });
      sendEvent(response, 'ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' });
    },
    { clock, random: () => 1 - Number.EPSILON, backoffMs: { first: 250, longest: 30_000 } },
  );
  // The first may happen to anybody; then each pause is twice the one before, up to the longest.
  for (const [expired, pauseMs] of [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000].entries()) {
    await until(
      () => watch.health().restarts > expired && clock.alarms() > 0,
      () => `expiry ${expired + 1}, of ${watch.health().restarts}`,
    );
    if (pauseMs > 0) {
      clock.advance(pauseMs - 2);
      assert.equal(clock.alarms(), 1, `the pause after expiry ${expired + 1} is over before ${pauseMs} ms`);
    }
    clock.advance(2);
    await server.nth(expired + 2, isList);
  }
});

test('which resourceVersion is older is said of numbers of any length, and of nothing else', () => {
  assert.deepEqual(
    [
      isOlder('9', '10'),
      isOlder('10', '9'),
      isOlder('10', '10'),
      isOlder('99999999999999999998', '99999999999999999999'),
    ],
    [true, false, false, true],
  );
  assert.deepEqual(
    [isOlder('', '10'), isOlder('9', ''), isOlder('0', '5'), isOlder('abc', 'abd')],
    [false, false, false, false],
  );
});

test('an error of a watch says what it says, whatever its other fields are', async (t) => {
  const { server, told } = await start(t, ({ query, response }) =>
    query.get('watch') ? openWatch(response) : sendList(response, 1, [thing('a', 1)]),
  );
  await told('synced');
  const expired = {
    kind: 'Status',
    code: 410,
    message: ['too old'],
    details: { retryAfterSeconds: 'soon', causes: {} },
  };
  (await server.nth(1, isWatch)).response.end(`${JSON.stringify({ type: 'ERROR', object: expired })}\n`);
  await server.nth(2, isList);
});

test('a 410 as the answer to a watch leads to a new list', async (t) => {
  const { server } = await start(t, ({ query, response }) => {
    if (!query.get('watch')) {
      sendList(response, 5, []);
    } else if (server.received.filter(isWatch).length === 1) {
      sendStatus(response, 410, 'Expired');
    } else {
      openWatch(response);
    }
  });
  await server.nth(2, isWatch);
  assert.equal(server.received.filter(isList).length, 2);
});

test('a continue token that expires while paging leads to one list without pages', async (t) => {
  const { server, told, events } = await start(t, ({ query, response }) => {
    if (query.get('watch')) {
      openWatch(response);
    } else if (query.get('continue')) {
      sendStatus(response, 410, 'Expired');
    } else if (query.get('limit')) {
      sendList(response, 5, [thing('a', 1)], 'token');
    } else {
      sendList(response, 6, [thing('a', 1), thing('b', 2)]);
    }
  });
  await told('synced');
  assert.deepEqual(events, ['added a', 'added b', 'synced']);
  assert.equal(server.received.filter(isList).length, 3);
});

test('only the list right after an expired continue token goes without pages, also when it fails', {
  timeout: 20_000,
}, async (t) => {
  let expired = false;
  const { server, told } = await start(t, ({ query, response }) => {
    if (query.get('watch')) {
      openWatch(response);
    } else if (query.get('continue')) {
      if (expired) {
        sendList(response, 6, [thing('b', 2)]);
      } else {
        sendStatus(response, 410, 'Expired');
      }
      expired = true;
    } else if (query.get('limit')) {
      sendList(response, 5, [thing('a', 1)], 'token');
    } else {
      sendStatus(response, 500, 'InternalError', 'the list is too large');
    }
  });
  await told('synced');
  assert.deepEqual(
    server.received.filter(isList).map(({ query }) => [query.get('limit'), query.get('continue')]),
    [
      ['250', null],
      ['250', 'token'],
      [null, null],
      ['250', null],
      ['250', 'token'],
    ],
  );
});

test('a reset connection and 5xx replies are outlived, and nothing is told twice', async (t) => {
  const { server, told, events, watch, errors } = await start(t, ({ query, response, reset }) => {
    const watches = server.received.filter(isWatch).length;
    if (!query.get('watch')) {
      const lists = server.received.filter(isList).length;
      lists === 1 ? sendStatus(response, 500, 'InternalError') : sendList(response, 3, [thing('a', 1)]);
    } else if (watches === 1) {
      openWatch(response);
      response.write('\n', reset);
    } else if (watches === 2) {
      sendStatus(response, 503, 'ServiceUnavailable');
    } else {
      openWatch(response);
      sendEvent(response, 'ADDED', thing('b', 4));
    }
  });
  await told('added b');
  assert.deepEqual(events, ['added a', 'synced', 'added b']);
  assert.equal(errors.length, 3);
  assert.deepEqual(
    { ...watch.health(), lastEventAt: 0 },
    { synced: true, lastEventAt: 0, restarts: 3, lastError: undefined, failingForMs: 0 },
  );
});

test('a connection on which nothing comes any more is replaced from the last resourceVersion', async (t) => {
  const { server, told } = await start(
    t,
    ({ query, response }) => {
      if (!query.get('watch')) {
        sendList(response, 3, []);
        return;
      }
      openWatch(response);
      const silent = server.received.filter(isWatch).length === 1;
      sendEvent(
        response,
        silent ? 'BOOKMARK' : 'ADDED',
        silent ? { metadata: { resourceVersion: '4' } } : thing('a', 5),
      );
    },
    { idleTimeoutMs: 50, backoffMs: { first: 60_000, longest: 60_000 } },
  );
  await told('added a');
  const again = await server.nth(2, isWatch);
  assert.equal(again.query.get('resourceVersion'), '4');
  assert.equal(server.received.filter(isList).length, 1);
});

test('a quiet watch is not taken for dead before its bookmark comes, a little over a minute after it began', async (t) => {
  const clock = createManualClock();
  let reply: ServerResponse | undefined;
  const server = await startLoopback(t, ({ query, response }) => {
    if (!query.get('watch')) {
      sendList(response, 3, []);
      return;
    }
    reply = response;
    openWatch(response);
  });
  const opened = Promise.withResolvers<void>();
  const onCall = ({ verb }: FinishedCall): void => (verb === 'watch' ? opened.resolve() : undefined);
  const given = Promise.withResolvers<AgentError>();
  let isGivenUp = false;
  const onError = (error: AgentError): void => {
    isGivenUp = true;
    given.resolve(error);
  };
  const client = clientOf(t, server, { clock, onCall });
  const { told } = await start(t, server, { client, clock, onError });
  await withinBound(opened.promise, 'the watch to be open');
  clock.advance(62_000);
  assert.ok(reply, 'there is no reply');
  sendEvent(reply, 'BOOKMARK', { metadata: { resourceVersion: '4' } });
  sendEvent(reply, 'ADDED', thing('a', 5));
  await told('added a');
  assert.equal(isGivenUp, false);
  clock.advance(70_000);
  assert.match((await withinBound(given.promise, 'the watch to be given up')).message, /silent for 70000 ms/);
});

test('a frame that is no watch event leads to a new connection', async (t) => {
  const { server, told, errors } = await start(t, ({ query, response }) => {
    if (!query.get('watch')) {
      sendList(response, 3, []);
      return;
    }
    openWatch(response);
    switch (server.received.filter(isWatch).length) {
      case 1:
        response.write('{"type": "ADDED", "object": {"metad\n');
        break;
      case 2:
        response.write('{"type": "ADDED"}\n');
        break;
      case 3:
        response.write('null\n');
        break;
      default:
        sendEvent(response, 'ADDED', thing('a', 5));
    }
  });
  await told('added a');
  assert.equal(errors.length, 3);
});

test('a server that ends every watch at once is not asked in a loop', async (t) => {
  const { server, errors } = await start(t, ({ query, response }) => {
    if (query.get('watch')) {
      openWatch(response);
      response.end();
    } else {
      sendList(response, 3, []);
    }
  });
  await server.nth(3, isWatch);
  assert.ok(errors.length >= 2, `${errors.length} is less than 2`);
  assert.match(errors[0]?.message ?? '', /ended at once/);
});

test('a server that ends every watch after a bookmark is not asked in a loop, with a 410 neither', {
  timeout: 60_000,
}, async (t) => {
  for (const ending of ['', `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410 } })}\n`]) {
    const pauses: number[] = [];
    const clock = createManualClock();
    const { promise, resolve } = Promise.withResolvers<void>();
    const at = (time: number, callback: () => void): (() => void) => {
      const pause = time - clock.now();
      // The other alarms are the client's limits.
      if (pause >= 30_000) {
        return clock.at(time, callback);
      }
      if (pause > 0) {
        pauses.push(pause);
      }
      if (pauses.length === 3) {
        resolve();
        return () => undefined;
      }
      setImmediate(callback);
      return () => undefined;
    };
    const server = await startLoopback(t, ({ query, response }) => {
      if (!query.get('watch')) {
        sendList(response, 7, []);
        return;
      }
      openWatch(response);
      sendEvent(response, 'BOOKMARK', { metadata: { resourceVersion: '7' } });
      response.end(ending);
    });
    const client = clientOf(t, server, { requestsPerSecond: 1000, burst: 1000 });
    await start(t, server, { client, clock: { ...clock, at }, backoffMs: { first: 250, longest: 30_000 } });
    await withinBound(promise, 'the third pause');
    const watches = server.received.filter(isWatch).length;
    assert.ok(watches <= 8, `${watches} watches were asked for before the third pause`);
    assert.ok(
      pauses.every((pause) => pause >= 125 && pause <= 2_000),
      `the pauses are ${pauses}`,
    );
  }
});

test('a watch that its server does not end in the time that it was asked for is ended', async (t) => {
  const clock = createManualClock();
  const server = await startLoopback(t, ({ query, response }) =>
    query.get('watch') ? openWatch(response) : sendList(response, 3, []),
  );
  const client = clientOf(t, server, { clock });
  const { told, errors } = await start(t, server, { client, clock, random: () => 0 });
  const first = await server.nth(1, isWatch);
  assert.equal(first.query.get('timeoutSeconds'), '300');
  for (let minute = 1; minute <= 6; minute += 1) {
    sendEvent(first.response, 'ADDED', thing(`minute-${minute}`, 10 + minute));
    await told(`added minute-${minute}`);
    assert.equal(server.received.filter(isWatch).length, 1);
    clock.advance(60_000);
  }
  await until(() => errors.length === 1, 'the watch to be given up');
  assert.match(errors[0]?.message ?? '', /did not end within 360000 ms/);
  clock.advance(1);
  const second = await server.nth(2, isWatch);
  assert.equal(second.query.get('resourceVersion'), '16');
});

test('a list whose pages never end is given up, empty ones soon, and is a fault that is told', async (t) => {
  let token = 0;
  const next = (): string => {
    token += 1;
    return `token-${token}`;
  };
  const { server, errors, watch } = await start(t, ({ response }) => sendList(response, 3, [], next()), {
    backoffMs: { first: 60_000, longest: 60_000 },
  });
  await until(() => errors.length === 1, 'the list to be given up');
  assert.match(errors[0]?.message ?? '', /no end.*16 empty pages/);
  assert.equal(server.received.length, 16);
  assert.equal(watch.health().synced, false);
});

test('fifteen empty pages in a row are read, and ten thousand pages of something are too many', () => {
  const goesOn = createPageGuard();
  for (let page = 1; page < 10_000; page += 1) {
    goesOn(page % 16 === 0 ? 1 : 0);
  }
  assert.throws(() => goesOn(1), /more of it after 10000 pages/);
});

test('Retry-After is kept before a list is tried again', async (t) => {
  const times: number[] = [];
  const { told } = await start(t, ({ query, response }) => {
    if (query.get('watch')) {
      openWatch(response);
      return;
    }
    times.push(performance.now());
    if (times.length === 1) {
      response.setHeader('Retry-After', '1');
      sendStatus(response, 429, 'TooManyRequests');
    } else {
      sendList(response, 1, []);
    }
  });
  await told('synced');
  assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 990, `${(times[1] ?? 0) - (times[0] ?? 0)} is less than 990`);
});

test('a path that is not served is reported and asked for again', async (t) => {
  const paths = ['/apis/shop.example/v1/things', '/apis/shop.example/v1beta1/things'];
  let notServed = 0;
  const { told } = await start(
    t,
    ({ path, query, response }) => {
      if (path !== paths[1]) {
        sendStatus(response, 404, 'NotFound');
      } else if (query.get('watch')) {
        openWatch(response);
      } else {
        sendList(response, 1, []);
      }
    },
    {
      path: async () => paths[notServed === 0 ? 0 : 1] ?? '',
      onNotServed: () => {
        notServed += 1;
      },
    },
  );
  await told('synced');
  assert.equal(notServed, 1);
});

test('a listener that throws disturbs neither the others nor the watch', async (t) => {
  const { watch, server, told, errors } = await start(t, ({ query, response }) =>
    query.get('watch') ? openWatch(response) : sendList(response, 1, []),
  );
  await told('synced');
  const end = watch.subscribe(() => {
    throw new Error('broken listener');
  });
  const later: string[] = [];
  watch.subscribe((event) => later.push(event.type));
  const { response } = await server.nth(1, isWatch);
  sendEvent(response, 'ADDED', thing('a', 2));
  await told('added a');
  assert.deepEqual(later, ['added']);
  assert.equal(errors[0]?.code, 'Internal');
  end();
  sendEvent(response, 'ADDED', thing('b', 3));
  await told('added b');
  assert.equal(errors.length, 1);
  assert.equal(watch.health().restarts, 0);
});

test('after stop no listener is called and the connection is closed', async (t) => {
  const { watch, server, told, events } = await start(t, ({ query, response }) =>
    query.get('watch') ? openWatch(response) : sendList(response, 1, []),
  );
  await told('synced');
  const { response } = await server.nth(1, isWatch);
  const closed = eventOf(response, 'close', 'the connection of the request to be closed');
  watch.stop();
  sendEvent(response, 'ADDED', thing('a', 2));
  await closed;
  assert.deepEqual(events, ['synced']);
  assert.equal(server.received.length, 2);
});

test('a server that asks for a day does not keep a watch away for longer than a minute', {
  timeout: 20_000,
}, async (t) => {
  const clock = createManualClock();
  const { server, watch } = await start(
    t,
    ({ query, response }) => {
      if (query.get('watch')) {
        openWatch(response);
      } else if (server.received.length > 1) {
        sendList(response, 1, []);
      } else {
        sendStatus(response, 429, 'TooManyRequests', 'slow down', { retryAfterSeconds: 86_400 });
      }
    },
    { clock },
  );
  await until(() => watch.health().restarts > 0, 'the list to be refused');
  clock.advance(59_999);
  await new Promise(setImmediate);
  assert.equal(server.received.length, 1);
  clock.advance(1);
  await server.nth(2, isList);
});

test('that the server is heard again is told once after each failure, and not without one', async (t) => {
  let lists = 0;
  let recovered = 0;
  const subject = await start(
    t,
    ({ query, response }) => {
      if (query.get('watch') === 'true') {
        return openWatch(response);
      }
      lists += 1;
      return lists <= 2 ? sendStatus(response, 503, 'ServiceUnavailable') : sendList(response, 1, [thing('a', 1)]);
    },
    {
      onRecovered() {
        recovered += 1;
      },
    },
  );
  const first = await subject.server.nth(1, isWatch);
  assert.equal(recovered, 1);
  first.reset();
  const second = await subject.server.nth(2, isWatch);
  sendEvent(second.response, 'ADDED', thing('b', 2));
  await subject.told('added b');
  assert.equal(recovered, 2);
});

test('neither a page nor an event is taken while there is no room for more', async (t) => {
  let isFull = true;
  let room = Promise.withResolvers<void>();
  const untilRoom = () => (isFull ? room.promise : undefined);
  const pages = [1, 2].map((page) => [thing(`page-${page}`, page)]);
  const { server, told, watch } = await start(
    t,
    ({ query, response }) => {
      if (query.get('watch')) {
        openWatch(response);
        return;
      }
      const isSecond = query.get('continue') === 'more';
      isFull = !isSecond;
      sendList(response, 2, pages[isSecond ? 1 : 0] ?? [], isSecond ? '' : 'more');
    },
    { untilRoom, pageSize: 1 },
  );
  const makeRoom = (): void => {
    isFull = false;
    room.resolve();
    room = Promise.withResolvers<void>();
  };
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(server.received.length, 0);
  makeRoom();
  await server.nth(1, isList);
  await until(() => isFull, 'the first page to be taken');
  assert.equal(server.received.filter(isList).length, 1);
  makeRoom();
  await told('synced');
  const { response } = await server.nth(1, isWatch);
  isFull = true;
  // The second is more than what may be under way to a reader that has paused.
  sendEvent(response, 'ADDED', thing('first', 3));
  await told('added first');
  sendEvent(response, 'ADDED', thing('second', 4, 'x'.repeat(1024 * 1024)));
  for (let turn = 0; turn < 50; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(watch.get('shop/second'), undefined);
  makeRoom();
  await until(() => watch.get('shop/second') !== undefined, 'the second event');
});

test('a list of many objects is taken over in steps, a few milliseconds in each turn of the event loop', async (t) => {
  const names = Array.from({ length: 60 }, (_, index) => `thing-${index}`);
  const { watch, told } = await start(t, ({ query, response }) =>
    query.get('watch')
      ? openWatch(response)
      : sendList(
          response,
          1,
          names.map((name) => thing(name, 1)),
        ),
  );
  let turn = 0;
  let isOver = false;
  const countTurns = (): void => {
    turn += 1;
    if (!isOver) {
      setImmediate(countTurns);
    }
  };
  countTurns();
  const inTurn = new Map<number, number>();
  watch.subscribe((event) => {
    const until = performance.now() + 1;
    while (performance.now() < until) {
      // As long as thousands of listeners take.
    }
    if (event.type === 'added') {
      inTurn.set(turn, (inTurn.get(turn) ?? 0) + 1);
    }
  });
  await told('synced').finally(() => {
    isOver = true;
  });
  assert.equal(watch.list().length, names.length);
  const most = Math.max(...inTurn.values());
  assert.ok(most <= 5, `${most} objects in one turn`);
});
