/** No certificate is ever without its anchor, whatever becomes of the signer in the meantime. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  anchorsOf,
  currentOf,
  type Generation,
  isNextDue,
  lastLeafEnd,
  longestLeafShare,
  published,
  settle,
} from '../../../signer/authority/succession.ts';

const hour = 3_600_000;
const lifetimes = { authorityMs: 360 * hour, leafMs: 24 * hour, shortestLeafMs: hour };

function generation(name: string, from: number, more: Partial<Generation> = {}): Generation {
  const { authorityMs, leafMs } = lifetimes;
  const own = { certificate: name, notBefore: from, notAfter: from + authorityMs, privateKey: `key of ${name}` };
  return { ...own, longestLeafMs: leafMs, ...more };
}

test('the next CA is made half way, signs after it has been published for a twelfth of its life, and then the old key is gone', () => {
  const first = generation('a', 0, { publishedAt: 0 });
  assert.equal(isNextDue([first], 179 * hour), false);
  assert.equal(isNextDue([first], 181 * hour), true);
  const second = generation('b', 181 * hour, { publishedAt: 182 * hour });
  assert.equal(currentOf([first, second], 211 * hour, hour), first);
  assert.equal(currentOf([first, second], 212 * hour, hour), second);
  const [old, current] = settle([first, second], 212 * hour, lifetimes);
  assert.equal(old?.privateKey, undefined, 'the old key can sign no more');
  assert.equal(old?.neededUntil, 212 * hour + lifetimes.leafMs + 60_000);
  assert.equal(current, second);
  const later = settle([old ?? first, second], 237 * hour, lifetimes);
  assert.deepEqual(later, [second], 'the anchor goes when no certificate needs it');
});

test('a CA that is not published does not sign, and one that has run out is followed at once', () => {
  const spent = generation('a', -329.5 * hour, { publishedAt: -329 * hour });
  const next = generation('b', 0);
  assert.equal(currentOf([spent, next], 0, hour), spent);
  const [, out = next] = published([spent, next], 1000);
  assert.equal(currentOf([spent, out], 1000, hour), out, 'half an hour is too little for a certificate');
  assert.equal(currentOf([next], 0, hour), undefined);
});

test('what has not changed is the same object, so that nothing is written', () => {
  const all = [generation('a', 0, { publishedAt: 0 })];
  assert.equal(settle(all, hour, lifetimes), all);
  assert.equal(published(all, hour), all);
});

test('an anchor outlasts the longest certificate that was ever allowed, also when the option has been lowered since', () => {
  const first = generation('a', 0, { publishedAt: 0, longestLeafMs: 100 * hour });
  const second = generation('b', 0, { publishedAt: 0 });
  const [old] = settle([first, second], 200 * hour, { ...lifetimes, leafMs: hour });
  assert.equal(old?.neededUntil, 300 * hour + 60_000);
});

test('the anchors are written newest first', () => {
  assert.equal(anchorsOf([generation('a', 0), generation('b', 0)]), 'ba');
});

/** A signer that looks now and then, is away for long, and is told to make longer or shorter certificates. */
const life = fc.array(
  fc.record({
    awayMs: fc.oneof(fc.integer({ min: 1, max: 5 * hour }), fc.integer({ min: 1, max: 500 * hour })),
    leafMs: fc.integer({ min: hour, max: Math.floor(lifetimes.authorityMs * longestLeafShare) }),
    publishes: fc.boolean(),
  }),
  { minLength: 1, maxLength: 60 },
);

test('every certificate has its anchor published until it has run out, in any life of a signer', () => {
  fc.assert(
    fc.property(life, (looks) => {
      let now = 0;
      let generations: readonly Generation[] = [];
      let made = 0;
      let anchors = '';
      let leaves: { readonly issuer: string; readonly notAfter: number }[] = [];
      for (const { awayMs, leafMs, publishes } of looks) {
        now += awayMs;
        generations = settle(generations, now, { ...lifetimes, leafMs });
        if (isNextDue(generations, now)) {
          made += 1;
          generations = [...generations, generation(`<${made}>`, now, { longestLeafMs: leafMs })];
        }
        if (publishes) {
          anchors = anchorsOf(generations);
          generations = published(generations, now);
        }
        const current = currentOf(generations, now, lifetimes.shortestLeafMs);
        if (current !== undefined) {
          leaves.push({ issuer: current.certificate, notAfter: Math.min(now + leafMs, lastLeafEnd(current)) });
        }
        leaves = leaves.filter(({ notAfter }) => notAfter > now);
        for (const { issuer } of leaves) {
          assert.ok(anchors.includes(issuer), `${issuer} is still in use at ${now / hour} h`);
        }
        assert.ok(generations.length <= 4, 'old ones go');
        for (const { certificate, notAfter } of generations) {
          assert.ok(notAfter - now > 29 * hour, `${certificate} is still published shortly before it expires`);
        }
      }
    }),
    { numRuns: 5_000 },
  );
});
