/**
 * A coverage-guided fuzzer: an input that runs through blocks of code that none before it ran through, or through them much more
 * often, is kept and changed further. It has no clock: how much it does is a number, and the same seed does the same again.
 */
import { countBlocks } from './coverage.ts';
import { drawFrom, mutate } from './mutation.ts';
import type { FuzzTarget } from './target.ts';

/** An input that a target must not be given without being mended. */
export interface Finding {
  readonly input: Uint8Array;
  readonly why: string;
}

export interface FuzzResult {
  /** One for each reason. */
  readonly findings: readonly Finding[];
  /** Inputs that led somewhere new, beside those that it began with. */
  readonly kept: readonly Uint8Array[];
  /** Blocks that any input ran through, by order of magnitude. */
  readonly blocks: number;
  /** The most blocks for a byte that an input took. */
  readonly mostWorkPerByte: number;
}

export interface FuzzOptions {
  readonly corpus: readonly Uint8Array[];
  readonly seed: number;
  /** How many changed inputs are tried. */
  readonly mutants: number;
  /** Is told of each input before it is tried: of the one that never ends too. */
  readonly onInput: (input: Uint8Array) => void;
  /** Whose code guides it, by its address. Default: the agent's and its libraries'. */
  readonly counts?: (url: string) => boolean;
}

/** A reason is counted once, and so many of them are looked for. */
const mostFindings = 20;
/** Work that does not grow with the input. */
const workOfAnyInput = 20_000;

const ofTheAgent = (url: string): boolean => /\/(?:agent|volumes|node_modules)\//.test(url);

export function fuzz(target: FuzzTarget, options: FuzzOptions): FuzzResult {
  const { corpus, seed, mutants, onInput, counts = ofTheAgent } = options;
  const draw = drawFrom(seed);
  const coverage = countBlocks(counts);
  const findings = new Map<string, Finding>();
  const pool = [...corpus];
  const kept: Uint8Array[] = [];
  let mostWorkPerByte = 0;

  /** @returns whether the input led somewhere new */
  function attempt(input: Uint8Array): boolean {
    onInput(input);
    const fault = faultOf(target, input);
    const { isNew, work } = coverage.take();
    const perByte = (work - workOfAnyInput) / Math.max(1, input.length);
    mostWorkPerByte = Math.max(mostWorkPerByte, perByte);
    const reason =
      fault ?? (perByte > target.mostWorkPerByte ? 'it takes far more work than others of its length' : '');
    if (reason !== '' && !findings.has(reason)) {
      findings.set(reason, { input, why: reason === fault ? reason : `${reason}: ${work} blocks` });
    }
    return isNew;
  }

  try {
    // What a first run sets up is nobody's work.
    faultOf(target, new Uint8Array());
    coverage.take();
    for (const input of corpus) {
      attempt(input);
    }
    for (let left = mutants; left > 0 && findings.size < mostFindings; left -= 1) {
      // Half of them from what was kept last: it is where new ground is.
      const recent = draw(2) === 0 ? Math.max(0, pool.length - 16) : 0;
      const parent = pool[recent + draw(Math.max(1, pool.length - recent))] ?? new Uint8Array();
      const input = mutate(parent, draw, { words: target.words, others: pool }, target.mostBytes);
      if (attempt(input)) {
        pool.push(input);
        kept.push(input);
      }
    }
  } finally {
    coverage.stop();
  }
  return { findings: [...findings.values()], kept, blocks: coverage.seen(), mostWorkPerByte };
}

/** Why an input is a finding, without what differs from one input to the next. */
function faultOf(target: FuzzTarget, input: Uint8Array): string | undefined {
  try {
    target.run(input);
    return undefined;
  } catch (fault) {
    const [where = ''] = fault instanceof Error ? (/\/(?:agent|volumes|test)\/\S+/.exec(fault.stack ?? '') ?? []) : [];
    const what = fault instanceof Error ? `${fault.name}: ${fault.message}` : String(fault);
    return `${what.slice(0, 300)} (${where})`;
  }
}
