/**
 * Attends to requests that are not answered yet: each once at a time, owners in turn, what fails again after growing pauses. What is
 * answered is kept in outline only, and nothing is remembered of what is gone.
 */
import { type AgentError, asAgentError } from '../../agent/base/errors.ts';
import type { Queue } from '../../agent/base/queue.ts';
import type { ListWatch } from '../../agent/kubernetes/list-watch.ts';
import { type KubernetesObject, keyOf } from '../../agent/kubernetes/objects.ts';
import type { Clock } from '../../agent/time/clock.ts';

/** What is known of a request that waits. */
export interface Waiting {
  /** With whose other requests it takes turns: whoever makes many pushes out nobody else's. */
  readonly owner: string;
}

/** A request as it is kept: its metadata alone once it is answered. */
export interface Followed<T> extends KubernetesObject {
  readonly open?: T;
}

export interface AttendOptions<T extends Waiting> {
  readonly watch: Pick<ListWatch<Followed<T>>, 'get' | 'subscribe'>;
  /** @returns when there is nothing more to do; `later`: it is to be looked at again. */
  readonly act: (request: T, signal: AbortSignal) => Promise<'done' | 'later'>;
  readonly queue: Queue;
  /** Must not go back. */
  readonly clock: Clock;
  /** Ends everything. */
  readonly signal: AbortSignal;
  readonly onError: (error: AgentError, request: KubernetesObject) => void;
  /** More wait than the queue takes: one of them comes again after a pause. */
  readonly onTurnedAway: (error: AgentError) => void;
}

interface Entry {
  readonly uid: string;
  readonly owner: string;
  attempts: number;
  /** It has changed while it was worked on. */
  changed: boolean;
  busy: boolean;
  cancel?: () => void;
}

const firstPauseMs = 1_000;
const longestPauseMs = 60_000;
/** What waits for the CA. */
const laterMs = 10_000;

export interface Attendance {
  /** Requests without an answer. */
  waiting(): number;
  /** Looks at all of them now: what they waited for is there. */
  lookAgain(): void;
}

export function attend<T extends Waiting>(options: AttendOptions<T>): Attendance {
  const { watch, act, queue, clock, signal, onError, onTurnedAway } = options;
  /** Requests without an answer, by key: no more than the watch holds. */
  const entries = new Map<string, Entry>();

  function forget(key: string): void {
    entries.get(key)?.cancel?.();
    entries.delete(key);
  }

  function again(key: string, entry: Entry, pauseMs: number): void {
    entry.cancel?.();
    entry.cancel = clock.at(clock.now() + pauseMs, () => look(key, entry));
  }

  async function work(key: string, entry: Entry): Promise<void> {
    const object = watch.get(key);
    if (object?.open === undefined || object.metadata.uid !== entry.uid || entries.get(key) !== entry) {
      return;
    }
    entry.changed = false;
    try {
      if ((await act(object.open, signal)) === 'later') {
        again(key, entry, laterMs);
      }
    } catch (cause) {
      retry(key, entry, cause, (error) => onError(error, object));
    }
  }

  function retry(key: string, entry: Entry, cause: unknown, tell: (error: AgentError) => void): void {
    if (signal.aborted) {
      return;
    }
    const error = asAgentError(cause, 'a request failed');
    // Gone: the watch will say so. Changed meanwhile: the watch brings the newer one.
    const isExpected = error.code === 'NotFound' || error.code === 'Conflict';
    if (!isExpected) {
      tell(error);
    }
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** entry.attempts) * (0.5 + Math.random() / 2);
    entry.attempts += 1;
    again(key, entry, Math.max(pauseMs, error.retryAfterMs ?? 0));
  }

  function look(key: string, entry: Entry): void {
    if (entry.busy || signal.aborted) {
      entry.changed = true;
      return;
    }
    entry.busy = true;
    queue(() => work(key, entry), { priority: 'first', owner: entry.owner, signal })
      .catch((cause: unknown) => retry(key, entry, cause, onTurnedAway))
      .finally(() => {
        entry.busy = false;
        if (entry.changed && entries.get(key) === entry) {
          look(key, entry);
        }
      });
  }

  const unsubscribe = watch.subscribe((event) => {
    if (event.type === 'synced') {
      return;
    }
    const key = keyOf(event.object);
    const { open, metadata } = event.object;
    if (event.type === 'deleted' || open === undefined) {
      forget(key);
      return;
    }
    const { uid = '' } = metadata;
    const { owner } = open;
    const known = entries.get(key);
    if (known?.uid !== uid) {
      forget(key);
    }
    const entry = known?.uid === uid ? known : { uid, owner, attempts: 0, changed: false, busy: false };
    entries.set(key, entry);
    look(key, entry);
  });
  signal.addEventListener(
    'abort',
    () => {
      unsubscribe();
      for (const key of [...entries.keys()]) {
        forget(key);
      }
    },
    { once: true },
  );
  return {
    waiting: () => entries.size,
    lookAgain() {
      for (const [key, entry] of [...entries]) {
        entry.cancel?.();
        look(key, entry);
      }
    },
  };
}
