/** What came of the changes to a file: which were noticed, and how, and which were not and have no reason. */
import type { Change } from './changes.ts';
import type { Explanation } from './explained/explanation.ts';
import { isWording } from './explained/wording.ts';
import type { Result, Verdict } from './trial.ts';

export interface Judged {
  readonly file: string;
  readonly seconds: number;
  readonly changes: number;
  /** A test failed; it met an error that nobody caught; it never ended. */
  readonly failed: number;
  readonly uncaught: number;
  readonly endless: number;
  /** Nobody noticed, and there is a reason, or only the wording of a message was changed. */
  readonly explained: number;
  readonly wording: number;
  readonly unexplained: readonly Result[];
  /** Reasons for what is noticed, or is no longer there. */
  readonly stale: readonly Explanation[];
}

export function judge(
  file: string,
  results: readonly Result[],
  explanations: readonly Explanation[],
  tookMs: number,
): Judged {
  const count = (...verdicts: readonly Verdict[]): number =>
    results.filter(({ verdict }) => verdicts.includes(verdict)).length;
  const reasons = explanations.filter((reason) => reason.file === file);
  const alive = results.filter(({ verdict }) => verdict === 'passed' || verdict === 'unreached');
  const [withReason, others] = split(alive, ({ change }) => reasons.some((reason) => isSame(reason, change)));
  const [wording, unexplained] = split(others, ({ change }) => isWording(change));
  return {
    file,
    seconds: Math.round(tookMs / 1000),
    changes: results.length,
    failed: count('failed'),
    uncaught: count('uncaught', 'gone'),
    endless: count('stuck', 'late'),
    explained: withReason.length,
    wording: wording.length,
    unexplained,
    stale: reasons.filter((reason) => !alive.some(({ change }) => isSame(reason, change))),
  };
}

export function lineOf(file: string, { line, kind, text, instead }: Change, verdict: Verdict): string {
  const how = verdict === 'unreached' ? 'no test comes by' : 'nobody notices';
  return `${file}:${line} ${how} (${kind}): ${text}\n  instead: ${instead}`;
}

/** @returns one line for each file, and one for all */
export function table(all: readonly Judged[]): string {
  const heads = ['file', 'changes', 'failed', 'uncaught', 'endless', 'explained', 'wording', 'unexplained', 'seconds'];
  const rows = all.map((one) => [one.file, ...numbersOf(one).map(String)]);
  const sums = all
    .map(numbersOf)
    .reduce(
      (sum, each) => sum.map((number, index) => number + (each[index] ?? 0)),
      heads.slice(1).fill('0').map(Number),
    );
  const lines = [heads, ...rows, ['all', ...sums.map(String)]];
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
    .join('\n');
}

function numbersOf(one: Judged): readonly number[] {
  const { changes, failed, uncaught, endless, explained, wording, unexplained, seconds } = one;
  return [changes, failed, uncaught, endless, explained, wording, unexplained.length, seconds];
}

function split<T>(all: readonly T[], belongs: (one: T) => boolean): readonly [T[], T[]] {
  return [all.filter(belongs), all.filter((one) => !belongs(one))];
}

function isSame({ text, instead, on }: Explanation, change: Change): boolean {
  return text === change.text && instead === change.instead && (on === undefined || on === change.on);
}
