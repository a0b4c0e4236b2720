/**
 * A kubelet at its worst: calls are repeated, given up in the middle, sent before others are answered, and its directory tree loses
 * parts under mounted volumes. The agent is a process with real mounts; what it should have is held against a model.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { createCsiDriver } from '../../sandbox/kubelet/csi.ts';
import { type PodVolume, podVolume } from '../../sandbox/kubelet/pod.ts';
import type { CsiResult } from '../../sandbox/kubelet/surroundings.ts';
import { prepareVolume, removeVolume } from '../../sandbox/kubelet/volume-directory.ts';
import { signerName } from '../end-to-end/node.ts';
import { type AgentProcess, type RealNode, startRealNode } from '../end-to-end/real-node.ts';
import { until } from '../support/bounded.ts';
import { startVolumeReader } from '../support/volume-reader.ts';
import { mountSkip } from '../volumes/support.ts';
import { assertFlat } from './campaign/endure.ts';
import { takenBy } from './campaign/stage.ts';
import { createChance } from './chance.ts';
import { isLongForm } from './form.ts';

const calls = isLongForm ? 1_000 : 80;
const volumeCount = isLongForm ? 40 : 8;
const options = { skip: mountSkip, timeout: isLongForm ? 1_800_000 : 600_000 };
const sources = [
  { podCertificate: { signerName, keyType: 'ECDSAP256', keyPath: 'key.pem', certificateChainPath: 'chain.pem' } },
];

/** With a heap as small as in the image: what is kept in vain shows, and what is only not cleared away yet does not. */
const program = [
  process.execPath,
  ...['--optimize-for-size', '--max-semi-space-size=1', '--max-old-space-size=128'],
  join(import.meta.dirname, '../../agent/main.ts'),
];

/** One pod's only volume, and the calls that a kubelet makes for it. */
interface Subject {
  readonly volume: PodVolume;
  readonly uid: string;
  publish(signal?: AbortSignal, deadlineMs?: number): Promise<CsiResult>;
  unpublish(signal?: AbortSignal): Promise<CsiResult>;
}

test(
  'calls that are repeated, given up and sent out of order leave what the last answered ones say, and nothing else',
  options,
  async (t) => {
    const chance = createChance();
    t.diagnostic(`seed ${chance.seed}`);
    const { node, agent } = await startNode(t);
    const steady = await createSubject(node, 'steady');
    await done(steady.publish());
    const reader = await startVolumeReader(t, [follow(steady)]);
    const subjects: Subject[] = [];
    for (let index = 0; index < volumeCount; index += 1) {
      subjects.push(await createSubject(node, `pod-${index}`));
    }
    const removals = new Map<string, number>();
    const countRemoval = ({ uid }: Subject): void => void removals.set(uid, (removals.get(uid) ?? 0) + 1);
    // What is made once stays: connections, threads, compiled code.
    await Promise.all(subjects.map((subject) => done(subject.publish())));
    await Promise.all(subjects.map((subject) => done(subject.unpublish())));
    for (const subject of subjects) {
      countRemoval(subject);
    }
    const before = takenBy(agent.pid);

    const call = (): Promise<unknown> => {
      const subject = chance.oneOf(subjects);
      const patience = chance.oneOf([undefined, undefined, 5, 20, 60]);
      const signal = patience === undefined ? undefined : AbortSignal.timeout(patience);
      if (chance.below(2) === 0) {
        return chance.below(4) === 0 ? subject.publish(undefined, 1 + chance.below(60)) : subject.publish(signal);
      }
      countRemoval(subject);
      return subject.unpublish(signal);
    };
    const underWay = new Set<Promise<unknown>>();
    for (let made = 0; made < calls; made += 1) {
      const one = call().finally(() => underWay.delete(one));
      underWay.add(one);
      if (chance.below(5) === 0) {
        await done(steady.publish());
      }
      if (underWay.size > 10) {
        await Promise.race(underWay);
      }
    }
    await Promise.all(underWay);

    const model = new Map(subjects.map((subject) => [subject, chance.below(2) === 0]));
    await Promise.all([...model].map(([subject, isWanted]) => settle(subject, isWanted)));
    for (const [subject] of [...model].filter(([, isWanted]) => !isWanted)) {
      countRemoval(subject);
    }
    const wanted = [...model].filter(([, isWanted]) => isWanted).map(([subject]) => subject);
    const paths = [steady, ...wanted].map(({ volume }) => volume.targetPath);
    assert.deepEqual(node.mounts().toSorted(), paths.toSorted());
    for (const subject of wanted) {
      assertPair(subject);
    }
    for (const { uid } of subjects) {
      const most = 1 + (removals.get(uid) ?? 0);
      const made = node.created.filter(({ spec }) => spec.podUID === uid).length;
      assert.ok(made <= most, `${made} requests for a volume that was published ${most} times at most`);
    }
    assert.equal(node.created.filter(({ spec }) => spec.podUID === steady.uid).length, 1);

    assert.deepEqual(await reader.close(), []);
    await Promise.all([steady, ...subjects].map((subject) => settle(subject, false)));
    await assertNothingLeft(node, agent);
    assertFlat(before, takenBy(agent.pid), 64);
  },
);

