/** Reads how long the turns of another process' event loop took, which has `turn-log.ts` preloaded. */
import { join } from 'node:path';

/** The flags that a process is started with. */
export const turnLogging = ['--import', join(import.meta.dirname, 'turn-log.ts')];

export interface Turns {
  /** How long the unit takes, milliseconds: some 10 on an idle machine. */
  readonly unitMs: number;
  /** The longest turn in a span of time (milliseconds since the epoch), in units. */
  longest(from: number, to: number): number;
}

/** @param output what the process wrote */
export function readTurns(output: string): Turns {
  const entries = [...output.matchAll(/^(unit|turn) (\d+) ([\d.]+)$/gm)].map(([, kind, at, ms]) => ({
    kind,
    at: Number(at),
    ms: Number(ms),
  }));
  const unitMs = entries.find(({ kind }) => kind === 'unit')?.ms ?? Number.NaN;
  const turns = entries.filter(({ kind }) => kind === 'turn');
  return {
    unitMs,
    longest: (from, to) =>
      turns.filter(({ at }) => at >= from && at <= to).reduce((most, { ms }) => Math.max(most, ms), 0) / unitMs,
  };
}
