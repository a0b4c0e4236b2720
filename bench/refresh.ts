/**
 * From the API server's watch to the files: renewed certificates that are answered one at a time, and one trust bundle that all
 * volumes of a node use. The file's side is the kernel's word (inotify) that `..data` points elsewhere.
 */
import { type FSWatcher, watch } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs, type PodOfBench, signerName } from './support/api-server-calls.ts';
import type { Bench, Figure } from './support/figures.ts';
import { type BenchNode, bundleName, eachOf, podOf, startBenchNode } from './support/node.ts';
import { createBenchSigner } from './support/signer.ts';
import { median, p99 } from './support/statistics.ts';

const certificateCount = 110;
const volumeCount = 250;
const bundleRounds = 5;
/** Between two answers: the agent is to be idle when one comes. */
const pauseMs = 30;
const waitMs = 60_000;

export const bench: Bench = {
  what: 'issued in the API to new file, and one trust bundle to all volumes',
  async measure({ progress }) {
    const node = await startBenchNode();
    try {
      // Soon due: the jitter on a refresh is a tenth of what the certificate has left.
      await node.apiServer.call('signing', { holdsRenewals: true, lifetimeSeconds: 120, refreshAfterSeconds: 1 });
      const pods = await publish(node, 0, certificateCount);
      progress(`waiting until ${certificateCount} certificates are due`);
      await untilHeld(node, certificateCount);
      await node.apiServer.call('signing', {
        holdsRenewals: false,
        lifetimeSeconds: 86_400,
        refreshAfterSeconds: 57_600,
      });
      const renewals: number[] = [];
      for (const pod of pods) {
        const [changedAt, writtenAt] = await Promise.all([
          changeOf(node.kubelet.target(pod)),
          node.apiServer.call('release', pod.name),
        ]);
        renewals.push(changedAt - writtenAt);
        await sleep(pauseMs);
      }
      progress(`issued to file: ${median(renewals).toFixed(1)} ms, p99 ${p99(renewals).toFixed(1)} ms`);
      pods.push(...(await publish(node, certificateCount, volumeCount - certificateCount)));
      const spreads: number[] = [];
      for (let round = 0; round < bundleRounds; round += 1) {
        spreads.push(await changeBundle(node, pods));
        await sleep(1000);
      }
      progress(`one bundle to ${volumeCount} volumes: ${spreads.map((ms) => ms.toFixed(0)).join(', ')} ms`);
      return figures(renewals, spreads);
    } finally {
      await node.close();
    }
  },
};

function figures(renewals: readonly number[], spreads: readonly number[]): readonly Figure[] {
  const note = `${certificateCount} renewals, one at a time; ${bundleRounds} changes of the bundle. From before the answer is written to the watch.`;
  const what = 'issued in the API to new file';
  return [
    {
      name: 'refresh/p50',
      what: `${what}, p50`,
      unit: 'ms',
      value: median(renewals),
      target: { of: 'value', limit: 5 },
      note,
    },
    { name: 'refresh/p99', what: `${what}, p99`, unit: 'ms', value: p99(renewals), target: { of: 'value', limit: 25 } },
    {
      name: 'refresh/bundle',
      what: `one bundle changes: all of ${volumeCount} volumes`,
      unit: 'ms',
      value: median(spreads),
      target: { of: 'value', limit: 50 },
    },
  ];
}

/** Starts pods, some at a time. */
async function publish(node: BenchNode, from: number, count: number): Promise<PodOfBench[]> {
  const pods = Array.from({ length: count }, (_, index) => podOf(`refresh-${from + index}`));
  await node.apiServer.call('announce', pods);
  await eachOf(pods, (pod) => node.kubelet.publish(pod));
  return pods;
}

async function untilHeld({ apiServer }: BenchNode, count: number): Promise<void> {
  const until = performance.now() + waitMs;
  while ((await apiServer.call('held')).length < count) {
    if (performance.now() > until) {
      throw new Error(`fewer than ${count} certificates were due within ${waitMs} ms`);
    }
    await sleep(100);
  }
}

/** @returns when the volume's files were exchanged, on the machine's clock */
async function changeOf(volume: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const watcher: FSWatcher = watch(volume, (_, name) => {
    if (name === '..data') {
      resolve(monotonicMs());
    }
  });
  const timer = setTimeout(() => reject(new Error(`${volume} did not change within ${waitMs} ms`)), waitMs);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    watcher.close();
  }
}

/** Adds another root to the bundle, and waits until every volume has it. @returns milliseconds until the last */
async function changeBundle({ apiServer, kubelet }: BenchNode, pods: readonly PodOfBench[]): Promise<number> {
  const another = await createBenchSigner(Date.now());
  const changes = Promise.all(pods.map((pod) => changeOf(kubelet.target(pod))));
  const pem = apiServer.rootPem + another.rootPem;
  const writtenAt = await apiServer.call('bundles', [{ name: bundleName, signerName, labels: {}, pem }]);
  return Math.max(...(await changes)) - writtenAt;
}
