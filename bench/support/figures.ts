/**
 * What benches hand back: figures, each with its floor where it has one and the target that it is held to. A figure is
 * measured against a floor by a ratio, since times belong to the machine.
 */

export type Unit = 'ms' | 'MiB' | '%' | 'pods/s' | 'calls' | 'bytes' | '×';

export interface Figure {
  /** What tells it from all others, in words of a path: `publish/ECDSAP256/p50`. */
  readonly name: string;
  /** What was measured, for a table's row. */
  readonly what: string;
  readonly unit: Unit;
  readonly value: number;
  /** The same, of the bare steps alone or of the run that it is compared with, in the same unit. */
  readonly floor?: number;
  readonly target?: Target;
  /** Whatever a reader must know to believe it. */
  readonly note?: string;
}

export interface Target {
  /** Held against the value, or against how many times the floor it is. */
  readonly of: 'value' | 'ratio';
  /** Not to be exceeded. */
  readonly limit: number;
}

/** One of the benches that `npm run bench` runs. */
export interface Bench {
  /** One line, for `--help`. */
  readonly what: string;
  measure(tools: BenchTools): Promise<readonly Figure[]>;
}

export interface BenchTools {
  /** Says how far it is, on stderr. */
  progress(text: string): void;
  /** How many renewals the bench of them is to see. */
  readonly renewals: number;
}

/** How many times the floor a figure is. More is worse: of what is better when it is more, the floor is divided by it. */
export function ratioOf({ unit, value, floor }: Figure): number | undefined {
  if (floor === undefined) {
    return undefined;
  }
  return unit === 'pods/s' ? floor / value : value / floor;
}

/** Undefined where no target is set. */
export function isMet(figure: Figure): boolean | undefined {
  const { target, value } = figure;
  if (target === undefined) {
    return undefined;
  }
  const measured = target.of === 'value' ? value : ratioOf(figure);
  return measured !== undefined && measured <= target.limit;
}
