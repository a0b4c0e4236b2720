/** What is quoted of an object's events. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiClient, ApiRequest, DecodedRequest } from '../../../agent/kubernetes/client.ts';
import { saidInEvents } from '../../../agent/kubernetes/object-events.ts';

const { signal } = new AbortController();
const metadata = { name: 'a.cr', namespace: 'shop', uid: 'uid-1' };

function eventOf(reason: string, message: string, minute: number, more: object = {}) {
  const lastTimestamp = `2026-11-26T04:${String(minute).padStart(2, '0')}:00Z`;
  return { metadata: { name: `${reason}.${minute}` }, reason, message, lastTimestamp, ...more };
}

/** An API server with these events, and the calls that it was asked. */
function serverWith(items: readonly unknown[]) {
  const calls: ApiRequest[] = [];
  const request = async <T>(call: DecodedRequest<T>): Promise<T> => {
    calls.push(call);
    for (const item of items) {
      call.onItem?.(item);
    }
    return call.decode({ kind: 'EventList', items: [] });
  };
  return { client: { request } satisfies Pick<ApiClient, 'request'>, calls };
}

test('the events of the object alone are asked for, and not all of them', async () => {
  const { client, calls } = serverWith([]);
  assert.equal(await saidInEvents(client, metadata, signal), undefined);
  assert.equal(calls.length, 1);
  assert.equal(calls[0]?.path, '/api/v1/namespaces/shop/events');
  assert.deepEqual(calls[0]?.query, { fieldSelector: 'involvedObject.uid=uid-1', limit: '20' });
});

test('the newest of each reason are quoted, three at most, whichever API they were written through', async () => {
  const { client } = serverWith([
    eventOf('Old', 'of no more interest', 1),
    eventOf('Unprocessed', 'first', 2),
    eventOf('Unprocessed', 'second', 4),
    eventOf('WaitingForApproval', 'not yet', 3),
    eventOf('New', 'by the newer API', 0, { lastTimestamp: null, eventTime: '2026-11-26T04:05:00.000001Z' }),
  ]);
  const said = await saidInEvents(client, metadata, signal);
  assert.equal(said, 'New: by the newer API; Unprocessed: second; WaitingForApproval: not yet');
});

test('long ones are cut, too many are left, and one that cannot be read hides no other', async () => {
  const junk = [null, 7, { reason: 1 }, { metadata: {} }];
  const many = Array.from({ length: 1_000 }, (_, index) => eventOf(`R${index}`, 'x'.repeat(100_000), index % 60));
  const { client } = serverWith([...junk, ...many]);
  const said = (await saidInEvents(client, metadata, signal)) ?? '';
  assert.equal(said.split('; ').length, 3);
  assert.ok(said.length < 1_000, String(said.length));
  assert.match(said, /^R15: x{300}…; R14: /);
  const edge = serverWith([eventOf('r'.repeat(300), 'x'.repeat(300), 1), eventOf('q'.repeat(301), 'y'.repeat(301), 0)]);
  const atEdge = await saidInEvents(edge.client, metadata, signal);
  const cut = `${'q'.repeat(300)}…: ${'y'.repeat(300)}…`;
  assert.deepEqual(atEdge?.split('; ').toSorted(), [cut, `${'r'.repeat(300)}: ${'x'.repeat(300)}`]);
});
