/**
 * One watch of ClusterTrustBundles: what it asks for, and what it knows of the bundles it shows. Their texts are read
 * elsewhere (`shelf.ts`). `feeds.ts` decides which watches there are.
 */
import type { AgentError } from '../base/errors.ts';
import type { ListWatch } from '../kubernetes/list-watch.ts';
import type { ClusterTrustBundle, KubernetesObject } from '../kubernetes/objects.ts';

/** What a watch remembers of a bundle: not its text. */
export interface BundleOutline extends KubernetesObject {
  readonly signerName: string | undefined;
}

/**
 * Starts a watch of the bundles that a field selector names, of all bundles when it is empty. `onError` gets each of its
 * failures, `take` each version of a bundle that arrives; while
 * `untilRoom` gives something to wait for, none is asked for.
 */
export type WatchBundles = (
  fieldSelector: string,
  onError: (error: AgentError) => void,
  take: (bundle: ClusterTrustBundle) => BundleOutline,
  untilRoom: () => Promise<void> | undefined,
) => ListWatch<BundleOutline>;

export interface FeedKey {
  readonly by: 'name' | 'signer';
  readonly value: string;
}

export interface Feed {
  readonly selector: string;
  readonly bundles: ListWatch<BundleOutline>;
  readonly bySigner: Map<string, Map<string, BundleOutline>>;
  fault: AgentError | undefined;
}

/** Commas, equals signs and backslashes have a meaning in field selectors. */
export function selectorOf({ by, value }: FeedKey): string {
  return `${by === 'name' ? 'metadata.name' : 'spec.signerName'}=${value.replace(/[\\,=]/g, '\\$&')}`;
}

/** A bundle without its text. */
export function outlineOf({ metadata, spec }: ClusterTrustBundle): BundleOutline {
  const { name, uid, resourceVersion, labels } = metadata;
  return {
    metadata: {
      name,
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(labels === undefined ? {} : { labels }),
    },
    signerName: spec.signerName,
  };
}

/** True once a complete list has come, and while none is being taken over. */
export function isSynced({ bundles }: Feed): boolean {
  return bundles.health().synced && !bundles.isTakingOver();
}

/** Notes which signer's a bundle is. @param isGone the bundle was deleted */
export function fileBySigner({ bySigner }: Feed, outline: BundleOutline, isGone: boolean): void {
  const { signerName, metadata } = outline;
  if (signerName === undefined) {
    return;
  }
  const ofSigner = bySigner.get(signerName) ?? new Map<string, BundleOutline>();
  bySigner.set(signerName, ofSigner);
  if (isGone) {
    ofSigner.delete(metadata.name);
  } else {
    ofSigner.set(metadata.name, outline);
  }
  if (ofSigner.size === 0) {
    bySigner.delete(signerName);
  }
}

/** The bundles of a name or a signer that the watch shows. */
export function bundlesOf({ by, value }: FeedKey, { bundles, bySigner }: Feed): readonly BundleOutline[] {
  if (by === 'signer') {
    return [...(bySigner.get(value)?.values() ?? [])];
  }
  const bundle = bundles.get(value);
  return bundle === undefined ? [] : [bundle];
}

/** True for two watches that know the same bundles in the same versions. */
export function showTheSame(key: FeedKey, one: Feed, other: Feed): boolean {
  const bundles = bundlesOf(key, one);
  return (
    bundles.length === bundlesOf(key, other).length &&
    bundles.every(({ metadata: { name, uid, resourceVersion } }) => {
      const twin = other.bundles.get(name)?.metadata;
      return twin !== undefined && twin.uid === uid && twin.resourceVersion === resourceVersion;
    })
  );
}
