/** What the kubelet is told of volumes in each state of their certificates. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findingsOf } from '../../../agent/lifecycle/volume-health.ts';
import { createWorld, hour, podCertificate } from './world.ts';

test('a volume whose certificates are in no trouble is well, and the others are named with what is wrong with each', () => {
  const signerName = 'example.com/mesh';
  const notAfter = Date.parse('2026-11-26T10:00:00.5Z');
  const of = (source: number, more: Partial<Parameters<typeof findingsOf>[0][number]>) => ({
    ...{ source, signerName, state: 'fresh' as const },
    ...more,
  });
  assert.deepEqual(findingsOf([]), []);
  assert.deepEqual(findingsOf([of(0, {}), of(1, { notAfter })]), []);
  const overdue = of(1, { state: 'overdue_for_refresh', notAfter });
  const expired = [0, 2, 3].map((source) => of(source, { state: 'expired', notAfter }));
  const ended = 'has expired at 2026-11-26T10:00:00Z';
  assert.deepEqual(findingsOf([...expired, overdue, of(4, { trustMismatchSince: 0 })]), [
    {
      reason: 'CertificateExpired',
      message: [0, 2, 3].map((source) => `sources[${source}] (signer ${signerName}) ${ended}`).join('; '),
    },
    {
      reason: 'CertificateOverdueForRefresh',
      message: `sources[1] (signer ${signerName}) is overdue for its refresh and expires at 2026-11-26T10:00:00Z`,
    },
    {
      reason: 'TrustMismatch',
      message: `sources[4] (signer ${signerName}) leads to none of the trust anchors of its signer in the volume`,
    },
  ]);
  const [message = ''] = findingsOf([...expired, of(9, { state: 'expired', notAfter })]).map((one) => one.message);
  assert.match(message, /; 1 more likewise$/);
});

test('each reason comes once and its message names a few sources, however many are concerned', () => {
  const signerName = `example.com/${'x'.repeat(500)}`;
  const credentials = Array.from({ length: 256 }, (_, source) => ({
    ...{ source, signerName, notAfter: 0, trustMismatchSince: 0 },
    state: source % 2 === 0 ? ('expired' as const) : ('overdue_for_refresh' as const),
  }));
  const findings = findingsOf(credentials);
  assert.deepEqual(
    findings.map(({ reason }) => reason),
    ['CertificateExpired', 'CertificateOverdueForRefresh', 'TrustMismatch'],
  );
  for (const { message } of findings) {
    assert.ok(message.length < 1_024, `${message.length} characters`);
  }
  assert.match(findings[0]?.message ?? '', /^sources\[0\] .*; sources\[2\] .*; sources\[4\] .*; 125 more likewise$/);
});

test('a volume is well until its certificate is overdue, unwell until it is renewed, and unknown once it is gone', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const { volumeId, targetPath } = request;
  const health = () => world.manager.health(volumeId, targetPath);
  assert.equal(health(), undefined);
  const published = world.publish(request);
  await world.until(() => world.followed.size > 0);
  assert.deepEqual(health(), []);
  await world.answer('issue', 24 * hour);
  await published;
  assert.deepEqual(health(), []);
  assert.deepEqual(world.manager.health(volumeId, undefined), []);
  assert.equal(world.manager.health('csi-other', targetPath), undefined);
  assert.equal(world.manager.health(volumeId, `${targetPath}x`), undefined);

  const reasons = () => health()?.map(({ reason }) => reason);
  while (reasons()?.length === 0) {
    world.clock.advance(hour / 2);
    await world.written();
  }
  assert.deepEqual(reasons(), ['CertificateOverdueForRefresh']);
  assert.match(
    health()?.[0]?.message ?? '',
    /^sources\[0\] \(signer .+\) is overdue for its refresh and expires at 2026-/,
  );
  const before = health();
  world.clock.advance(1_000);
  assert.deepEqual(health(), before, 'the text stays while nothing changes');
  world.clock.advance(24 * hour);
  await world.written();
  assert.deepEqual(reasons(), ['CertificateExpired']);
  await world.until(() => world.followed.size > 0);
  await world.answer('issue', 24 * hour);
  await world.until(() => health()?.length === 0);
  await world.manager.unpublish(volumeId, targetPath);
  assert.equal(health(), undefined);
});
