/** What is measured of the process: how late its event loop is, without keeping it awake. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Registry } from 'prom-client';
import { measureProcess } from '../../../../agent/observe/metrics/process-metrics.ts';
import { until } from '../../../support/bounded.ts';

/** In which some looks are taken. */
const looksMs = 350;

const module = join(import.meta.dirname, '../../../../agent/observe/metrics/process-metrics.ts');

test('whatever holds the event loop up for longer than a tenth of a second shows as lag, and is forgotten when it was read', async () => {
  const registry = new Registry();
  measureProcess(registry);
  const value = async (name: string): Promise<number> => {
    const text = await registry.metrics();
    const [, found] = new RegExp(`^nodejs_eventloop_lag_${name}_seconds (.*)$`, 'm').exec(text) ?? [];
    assert.ok(found !== undefined, `no ${name}`);
    return Number(found);
  };
  assert.equal(await value('mean'), 0, 'nothing was measured yet');
  const seen: number[] = [];
  const readLater = async (blockedMs: number): Promise<number> => {
    // A look before it begins and one after it ends.
    await sleep(looksMs);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockedMs);
    await sleep(looksMs);
    return seen[seen.push(await value('max')) - 1] ?? 0;
  };
  await until(
    async () => (await readLater(400)) >= 0.29,
    () => `the lag, which was ${seen.slice(-5).join(', ')}`,
  );
  await until(async () => (await readLater(0)) < 0.29, 'a reading without it');
  assert.ok((await value('p99')) >= 0, 'a negative lag');
});

test('a process that has nothing to do is woken ten times a second at most', async () => {
  const program = `
    import { setTimeout as sleep } from 'node:timers/promises';
    import { Registry } from 'prom-client';
    import { measureProcess } from ${JSON.stringify(module)};
    measureProcess(new Registry());
    const turns = () => performance.nodeTiming.uvMetricsInfo.loopCount;
    const [before, beganAt] = [turns(), performance.now()];
    await sleep(1000);
    console.log(JSON.stringify({ turns: turns() - before, ms: performance.now() - beganAt }));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
    timeout: 60_000,
  });
  const { turns, ms } = JSON.parse(stdout) as { readonly turns: number; readonly ms: number };
  assert.ok(turns <= ms / 50, `${turns} turns of the event loop in ${ms} ms`);
});
