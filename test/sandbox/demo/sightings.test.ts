import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSightings, missing, type Views } from '../../../sandbox/demo/sightings.ts';
import { withinBound } from '../../support/bounded.ts';

const identity = (serial: string, issuer: string) => ({
  spiffeId: 'spiffe://example.com/ns/demo/sa/x',
  serial,
  issuer,
  notAfter: '2026-03-01T12:00:00.000Z',
});

/** Both workloads have met two certificates of the other, the second from the new CA. */
function rotated() {
  const sightings = createSightings();
  for (const name of ['server', 'client'] as const) {
    sightings.record(name, { type: 'peer', identity: identity('1', 'old') });
    sightings.record(name, { type: 'peer', identity: identity('2', 'new') });
    sightings.record(name, { type: 'anchors', subjects: ['new root'] });
  }
  sightings.record('client', { type: 'counters', fresh: 3, lasting: 4, failed: 0 });
  return sightings;
}

test('nothing is missing when both have seen a new leaf and the new CA without a failure', () => {
  assert.deepEqual(missing(rotated().views(), 'new'), []);
  assert.equal(rotated().views().client.requests, 7);
});

test('what was not seen is named', () => {
  const nothing = createSightings().views();
  assert.deepEqual(missing(nothing, undefined), [
    'the server has not seen the client',
    'the client has not seen the server',
    'the CA was not exchanged',
    'the client has had no answer',
  ]);
  assert.match(
    missing(rotated().views(), 'newer').join(),
    /the server has not seen a leaf of the client from the new CA/,
  );

  const once = createSightings();
  once.record('client', { type: 'peer', identity: identity('1', 'old') });
  assert.match(missing(once.views(), 'old').join(), /the client has not seen a new leaf of the server/);

  const both = rotated();
  both.record('server', { type: 'anchors', subjects: ['old root', 'new root'] });
  assert.deepEqual(missing(both.views(), 'new'), ['the server trusts 2 roots, not the new one alone']);
});

test('a failed request or a reported failure is a fault', () => {
  const sightings = rotated();
  sightings.record('client', { type: 'failure', message: 'the connection was closed' });
  sightings.record('client', { type: 'counters', fresh: 3, lasting: 4, failed: 1 });
  assert.deepEqual(missing(sightings.views(), 'new'), [
    'the client reports: the connection was closed',
    '1 requests failed',
  ]);
});

test('waiting ends when the views are accepted, or with the reason of the signal', async () => {
  const sightings = createSightings();
  const listening = (views: Views) => views.server.port === 7;
  const waiting = sightings.until(listening, new AbortController().signal);
  sightings.record('server', { type: 'listening', port: 7 });
  await withinBound(waiting, 'the views to be accepted');
  await sightings.until(listening, new AbortController().signal);

  const stopping = new AbortController();
  const stopped = sightings.until(() => false, stopping.signal);
  stopping.abort(new Error('enough'));
  await assert.rejects(stopped, /enough/);
});
