/**
 * Trust anchors from ClusterTrustBundles, kept up to date: each subscriber is told the union of the certificates that
 * its source selects, at once when it changes and only then.
 *
 * Only what is in use is watched (`feeds.ts`), read (`shelf.ts`) and held, each certificate once for all
 * (`anchor-pool.ts`). It is given up a little after the last source that used it has gone. The anchors of an API that
 * goes away, or of bundles that can no longer be read, stay as they were last known.
 *
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/3257-cluster-trust-bundles
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Steps, stepsUntil } from '../../volumes/base/steps.ts';
import type { ClusterTrustBundleSource } from '../../volumes/declaration/types.ts';
import { createTurnBudget } from '../base/turn-budget.ts';
import type { ListWatchHealth } from '../kubernetes/list-watch.ts';
import type { Anchors, TrustAnchors } from '../lifecycle/ports.ts';
import type { Clock } from '../time/clock.ts';
import { createAnchorPool } from './anchor-pool.ts';
import { type Choice, choiceOf } from './choice.ts';
import { type FeedKey, selectorOf, type WatchBundles } from './feed.ts';
import { createFeeds, type FeedView } from './feeds.ts';
import { certificatesPerTurn, longestHeldBytes, sourcesPerTurn } from './limits.ts';
import { isSame, type Selected } from './selection.ts';
import { createShelf } from './shelf.ts';

export interface TrustAnchorOptions {
  readonly watchBundles: WatchBundles;
  readonly clock: Clock;
  /** How long bundles are looked after beyond their last subscription, milliseconds. Default one minute. */
  readonly lingerMs?: number;
  /** Most bytes of DER held. Default `longestHeldBytes`. */
  readonly heldBytes?: number;
  /** A bundle cannot be read; said once for each of its versions. The rest is used. */
  readonly onMalformed?: (bundleName: string, reason: string) => void;
  /** What a listener threw; the others are told all the same. */
  readonly onListenerFault?: (fault: unknown) => void;
}

export interface TrustAnchorService extends TrustAnchors {
  /** The watches there are, by field selector. */
  health(): ReadonlyMap<string, ListWatchHealth>;
  /** Bytes of DER held for all subscriptions together. */
  heldBytes(): number;
  /** Ends every watch and subscription. */
  stop(): void;
}

interface Subscription {
  readonly optional: boolean;
  readonly listener: (anchors: Anchors) => void;
  /** What was told last. */
  told: Anchors | undefined;
}

/** All subscriptions that select the same: their union is made, and held, once. */
interface Selection {
  readonly choice: Choice;
  readonly subscriptions: Set<Subscription>;
  /** Which versions of which bundles `anchors` was made of. */
  stamps: string | undefined;
  anchors: Anchors | undefined;
}

/** All selections among the bundles of one name or signer. */
interface Topic {
  readonly key: FeedKey;
  readonly selections: Map<string, Selection>;
  /** Bundles that were shown when it was last looked at, and those that have been read since. */
  shown: number;
  read: number;
  cancelLinger: (() => void) | undefined;
}

/** The steps in which a union is made take so much of a turn of the event loop, milliseconds, and one step more. */
const stepsMs = 2;

/** While the bundles of a signer are read one after the other, all of them are looked at so often: each look is at all of them. */
const looksAtEach = 32;

