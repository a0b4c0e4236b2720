/** Bundles of several trust domains: which are a source's, that each stays with its own, and what a label or a limit may do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Anchors, TrustAnchors } from '../../../agent/lifecycle/ports.ts';
import { withExpiry } from '../../../agent/trust/expiry.ts';
import type { ShelvedBundle } from '../../../agent/trust/shelf.ts';
import { anchorsApart as stepsApart } from '../../../agent/trust/trust-domains.ts';
import { atOnce } from '../../../volumes/base/steps.ts';
import type { ClusterTrustBundleSource, TrustDomains } from '../../../volumes/declaration/types.ts';
import { certify, makeHolder } from '../../support/certificates.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { sendEvent } from '../kubernetes/loopback.ts';
import { bundle, derOf, makeAuthority, makeAuthorityOf } from './authorities.ts';
import { ear, signerName, start } from './service.ts';

const [one, two, three] = ['one', 'two', 'three'].map(makeAuthority) as [string, string, string];
const own = 'a.example';
const files: TrustDomains = { own, canarying: 'live', as: 'filePerTrustDomain', needsOwn: true };

function source(trustDomains: TrustDomains = files): ClusterTrustBundleSource {
  const select = { by: 'signer', signerName } as const;
  return { kind: 'clusterTrustBundle', index: 0, select, optional: false, path: 'x', trustDomains };
}

function labels(peer: string | undefined, canarying = 'live', workload = own): Record<string, string> {
  return {
    'k8s.spiffe.io/canarying': canarying,
    'k8s.spiffe.io/workload-trust-domain': workload,
    ...(peer === undefined ? {} : { 'k8s.spiffe.io/peer-trust-domain': peer }),
  };
}

const bundleOf = (name: string, pem: string, peer: string | undefined, resourceVersion = 1, canarying = 'live') =>
  bundle(name, pem, { signerName, labels: labels(peer, canarying), resourceVersion });

/** What was told, by trust domain, as PEM-less names. */
function apart(anchors: Anchors | undefined): Readonly<Record<string, number | string>> {
  if (anchors === undefined || anchors.type === 'refused') {
    return { refused: anchors?.message ?? 'nothing' };
  }
  const names = new Map([one, two, three].map((pem, index) => [String(derOf(pem)), ['one', 'two', 'three'][index]]));
  return Object.fromEntries(
    (anchors.byTrustDomain ?? []).map(({ trustDomain, certificates }) => [
      trustDomain,
      certificates
        ?.map((der) => names.get(String(der)) ?? '?')
        .toSorted()
        .join(' ') ?? 'unknown',
    ]),
  );
}

test('each bundle belongs to the trust domain of its label, and only those for the workload at its stage are taken', async (t) => {
  const { trust, watchOf } = await start(t, [
    bundleOf('own', one, own),
    bundleOf('own-next', two, own),
    bundleOf('peer', three, 'b.example'),
    bundleOf('soon', three, 'c.example', 1, 'preview'),
    bundle('elsewhere', two, { signerName, labels: labels('d.example', 'live', 'other.example') }),
    bundle('unlabelled', two, { signerName }),
  ]);
  const [live, preview] = [ear(), ear()];
  trust.subscribe(source(), live.listener);
  trust.subscribe(source({ ...files, canarying: 'preview' }), preview.listener);
  const first = await live.nth(1);
  assert.deepEqual(apart(first), { [own]: 'one two', 'b.example': 'three' });
  assert.ok(first?.type === 'found' && first.leftOut === undefined, 'nothing is left out');
  assert.deepEqual(
    first.certificates.map(String).toSorted(),
    [one, two].map((pem) => String(derOf(pem))).toSorted(),
    'the source has the anchors of its own trust domain',
  );
  const missing = await preview.nth(1);
  assert.deepEqual(apart(missing), { 'c.example': 'three' });
  assert.ok(missing?.type === 'missing', 'its own is missing');
  assert.match(missing.message, /has no ClusterTrustBundle with the labels k8s\.spiffe\.io\/canarying=preview, and/);

  const { response } = await watchOf(`spec.signerName=${signerName}`);
  sendEvent(response, 'MODIFIED', bundleOf('peer', three, 'e.example', 2));
  assert.deepEqual(apart(await live.nth(2)), { [own]: 'one two', 'e.example': 'three' });
  sendEvent(response, 'DELETED', bundleOf('peer', three, 'e.example', 3));
  assert.deepEqual(apart(await live.nth(3)), { [own]: 'one two' });
  sendEvent(response, 'DELETED', bundleOf('own', one, own, 4));
  assert.deepEqual(apart(await live.nth(4)), { [own]: 'two' });
  sendEvent(response, 'MODIFIED', bundleOf('own-next', two, 'b.example', 5));
  const last = await live.nth(5);
  assert.equal(last?.type, 'missing');
  assert.deepEqual(apart(last), { 'b.example': 'two' });
});

