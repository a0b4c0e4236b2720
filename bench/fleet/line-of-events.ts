/**
 * What is to happen in a simulation, soonest first: a binary heap. What is due at the same time comes in the order in which it
 * was added, so that a run can be repeated.
 */
export interface LineOfEvents<T> {
  add(at: number, what: T): void;
  /** Takes the next one out; undefined when nothing is left. */
  next(): { readonly at: number; readonly what: T } | undefined;
}

interface Entry<T> {
  readonly at: number;
  readonly order: number;
  readonly what: T;
}

export function createLineOfEvents<T>(): LineOfEvents<T> {
  const heap: Entry<T>[] = [];
  let added = 0;

  return {
    add(at, what) {
      added += 1;
      const entry = { at, order: added, what };
      let place = heap.length;
      heap.push(entry);
      while (place > 0) {
        const parent = (place - 1) >> 1;
        const above = heap[parent];
        if (above === undefined || !isBefore(entry, above)) {
          break;
        }
        heap[place] = above;
        place = parent;
      }
      heap[place] = entry;
    },

    next() {
      const [first] = heap;
      const last = heap.pop();
      if (first === undefined || last === undefined || heap.length === 0) {
        return first;
      }
      sink(heap, last);
      return first;
    },
  };
}

/** Puts an entry in the place of the first one, and from there where it belongs. */
function sink<T>(heap: Entry<T>[], entry: Entry<T>): void {
  let place = 0;
  for (;;) {
    const [left, right] = [heap[2 * place + 1], heap[2 * place + 2]];
    const smaller = left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
    if (smaller === undefined || !isBefore(smaller, entry)) {
      break;
    }
    heap[place] = smaller;
    place = smaller === left ? 2 * place + 1 : 2 * place + 2;
  }
  heap[place] = entry;
}

function isBefore<T>(one: Entry<T>, other: Entry<T>): boolean {
  return one.at === other.at ? one.order < other.order : one.at < other.at;
}
