/**
 * Trust anchors from ClusterTrustBundles, live: each subscription gets the union of the certificates that its source
 * selects, at once when it changes and only then.
 *
 * Only what is used is watched: one watch for each bundle name and each signer in use, shared by all their sources, and
 * ended a little after the last of them has gone. The anchors of an API that goes away, or of bundles that can no
 * longer be read, stay as they were last known.
 *
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/3257-cluster-trust-bundles
 */
import type { ClusterTrustBundleSource } from '../../volumes/declaration/types.ts';
import type { AgentError } from '../base/errors.ts';
import type { ListWatch, ListWatchHealth } from '../kubernetes/list-watch.ts';
import type { ClusterTrustBundle } from '../kubernetes/objects.ts';
import type { Anchors, TrustAnchors } from '../lifecycle/ports.ts';
import type { Clock } from '../time/clock.ts';
import { readTrustBundle, uniteCertificates } from './certificates.ts';
import { matchesLabels } from './label-selector.ts';

export interface TrustAnchorOptions {
  /** Starts a watch of the bundles that a field selector names; `onError` gets each of its failures. */
  readonly watchBundles: (fieldSelector: string, onError: (error: AgentError) => void) => ListWatch<ClusterTrustBundle>;
  readonly clock: Clock;
  /** How long a watch outlives its last subscription, milliseconds. Default one minute. */
  readonly lingerMs?: number;
  /** A bundle cannot be read; said once for each of its versions. The rest is used. */
  readonly onMalformed?: (bundleName: string, reason: string) => void;
  /** What a listener threw; the others are told all the same. */
  readonly onListenerFault?: (fault: unknown) => void;
}

export interface TrustAnchorService extends TrustAnchors {
  /** The watches there are, by field selector. */
  health(): ReadonlyMap<string, ListWatchHealth>;
  /** Ends every watch and subscription. */
  stop(): void;
}

interface Subscription {
  readonly source: ClusterTrustBundleSource;
  readonly listener: (anchors: Anchors) => void;
  /** What was told last. */
  told: Anchors | undefined;
}

/** One watch and who uses it. */
interface Shared {
  readonly bundles: ListWatch<ClusterTrustBundle>;
  readonly subscriptions: Set<Subscription>;
  /** DER certificates of a bundle, none when it is malformed. */
  readonly read: (bundle: ClusterTrustBundle) => readonly Uint8Array[];
  /** Why the bundles could not be watched lately. */
  fault: AgentError | undefined;
  /** True while a round of telling is due. */
  due: boolean;
  cancelLinger: (() => void) | undefined;
}

export function createTrustAnchors(options: TrustAnchorOptions): TrustAnchorService {
  const { watchBundles, clock, lingerMs = 60_000 } = options;
  const watches = new Map<string, Shared>();

  function open(fieldSelector: string): Shared {
    const shared: Shared = {
      bundles: watchBundles(fieldSelector, (error) => {
        shared.fault = error;
        tellSoon(shared);
      }),
      subscriptions: new Set(),
      read: createBundleReader(options.onMalformed),
      fault: undefined,
      due: false,
      cancelLinger: undefined,
    };
    watches.set(fieldSelector, shared);
    shared.bundles.subscribe(() => tellSoon(shared));
    return shared;
  }

  /** A complete list brings its differences one by one: they are told together, when all of them are in. */
  function tellSoon(shared: Shared): void {
    if (!shared.due) {
      shared.due = true;
      queueMicrotask(() => {
        shared.due = false;
        for (const subscription of [...shared.subscriptions]) {
          tell(shared, subscription);
        }
      });
    }
  }

  function tell(shared: Shared, subscription: Subscription): void {
    const anchors = anchorsFor(shared, subscription);
    if (anchors === undefined || !shared.subscriptions.has(subscription) || isSame(anchors, subscription.told)) {
      return;
    }
    subscription.told = anchors;
    try {
      subscription.listener(anchors);
    } catch (fault) {
      options.onListenerFault?.(fault);
    }
  }

  function close(fieldSelector: string, shared: Shared): void {
    shared.cancelLinger?.();
    shared.subscriptions.clear();
    shared.bundles.stop();
    watches.delete(fieldSelector);
  }

  return {
    subscribe(source, listener) {
      const fieldSelector = fieldSelectorFor(source);
      const shared = watches.get(fieldSelector) ?? open(fieldSelector);
      shared.cancelLinger?.();
      shared.cancelLinger = undefined;
      const subscription: Subscription = { source, listener, told: undefined };
      shared.subscriptions.add(subscription);
      tellSoon(shared);
      return () => {
        if (shared.subscriptions.delete(subscription) && shared.subscriptions.size === 0) {
          shared.cancelLinger = clock.at(clock.now() + lingerMs, () => close(fieldSelector, shared));
        }
      };
    },
    health: () => new Map([...watches].map(([fieldSelector, { bundles }]) => [fieldSelector, bundles.health()])),
    stop() {
      for (const [fieldSelector, shared] of watches) {
        close(fieldSelector, shared);
      }
    },
  };
}