test('a bundle whose label is no trust domain is left out and told of, whatever it says; the others are used', async (t) => {
  const hostile = ['../../../etc/cron.d/x', 'a/b', '..', '', 'A.example', 'a.example.', `${'x'.repeat(64)}`, 'a\nb'];
  const { trust } = await start(t, [
    bundleOf('own', one, own),
    bundleOf('nameless', two, undefined),
    ...hostile.map((peer, index) => bundleOf(`hostile-${index}`, two, peer)),
  ]);
  const { nth, listener } = ear();
  trust.subscribe(source(), listener);
  const told = await nth(1);
  assert.deepEqual(apart(told), { [own]: 'one' });
  assert.ok(told?.type === 'found', 'what is sound is used');
  const leftOut = told.leftOut ?? '';
  assert.match(leftOut, /ClusterTrustBundle "nameless": its label k8s\.spiffe\.io\/peer-trust-domain is missing/);
  assert.match(leftOut, /; and 6 more$/);
  assert.ok(!leftOut.includes('\n'), 'on one line');
});

function selected(pem: string, peer: string, name = peer) {
  const shelved: ShelvedBundle = {
    uid: name,
    version: '1',
    isPending: false,
    certificates: pem === '' ? [] : [derOf(pem)],
    isTooMuch: false,
    stamp: 1,
  };
  const { metadata } = bundle(name, pem, { signerName, labels: labels(peer) });
  return { outline: { metadata, signerName }, bundle: shelved };
}

const anchorsApart = (...of: Parameters<typeof stepsApart>) => atOnce(stepsApart(...of));

test('more trust domains, or more certificates in a map, than the limit are refused by its name', () => {
  const der = derOf(one);
  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => {
      const { outline, bundle: shelved } = selected('', index === 0 ? own : `peer-${index}`);
      return { outline, bundle: { ...shelved, certificates: [der] } };
    });
  assert.equal(anchorsApart(files, signerName, many(128)).type, 'found');
  assert.deepEqual(anchorsApart(files, signerName, many(129)), {
    type: 'refused',
    message: `the ClusterTrustBundles selected are of 129 trust domains, more than the 128 that one source may have: the signer ${signerName} has to publish fewer for its workloads`,
  });
  const full = (count: number) => {
    const { outline, bundle: shelved } = selected('', own);
    // Each array is another certificate.
    const certificates = Array.from({ length: count }, () => Uint8Array.from(der));
    return [{ outline, bundle: { ...shelved, certificates } }];
  };
  const map = { ...files, as: 'bundleMap' } as const;
  assert.equal(anchorsApart(map, signerName, full(1024)).type, 'found');
  assert.equal(anchorsApart(files, signerName, full(1025)).type, 'found');
  const refused = anchorsApart(map, signerName, full(1025));
  assert.match(
    refused.type === 'refused' ? refused.message : '',
    /1025 certificates, more than the 1024 of one bundle map/,
  );
  const long = {
    ...selected('', own),
    bundle: { ...selected('', own).bundle, certificates: [new Uint8Array(4 * 2 ** 20 + 1)] },
  };
  const tooLong = anchorsApart(files, signerName, [long]);
  assert.match(tooLong.type === 'refused' ? tooLong.message : '', /more than the 4 MiB of one source/);
});

