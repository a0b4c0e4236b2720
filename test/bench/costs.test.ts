/**
 * What one pod costs, in what can be counted: it is the same on every machine and under any load. Times are for `npm run bench`.
 * The recorded ratios to the floor are in bench/ratios.json; whoever makes the agent cheaper writes the new ones there.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import recorded from '../../bench/ratios.json' with { type: 'json' };
import { imageSettings } from '../../bench/support/agent.ts';
import type { Counts } from '../../bench/support/api-server-calls.ts';
import { costOfPods, type PodCost } from '../../bench/support/costs.ts';
import { type Floor, startFloor } from '../../bench/support/floor.ts';
import { type BenchNode, startBenchNode } from '../../bench/support/node.ts';
import type { Transfers } from '../../bench/support/processes.ts';

const program = [process.execPath, ...imageSettings().flags, join(import.meta.dirname, '../../agent/main.ts')];
/** What a figure may rise by before somebody has to look. */
const tolerated = 1.25;
const warmUps = 10;
const podCount = 10;
const mostBatches = 2;
const transfers = ['bytesWritten', 'reads', 'writes'] as const;

test('a first certificate takes one create, one event and one read of the pod, and its reads, writes and bytes do not grow by a quarter', async (t) => {
  const node = await startBenchNode({ program });
  let floor: Floor | undefined;
  t.after(async () => {
    floor?.close();
    await node.close();
  });
  floor = await startFloor(node);
  await costOfPods(node, floor, warmUps, 'warm-up');
  const batches: PodCost[] = [];
  do {
    batches.push(await costOfPods(node, floor, podCount, `pod-${batches.length}`));
  } while (batches.length < mostBatches && transfers.some((what) => leastRatio(batches, what) > limitOf(node, what)));

  for (const { calls } of batches) {
    // The floor has made one, too.
    assert.equal(calls['create podcertificaterequests'], 2, `creates of the agent and of the floor, for each pod`);
  }
  const least = (pattern: RegExp): number => Math.min(...batches.map(({ calls }) => sumOf(calls, pattern)));
  // Some may come later than their pod, and be counted with others.
  assert.ok(least(/ events$/) <= 1, `${least(/ events$/)} calls about events for each pod`);
  assert.ok(least(/^get pods$/) <= 1, `${least(/^get pods$/)} reads of each pod`);
  const kept = least(/ (?:serviceaccounts|nodes)$/);
  assert.ok(kept <= 0.2, `${kept} reads of account and node for each pod: they are to be kept`);
  // A call that waits for long also watches whether its pod is deleted, which is not what is compared here.
  const comparable = batches.filter(({ calls }) => sumOf(calls, /^(?:list|watch) pods$/) === 0);
  if (comparable.length === 0) {
    t.diagnostic('reads, writes and bytes were not compared: the machine was so busy that publish calls waited');
    return;
  }
  for (const what of transfers) {
    const ratio = leastRatio(comparable, what).toFixed(2);
    const limit = limitOf(node, what);
    t.diagnostic(`${what} for a pod: ${ratio} times those of the floor, at most ${limit.toFixed(2)}`);
    assert.ok(
      Number(ratio) <= limit,
      `${what} of the agent for a pod are ${ratio} times those of the floor, not ${limit} at most`,
    );
  }
});

/** A batch in which something else is done besides, such as what a start leaves for later, does not count. */
function leastRatio(batches: readonly PodCost[], what: keyof Transfers): number {
  return Math.min(...batches.map(({ agent, floor }) => agent[what] / floor[what]));
}

function limitOf({ places }: BenchNode, what: keyof Transfers): number {
  return recorded[places.volumeMode][what] * tolerated;
}

function sumOf(calls: Counts, pattern: RegExp): number {
  const matching = Object.entries(calls).filter(([name]) => pattern.test(name));
  return matching.reduce((sum, [, count]) => sum + count, 0);
}
