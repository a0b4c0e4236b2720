/** The thread that fuzzes one target: what never ends in it can be told from outside, with the input that it was given. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { type FuzzResult, fuzz } from './fuzzer.ts';
import { targets } from './targets.ts';

export interface FuzzOrder {
  readonly target: string;
  readonly seed: number;
  readonly mutants: number;
  /** The input that is being tried: how many there were before it, its length, its bytes. */
  readonly shared: SharedArrayBuffer;
}

export type FuzzReport = FuzzResult;

const { target: name, seed, mutants, shared } = workerData as FuzzOrder;
const target = await targets[name]?.();
if (target === undefined) {
  throw new Error(`there is no target ${name}`);
}
const head = new Int32Array(shared, 0, 2);
const body = new Uint8Array(shared, head.byteLength);
const folder = join(import.meta.dirname, 'corpus', name);
const stored = readdirSync(folder).sort();
const corpus = [
  ...stored.map((file) => new Uint8Array(readFileSync(join(folder, file)))),
  ...((await target.seeds?.()) ?? []),
];
const report: FuzzReport = fuzz(target, {
  ...{ corpus, seed, mutants },
  onInput(input) {
    body.set(input.subarray(0, body.length));
    head[1] = input.length;
    Atomics.add(head, 0, 1);
  },
});
parentPort?.postMessage(report);
