/**
 * A queue in which nobody waits for ever: the order in which calls to the API server are made and keys are generated.
 *
 * Whoever has waited longest goes first, after a handicap that depends on the kind of work:
 *
 *     first        none: a pod waits for it
 *     refresh      2 minutes, shrinking as the certificate nears its end: from 10 minutes before that a refresh goes
 *                  before first issuances, at last before those that came up to 10 minutes earlier
 *     background   5 minutes
 *
 * The handicaps are fixed, so everything gets its turn, however many of a better rank keep coming. Owners (pods) take
 * turns of a few items each. Until its turn is used up, everything that an owner adds takes the place of its first
 * item, so that work once begun is finished before other work begins. Then the owner goes to the back of the line, so
 * that one with hundreds of items delays the others by one turn only.
 */
import { type BoundedMap, createBoundedMap } from '../../volumes/base/bounded-map.ts';
import type { Rank, SharedRank } from './call.ts';

export interface FairLineOptions {
  /** Must not go back, milliseconds. */
  readonly now: () => number;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  /** Items of one owner that may go one after the other. */
  readonly turn: number;
}

export interface FairLine<T> {
  /** Something that waits already keeps its place. */
  add(item: T, rank: SharedRank): void;
  /** Takes out the item whose turn it is, among those that may go. */
  take(mayGo?: (item: T, isUrgent: boolean) => boolean): T | undefined;
  /** Takes out the item that would have to wait longest. */
  takeLast(): T | undefined;
  /** Takes out this item, if it waits. */
  remove(item: T): void;
  /** Everything that waits, in the order in which it came. */
  items(): Iterable<T>;
  /** Items of this owner that wait. */
  waitingOf(owner: string): number;
  readonly size: number;
}

/**
 * A refresh is urgent when its certificate has less than this left. Signers must set the refresh time at least this
 * long before notAfter.
 */
const urgentBeforeMs = 10 * 60_000;
const refreshHandicapMs = 2 * 60_000;
const urgentAdvanceMs = 10 * 60_000;
const backgroundHandicapMs = 5 * 60_000;
/**
 * An unfinished turn lapses after this long without an item; the kubelet's longest pause between two publish calls is
 * shorter.
 */
const turnLapsesMs = 3 * 60_000;
/** Owners whose turn is remembered. A node runs some hundred pods. */
const mostOwners = 4_096;

/** Where an owner stands. */
interface Place {
  since: number;
  /** Decides between places taken at the same moment. */
  order: number;
  /** Items that have gone in the present turn. */
  used: number;
  lastWentAt: number;
  waiting: number;
}

interface Entry<T> {
  readonly item: T;
  readonly rank: SharedRank;
  /** Of the rank itself, then of those that have joined. */
  readonly places: [Place, ...Place[]];
}

interface Standing {
  readonly place: Place;
  readonly due: number;
}

export function createFairLine<T>({ now, wallNow, turn }: FairLineOptions): FairLine<T> {
  const entries = new Map<T, Entry<T>>();
  const places: BoundedMap<string, Place> = createBoundedMap(mostOwners);
  let order = 0;

  function newPlace(): Place {
    order += 1;
    return { since: now(), order, used: 0, lastWentAt: now(), waiting: 0 };
  }

  function placeOf({ owner }: Rank): Place {
    if (owner === undefined) {
      return newPlace();
    }
    const known = places.get(owner);
    const isOver = known?.waiting === 0 && (known.used === 0 || now() - known.lastWentAt > turnLapsesMs);
    const place = known === undefined || isOver ? newPlace() : known;
    places.set(owner, place);
    return place;
  }

  function join(rank: Rank): Place {
    const place = placeOf(rank);
    place.waiting += 1;
    return place;
  }

  function dueAt({ priority, expiresAt }: Rank, { since }: Place): number {
    if (priority === 'first') {
      return since;
    }
    if (priority === 'background') {
      return since + backgroundHandicapMs;
    }
    const urgentAt = now() + (expiresAt ?? Number.POSITIVE_INFINITY) - wallNow() - urgentBeforeMs;
    return Math.max(since - urgentAdvanceMs, Math.min(urgentAt, since + refreshHandicapMs));
  }

  function isUrgent({ priority, expiresAt }: Rank): boolean {
    return priority === 'refresh' && expiresAt !== undefined && expiresAt - wallNow() <= urgentBeforeMs;
  }

  /** The best standing that an entry has through any of those who wait for it. */
  function standingOf(entry: Entry<T>): Standing {
    const { rank, places } = entry;
    let best = { place: places[0], due: dueAt(rank, places[0]) };
    for (const [index, other] of (rank.alsoFor ?? []).entries()) {
      const place = places[index + 1] ?? join(other);
      places[index + 1] = place;
      const standing = { place, due: dueAt(other, place) };
      if (isBefore(standing, best)) {
        best = standing;
      }
    }
    return best;
  }

  function leave({ item, places }: Entry<T>): void {
    entries.delete(item);
    for (const place of places) {
      place.waiting -= 1;
    }
  }

  /** Counts what goes against the owner's turn; a turn that is used up puts the owner at the end of the line. */
  function charge(place: Place): void {
    place.lastWentAt = now();
    place.used += 1;
    if (place.used < turn) {
      return;
    }
    order += 1;
    Object.assign(place, { since: now(), order, used: 0 });
  }

  /** Of the items with most turns of their owner before them, the one that stands last. */
  function lastOf(): Entry<T> | undefined {
    const ahead = new Map<Place, number>();
    let most = 0;
    let candidates: Entry<T>[] = [];
    for (const entry of entries.values()) {
      const [place] = entry.places;
      const before = ahead.get(place) ?? place.used;
      ahead.set(place, before + 1);
      const turns = Math.floor(before / turn);
      if (turns > most) {
        [most, candidates] = [turns, []];
      }
      if (turns === most) {
        candidates.push(entry);
      }
    }
    let last: { entry: Entry<T>; standing: Standing } | undefined;
    for (const entry of candidates) {
      const standing = standingOf(entry);
      if (last === undefined || !isBefore(standing, last.standing)) {
        last = { entry, standing };
      }
    }
    return last?.entry;
  }

  return {
    add(item, rank) {
      if (!entries.has(item)) {
        entries.set(item, { item, rank, places: [join(rank)] });
      }
    },
    take(mayGo = () => true) {
      let next: { entry: Entry<T>; standing: Standing } | undefined;
      for (const entry of entries.values()) {
        const { item, rank } = entry;
        if (!mayGo(item, isUrgent(rank) || (rank.alsoFor ?? []).some(isUrgent))) {
          continue;
        }
        const standing = standingOf(entry);
        if (next === undefined || isBefore(standing, next.standing)) {
          next = { entry, standing };
        }
      }
      if (next === undefined) {
        return undefined;
      }
      leave(next.entry);
      charge(next.standing.place);
      return next.entry.item;
    },
    takeLast() {
      const last = lastOf();
      if (last !== undefined) {
        leave(last);
      }
      return last?.item;
    },
    remove(item) {
      const entry = entries.get(item);
      if (entry !== undefined) {
        leave(entry);
      }
    },
    items: () => entries.keys(),
    waitingOf: (owner) => places.get(owner)?.waiting ?? 0,
    get size() {
      return entries.size;
    },
  };
}

function isBefore(one: Standing, other: Standing): boolean {
  return one.due < other.due || (one.due === other.due && one.place.order < other.place.order);
}
