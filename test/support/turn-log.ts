/**
 * Preloaded into a process (`--import`), notes how long each long turn of its event loop took: the processor time that its main
 * thread used, so that neither a busy machine nor another thread counts. Before anything else it measures a unit: work that takes
 * some 10 milliseconds on an idle machine of today.
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

/** The fastest of many: whatever else happens makes one slower. */
function measureUnit(): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 40; round += 1) {
    const before = usedMs();
    work();
    best = Math.min(best, usedMs() - before);
  }
  return best;
}

function watchTurns(): void {
  let last = usedMs();
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

tell('unit', measureUnit());
watchTurns();