/** Commas, equals signs and backslashes have a meaning in field selectors. */
function fieldSelectorFor({ select }: ClusterTrustBundleSource): string {
  const [field, value] = select.by === 'name' ? ['metadata.name', select.name] : ['spec.signerName', select.signerName];
  return `${field}=${value.replace(/[\\,=]/g, '\\$&')}`;
}

/** What a source selects now; undefined while that is not known. */
function anchorsFor({ bundles, read, fault }: Shared, { source }: Subscription): Anchors | undefined {
  if (!bundles.health().synced) {
    // An optional source may go without bundles that do not exist, not without bundles that may not be read.
    const tellable = fault?.code === 'ApiMissing' || (fault?.code === 'Forbidden' && !source.optional);
    return fault !== undefined && tellable ? { type: 'missing', message: fault.message, isOperators: true } : undefined;
  }
  const selected = bundles.list().filter((bundle) => isSelected(bundle, source));
  const certificates = uniteCertificates(selected.map(read));
  return certificates.length > 0
    ? { type: 'found', certificates }
    : { type: 'missing', message: missingMessage(source, selected.length) };
}

function isSelected(bundle: ClusterTrustBundle, { select }: ClusterTrustBundleSource): boolean {
  return select.by === 'name'
    ? bundle.metadata.name === select.name
    : bundle.spec.signerName === select.signerName && matchesLabels(select.labelSelector, bundle.metadata.labels);
}

function missingMessage({ select }: ClusterTrustBundleSource, selected: number): string {
  if (selected > 0) {
    return `no certificate can be read from the ${selected} ClusterTrustBundle(s) selected`;
  }
  if (select.by === 'name') {
    return `there is no ClusterTrustBundle ${JSON.stringify(select.name)}`;
  }
  return select.labelSelector === undefined
    ? 'the source has no labelSelector, which matches nothing: an empty one matches everything'
    : `no ClusterTrustBundle of signer ${JSON.stringify(select.signerName)} matches the labelSelector`;
}

/** Reads bundles, each version once: a new version is a new object. */
function createBundleReader(onMalformed: TrustAnchorOptions['onMalformed']): Shared['read'] {
  const known = new WeakMap<ClusterTrustBundle, readonly Uint8Array[]>();
  return (bundle) => {
    const certificates = known.get(bundle) ?? readOrReport(bundle, onMalformed);
    known.set(bundle, certificates);
    return certificates;
  };
}

function readOrReport(
  bundle: ClusterTrustBundle,
  onMalformed: TrustAnchorOptions['onMalformed'],
): readonly Uint8Array[] {
  try {
    return readTrustBundle(bundle.spec.trustBundle);
  } catch (fault) {
    onMalformed?.(bundle.metadata.name, fault instanceof Error ? fault.message : 'unreadable');
    return [];
  }
}

function isSame(one: Anchors, other: Anchors | undefined): boolean {
  if (one.type === 'missing' || other === undefined || other.type === 'missing') {
    return one.type === 'missing' && other?.type === 'missing' && one.message === other.message;
  }
  return (
    one.certificates.length === other.certificates.length &&
    one.certificates.every((certificate, index) => Buffer.compare(certificate, other.certificates[index] ?? none) === 0)
  );
}

const none = new Uint8Array();
