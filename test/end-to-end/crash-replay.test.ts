/**
 * A crash at any instruction: an issuance, a refresh and an unpublish, through every certificate API, in directories and on real
 * tmpfs, replayed once for every call that changes a file system, a mount or the API server, with the process dead before that
 * call. A write is left half done, and a request is made whose reply is lost. The dead process changes nothing any more; what it
 * left is taken up by the next run, which must end with a whole volume, ask for nothing twice and leave no request behind.
 *
 * The death is played in this process: from that call on, whatever would change something fails or never returns.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { PublishRequest } from '../../volumes/csi/driver.ts';
import { createWorld, hour, podCertificate, type World, worldBegins } from '../agent/lifecycle/world.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { mountPointsBelow, mountSkip, temporaryDirectory } from '../volumes/support.ts';
import { type IssuerCase, issuerCases } from './issuers.ts';
import { type Death, makeMortal } from './mortal.ts';
import { type PlayedIssuers, playIssuers } from './played-issuers.ts';

const sources = [podCertificate(0, 'tls.pem')];
const lifetimeMs = 24 * hour;
/** The kubelet's mount call and the files of one volume: fewer would mean that the deaths are not where they should be. */
const fewestCalls = 20;

through(
  issuerCases,
  'an issuance that dies before any of its changes is finished by the next run with the same request',
  async (t, scene) => {
    const { world, death, root } = scene;
    await eachDeath(t, scene, async (call) => {
      const request = world.request(`issue-${call}`, sources);
      death.comeBefore(call);
      void world.publish(request).catch(() => undefined);
      await drive(scene, () => death.came() || isReady(world));
      const survived = !death.came();
      await nextRun(scene);
      const outcome = world.publish(request);
      await drive(scene, () => isReady(world));
      assert.equal((await outcome).type, 'ready');
      await assertWhole(scene, request, 1);
      await world.manager.unpublish(request.volumeId, request.targetPath);
      assert.deepEqual(mountPointsBelow(root), []);
      return survived;
    });
  },
);

through(
  issuerCases,
  'a refresh that dies before any of its changes leaves the old or the new files, and is finished',
  async (t, scene) => {
    const { world, death } = scene;
    await eachDeath(t, scene, async (call) => {
      const request = world.request(`refresh-${call}`, sources);
      const issued = world.publish(request);
      await drive(scene, () => isReady(world));
      await issued;
      const first = world.read(request, 'tls.pem');
      death.comeBefore(call);
      world.clock.advance(0.9 * lifetimeMs);
      await drive(scene, () => death.came() || isRenewed(world, request, first));
      const survived = !death.came();
      const asked = keysOf(scene, request);
      assert.ok(asked.includes(keyIn(world, request)), `${keyIn(world, request)} is not in:\n${asked}`);
      await nextRun(scene);
      await drive(scene, () => isRenewed(world, request, first));
      await assertWhole(scene, request, 2);
      await world.manager.unpublish(request.volumeId, request.targetPath);
      return survived;
    });
  },
);

// Nothing is asked for, so that one API is as good as another.
through(
  issuerCases.slice(0, 1),
  'an unpublish that dies before any of its changes is repeated, and nothing is left',
  async (t, scene) => {
    const { world, death, root } = scene;
    for (let call = 1; ; call += 1) {
      const request = world.request(`remove-${call}`, sources);
      const issued = world.publish(request);
      await drive(scene, () => isReady(world));
      await issued;
      death.comeBefore(call);
      let ended = false;
      const end = (): void => {
        ended = true;
      };
      void world.manager.unpublish(request.volumeId, request.targetPath).then(end, end);
      await world.until(() => ended || death.came());
      const survived = !death.came();
      await nextRun(scene);
      await world.manager.unpublish(request.volumeId, request.targetPath);
      assert.equal(fs.existsSync(request.targetPath), false, `${request.targetPath} is still there`);
      assert.deepEqual(mountPointsBelow(root), []);
      if (survived) {
        t.diagnostic(`${call - 1} deaths`);
        return;
      }
    }
  },
);

type Mode = 'tmpfs' | 'directory';

interface Scene {
  readonly issuer: IssuerCase;
  readonly mode: Mode;
  readonly world: World;
  readonly death: Death;
  readonly played: PlayedIssuers;
  /** Where mounts are. */
  readonly root: string;
}

