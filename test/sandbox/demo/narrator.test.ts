import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countLine, createNarrator, identityLines, podLine } from '../../../sandbox/demo/narrator.ts';
import { createSightings } from '../../../sandbox/demo/sightings.ts';

function terminal(isTTY: boolean) {
  const written: string[] = [];
  return { written, isTTY, write: (text: string) => written.push(text) };
}

test('steps carry the time since the start', () => {
  const out = terminal(false);
  createNarrator(out, () => 12_340).step('done');
  assert.deepEqual(out.written, ['  12.3 s  done\n']);
});

test('a counter replaces itself in a terminal and is silent elsewhere', () => {
  const out = terminal(true);
  const narrator = createNarrator(out, () => 1000);
  narrator.counter('1 request');
  narrator.counter('2 requests');
  narrator.plain('end');
  assert.deepEqual(out.written, ['\r\x1b[K   1.0 s  1 request', '\r\x1b[K   1.0 s  2 requests', '\r\x1b[K', 'end\n']);
  const file = terminal(false);
  createNarrator(file, () => 1000).counter('1 request');
  assert.deepEqual(file.written, []);
});

test('columns line up', () => {
  const [short, long] = [podLine('ed25519', 'ED25519', 9.4), podLine('ecdsap521', 'ECDSAP521', 1234)];
  assert.equal(short.length, long.length);
  assert.match(long, /^ecdsap521 +ECDSAP521 +1234 ms$/);
});

test('identities are told as the other side saw them', () => {
  const sightings = createSightings();
  assert.deepEqual(identityLines(sightings.views()), []);
  const identity = { spiffeId: 'spiffe://x/server', serial: '0123456789ABCDEF', issuer: 'mesh 1', notAfter: '' };
  sightings.record('client', { type: 'peer', identity });
  assert.deepEqual(identityLines(sightings.views()), ['server      spiffe://x/server  serial …89ABCDEF  mesh 1']);
  sightings.record('client', { type: 'counters', fresh: 1000, lasting: 234, failed: 0 });
  assert.equal(countLine(sightings.views()), '1,234 requests, 0 dropped');
});
