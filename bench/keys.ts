/**
 * What keys cost, as ratios within one run: absolute times belong to the machine. `node bench/keys.ts`
 *
 * - one key with proof of possession and stub request, by type, against ECDSAP256
 * - the first use of the curves against a warm one
 * - how long the event loop is held up while 20 keys of a type are asked for at once
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createKeyMaker } from '../agent/keys/key-maker.ts';
import { type KeyType, keyTypes } from '../volumes/declaration/key-types.ts';

const podUID = '2f1c8a64-7c0e-4d7c-9b55-0d6f2f6b7d10';
const atOnce = 20;
const keys = createKeyMaker();

async function issue(keyType: KeyType): Promise<void> {
  const key = await keys.generate(keyType);
  await key.proofOfPossession(podUID);
  await key.stubRequest();
  key.destroy();
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function medianOf(runs: number, work: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    times.push(await timed(work));
  }
  return median(times);
}

/** Longest time between two turns of the event loop while `work` runs, milliseconds. */
async function longestHoldUp(work: () => Promise<unknown>): Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await nextTurn();
  await work();
  histogram.disable();
  return histogram.max / 1e6;
}

const print = (line: string) => process.stdout.write(`${line}\n`);
const ratio = (value: number, unit: number) => `${(value / unit).toFixed(1).padStart(8)} x`;

const cold = await timed(() => keys.warmUp());
const warm = await timed(() => keys.warmUp());
print(`first use of all curves / warm use  ${ratio(cold, warm)}`);

const unit = await medianOf(15, () => issue('ECDSAP256'));
print(`\none key with proof and stub request (ECDSAP256: ${unit.toFixed(1)} ms here)`);
for (const keyType of keyTypes) {
  const time = await medianOf(keyType.startsWith('RSA') ? 5 : 15, () => issue(keyType));
  print(`  ${keyType.padEnd(34)}${ratio(time, unit)}`);
}

print(`\nlongest hold-up of the event loop, ${atOnce} keys at once / one ECDSAP256 key`);
for (const keyType of keyTypes) {
  const count = keyType.startsWith('RSA') ? 3 : atOnce;
  const delay = await longestHoldUp(() => Promise.all(Array.from({ length: count }, () => issue(keyType))));
  print(`  ${`${keyType}, ${count} at once`.padEnd(34)}${ratio(delay, unit)}`);
}
