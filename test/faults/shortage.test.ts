/**
 * Nothing left of what an agent lives on: file descriptors, room in a volume, room on the disk under the kubelet's directories. While
 * it lasts a pod comes for its first certificate. (Memory: `test/end-to-end/hostile.test.ts`, at the limit of the chart's container.)
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { signerName } from '../end-to-end/node.ts';
import { type AgentProcess, startRealNode } from '../end-to-end/real-node.ts';
import { withinBound } from '../support/bounded.ts';
import { startVolumeReader } from '../support/volume-reader.ts';
import { mountSkip } from '../volumes/support.ts';
import { assertFlat } from './campaign/endure.ts';
import { takenBy, watchForDuplicates } from './campaign/stage.ts';
import { isLongForm } from './form.ts';

const sources = [
  { podCertificate: { signerName, keyType: 'ECDSAP256', keyPath: 'key.pem', certificateChainPath: 'chain.pem' } },
];
const volumes = [{ name: 'mtls', sources }];
/** What a kubelet makes for a volume before it calls: directories of the pod, of its volumes, of one of them, and a file. */
const kubeletsInodes = 5;

interface Place {
  readonly agent: AgentProcess;
  readonly volume: string;
  readonly disk: string;
}

/** Brings it about. @returns ends it */
type Shortage = (place: Place) => () => void;

test('an agent that runs out of file descriptors, or of room in a volume or on the disk, takes nothing away and comes back by itself', {
  skip: mountSkip,
  timeout: isLongForm ? 1_800_000 : 600_000,
}, async (t) => {
  const signers = [{ signerName, lifetimeSeconds: 30, refreshAtFraction: 0.04 }];
  const node = await startRealNode(t, { timeScale: 600, signers });
  const { admin, kubeletRoot } = node.cluster;
  const disk = join(kubeletRoot, 'pods');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,nr_inodes=200', 'disk', disk]);
  execFileSync('mount', ['--make-rshared', disk]);
  const duplicates = watchForDuplicates(node);
  const agent = await node.startAgent();
  await admin.createPod({ name: 'steady', volumes });
  const volume = node.volume(await admin.podRunning('default', 'steady'));
  const reader = await startVolumeReader(t, [{ directory: volume, key: 'key.pem', certificate: 'chain.pem' }]);
  const renewed = (): Promise<unknown> => {
    const known = new Set(reader.read(volume).map(({ serial }) => serial));
    return reader.seen(({ serial }) => !known.has(serial));
  };
  await renewed();
  const before = takenBy(agent.pid);
  for (const [index, [what, begin]] of Object.entries(shortages()).entries()) {
    const end = begin({ agent, volume, disk });
    const late = `late-${index}`;
    await admin.createPod({ name: late, volumes });
    await (isLongForm ? delay(5_000) : agent.logged((line) => JSON.stringify(line).includes('ENOSPC')));
    end();
    await renewed();
    await withinBound(admin.podRunning('default', late), () => `${late} to run after ${what}:\n${agent.output()}`);
    await withinBound(admin.deletePod('default', late), `${late} to go`);
    t.diagnostic(`${what}: ${JSON.stringify(takenBy(agent.pid))}`);
  }
  assert.deepEqual(await reader.close(), []);
  assert.deepEqual(duplicates(agent), []);
  assert.deepEqual(node.mounts(), [volume]);
  assertFlat(before, takenBy(agent.pid), 64);
});

function shortages(): Readonly<Record<string, Shortage>> {
  if (!isLongForm) {
    return {
      'two file descriptors to spare, a full volume and a full disk': (place) => {
        const ends = [outOfDescriptors(2)(place), fullVolume(place), fullDisk(place)];
        return () => {
          for (const end of ends) {
            end();
          }
        };
      },
    };
  }
  const spare = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12];
  return {
    ...Object.fromEntries(spare.map((count) => [`${count} file descriptors to spare`, outOfDescriptors(count)])),
    'a full volume': fullVolume,
    'a full disk': fullDisk,
  };
}

/** From here on the agent may open no more than so many files beside those that it has. */
function outOfDescriptors(spare: number): Shortage {
  return ({ agent }) => {
    const limits = readFileSync(`/proc/${agent.pid}/limits`, 'utf8');
    const [, soft = ''] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
    const setLimit = (most: number | string): void => {
      execFileSync('prlimit', ['--pid', String(agent.pid), `--nofile=${most}:`]);
    };
    const numbers = readdirSync(`/proc/${agent.pid}/fd`).map(Number);
    setLimit(Math.max(...numbers) + 1 + spare);
    return () => setLimit(soft);
  };
}

/** A process that is root, as no pod's is, writes into a volume until it is full. */
const fullVolume: Shortage = ({ volume }) => {
  const file = join(volume, 'filler');
  const descriptor = openSync(file, 'w');
  untilFull(() => writeSync(descriptor, Buffer.alloc(4096)));
  closeSync(descriptor);
  return () => rmSync(file);
};

/** The disk has room for what the kubelet makes for one volume, and for nothing else. */
const fullDisk: Shortage = ({ disk }) => {
  const directory = join(disk, 'filler');
  mkdirSync(directory);
  const names: string[] = [];
  untilFull(() => {
    const name = join(directory, String(names.length));
    writeFileSync(name, '');
    names.push(name);
  });
  for (const name of names.slice(-kubeletsInodes)) {
    rmSync(name);
  }
  return () => rmSync(directory, { recursive: true });
};

function untilFull(fill: () => void): void {
  try {
    for (;;) {
      fill();
    }
  } catch (error) {
    assert.equal(error instanceof Error && 'code' in error ? error.code : error, 'ENOSPC');
  }
}
