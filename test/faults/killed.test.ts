/**
 * Agents that are killed at moments that chance chooses, while they renew, start, or take up pods that come and go; that are started
 * twice, as when one version follows another; and that find what a later version has left. A reader of its own watches the files.
 *
 * Certificates last for seconds and the API server's time runs 600 times as fast: an hour of its life is over in six seconds.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { signerName } from '../end-to-end/node.ts';
import { type AgentProcess, type RealNode, startRealNode } from '../end-to-end/real-node.ts';
import { withinBound } from '../support/bounded.ts';
import { startVolumeReader } from '../support/volume-reader.ts';
import { mountSkip } from '../volumes/support.ts';
import { assertFlat } from './campaign/endure.ts';
import { takenBy, watchForDuplicates } from './campaign/stage.ts';
import { createChance } from './chance.ts';
import { isLongForm } from './form.ts';

const deaths = isLongForm ? 60 : 2;
const podCount = isLongForm ? 8 : 2;
const longestLifeMs = isLongForm ? 3_000 : 500;
const sources = [
  { podCertificate: { signerName, keyType: 'ECDSAP256', keyPath: 'key.pem', certificateChainPath: 'chain.pem' } },
];
const volumes = [{ name: 'mtls', sources }];

test('agents that are killed at any moment, started twice, or follow a later version: files stay whole, and nothing is asked for twice', {
  skip: mountSkip,
  timeout: isLongForm ? 3_600_000 : 600_000,
}, async (t) => {
  const chance = createChance();
  t.diagnostic(`seed ${chance.seed}`);
  const behaviour = { type: 'slow', delayMs: 100 } as const;
  const signers = [{ signerName, lifetimeSeconds: 30, refreshAtFraction: 0.04, behaviour }];
  const node = await startRealNode(t, { timeScale: 600, signers });
  const { admin } = node.cluster;
  const duplicates = watchForDuplicates(node);
  let agent = await node.startAgent();
  const agents = [agent];
  const names = Array.from({ length: podCount }, (_, index) => `pod-${index}`);
  await Promise.all(names.map((name) => admin.createPod({ name, volumes })));
  const pods = await Promise.all(names.map((name) => admin.podRunning('default', name)));
  const directories = pods.map(node.volume);
  const reader = await startVolumeReader(
    t,
    directories.map((directory) => ({ directory, key: 'key.pem', certificate: 'chain.pem' })),
  );
  const before = takenBy(agent.pid);
  const leaving = new Map<number, Promise<void>>();
  const leave = (death: number): void => {
    if (death > 0 && !leaving.has(death)) {
      leaving.set(death, withinBound(admin.deletePod('default', `guest-${death}`), `guest-${death} to go`, 600_000));
    }
  };

  for (let death = 1; death <= deaths; death += 1) {
    await admin.createPod({ name: `guest-${death}`, volumes });
    await delay(chance.below(longestLifeMs));
    if (death % 20 === 1) {
      await agent.ready();
      await assertRefused(node);
    }
    // That of this turn, which is on its way, or the one before it.
    leave(chance.oneOf([death, death - 1]));
    await delay(chance.below(100));
    await agent.end('SIGKILL');
    if (death % 2 === 0) {
      for (const directory of directories) {
        leaveAsLaterVersion(join(directory, '..agent'));
      }
    }
    agent = node.spawnAgent();
    agents.push(agent);
    if (chance.below(2) === 0) {
      await agent.ready();
    }
  }

  await agent.ready();
  await Promise.all(
    directories.map((directory) => {
      const known = new Set(reader.read(directory).map(({ serial }) => serial));
      return reader.seen((reading) => reading.directory === directory && !known.has(reading.serial));
    }),
  );
  for (let death = 1; death <= deaths; death += 1) {
    leave(death);
  }
  await Promise.all(leaving.values());
  assert.deepEqual(await reader.close(), []);
  assert.deepEqual(duplicates({ lines: agents.flatMap(({ lines }) => lines) }), []);
  assert.deepEqual(node.mounts().toSorted(), directories.toSorted());
  assertFlat(before, takenBy(agent.pid), 32);
  t.diagnostic(`${deaths} deaths, ${node.created.length} requests, ${JSON.stringify(takenBy(agent.pid))}`);
  assert.deepEqual(complaints(agents, directories), []);
});

/** Another agent of the same node says who is there, and ends before it touches a volume. */
async function assertRefused(node: RealNode): Promise<void> {
  const { exit, output } = node.spawnAgent();
  const { code } = await withinBound(exit, 'the second agent to end');
  assert.equal(code, 1, output());
}

/** What an agent of a later version may have added to all that is kept of a volume; a map of words has no fields of its own. */
function leaveAsLaterVersion(state: string): void {
  for (const name of readdirSync(state).filter((each) => each.endsWith('.json'))) {
    const stored = JSON.parse(readFileSync(join(state, name), 'utf8'), (key, value) =>
      value?.constructor === Object && key !== 'userAnnotations' ? { ...value, later: { more: [1] } } : value,
    );
    const whole = join(state, `.later-${name}`);
    writeFileSync(whole, JSON.stringify({ ...stored, version: stored.version + 1 }), { mode: 0o600 });
    renameSync(whole, join(state, name));
  }
}

/** What agents say against volumes that they find. */
function complaints(agents: readonly AgentProcess[], directories: readonly string[]): readonly string[] {
  const lines = agents
    .flatMap((agent) => agent.lines)
    .filter((line) => directories.includes(String(line['targetPath'])));
  return lines.map(({ message }) => message).filter((message) => /cannot be taken up|made anew/.test(message));
}
