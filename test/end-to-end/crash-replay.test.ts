/**
 * A crash at any instruction: an issuance, a refresh and an unpublish, in directories and on real tmpfs, replayed once for every
 * call that changes a file system or a mount, with the process dead before that call. A write is left half done. The dead process changes nothing any more; what
 * it left is taken up by the next run, which must end with a whole volume and ask for nothing twice.
 *
 * The death is played in this process: from that call on, whatever would change something fails or never returns.
 */
import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { PublishRequest } from '../../volumes/csi/driver.ts';
import { createWorld, hour, podCertificate, type World } from '../agent/lifecycle/world.ts';
import { mountPointsBelow, mountSkip, temporaryDirectory } from '../volumes/support.ts';

const sources = [podCertificate(0, 'tls.pem')];
const lifetimeMs = 24 * hour;
/** The kubelet's mount call and the files of one volume: fewer would mean that the deaths are not where they should be. */
const fewestCalls = 20;

inBothModes(
  'an issuance that dies before any of its changes is finished by the next run with the same request',
  async (t, mode) => {
    const { world, death, root } = await makeMortalWorld(t, mode);
    for (let call = 1; ; call += 1) {
      const request = world.request(`issue-${call}`, sources);
      death.comeBefore(call);
      void world.publish(request).catch(() => undefined);
      await drive(world, () => death.came() || isReady(world));
      const survived = !death.came();
      await nextRun(world, death);
      const outcome = world.publish(request);
      await drive(world, () => isReady(world));
      assert.equal((await outcome).type, 'ready');
      assertWhole(world, request, 1);
      await world.manager.unpublish(request.volumeId, request.targetPath);
      assert.deepEqual(mountPointsBelow(root), []);
      if (survived) {
        t.diagnostic(`${call - 1} deaths`);
        return assert.ok(call > fewestCalls, String(call));
      }
    }
  },
);

inBothModes(
  'a refresh that dies before any of its changes leaves the old or the new files, and is finished',
  async (t, mode) => {
    const { world, death } = await makeMortalWorld(t, mode);
    for (let call = 1; ; call += 1) {
      const request = world.request(`refresh-${call}`, sources);
      const issued = world.publish(request);
      await drive(world, () => isReady(world));
      await issued;
      const first = world.read(request, 'tls.pem');
      death.comeBefore(call);
      world.clock.advance(0.9 * lifetimeMs);
      await drive(world, () => death.came() || isRenewed(world, request, first));
      const survived = !death.came();
      assert.ok(
        keysOf(world, request).includes(keyIn(world, request)),
        `${keyIn(world, request)} is not in:\n${keysOf(world, request)}`,
      );
      await nextRun(world, death);
      await drive(world, () => isRenewed(world, request, first));
      assertWhole(world, request, 2);
      await world.manager.unpublish(request.volumeId, request.targetPath);
      if (survived) {
        t.diagnostic(`${call - 1} deaths`);
        return assert.ok(call > fewestCalls, String(call));
      }
    }
  },
);

inBothModes('an unpublish that dies before any of its changes is repeated, and nothing is left', async (t, mode) => {
  const { world, death, root } = await makeMortalWorld(t, mode);
  for (let call = 1; ; call += 1) {
    const request = world.request(`remove-${call}`, sources);
    const issued = world.publish(request);
    await drive(world, () => isReady(world));
    await issued;
    death.comeBefore(call);
    let ended = false;
    const end = (): void => {
      ended = true;
    };
    void world.manager.unpublish(request.volumeId, request.targetPath).then(end, end);
    await world.until(() => ended || death.came());
    const survived = !death.came();
    await nextRun(world, death);
    await world.manager.unpublish(request.volumeId, request.targetPath);
    assert.equal(fs.existsSync(request.targetPath), false, `${request.targetPath} is still there`);
    assert.deepEqual(mountPointsBelow(root), []);
    if (survived) {
      t.diagnostic(`${call - 1} deaths`);
      return;
    }
  }
});

type Mode = 'tmpfs' | 'directory';

function inBothModes(name: string, body: (t: TestContext, mode: Mode) => Promise<void>): void {
  const timeout = 120_000;
  test(`${name} (directory)`, { timeout }, (t) => body(t, 'directory'));
  test(`${name} (tmpfs)`, { timeout, skip: mountSkip }, (t) => body(t, 'tmpfs'));
}

/** A process that can die. */
interface Death {
  /** The process dies before its n-th change from now. */
  comeBefore(call: number): void;
  came(): boolean;
  /** Another process: it lives. */
  undo(): void;
}

