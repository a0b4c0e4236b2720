/**
 * What a piece of work ran through, as V8 counts it: which blocks of code, about how often, and how many in all. The last is a
 * measure of work that is the same on every machine, so that a test may bound it.
 *
 * V8 tells of a block by itself only where its count is another than that of the code around it. So a block is known once it was
 * passed over, and counts from then on as often as whatever is told of the code around it.
 *
 * https://chromedevtools.github.io/devtools-protocol/v8/Profiler/#method-takePreciseCoverage https://v8.dev/blog/javascript-code-coverage
 */
import { type Profiler, Session } from 'node:inspector';

export interface Ran {
  /** Whether a block ran that never did before, or far more often than ever before. */
  readonly isNew: boolean;
  /** How many blocks were entered, counting each time. */
  readonly work: number;
}

export interface Coverage {
  /** What ran since it was asked last. */
  take(): Ran;
  /** How many blocks ran, by order of magnitude. */
  seen(): number;
  stop(): void;
}

type Range = Profiler.CoverageRange;

/** Counts from now on, in this thread. @param isCounted whether the code at this address is of interest */
export function countBlocks(isCounted: (url: string) => boolean): Coverage {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  /** Blocks of each function that were told of so far, and how they were told of. */
  const functions = new Map<string, { readonly blocks: Map<string, Range>; readonly told: Set<string> }>();
  const seen = new Set<string>();

  // The inspector of the own thread answers before it returns.
  const scripts = (): readonly Profiler.ScriptCoverage[] => {
    let found: readonly Profiler.ScriptCoverage[] = [];
    session.post('Profiler.takePreciseCoverage', (error, taken) => {
      if (error !== null) {
        throw new Error(`the coverage cannot be taken: ${error.message}`);
      }
      found = taken.result;
    });
    return found;
  };
  scripts();

  function note(scriptId: string, ranges: readonly Range[]): void {
    const [whole] = ranges;
    const key = `${scriptId}:${whole?.startOffset}`;
    const known = functions.get(key) ?? { blocks: new Map(), told: new Set() };
    functions.set(key, known);
    const words = ranges.map(wordOf).join();
    if (known.told.has(words)) {
      return;
    }
    known.told.add(words);
    for (const range of ranges) {
      known.blocks.set(`${range.startOffset}-${range.endOffset}`, range);
    }
    for (const block of known.blocks.values()) {
      // Ranges come from the outside inwards.
      const around = ranges.findLast((range) => isWithin(block, range));
      if (around !== undefined && around.count > 0) {
        seen.add(`${scriptId}:${wordOf({ ...block, count: around.count })}`);
      }
    }
  }

  return {
    take() {
      const before = seen.size;
      let work = 0;
      for (const { scriptId, url, functions: counted } of scripts()) {
        if (!isCounted(url)) {
          continue;
        }
        for (const { ranges } of counted) {
          note(scriptId, ranges);
          work += ranges.reduce((sum, { count }) => sum + count, 0);
        }
      }
      return { isNew: seen.size > before, work };
    },
    seen: () => seen.size,
    stop() {
      session.post('Profiler.stopPreciseCoverage');
      session.disconnect();
    },
  };
}

function isWithin(block: Range, { startOffset, endOffset }: Range): boolean {
  return startOffset <= block.startOffset && block.endOffset <= endOffset;
}

/** A block with the order of magnitude of its count. */
function wordOf({ startOffset, endOffset, count }: Range): string {
  return `${startOffset}-${endOffset}:${Math.ceil(Math.log2(count + 1))}`;
}
