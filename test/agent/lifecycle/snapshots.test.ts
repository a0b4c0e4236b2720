/** What the gauges show of credentials, volumes, watches and calls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CredentialSnapshot } from '../../../agent/lifecycle/notices.ts';
import {
  createWatchCounter,
  sampleCredentials,
  sampleExpiries,
  sampleLoad,
  sampleRefusals,
  sampleServed,
} from '../../../agent/lifecycle/snapshots.ts';
import { now, recordWith } from './plain.ts';

const seconds = now / 1_000;

function credential(changes: Partial<CredentialSnapshot>): CredentialSnapshot {
  return {
    ...{ volume: recordWith([]), source: 0, signerName: 'example.com/mesh', keyType: 'ECDSAP256', state: 'fresh' },
    ...changes,
  };
}

const label = (signerName: string) => ({ signer_name: signerName });

test('credentials are counted by signer and state, with every state, and the nearest of their times are in seconds', () => {
  const other = { signerName: 'example.com/other' };
  const samples = sampleCredentials(
    [
      credential({ notAfter: now + 3_000, refreshAt: now + 1_000, trustMismatchSince: now }),
      credential({ notAfter: now + 2_000, refreshAt: now + 1_500, waitingSince: now - 9_000 }),
      credential({ state: 'not_yet_issued', waitingSince: now - 5_000 }),
      credential({ state: 'not_yet_issued', waitingSince: now - 4_000 }),
      credential({ state: 'not_yet_issued' }),
      credential({ ...other, state: 'denied' }),
    ],
    label,
  );
  const mesh = label('example.com/mesh');
  const counts = (signer: string): Readonly<Record<string, number>> =>
    Object.fromEntries(
      samples.states
        .filter(({ labels }) => Reflect.get(labels, 'signer_name') === signer)
        .map(({ labels, value }) => [String(Reflect.get(labels, 'state')), value]),
    );
  const none = {
    ...{ not_yet_issued: 0, fresh: 0, overdue_for_refresh: 0, expired: 0, denied: 0, failed: 0, ended: 0 },
  };
  assert.deepEqual(counts('example.com/mesh'), { ...none, fresh: 2, not_yet_issued: 3 });
  assert.deepEqual(counts('example.com/other'), { ...none, denied: 1 });
  assert.deepEqual(samples.trustMismatches, [
    { labels: mesh, value: 1 },
    { labels: label('example.com/other'), value: 0 },
  ]);
  assert.deepEqual(samples.oldestWait, [{ labels: mesh, value: seconds - 5 }]);
  assert.deepEqual(samples.nearestExpiry, [{ labels: mesh, value: seconds + 2 }]);
  assert.deepEqual(samples.nearestRefresh, [{ labels: mesh, value: seconds + 1 }]);
});

test('refused credentials are counted by how they were refused, and none that were not', () => {
  const refused = (outcome: 'denied' | 'failed', reason: string, signerName = 'example.com/mesh') =>
    credential({ signerName, refusal: { outcome, reason } });
  const samples = sampleRefusals(
    [
      refused('denied', 'Policy'),
      credential({ state: 'denied' }),
      refused('denied', 'Policy'),
      refused('failed', 'Policy'),
      refused('denied', 'Quota'),
      refused('denied', 'Policy', 'example.com/other'),
    ],
    (...labels) => ({ labels: labels.join() }),
  );
  assert.deepEqual(
    samples.map(({ labels, value }) => [labels['labels'], value]),
    [
      ['example.com/mesh,denied,Policy', 2],
      ['example.com/mesh,failed,Policy', 1],
      ['example.com/mesh,denied,Quota', 1],
      ['example.com/other,denied,Policy', 1],
    ],
  );
});

test('signers that are labelled alike count as one', () => {
  const samples = sampleCredentials(
    [
      credential({ signerName: 'a.example/a', notAfter: now + 1_000 }),
      credential({ signerName: 'b.example/b', notAfter: now }),
    ],
    () => ({ signer_name: 'other' }),
  );
  assert.equal(samples.states.length, 7);
  assert.deepEqual(samples.nearestExpiry, [{ labels: { signer_name: 'other' }, value: seconds }]);
});

test('the expiry of each certificate has a series by pod and volume, of a thousand credentials and no more', () => {
  assert.deepEqual(sampleExpiries([credential({ source: 3, notAfter: now }), credential({})]), [
    {
      labels: {
        ...{ namespace: 'shop', pod: 'web', volume: 'mtls', source: '3' },
        signer_name: 'example.com/mesh',
      },
      value: seconds,
    },
  ]);
  const many = Array.from({ length: 1_001 }, (_, source) => credential({ source, notAfter: now }));
  assert.equal(sampleExpiries(many).length, 1_000);
});

test('calls are shown as they stand, and a pause in seconds', () => {
  assert.deepEqual(sampleLoad({ waiting: 3, active: 2, pausedForMs: 1_500 }), {
    apiQueue: 3,
    apiActive: 2,
    apiPause: 1.5,
  });
});

test('volumes are counted by what their programs serve, with every state', () => {
  assert.deepEqual(
    sampleServed(['current', 'current', 'other']).map(({ labels, value }) => [Reflect.get(labels, 'state'), value]),
    [
      ['looking', 0],
      ['current', 2],
      ['other', 1],
      ['unknown', 0],
    ],
  );
});

test('restarts of a watch count as they happen, also of one that comes again under the same name', () => {
  const count = createWatchCounter();
  const restartsOf = (...watches: readonly (readonly [name: string, restarts: number])[]) =>
    count(
      watches.map(([name, restarts]) => ({ name, restarts, lastEventAt: undefined })),
      (name) => ({ name }),
    ).restarts.map(({ labels, value }) => [Reflect.get(labels, 'name'), value]);
  assert.deepEqual(restartsOf(['pods', 2], ['bundles', 0]), [
    ['pods', 2],
    ['bundles', 0],
  ]);
  assert.deepEqual(restartsOf(['pods', 5], ['bundles', 0]), [
    ['pods', 3],
    ['bundles', 0],
  ]);
  assert.deepEqual(restartsOf(['pods', 1]), [['pods', 1]], 'fewer than before: it is another one');
  assert.deepEqual(restartsOf(['pods', 1], ['bundles', 4]), [
    ['pods', 0],
    ['bundles', 4],
  ]);
});

test('of watches that are labelled alike the one that heard last of anything longest ago is shown', () => {
  const watches = [
    { name: 'bundles of a', restarts: 0, lastEventAt: now + 2_000 },
    { name: 'bundles of b', restarts: 0, lastEventAt: now + 1_000 },
    { name: 'bundles of c', restarts: 0, lastEventAt: undefined },
    { name: 'pods', restarts: 0, lastEventAt: now },
  ];
  const { lastEvents } = createWatchCounter()(watches, (name) => ({ resource: name.split(' ')[0] ?? '' }));
  assert.deepEqual(lastEvents, [
    { labels: { resource: 'bundles' }, value: seconds + 1 },
    { labels: { resource: 'pods' }, value: seconds },
  ]);
});