async function makeMortalWorld(t: TestContext, mode: Mode) {
  const root = temporaryDirectory(t);
  const world = await createWorld(t, mode === 'tmpfs' ? { mountedBelow: root } : {});
  return { world, death: makeMortal(t), root };
}

const changes = [
  ...(['fchownSync', 'fchmodSync', 'mkdirSync', 'renameSync', 'symlinkSync', 'linkSync'] as const),
  ...(['unlinkSync', 'rmSync', 'rmdirSync'] as const),
];

function makeMortal(t: TestContext): Death {
  let left = Number.POSITIVE_INFINITY;
  let dead = false;
  const diesNow = (): boolean => {
    left -= 1;
    dead ||= left <= 0;
    return dead;
  };
  const refuse = (): never => {
    throw new Error('the process is dead');
  };
  const { openSync: open, writeSync: write } = fs;
  const originals = Object.fromEntries(changes.map((name) => [name, fs[name]]));
  const { execFile } = childProcess;
  const mortal = Object.fromEntries(
    changes.map((name) => {
      const change = fs[name] as (...values: unknown[]) => unknown;
      return [name, (...values: unknown[]) => (diesNow() ? refuse() : change(...values))];
    }),
  );
  const openSync: typeof fs.openSync = (file, flags, mode) => {
    const creates = (Number(flags) & fs.constants.O_CREAT) !== 0;
    return creates && diesNow() ? refuse() : open(file, flags, mode);
  };
  const writeSync = (descriptor: number, bytes: Uint8Array, offset: number): number => {
    const wasDead = dead;
    if (!diesNow()) {
      return write(descriptor, bytes, offset);
    }
    if (!wasDead) {
      write(descriptor, bytes, offset, (bytes.length - offset) >> 1);
    }
    return refuse();
  };
  Object.assign(fs, mortal, { openSync, writeSync });
  // A dead process gets no answer either.
  const run = (...values: Parameters<typeof execFile>) => (diesNow() ? undefined : execFile(...values));
  Object.assign(childProcess, { execFile: run });
  syncBuiltinESMExports();
  const live = (): void => {
    left = Number.POSITIVE_INFINITY;
    dead = false;
  };
  t.after(() => {
    Object.assign(fs, originals, { openSync: open, writeSync: write });
    Object.assign(childProcess, { execFile });
    syncBuiltinESMExports();
  });
  return {
    comeBefore(call) {
      left = call;
    },
    came: () => dead,
    undo: live,
  };
}

/** Ends the dead run before anything works again, and starts the next one. */
async function nextRun(world: World, death: Death): Promise<void> {
  world.manager.stop();
  death.undo();
  await world.restart();
}

/** Plays signer and time until the condition holds. */
async function drive(world: World, condition: () => boolean): Promise<void> {
  const isMet = (): boolean => {
    // Alarms whose time has come ring.
    world.clock.advance(0);
    return condition();
  };
  for (;;) {
    await world.until(() => isMet() || world.followed.size > 0);
    if (isMet()) {
      return;
    }
    await world.answer('issue', lifetimeMs);
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
function assertWhole(world: World, request: PublishRequest, requests: number): void {
  const names = world.submitted.filter(({ order }) => isOf(request, order.requestName)).map(({ order }) => order);
  assert.equal(new Set(names.map(({ requestName }) => requestName)).size, requests, request.volumeName);
  assert.equal(keyIn(world, request), keysOf(world, request).at(-1));
  assert.deepEqual(fs.readdirSync(join(request.targetPath, '..agent')).sort(), ['issued-0.json', 'volume.json']);
  const visible = fs.readdirSync(request.targetPath).filter((name) => !/^\.\.\d{4}_/.test(name));
  assert.deepEqual(visible.sort(), ['..agent', '..data', 'tls.pem']);
  assert.equal(fs.readdirSync(request.targetPath).length, 4);
}

function isOf(request: PublishRequest, requestName: string): boolean {
  return requestName.startsWith(`${request.volumeName}-0-`);
}

/** The public keys that were asked for, in order. */
function keysOf(world: World, request: PublishRequest): readonly string[] {
  const asked = world.submitted.filter(({ order }) => isOf(request, order.requestName));
  return asked.map(({ spki }) => Buffer.from(spki).toString('hex'));
}

function keyIn(world: World, request: PublishRequest): string {
  const key = createPublicKey(createPrivateKey(world.read(request, 'tls.pem')));
  return key.export({ type: 'spki', format: 'der' }).toString('hex');
}