test(
  'parts of the kubelet’s directory tree that go away under mounted volumes cost other volumes nothing, and are made anew',
  options,
  async (t) => {
    const { node, agent } = await startNode(t);
    const steady = await createSubject(node, 'steady');
    const lost = await createSubject(node, 'lost');
    await done(steady.publish());
    const reader = await startVolumeReader(t, [follow(steady)]);
    const podDirectory = join(node.cluster.kubeletRoot, 'pods', lost.uid);
    const losses: Readonly<Record<string, () => void>> = {
      'the mount': () => unmount(lost),
      'the pod’s directory': () => {
        unmount(lost);
        rmSync(podDirectory, { recursive: true });
      },
      'the volume’s directory, for another one': () => {
        unmount(lost);
        rmSync(lost.volume.directory, { recursive: true });
      },
      'the driver’s socket': () => rmSync(node.cluster.csiSocket),
      'what the kubelet knows of the volume': () => rmSync(join(lost.volume.directory, 'vol_data.json')),
    };
    await done(lost.publish());
    for (const [what, lose] of Object.entries(losses)) {
      lose();
      await until(() => existsSync(node.cluster.csiSocket), `the socket to come back after the loss of ${what}`, pause);
      await settle(lost, true);
      assertPair(lost);
      lose();
      await until(() => existsSync(node.cluster.csiSocket), `the socket to come back after the loss of ${what}`, pause);
      await settle(lost, false);
      assert.deepEqual(node.mounts(), [steady.volume.targetPath], what);
      await settle(lost, true);
    }
    await settle(lost, false);
    assert.equal(node.created.filter(({ spec }) => spec.podUID === steady.uid).length, 1);
    assert.deepEqual(await reader.close(), []);
    await settle(steady, false);
    await assertNothingLeft(node, agent);
  },
);

const pause = () => delay(20);

async function startNode(t: TestContext): Promise<{ readonly node: RealNode; readonly agent: AgentProcess }> {
  const signers = [{ signerName, behaviour: { type: 'slow', delayMs: 30 } as const }];
  const node = await startRealNode(t, { kubelet: 'none', signers, program });
  return { node, agent: await node.startAgent(['--no-registration']) };
}

async function createSubject({ cluster }: RealNode, name: string): Promise<Subject> {
  const pod = await cluster.admin.createPod({ name, volumes: [{ name: 'mtls', sources }] });
  const { uid = '' } = pod.metadata;
  const volume = podVolume(cluster.kubeletRoot, uid, 'mtls');
  const { volumeId, targetPath } = volume;
  const request = {
    ...{ volumeId, targetPath, readOnly: true },
    volumeContext: {
      sources: stringify(sources),
      'csi.storage.k8s.io/pod.name': name,
      'csi.storage.k8s.io/pod.namespace': 'default',
      'csi.storage.k8s.io/pod.uid': uid,
      'csi.storage.k8s.io/serviceAccount.name': 'default',
      'csi.storage.k8s.io/ephemeral': 'true',
    },
  };
  const driver = (deadlineMs?: number) =>
    createCsiDriver({ driverName: cluster.driverName, endpoint: () => cluster.csiSocket, deadlineMs });
  const never = new AbortController().signal;
  return {
    ...{ volume, uid },
    async publish(signal = never, deadlineMs) {
      await prepareVolume(volume, cluster.driverName, cluster.nodeName);
      return await driver(deadlineMs).publish(request, signal);
    },
    unpublish: (signal = never) => driver().unpublish(volumeId, targetPath, signal),
  };
}

/** Calls as a kubelet does until it is answered well, and then clears away what is its own. */
async function settle(subject: Subject, isWanted: boolean): Promise<void> {
  await until(
    async () => (await (isWanted ? subject.publish() : subject.unpublish())).type === 'done',
    `${subject.volume.targetPath} to be ${isWanted ? 'published' : 'unpublished'}`,
    pause,
  );
  if (!isWanted) {
    await removeVolume(subject.volume);
  }
}

async function done(call: Promise<CsiResult>): Promise<void> {
  assert.deepEqual(await call, { type: 'done' });
}

function follow({ volume }: Subject) {
  return { directory: volume.targetPath, key: 'key.pem', certificate: 'chain.pem' };
}

function unmount({ volume }: Subject): void {
  execFileSync('umount', [volume.targetPath]);
}

function assertPair({ volume }: Subject): void {
  const read = (file: string): string => readFileSync(join(volume.targetPath, file), 'utf8');
  const leaf = new X509Certificate(read('chain.pem'));
  assert.ok(leaf.checkPrivateKey(createPrivateKey(read('key.pem'))), `${volume.targetPath} has another key`);
}

async function assertNothingLeft({ cluster, mounts }: RealNode, agent: AgentProcess): Promise<void> {
  assert.deepEqual(mounts(), []);
  assert.deepEqual(readdirSync(join(cluster.kubeletRoot, 'pods')), []);
  await until(
    async () => {
      const { text } = await agent.get('/metrics');
      return ['volumes', 'unusable_volumes', 'api_queue_length', 'api_calls_in_flight'].every((name) =>
        new RegExp(`^podcert_agent_${name} 0$`, 'm').test(text),
      );
    },
    'the agent to have nothing more to do',
    pause,
  );
}