function through(
  issuers: readonly IssuerCase[],
  name: string,
  body: (t: TestContext, scene: Scene) => Promise<void>,
): void {
  const timeout = 120_000;
  for (const issuer of issuers) {
    const title = `${name} (${issuer.can.title}`;
    test(`${title}, directory)`, { timeout }, async (t) => body(t, await setScene(t, 'directory', issuer)));
    test(`${title}, tmpfs)`, { timeout, skip: mountSkip }, async (t) => body(t, await setScene(t, 'tmpfs', issuer)));
  }
}

async function setScene(t: TestContext, mode: Mode, issuer: IssuerCase): Promise<Scene> {
  const root = temporaryDirectory(t);
  const clock = createManualClock(worldBegins);
  const death = makeMortal(t);
  const { diesNow, came: isDead } = death;
  const played = await playIssuers({ api: issuer.api, now: clock.now, diesNow, isDead });
  const mounted = mode === 'tmpfs' ? { mountedBelow: root } : {};
  const world = await createWorld(t, { ...mounted, clock, issuer: played.nextRun });
  return { issuer, mode, world, death, played, root };
}

/**
 * Plays deaths before the first change, the second and so on, until a life is survived. Mounts take long and are the same for
 * all issuers: of those that are not the first, every third death is played there.
 */
async function eachDeath(
  t: TestContext,
  { mode, issuer }: Scene,
  live: (call: number) => Promise<boolean>,
): Promise<void> {
  const step = mode === 'tmpfs' && issuer !== issuerCases[0] ? 3 : 1;
  for (let call = 1; ; call += step) {
    if (await live(call)) {
      t.diagnostic(`${Math.ceil((call - 1) / step)} deaths`);
      return assert.ok(call > fewestCalls, String(call));
    }
  }
}

/** Ends the dead run before anything works again, and starts the next one. */
async function nextRun({ world, death }: Scene): Promise<void> {
  world.manager.stop();
  death.undo();
  await world.restart();
}

/** Plays signer and time until the condition holds. */
async function drive({ world, played }: Scene, condition: () => boolean): Promise<void> {
  const isMet = (): boolean => {
    // Alarms whose time has come ring.
    world.clock.advance(0);
    return condition();
  };
  for (;;) {
    await world.until(() => isMet() || played.isAsked());
    if (isMet()) {
      return;
    }
    await played.answer(lifetimeMs);
  }
}

function isReady(world: World): boolean {
  return world.manager.credentials().some(({ state }) => state === 'fresh');
}

function isRenewed(world: World, request: PublishRequest, first: string): boolean {
  const [credential] = world.manager.credentials();
  const isFresh = credential?.state === 'fresh' && (credential.refreshAt ?? 0) > world.clock.now();
  return isFresh && world.read(request, 'tls.pem') !== first;
}

/** The files hold the newest key that was asked for, nothing was asked for twice, and nothing is left over. */
async function assertWhole(scene: Scene, request: PublishRequest, requests: number): Promise<void> {
  const { world, played, issuer } = scene;
  assert.equal(keysOf(scene, request).length, requests, request.volumeName);
  assert.equal(keyIn(world, request), keysOf(scene, request).at(-1));
  assert.deepEqual(fs.readdirSync(join(request.targetPath, '..agent')).sort(), ['issued-0.json', 'volume.json']);
  const visible = fs.readdirSync(request.targetPath).filter((name) => !/^\.\.\d{4}_/.test(name));
  assert.deepEqual(visible.sort(), ['..agent', '..data', 'tls.pem']);
  // The files, and after a refresh those before them, which the next agent clears away.
  const sets = fs.readdirSync(request.targetPath).length - visible.length;
  assert.ok(sets === 1 || (requests === 2 && sets === 2), `there are ${sets} sets of files`);
  // PodCertificateRequests are cleared away by the cluster.
  if (issuer.api !== 'podCertificateRequest') {
    await world.until(() => !played.held().some((name) => isOf(request, name)));
  }
}

function isOf(request: PublishRequest, requestName: string): boolean {
  return requestName.startsWith(`${request.volumeName}-0-`);
}

/** The public keys that were asked for, in order. */
function keysOf({ played }: Scene, request: PublishRequest): readonly string[] {
  return played.made.filter(({ name }) => isOf(request, name)).map(({ spki }) => spki);
}

function keyIn(world: World, request: PublishRequest): string {
  const key = createPublicKey(createPrivateKey(world.read(request, 'tls.pem')));
  return key.export({ type: 'spki', format: 'der' }).toString('hex');
}
