/** A chain that leads to none of its signer's anchors in the same volume: what its pod is told, and when it is renewed. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Notice } from '../../../agent/lifecycle/notices.ts';
import type { PublishRequest } from '../../../volumes/csi/driver.ts';
import type { ClusterTrustBundleSource, Source } from '../../../volumes/declaration/types.ts';
import { withinBound } from '../../support/bounded.ts';
import { createWorld, hour, minute, podCertificate, trustBundle, type World, type WorldOptions } from './world.ts';

/** The times that are drawn with 0.5 for a certificate of 24 hours: a minute to settle, then of 5 and of 30 minutes the half. */
const told = 3.5 * minute;
const refreshed = 16 * minute;

interface Scene extends World {
  /** The CA that the signer signs with from now on. */
  signing: string;
  readonly web: PublishRequest;
  /** Tells a source which CAs its bundles hold. */
  bundle(index: number, ...authorities: readonly string[]): Promise<void>;
  /** Lets comparisons be made. */
  settle(): Promise<void>;
  of<T extends Notice['type']>(type: T): readonly (Notice & { readonly type: T })[];
  trouble(): string | undefined;
}

const sources = [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')];

/** A world whose chains and anchors know the CA that they are of. */
async function createScene(t: TestContext, all: readonly Source[] = sources, options?: WorldOptions): Promise<Scene> {
  const issuedBy = new Map<string, string>();
  const world = await createWorld(t, {
    ...options,
    onSubmit: ({ requestName }) => issuedBy.set(`certificate for ${requestName}`, scene.signing),
  });
  world.leadsToAnchor = ([leaf], anchors) => {
    const authority = issuedBy.get(Buffer.from(leaf ?? []).toString());
    return anchors.length === 0 ? undefined : anchors.some((anchor) => Buffer.from(anchor).toString() === authority);
  };
  const scene: Scene = Object.assign(world, {
    signing: 'old',
    issuedAnchor: 'old',
    web: world.request('mtls', all),
    bundle: (index: number, ...authorities: readonly string[]) =>
      world.announce({ type: 'found', certificates: authorities.map((name) => Buffer.from(name)) }, index),
    settle: () => world.written(),
    of: <T extends Notice['type']>(type: T) =>
      world.notices.filter((notice): notice is Notice & { readonly type: T } => notice.type === type),
    trouble: () => world.manager.credentials()[0]?.lastError,
  });
  return scene;
}

/** A pod that runs with a certificate of the old CA and anchors of it. */
async function running(t: TestContext, all?: readonly Source[], options?: WorldOptions): Promise<Scene> {
  const scene = await createScene(t, all, options);
  const published = scene.publish(scene.web);
  await scene.answer('issue');
  for (const { kind, index } of scene.web.declaration.sources) {
    if (kind === 'clusterTrustBundle') {
      await scene.bundle(index, 'old');
    }
  }
  assert.equal((await published).type, 'ready');
  await scene.settle();
  return scene;
}

async function renewed(scene: Scene, count: number): Promise<void> {
  await scene.answer('issue');
  await scene.until(() => scene.of('projected').length === count);
  await scene.settle();
}

test('a CA exchanged without an overlap is told, and the certificate is renewed early; then it is told that it is over', async (t) => {
  const scene = await running(t);
  assert.equal(scene.trouble(), undefined);
  scene.signing = 'new';
  const since = scene.clock.now();
  await scene.bundle(1, 'new');
  await scene.settle();
  const [credential] = scene.manager.credentials();
  assert.equal(credential?.trustMismatchSince, since);
  assert.equal(credential?.refreshAt, since + refreshed);
  assert.match(credential?.lastError ?? '', /does not lead to the one trust anchor of signer example\.com\/mesh/);
  scene.clock.advance(told - 1);
  assert.deepEqual(scene.of('trustMismatch'), []);
  scene.clock.advance(1);
  const [{ anchors, refreshAt } = {}] = scene.of('trustMismatch');
  assert.deepEqual({ anchors, refreshAt }, { anchors: 1, refreshAt: since + refreshed });
  scene.clock.advance(refreshed - told - 1);
  await scene.settle();
  assert.equal(scene.submitted.length, 1);
  scene.clock.advance(1);
  await renewed(scene, 2);
  assert.equal(scene.trouble(), undefined);
  assert.equal(scene.manager.credentials()[0]?.trustMismatchSince, undefined);
  assert.deepEqual(
    scene.of('trustMismatchOver').map(({ leads }) => leads),
    [true],
  );
  scene.clock.advance(12 * hour);
  await scene.settle();
  assert.equal(scene.submitted.length, 2);
});

test('with an overlap nothing is told and nothing is asked for, whichever of certificate and bundle comes first', async (t) => {
  const scene = await running(t);
  await scene.bundle(1, 'old', 'new');
  await scene.settle();
  scene.clock.advance(2 * hour);
  // The watch of the bundles lags behind: the certificate of a next CA is there before its anchor.
  scene.signing = 'newest';
  scene.clock.advance(18 * hour);
  await renewed(scene, 2);
  assert.notEqual(scene.trouble(), undefined);
  scene.clock.advance(50_000);
  await scene.bundle(1, 'new', 'newest');
  await scene.settle();
  assert.equal(scene.trouble(), undefined);
  scene.clock.advance(10 * hour);
  await scene.settle();
  assert.equal(scene.submitted.length, 2);
  assert.deepEqual([...scene.of('trustMismatch'), ...scene.of('trustMismatchOver')], []);
});

test('anchors that change again and still do not fit change nothing of what was drawn', async (t) => {
  const scene = await running(t);
  await scene.bundle(1, 'new');
  await scene.settle();
  const drawn = scene.manager.credentials()[0]?.refreshAt;
  for (let change = 0; change < 5; change += 1) {
    scene.clock.advance(minute);
    await scene.bundle(1, 'new', `other ${change}`);
    await scene.settle();
  }
  assert.equal(scene.manager.credentials()[0]?.refreshAt, drawn);
  assert.equal(scene.of('trustMismatch').length, 1);
});

test('a restart neither forgets a mismatch nor draws anew, and acts on it only when it is still there', async (t) => {
  const scene = await running(t);
  scene.signing = 'new';
  await scene.bundle(1, 'new');
  await scene.settle();
  const drawn = scene.manager.credentials()[0]?.refreshAt;
  scene.clock.advance(told);
  await scene.restart();
  assert.equal(scene.trouble(), undefined);
  scene.clock.advance(refreshed);
  await scene.settle();
  assert.equal(scene.submitted.length, 1, 'the anchors are not known yet');
  await scene.bundle(1, 'new');
  await scene.settle();
  assert.equal(scene.manager.credentials()[0]?.refreshAt, drawn);
  scene.clock.advance(1);
  await renewed(scene, 2);
  assert.equal(scene.of('trustMismatch').length, 1);
  assert.deepEqual(
    scene.of('trustMismatchOver').map(({ leads }) => leads),
    [true],
  );
});

test('a mismatch that arose while the agent was away is found by the next one', async (t) => {
  const scene = await running(t);
  await scene.restart();
  await scene.bundle(1, 'new');
  await scene.settle();
  assert.notEqual(scene.trouble(), undefined);
});

test('a mismatch that is mended while the agent is away costs nothing, and its end is told', async (t) => {
  const scene = await running(t);
  await scene.bundle(1, 'new');
  await scene.settle();
  scene.clock.advance(told);
  await scene.restart();
  scene.clock.advance(hour);
  await scene.bundle(1, 'new', 'old');
  await scene.settle();
  assert.equal(scene.submitted.length, 1);
  assert.equal(scene.of('trustMismatchOver').length, 1);
  assert.equal(scene.trouble(), undefined);
});

test('renewals that do not help come at growing pauses, also across restarts', async (t) => {
  const scene = await running(t);
  await scene.bundle(1, 'stranger');
  await scene.settle();
  const pauses: number[] = [];
  for (let count = 2; count < 7; count += 1) {
    const before = scene.clock.now();
    await scene.restart();
    await scene.bundle(1, 'stranger');
    await scene.settle();
    const at = scene.manager.credentials()[0]?.refreshAt ?? 0;
    scene.clock.advance(at - before);
    await renewed(scene, count);
    pauses.push((at - before) / minute);
  }
  assert.deepEqual(pauses, [16, 46, 91, 181, 361]);
});

test('the anchors of all bundles of the signer count together, those of other signers and names do not', async (t) => {
  const named = (index: number, name: string): ClusterTrustBundleSource => ({
    kind: 'clusterTrustBundle',
    index,
    select: { by: 'name', name },
    optional: false,
    path: `named-${index}.pem`,
  });
  const stranger: ClusterTrustBundleSource = {
    ...named(4, ''),
    select: { by: 'signer', signerName: 'example.com/meshes' },
  };
  const all = [
    podCertificate(0, 'tls.pem'),
    trustBundle(1, 'ca.pem'),
    named(2, 'example.com:mesh:next'),
    named(3, 'example.com:meshes:live'),
    stranger,
  ];
  const scene = await running(t, all);
  await scene.bundle(3, 'new');
  await scene.bundle(4, 'new');
  await scene.bundle(1, 'new');
  await scene.settle();
  assert.equal(scene.trouble(), undefined, 'the bundle by name still holds the anchor');
  await scene.bundle(2, 'new');
  await scene.settle();
  assert.match(scene.trouble() ?? '', /any of the 2 trust anchors/);
  await scene.bundle(3, 'old');
  await scene.bundle(4, 'old');
  await scene.settle();
  assert.notEqual(scene.trouble(), undefined, 'bundles of others do not help');
  await scene.restart();
  await scene.bundle(1, 'new');
  await scene.settle();
  assert.equal(scene.trouble(), undefined, 'one of them is not known yet');
  await scene.bundle(2, 'new');
  await scene.settle();
  assert.notEqual(scene.trouble(), undefined);
});

test('where there are no anchors to compare with nothing is said, and a mismatch is over without a word that all is well', async (t) => {
  const scene = await running(t, [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem', true)]);
  scene.announce({ type: 'missing', message: 'none' });
  await scene.settle();
  assert.equal(scene.trouble(), undefined);
  await scene.bundle(1, 'new');
  await scene.settle();
  assert.notEqual(scene.trouble(), undefined);
  scene.clock.advance(told);
  scene.announce({ type: 'missing', message: 'none' });
  await scene.settle();
  assert.equal(scene.trouble(), undefined);
  assert.deepEqual(
    scene.of('trustMismatchOver').map(({ leads }) => leads),
    [false],
  );
  scene.clock.advance(hour);
  await scene.settle();
  assert.equal(scene.submitted.length, 1);
});

test('an anchor that is valid in a few minutes by the node’s clock is none that is missing', async (t) => {
  const scene = await running(t);
  const { leadsToAnchor } = scene;
  const validFrom = scene.clock.now() + 5 * minute;
  scene.leadsToAnchor = (chain, anchors, now) => leadsToAnchor(chain, anchors, now) && now >= validFrom;
  await scene.bundle(1, 'old', 'other');
  await scene.settle();
  assert.equal(scene.trouble(), undefined);
  scene.leadsToAnchor = (chain, anchors, now) => leadsToAnchor(chain, anchors, now) && now > validFrom;
  await scene.bundle(1, 'old');
  await scene.settle();
  assert.notEqual(scene.trouble(), undefined);
});

test('a first certificate that does not lead to the anchors starts its pod, which is told', async (t) => {
  const scene = await createScene(t);
  scene.signing = 'new';
  const published = scene.publish(scene.web);
  await scene.answer('issue');
  await scene.bundle(1, 'old');
  assert.equal((await published).type, 'ready');
  await scene.settle();
  scene.clock.advance(told);
  assert.equal(scene.of('trustMismatch').length, 1);
});

test('an operator who has mended the cause need not wait for the early refresh', async (t) => {
  const scene = await running(t);
  assert.deepEqual(scene.manager.relieve({ type: 'operatorAsks' }), []);
  scene.signing = 'new';
  await scene.bundle(1, 'new');
  await scene.settle();
  scene.clock.advance(2_000);
  assert.deepEqual(scene.manager.relieve({ type: 'apiServerHeard' }), []);
  assert.equal(scene.manager.relieve({ type: 'operatorAsks' }).length, 1);
  await renewed(scene, 2);
  assert.equal(scene.trouble(), undefined);
});

test('a volume that was unmounted behind the agent’s back, and one that is stopped, are compared no more', async (t) => {
  const scene = await running(t);
  await scene.bundle(1, 'new');
  await scene.manager.unpublish(scene.web.volumeId, scene.web.targetPath);
  await scene.settle();
  assert.deepEqual(scene.faults, []);
  assert.deepEqual(scene.of('trustMismatch'), []);
});

const withAnchors = { ...podCertificate(0, 'tls.pem'), caPath: 'issuer.pem' };

test('the anchors that came with a certificate are compared with it, and again after a restart, without being asked for', async (t) => {
  const scene = await running(t, [withAnchors]);
  assert.equal(scene.trouble(), undefined);
  await scene.restart();
  await scene.settle();
  assert.equal(scene.trouble(), undefined);
  // A signer that goes on giving the CA before along.
  scene.signing = 'new';
  scene.clock.advance(20 * hour);
  await renewed(scene, 2);
  assert.match(scene.trouble() ?? '', /does not lead to the one trust anchor of signer example\.com\/mesh/);
  const drawn = scene.manager.credentials()[0]?.refreshAt;
  await scene.restart();
  await scene.settle();
  assert.equal(scene.manager.credentials()[0]?.refreshAt, drawn);
  assert.match(scene.trouble() ?? '', /does not lead to the one trust anchor/);
  assert.equal(scene.submitted.length, 2);
  scene.clock.advance(told);
  assert.equal(scene.of('trustMismatch').length, 1);
  scene.issuedAnchor = 'new';
  scene.clock.advance(refreshed - told);
  await renewed(scene, 3);
  assert.equal(scene.trouble(), undefined);
  assert.deepEqual(
    scene.of('trustMismatchOver').map(({ leads }) => leads),
    [true],
  );
});

test('bundles make not good for anchors that came with the certificate, nor these for bundles', async (t) => {
  const scene = await createScene(t, [withAnchors, trustBundle(1, 'ca.pem')]);
  scene.issuedAnchor = 'stranger';
  const published = scene.publish(scene.web);
  await scene.answer('issue');
  await scene.bundle(1, 'old');
  assert.equal((await published).type, 'ready');
  await scene.settle();
  assert.match(scene.trouble() ?? '', /the one trust anchor/, 'no peer is known by what came along');
  await scene.restart();
  await scene.settle();
  assert.match(scene.trouble() ?? '', /the one trust anchor/, 'known before the bundles are');
  scene.issuedAnchor = 'old';
  scene.clock.advance(refreshed);
  await renewed(scene, 2);
  assert.equal(scene.trouble(), undefined);
  await scene.bundle(1, 'new', 'newest');
  await scene.settle();
  assert.match(scene.trouble() ?? '', /any of the 2 trust anchors/);
  scene.clock.advance(told);
  await scene.restart();
  await scene.settle();
  assert.equal(scene.of('trustMismatchOver').length, 0, 'what came along does not end it before the bundles are known');
  await scene.bundle(1, 'new', 'newest');
  await scene.settle();
  assert.match(scene.trouble() ?? '', /any of the 2 trust anchors/);
});

test('a file of anchors that came with a certificate and is gone is back after a restart, and no certificate is asked for', async (t) => {
  const scene = await running(t, [withAnchors]);
  const [anchors, credential] = ['issuer.pem', 'tls.pem'].map((file) => scene.read(scene.web, file));
  rmSync(join(scene.web.targetPath, '..data/issuer.pem'));
  await scene.restart();
  await scene.settle();
  assert.equal(scene.submitted.length, 1);
  assert.deepEqual(
    ['issuer.pem', 'tls.pem'].map((file) => scene.read(scene.web, file)),
    [anchors, credential],
  );
  assert.equal((await withinBound(scene.publish(scene.web), 'the call for a whole volume')).type, 'ready');
});
