/** Reads how long the turns of another process' event loop took, which has `turn-log.ts` preloaded. */
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from './bounded.ts';

/** The flags that a process is started with. */
export const turnLogging = ['--import', join(import.meta.dirname, 'turn-log.ts')];

/** A process that was started with them, and what it wrote. */
interface Measured {
  readonly pid: number;
  output(): string;
}

interface Entry {
  readonly at: number;
  readonly ms: number;
}

/** Asks the process how long a unit takes it now, milliseconds of processor time. */
export async function measureUnit({ pid, output }: Measured): Promise<number> {
  const known = entriesOf(output(), 'unit').length;
  process.kill(pid, 'SIGUSR2');
  await until(
    () => entriesOf(output(), 'unit').length > known,
    'the unit to be measured',
    () => sleep(20),
  );
  return entriesOf(output(), 'unit').at(-1)?.ms ?? Number.NaN;
}

/** The longest turn in a span of time (milliseconds since the epoch), milliseconds; 0 where none was long enough to be told. */
export function longestTurnMs({ output }: Measured, from: number, to: number): number {
  return entriesOf(output(), 'turn')
    .filter(({ at }) => at >= from && at <= to)
    .reduce((most, { ms }) => Math.max(most, ms), 0);
}

function entriesOf(output: string, wanted: 'unit' | 'turn'): Entry[] {
  return [...output.matchAll(/^(unit|turn) (\d+) ([\d.]+)$/gm)].flatMap(([, kind, at, ms]) =>
    kind === wanted ? [{ at: Number(at), ms: Number(ms) }] : [],
  );
}