test("a trust domain whose bundles cannot be read is told of and keeps its place; the pod's own is missing then", () => {
  const peers = anchorsApart(files, signerName, [selected(one, own), selected('', 'b.example')]);
  assert.deepEqual(apart(peers), { [own]: 'one', 'b.example': 'unknown' });
  assert.ok(peers.type === 'found', 'the others are used');
  assert.equal(peers.leftOut, 'no certificate can be read from the ClusterTrustBundles of trust domain b.example');
  const unreadable = anchorsApart(files, signerName, [selected('', own), selected(two, 'b.example')]);
  assert.deepEqual(apart(unreadable), { [own]: 'unknown', 'b.example': 'two' });
  assert.ok(unreadable.type === 'missing', 'its own is missing');
  assert.match(
    unreadable.message,
    /no certificate can be read from the ClusterTrustBundles of the pod's own trust domain/,
  );
});

test('a map goes without certificates whose keys its readers refuse, and says so; files have them', () => {
  const odd = makeAuthorityOf('ed25519', 'odd');
  const chosen = [selected(one, own), selected(odd, 'b.example'), selected(makeAuthorityOf('rsa', 'rsa'), 'c.example')];
  const map = anchorsApart({ ...files, as: 'bundleMap' }, signerName, chosen);
  assert.ok(map.type === 'found', 'the others are used');
  assert.deepEqual(
    map.byTrustDomain?.map(({ certificates }) => certificates?.length),
    [1, 0, 1],
  );
  assert.equal(map.leftOut, '1 certificate(s) of trust domain b.example with keys that are neither RSA nor ECDSA');
  const apartFiles = anchorsApart(files, signerName, chosen);
  assert.ok(apartFiles.type === 'found', 'files take any key');
  assert.deepEqual(
    apartFiles.byTrustDomain?.map(({ certificates }) => certificates?.length),
    [1, 1, 1],
  );
});

test('anchors that expire are counted over all trust domains, and dropped from each by itself', async () => {
  const [start, hour] = [Date.UTC(2026, 10, 21, 10), 3_600_000];
  const clock = createManualClock(start);
  const root = await makeHolder('CN=root');
  const ending = (hours: number) =>
    certify(root, root, { notBefore: start - 99 * hour, notAfter: start + hours * hour });
  const [short, long, gone] = [await ending(1), await ending(9), await ending(-1)];
  const byTrustDomain = [
    { trustDomain: own, certificates: [short, long] },
    { trustDomain: 'b.example', certificates: [gone] },
    { trustDomain: 'c.example' },
  ];
  const anchors: Anchors = { type: 'found', certificates: [short, long], byTrustDomain };
  const subscribe: TrustAnchors['subscribe'] = (_source, listener) => {
    listener(anchors);
    return () => undefined;
  };
  const expiring = withExpiry({ subscribe }, clock);
  const [kept, dropped]: readonly Anchors[][] = [[], []];
  expiring.subscribe(source(), (told) => kept?.push(told));
  expiring.subscribe({ ...source(), expired: 'drop' }, (told) => dropped?.push(told));
  assert.deepEqual(kept, [{ ...anchors, expired: 1 }]);
  const left = [byTrustDomain[0], byTrustDomain[2]];
  assert.deepEqual(dropped, [{ ...anchors, byTrustDomain: left, expired: 1 }]);
  clock.advance(hour);
  assert.deepEqual(dropped?.at(-1), {
    type: 'found',
    certificates: [long],
    byTrustDomain: [{ trustDomain: own, certificates: [long] }, { trustDomain: 'c.example' }],
    expired: 2,
  });
  clock.advance(8 * hour);
  assert.deepEqual(dropped?.at(-1), {
    type: 'missing',
    message: "all trust anchors of the pod's own trust domain have expired, and the source drops them",
    byTrustDomain: [{ trustDomain: 'c.example' }],
    expired: 3,
  });
});
