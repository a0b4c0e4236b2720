/** What the files of several trust domains are to hold for each thing that is told: what is gone goes, what is not known stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  certificatesIn,
  changeOf,
  createTrustDomainMemory,
  trustDomainsIn,
} from '../../../agent/lifecycle/trust-domains.ts';
import type { ClusterTrustBundleSource, TrustDomains } from '../../../volumes/declaration/types.ts';

const [own, peer] = ['a.example', 'b.example'];
const [ours, theirs] = [[Uint8Array.of(1)], [Uint8Array.of(2)]];

function source(more: Partial<TrustDomains> = {}): ClusterTrustBundleSource {
  const trustDomains: TrustDomains = { own, canarying: 'live', as: 'filePerTrustDomain', needsOwn: true, ...more };
  const select = { by: 'signer', signerName: 'example.com/mesh' } as const;
  return { kind: 'clusterTrustBundle', index: 1, select, optional: false, path: 'x', trustDomains };
}

const all = [
  { trustDomain: own, certificates: ours },
  { trustDomain: peer, certificates: theirs },
];
const found = { type: 'found', certificates: ours, byTrustDomain: all } as const;
const lost = { type: 'missing', message: 'm', byTrustDomain: [{ trustDomain: peer, certificates: theirs }] } as const;
const noneLeft = { type: 'missing', message: 'm', byTrustDomain: [] } as const;
const unknown = { type: 'missing', message: 'm', isOperators: true } as const;
const refused = { type: 'refused', message: 'm' } as const;

test("a peer that is gone is trusted no more, and the pod's own trust domain stays as it was, also after a restart", () => {
  const memory = createTrustDomainMemory();
  assert.equal(memory.contentFor(source(), lost, false), undefined, 'a pod does not start without its own');
  assert.deepEqual(memory.contentFor(source(), found, false), {
    kind: 'trustAnchors',
    certificates: ours,
    byTrustDomain: all,
  });
  assert.deepEqual(memory.contentFor(source(), lost, true)?.byTrustDomain, [all[1], all[0]]);
  assert.deepEqual(memory.contentFor(source(), noneLeft, true), {
    kind: 'trustAnchors',
    certificates: ours,
    byTrustDomain: [all[0]],
  });
  const restarted = createTrustDomainMemory();
  assert.deepEqual(restarted.contentFor(source(), lost, true), {
    kind: 'trustAnchors',
    certificates: [],
    byTrustDomain: [all[1], { trustDomain: own }],
  });
});

test('what cannot be looked at, or goes over a limit, changes nothing', () => {
  const memory = createTrustDomainMemory();
  for (const areInFiles of [false, true]) {
    for (const anchors of [unknown, refused]) {
      assert.equal(memory.contentFor(source(), anchors, areInFiles), undefined);
    }
    assert.equal(memory.contentFor(source({ needsOwn: false }), refused, areInFiles), undefined);
  }
  assert.equal(memory.contentFor(source({ needsOwn: false }), unknown, true), undefined);
});

test('a source that may go without its own trust domain has the files that there are', () => {
  const memory = createTrustDomainMemory();
  const may = source({ needsOwn: false });
  assert.deepEqual(memory.contentFor(may, unknown, false)?.byTrustDomain, []);
  assert.deepEqual(memory.contentFor(may, found, true)?.byTrustDomain, all);
  assert.deepEqual(memory.contentFor(may, lost, true)?.byTrustDomain, [all[1]]);
  const unread = { ...unknown, byTrustDomain: [{ trustDomain: peer }] };
  const map = source({ needsOwn: false, as: 'bundleMap' });
  assert.deepEqual(createTrustDomainMemory().contentFor(map, unread, false)?.byTrustDomain, unread.byTrustDomain);
});

test('a map is made anew of what was known last, and stays where a part of it is not known', () => {
  const map = source({ as: 'bundleMap' });
  const restarted = createTrustDomainMemory();
  assert.equal(restarted.contentFor(map, lost, true), undefined);
  assert.deepEqual(restarted.contentFor(map, found, true)?.byTrustDomain, all);
  assert.deepEqual(restarted.contentFor(map, lost, true)?.byTrustDomain, [all[1], all[0]]);
});

test('sources without trust domains are as they were: found, or nothing where that is enough', () => {
  const memory = createTrustDomainMemory();
  const { trustDomains: _, ...plain } = source();
  assert.deepEqual(memory.contentFor(plain, { type: 'found', certificates: ours }, true), {
    kind: 'trustAnchors',
    certificates: ours,
  });
  assert.equal(memory.contentFor(plain, unknown, true), undefined);
  assert.equal(memory.contentFor({ ...plain, optional: true }, refused, true), undefined);
  assert.deepEqual(memory.contentFor({ ...plain, optional: true }, unknown, true), {
    kind: 'trustAnchors',
    certificates: [],
  });
});

test('what is left out is told once, and again when it is something else', () => {
  const memory = createTrustDomainMemory();
  const tell = (leftOut?: string) => memory.newlyLeftOut(1, leftOut === undefined ? found : { ...found, leftOut });
  assert.deepEqual([tell('x'), tell('x'), tell('y'), tell(), tell('y')], ['x', undefined, 'y', undefined, 'y']);
});

test('a change of the federation names who has come and who has gone', () => {
  assert.equal(changeOf(undefined, [own]), undefined);
  assert.equal(changeOf([own], undefined), undefined);
  assert.deepEqual(changeOf([own], [own, peer]), { come: [peer], gone: [] });
  assert.deepEqual(changeOf([own, peer], [own]), { come: [], gone: [peer] });
  assert.equal(changeOf([own, peer], [peer, own]), undefined);
  assert.deepEqual(changeOf([own, peer], [own, 'c.example']), { come: ['c.example'], gone: [peer] });
});

test('content is counted and named by trust domain where it keeps them apart, with those that stay as they are', () => {
  const kind = 'trustAnchors';
  const apart = { kind, certificates: ours, byTrustDomain: [...all, ...all, { trustDomain: 'c.example' }] } as const;
  assert.deepEqual(trustDomainsIn(apart), [own, peer, own, peer, 'c.example']);
  assert.equal(certificatesIn(apart), 4);
  assert.equal(trustDomainsIn({ kind, certificates: ours }), undefined);
  assert.equal(certificatesIn({ kind, certificates: [...ours, ...theirs, ...ours] }), 3);
});
