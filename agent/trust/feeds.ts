/**
 * Decides which watch shows which bundles. A few names and signers are watched one by one; with more of them, one watch
 * of all bundles takes over. A name or signer moves to another watch only when that one knows the same bundles in the
 * same versions, so that no update is lost and nothing is missing in between.
 *
 *     one by one ──► more than mostSingleWatches ──► shared ──► at most half of that ──► one by one
 *
 * Of the bundles that the shared watch shows, only those that somebody asks for are read. When one is asked for later,
 * a watch of its own fetches it and then ends. The same gives a first look to whoever would wait for the shared watch's
 * first list, a few at once, the youngest first: the list answers the others.
 */
import type { AgentError } from '../base/errors.ts';
import { createTurnBudget } from '../base/turn-budget.ts';
import type { ListWatchHealth } from '../kubernetes/list-watch.ts';
import type { ClusterTrustBundle } from '../kubernetes/objects.ts';
import {
  type BundleOutline,
  bundlesOf,
  type Feed,
  type FeedKey,
  fileBySigner,
  isSynced,
  outlineOf,
  selectorOf,
  showTheSame,
  type WatchBundles,
} from './feed.ts';
import { createHungry } from './hungry.ts';
import { mostFirstLooks, mostSingleWatches } from './limits.ts';
import type { Shelf } from './shelf.ts';
import { createUpkeep } from './shelf-upkeep.ts';

export interface FeedView {
  readonly isSynced: boolean;
  /** Why the bundles could not be watched lately. */
  readonly fault: AgentError | undefined;
  readonly bundles: readonly BundleOutline[];
}

export interface Feeds {
  /** Begins to look for bundles, or goes on. */
  open(key: FeedKey): void;
  /** Ends what `open` began. */
  close(key: FeedKey): void;
  /** What is known; not synced while a bundle that is there still has to be fetched. */
  view(key: FeedKey): FeedView;
  /** The watches there are, by field selector. */
  health(): ReadonlyMap<string, ListWatchHealth>;
  stop(): void;
}

interface Group {
  readonly key: FeedKey;
  /** What is believed. */
  current: Feed;
  /** What will be believed once it knows as much, or a fetch of what the shared watch shows and nobody has read. */
  next: Feed | undefined;
  /** What a first look showed, until the shared watch knows. */
  seen: readonly BundleOutline[] | undefined;
}

/** The name under which the shared watch is told; no field selector looks like it. */
const sharedName = '(all)';

