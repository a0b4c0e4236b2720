/**
 * Adds to what a request waits for what others say about it in its events, where its own conditions say nothing: that no policy
 * matches it, for instance. The events are read at growing pauses and not watched, since a request that waits may do so for long.
 */

import type { Hurdle } from '../lifecycle/ports.ts';
import type { Clock } from '../time/clock.ts';

/** Shortly before the pod is told of the waiting; from then on after as long as it has waited already. */
const firstReadMs = 9_000;

export interface HurdleEvents {
  /** The wall clock. */
  readonly clock: Clock;
  /** @returns what is said about the request now, or undefined. @throws AgentError where that cannot be read */
  readonly read: (namespace: string, requestName: string, signal: AbortSignal) => Promise<string | undefined>;
}

export interface HurdleTeller {
  /** Takes what the request itself says. */
  hinder(hurdle: Hurdle): void;
  end(): void;
}

/** @param tell hears of the hurdle with all that is known about it, whenever the request or its events say something new */
export function tellWithEvents(
  { clock, read }: HurdleEvents,
  { namespace, requestName }: { readonly namespace: string; readonly requestName: string },
  tell: (hurdle: Hurdle) => void,
): HurdleTeller {
  const ending = new AbortController();
  let hurdle: Hurdle | undefined;
  let said: string | undefined;
  let cancel = plan(firstReadMs);

  function plan(pauseMs: number): () => void {
    return clock.at(clock.now() + pauseMs, () => void look(pauseMs));
  }

  async function look(pauseMs: number): Promise<void> {
    cancel = plan(2 * pauseMs);
    const asked = hurdle;
    if (asked === undefined || asked.detail !== undefined) {
      return;
    }
    // Without the permission, or the API server, it is said without.
    const heard = await read(namespace, requestName, ending.signal).catch(() => undefined);
    if (ending.signal.aborted || asked !== hurdle || heard === undefined || heard === said) {
      return;
    }
    said = heard;
    tell({ ...asked, detail: heard });
  }

  return {
    hinder(next) {
      hurdle = next;
      said = undefined;
      tell(next);
    },
    end() {
      ending.abort();
      cancel();
    },
  };
}
