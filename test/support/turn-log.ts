/**
 * Preloaded into a process (`--import`), notes how long each long turn of its event loop took: the processor time that its main
 * thread used, so that neither a busy machine nor another thread counts. It measures a unit too, before anything else and whenever it is
 * asked to: work that takes some 4 milliseconds on an idle machine of today, and longer where neighbours empty the processor's caches.
 *
 * A timer of a millisecond is asked for again each time it rings, so what is measured between two rings is a turn, or some short
 * ones. `turns.ts` reads what it writes to standard error.
 */
import { writeSync } from 'node:fs';
import process from 'node:process';

/** Turns shorter than this are not told, milliseconds. */
const shortestToldMs = 4;

const standardError = 2;

function tell(kind: 'unit' | 'turn', ms: number): void {
  writeSync(standardError, `${kind} ${Date.now()} ${ms}\n`);
}

function usedMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Objects, texts and numbers, as most of the agent's work is. */
function work(): number {
  const objects = Array.from({ length: 12_000 }, (_, index) => ({ name: `object-${index}`, index, list: [index] }));
  const text = JSON.stringify(objects);
  const read: typeof objects = JSON.parse(text);
  return read.reduce((sum, { name, list }) => sum + name.length + list.length, 0);
}

/** The median of some: as slow as this machine is now, but for a garbage collection. */
function measureUnit(): number {
  const times = Array.from({ length: 9 }, () => {
    const before = usedMs();
    work();
    return usedMs() - before;
  });
  return times.toSorted((one, other) => one - other)[4] ?? Number.NaN;
}

function watchTurns(): void {
  let last = usedMs();
  process.on('SIGUSR2', () => {
    tell('unit', measureUnit());
    last = usedMs();
  });
  const look = (): void => {
    const now = usedMs();
    if (now - last >= shortestToldMs) {
      tell('turn', now - last);
    }
    last = usedMs();
    setTimeout(look, 1).unref();
  };
  look();
}

for (let warming = 0; warming < 30; warming += 1) {
  work();
}
tell('unit', measureUnit());
watchTurns();