export function createFeeds(watch: WatchBundles, shelf: Shelf, onChange: (key: FeedKey) => void): Feeds {
  const groups = new Map<string, Group>();
  /** Every watch there is. */
  const feeds = new Set<Feed>();
  let shared: Feed | undefined;
  /** Those for which a watch of their own fetches what the shared one shows, or looks first. */
  const fetching = new Set<Group>();
  /** Those that have something to fetch, or to look at first, when too many do. */
  const hungry = createHungry<Group>();
  /** Those that a first look showed something. */
  const seeing = new Set<Group>();
  /** Those of whose bundles something has changed: each is looked through once, however much has. */
  const changed = new Set<Group>();
  let isSettling = false;
  /** There may be a hundred thousand groups: what concerns all of them is done in turns. */
  const budget = createTurnBudget();
  const upkeep = createUpkeep({
    ...{ shelf, feeds, looks: seeing, inTurns },
    isWanted: (bundle) => wantedBy(bundle).length > 0,
    onLost(bundle) {
      for (const group of wantedBy(bundle)) {
        touch(group);
      }
    },
  });

  function start(selector: string): Feed {
    /** The one whose own it is, where it is not for all. */
    const owner = (): Group | undefined => {
      const group = groups.get(selector);
      return group !== undefined && uses(group, feed) ? group : undefined;
    };
    const touchUsers = (): void => {
      const own = owner();
      if (own !== undefined) {
        // At once: a group that changes over to another watch a moment later would not be told any more.
        touch(own);
      } else if (selector === '') {
        inTurns(groups.values(), (group) => {
          if (uses(group, feed)) {
            touch(group);
          }
        });
      }
    };
    const onError = (error: AgentError): void => {
      feed.fault = error;
      touchUsers();
    };
    const feed: Feed = {
      selector,
      bundles: watch(selector, onError, take, shelf.untilRoom),
      bySigner: new Map(),
      fault: undefined,
    };
    feeds.add(feed);
    feed.bundles.subscribe((event) => {
      if (event.type === 'synced') {
        upkeep.sweep();
        touchUsers();
        // At once: what was only fetched needs no watching.
        const group = owner();
        if (group !== undefined) {
          settle(group);
        }
        return;
      }
      note(feed, event.object, event.type === 'deleted');
      for (const group of wantedBy(event.object)) {
        touch(group);
      }
    });
    return feed;
  }

  function isOpen(group: Group): boolean {
    return groups.get(selectorOf(group.key)) === group;
  }

  function end(feed: Feed | undefined): void {
    if (feed === undefined || !feeds.delete(feed)) {
      return;
    }
    feed.bundles.stop();
    if (shared === feed) {
      shared = undefined;
    }
    const group = hungry.take(isListing() ? 'youngest' : 'oldest');
    if (group === undefined) {
      return;
    }
    queueMicrotask(() => isOpen(group) && settle(group));
  }

  function take(bundle: ClusterTrustBundle): BundleOutline {
    const outline = outlineOf(bundle);
    if (wantedBy(outline).length > 0) {
      shelf.offer(bundle);
    }
    return outline;
  }

  function wantedBy({ metadata, signerName }: BundleOutline): Group[] {
    const byName = groups.get(selectorOf({ by: 'name', value: metadata.name }));
    const bySigner = signerName && groups.get(selectorOf({ by: 'signer', value: signerName }));
    return [byName, bySigner || undefined].filter((group) => group !== undefined);
  }

  function inTurns<Item>(items: Iterator<Item>, work: (item: Item) => void): void {
    budget(() => {
      const next = items.next();
      if (next.done === true) {
        return false;
      }
      work(next.value);
      return true;
    });
  }

  function note(feed: Feed, outline: BundleOutline, isGone: boolean): void {
    const { name, uid } = outline.metadata;
    // A bundle of the same name that has come in its place may have been read already.
    if (isGone && shelf.get(name)?.uid === uid) {
      upkeep.forget(name);
    }
    fileBySigner(feed, outline, isGone);
  }

  /** True when it is known which bundles there are, and the shelf has each of them. */
  function isWhole({ key }: Group, feed: Feed): boolean {
    return isSynced(feed) && bundlesOf(key, feed).every(isShelved);
  }

  function isShelved({ metadata }: BundleOutline): boolean {
    return shelf.has(metadata.name);
  }

  function touch(group: Group): void {
    onChange(group.key);
    changed.add(group);
    if (!isSettling) {
      isSettling = true;
      setImmediate(settleChanged);
    }
  }

  function settleChanged(): void {
    isSettling = false;
    inTurns(changed.values(), (group) => {
      changed.delete(group);
      if (isOpen(group)) {
        settle(group);
      }
    });
  }

  /** Puts the next watch in the place of the current one when that costs nothing, and begins what is still to be done. */
  function settle(group: Group): void {
    if (group.next !== undefined) {
      takeOver(group, group.next);
    }
    if (isSynced(group.current)) {
      group.seen = undefined;
      seeing.delete(group);
    }
    if (group.next !== undefined) {
      return;
    }
    if (group.current === shared && isListing() && !isFew()) {
      lookFirst(group);
      return;
    }
    hungry.delete(group);
    const isLacking = isSynced(group.current) && !isWhole(group, group.current);
    if (isLacking && !mayFetch()) {
      hungry.add(group);
    } else if (isLacking || (group.current === shared && isFew())) {
      fetch(group);
    }
  }

  function fetch(group: Group): void {
    group.next = start(selectorOf(group.key));
    if (group.current === shared) {
      fetching.add(group);
    }
  }

  /** True until the shared watch has its first list. */
  function isListing(): boolean {
    return shared !== undefined && !shared.bundles.health().synced;
  }

  function lookFirst(group: Group): void {
    if (group.seen !== undefined) {
      return;
    }
    if (fetching.size < mostFirstLooks) {
      fetch(group);
    } else {
      hungry.add(group);
    }
  }

  function takeOver(group: Group, next: Feed): void {
    const { current } = group;
    const isFetch = current === shared && !isFew();
    if (isFetch && isListing()) {
      if (isWhole(group, next)) {
        group.seen = bundlesOf(group.key, next);
        seeing.add(group);
        endFetch(group);
        end(next);
      }
    } else if (isFetch && isWhole(group, current)) {
      endFetch(group);
      end(next);
    } else if (!isFetch && isReplaceable(group, current, next)) {
      group.current = next;
      endFetch(group);
      endUnused(current);
    }
  }

  function endFetch(group: Group): void {
    group.next = undefined;
    fetching.delete(group);
  }

  function endUnused(feed: Feed): void {
    if (feed !== shared || [...groups.values()].every((group) => !uses(group, feed))) {
      end(feed);
    }
  }

  function isReplaceable(group: Group, current: Feed, next: Feed): boolean {
    if (!isWhole(group, next) || current.bundles.isTakingOver()) {
      return false;
    }
    return !isWhole(group, current) || showTheSame(group.key, current, next);
  }

  function isFew(): boolean {
    return groups.size <= mostSingleWatches / 2;
  }

  /** Beside the shared watch there are only as many others as there may be without it. */
  function mayFetch(): boolean {
    return shared === undefined || feeds.size <= mostSingleWatches;
  }

  function share(): void {
    if (shared !== undefined) {
      return;
    }
    shared = start('');
    for (const group of groups.values()) {
      if (group.next !== undefined) {
        end(group.next);
      }
      group.next = shared;
    }
  }

  function unshare(): void {
    for (const group of groups.values()) {
      if (group.next === shared) {
        group.next = undefined;
      }
      settle(group);
    }
    if (shared !== undefined) {
      endUnused(shared);
    }
  }

  return {
    open(key) {
      const selector = selectorOf(key);
      if (groups.has(selector)) {
        return;
      }
      if (groups.size >= mostSingleWatches) {
        share();
      }
      const group: Group = { key, current: shared ?? start(selector), next: undefined, seen: undefined };
      groups.set(selector, group);
      settle(group);
    },
    close(key) {
      const group = groups.get(selectorOf(key));
      if (group === undefined) {
        return;
      }
      const bundles = group.seen ?? bundlesOf(key, group.current);
      groups.delete(selectorOf(key));
      hungry.delete(group);
      fetching.delete(group);
      seeing.delete(group);
      for (const feed of [group.current, group.next]) {
        if (feed !== shared) {
          end(feed);
        }
      }
      for (const { metadata } of bundles) {
        upkeep.forget(metadata.name);
      }
      if (shared !== undefined && isFew()) {
        unshare();
      }
    },
    view(key) {
      const group = groups.get(selectorOf(key));
      if (group === undefined) {
        return { isSynced: false, fault: undefined, bundles: [] };
      }
      settle(group);
      const { current, seen } = group;
      if (seen !== undefined) {
        return { isSynced: seen.every(isShelved), fault: undefined, bundles: seen };
      }
      const fault = current.bundles.health().synced ? undefined : current.fault;
      return { isSynced: isWhole(group, current), fault, bundles: bundlesOf(key, current) };
    },
    health: () => new Map([...feeds].map(({ selector, bundles }) => [selector || sharedName, bundles.health()])),
    stop() {
      groups.clear();
      hungry.clear();
      fetching.clear();
      seeing.clear();
      changed.clear();
      for (const feed of [...feeds]) {
        end(feed);
      }
    },
  };
}

function uses({ current, next }: Group, feed: Feed): boolean {
  return current === feed || next === feed;
}