export function createTrustAnchors(options: TrustAnchorOptions): TrustAnchorService {
  const { watchBundles, clock, lingerMs = 60_000, heldBytes = longestHeldBytes } = options;
  const topics = new Map<string, Topic>();
  const due = new Set<string>();
  let isTelling = false;
  /** What was looked at in this turn of the event loop, in certificates. */
  let lookedAt = 0;
  const pool = createAnchorPool(heldBytes);
  const budget = createTurnBudget();
  const shelf = createShelf({
    pool,
    onRead,
    onMalformed: (name, reason) => options.onMalformed?.(name, reason),
  });
  const feeds = createFeeds(watchBundles, shelf, (key) => tellSoon(selectorOf(key)));

  /** A bundle may be selected by its name and by its signer. Of a signer with thousands, some are waited for. */
  function onRead(bundleName: string, signerName: string | undefined, isLast: boolean): void {
    tellSoon(selectorOf({ by: 'name', value: bundleName }));
    const selector = signerName === undefined ? '' : selectorOf({ by: 'signer', value: signerName });
    const topic = topics.get(selector);
    if (topic === undefined) {
      return;
    }
    topic.read += 1;
    if (isLast || topic.read * looksAtEach >= topic.shown) {
      tellSoon(selector);
    }
  }

  /** A complete list brings its differences one by one: they are told together, when all of them are in and read. */
  function tellSoon(selector: string): void {
    if (!topics.has(selector)) {
      return;
    }
    due.add(selector);
    if (!isTelling) {
      isTelling = true;
      void tellAll();
    }
  }

  /**
   * As many selections in a turn of the event loop as there is work for: a union may be of thousands of certificates, told
   * to thousands of sources, and hundreds of selections may be due at which there is next to nothing to look at.
   */
  async function tellAll(): Promise<void> {
    await nextTurn();
    lookedAt = 0;
    for (let [selector] = due; selector !== undefined; [selector] = due) {
      due.delete(selector);
      for (const name of topics.get(selector)?.selections.keys() ?? []) {
        await tellSelection(selector, name);
      }
    }
    isTelling = false;
  }

  /** @param count bundles or certificates, or as much work */
  async function looked(count: number): Promise<void> {
    lookedAt += count;
    if (lookedAt >= certificatesPerTurn) {
      await nextTurn();
      lookedAt = 0;
    }
  }

  /** Short work in this turn of the event loop, long work in several. */
  async function inTurns<Result>(steps: Steps<Result>): Promise<Result> {
    for (;;) {
      const last = stepsUntil(steps, performance.now() + stepsMs);
      if (last.done === true) {
        return last.value;
      }
      await nextTurn();
      lookedAt = 0;
    }
  }

  /** As its topic is now: others may have come and gone since the last turn. */
  async function tellSelection(selector: string, name: string): Promise<void> {
    const topic = topics.get(selector);
    const selection = topic?.selections.get(name);
    if (topic === undefined || selection === undefined) {
      return;
    }
    const view = feeds.view(topic.key);
    topic.shown = view.bundles.length;
    topic.read = 0;
    await looked(topic.shown + (await update(selection, view)));
    for (const subscription of [...selection.subscriptions]) {
      tell(selection, subscription, view);
      await looked(certificatesPerTurn / sourcesPerTurn);
    }
  }

  /** Makes the union anew when a bundle in it has changed and all of them are read. @returns certificates that it is made of */
  async function update(selection: Selection, { isSynced, bundles }: FeedView): Promise<number> {
    if (!isSynced) {
      return 0;
    }
    const { choice } = selection;
    const chosen: Selected[] = [];
    const areAny = bundles.length > 0;
    let stamps = areAny ? '' : 'none';
    for (const outline of bundles) {
      if (!choice.isChosen(outline)) {
        continue;
      }
      const bundle = shelf.get(outline.metadata.name);
      if (bundle === undefined || bundle.isPending) {
        return 0;
      }
      chosen.push({ outline, bundle });
      stamps += choice.stampOf({ outline, bundle });
    }
    if (stamps === selection.stamps) {
      return 0;
    }
    selection.stamps = stamps;
    const anchors = await inTurns(choice.unite(chosen, areAny));
    // What is the same is not compared once more for each of thousands of sources.
    if (!isSame(anchors, selection.anchors)) {
      selection.anchors = anchors;
    }
    return chosen.reduce((sum, { bundle }) => sum + bundle.certificates.length, 0);
  }

  function tell({ anchors, subscriptions }: Selection, subscription: Subscription, view: FeedView): void {
    const news = anchors ?? whyUnknown(view, subscription.optional);
    if (news === undefined || !subscriptions.has(subscription) || isSame(news, subscription.told)) {
      return;
    }
    subscription.told = news;
    try {
      subscription.listener(news);
    } catch (fault) {
      options.onListenerFault?.(fault);
    }
  }

  function close(selector: string, topic: Topic): void {
    topic.cancelLinger?.();
    for (const { subscriptions } of topic.selections.values()) {
      subscriptions.clear();
    }
    topic.selections.clear();
    topics.delete(selector);
    feeds.close(topic.key);
  }

  /** Thousands of names may have been given up together. */
  function closeInTurn(selector: string, topic: Topic): void {
    budget(() => {
      if (topics.get(selector) === topic && topic.selections.size === 0) {
        close(selector, topic);
      }
      return false;
    });
  }

  function open(selector: string, key: FeedKey): Topic {
    const topic: Topic = { key, selections: new Map(), shown: 0, read: 0, cancelLinger: undefined };
    topics.set(selector, topic);
    feeds.open(key);
    return topic;
  }

  return {
    subscribe(source, listener) {
      const { optional } = source;
      const key = keyFor(source.select);
      const selector = selectorOf(key);
      const topic = topics.get(selector) ?? open(selector, key);
      topic.cancelLinger?.();
      topic.cancelLinger = undefined;
      const choice = choiceOf(source);
      const { name } = choice;
      const selection: Selection = topic.selections.get(name) ?? {
        choice,
        subscriptions: new Set(),
        stamps: undefined,
        anchors: undefined,
      };
      topic.selections.set(name, selection);
      const subscription: Subscription = { optional, listener, told: undefined };
      selection.subscriptions.add(subscription);
      tellSoon(selector);
      return () => {
        if (!selection.subscriptions.delete(subscription) || selection.subscriptions.size > 0) {
          return;
        }
        topic.selections.delete(name);
        if (topic.selections.size > 0) {
          return;
        }
        topic.cancelLinger = clock.at(clock.now() + lingerMs, () => closeInTurn(selector, topic));
      };
    },
    health: () => feeds.health(),
    heldBytes: () => pool.bytes(),
    stop() {
      for (const [selector, topic] of topics) {
        close(selector, topic);
      }
      feeds.stop();
      shelf.stop();
    },
  };
}

function keyFor(select: ClusterTrustBundleSource['select']): FeedKey {
  return select.by === 'name' ? { by: 'name', value: select.name } : { by: 'signer', value: select.signerName };
}

/** What is told of bundles that could not be looked at yet; nothing while that may pass by itself. */
function whyUnknown({ fault }: FeedView, optional: boolean): Anchors | undefined {
  // An optional source may go without bundles that do not exist, not without bundles that may not be read.
  const tellable = fault?.code === 'ApiMissing' || (fault?.code === 'Forbidden' && !optional);
  return fault !== undefined && tellable ? { type: 'missing', message: fault.message, isOperators: true } : undefined;
}
