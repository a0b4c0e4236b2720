/**
 * Watches whether the program of one volume comes to serve the certificate in its files after a change: looks often in the first five
 * minutes, then says what is wrong, and goes on looking now and then, so that it is known when it has been mended.
 */
import type { Served, UptakeNotice } from '../lifecycle/uptake.ts';
import type { Clock } from '../time/clock.ts';

/** What one look has shown. */
export type Finding =
  | { readonly type: 'current' }
  | { readonly type: 'other'; readonly serialNumber: string; readonly notAfter: number }
  | { readonly type: 'unknown'; readonly detail: string }
  /** It cannot be looked at, now or later. */
  | { readonly type: 'refused'; readonly detail: string }
  | { readonly type: 'gone' };

export interface ServedOptions {
  readonly clock: Clock;
  /** Draws from [0, 1). */
  readonly random: () => number;
  /** Never rejects. @param begin to be called when it is about to look, after whatever it had to wait for */
  readonly look: (signal: AbortSignal, begin: () => void) => Promise<Finding>;
  /** Name of the set of files that is in place. */
  readonly generation: () => string | undefined;
  /** The certificates of this generation are served, or cannot be looked at. */
  readonly onSettled: (generation: string) => void;
  readonly report: (notice: UptakeNotice) => void;
}

export interface ServedWatch {
  /** There is a generation that has not been seen in use. */
  due(generation: string): void;
  state(): Served | undefined;
  stop(): void;
}

/** After a change, milliseconds. A program takes its time, and the last look decides. */
const looksAfterMs = [5_000, 15_000, 30_000, 60_000, 120_000, 300_000];
const patienceMs = 300_000;
const laterPauseMs = 600_000;

export function createServedWatch(options: ServedOptions): ServedWatch {
  const { clock, random, generation, onSettled, report } = options;
  /** When the first change came that has not been seen in use; and the last one. */
  let since: number | undefined;
  let changedAt = 0;
  let state: Served | undefined;
  const told = new Set<Served['state']>();
  let planned: { readonly at: number; readonly cancel: () => void } | undefined;
  let underWay: AbortController | undefined;

  const plan = (at: number): void => {
    if (underWay !== undefined || (planned !== undefined && planned.at <= at)) {
      return;
    }
    planned?.cancel();
    const ring = (): void => {
      planned = undefined;
      void run();
    };
    planned = { at, cancel: clock.at(at, ring) };
  };

  const planNext = (): void => {
    const now = clock.now();
    const next = looksAfterMs.map((afterMs) => changedAt + afterMs).find((at) => at > now && at <= now + patienceMs);
    plan(next ?? now + laterPauseMs * (0.8 + 0.4 * random()));
  };

  const due = (changed: string): void => {
    const now = clock.now();
    since ??= Math.min(now, madeAt(changed) ?? now);
    changedAt = Math.max(since, Math.min(now, madeAt(changed) ?? now));
    state ??= { state: 'looking', since };
    if (state.state === 'current') {
      state = { state: 'looking', since };
    }
    // After a restart many volumes are looked at, not all of them in the same moment.
    plan(now + (now - changedAt > patienceMs ? 30_000 * random() : 0) + (looksAfterMs[0] ?? 0));
  };

  const run = async (): Promise<void> => {
    const controller = new AbortController();
    underWay = controller;
    let looked = generation();
    const finding = await options.look(controller.signal, () => {
      looked = generation();
    });
    if (controller.signal.aborted) {
      return;
    }
    underWay = undefined;
    conclude(finding, looked);
  };

  const conclude = (finding: Finding, looked: string | undefined): void => {
    switch (finding.type) {
      case 'gone':
        break;
      case 'current':
        settle(looked);
        break;
      case 'refused':
        state = { state: 'unknown', since: since ?? clock.now() };
        report({ type: 'notSeen', since: state.since, detail: finding.detail, isFinal: true });
        since = undefined;
        if (looked !== undefined) {
          onSettled(looked);
        }
        break;
      case 'other':
      case 'unknown':
        note(finding);
        planNext();
        break;
      default:
        finding satisfies never;
    }
  };

  const settle = (looked: string | undefined): void => {
    const now = clock.now();
    const wasTold = told.size > 0;
    report({ type: 'servesCurrent', afterMs: Math.max(0, now - (since ?? now)), wasTold });
    state = { state: 'current', since: now };
    since = undefined;
    told.clear();
    if (looked !== undefined) {
      onSettled(looked);
    }
    const present = generation();
    if (present !== undefined && present !== looked) {
      due(present);
    }
  };

  const note = (finding: Finding & { readonly type: 'other' | 'unknown' }): void => {
    const begun = since ?? clock.now();
    if (clock.now() - begun < patienceMs) {
      return;
    }
    state = { state: finding.type, since: begun };
    if (told.has(finding.type)) {
      return;
    }
    told.add(finding.type);
    if (finding.type === 'other') {
      const { serialNumber, notAfter } = finding;
      report({ type: 'servesOther', since: begun, serialNumber, notAfter, hasExpired: notAfter <= clock.now() });
    } else {
      report({ type: 'notSeen', since: begun, detail: finding.detail });
    }
  };

  return {
    due,
    state: () => state,
    stop() {
      planned?.cancel();
      planned = undefined;
      underWay?.abort();
      underWay = undefined;
    },
  };
}

/** When a set of files was made, by its name: to the second. */
function madeAt(generation: string): number | undefined {
  const [, year, month, day, time] = /^\.*(\d{4})_(\d\d)_(\d\d)_(\d\d_\d\d_\d\d)\./.exec(generation) ?? [];
  const at = Date.parse(`${year}-${month}-${day}T${time?.replaceAll('_', ':')}Z`);
  return Number.isNaN(at) ? undefined : at;
}
