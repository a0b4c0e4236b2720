/**
 * What the files of a source that keeps trust domains apart are to hold, for each thing that is told of its anchors. A peer whose bundle is
 * gone is trusted no more. The pod's own trust domain is another matter: without its anchors the pod could speak to nobody, and what
 * is gone there is a mistake, so that the files keep what they had; the same goes for a bundle that cannot be read.
 */
import type { SourceContent, TrustDomainAnchors } from '../../volumes/base/volume.ts';
import type { ClusterTrustBundleSource, TrustDomains } from '../../volumes/declaration/types.ts';
import type { FederationChange } from './notices.ts';
import type { Anchors } from './ports.ts';

export type AnchorContent = SourceContent & { readonly kind: 'trustAnchors' };

export interface TrustDomainMemory {
  /**
   * @param areInFiles anchors of the source are in the files, and stay without new content
   * @returns undefined: the files stay as they are, or there is nothing yet that they could hold
   */
  contentFor(source: ClusterTrustBundleSource, anchors: Anchors, areInFiles: boolean): AnchorContent | undefined;
  /** Why bundles are left out, where that is new. */
  newlyLeftOut(index: number, anchors: Anchors): string | undefined;
}

export function createTrustDomainMemory(): TrustDomainMemory {
  /** By source: the anchors of each trust domain that were known last. */
  const known = new Map<number, ReadonlyMap<string, readonly Uint8Array[]>>();
  const told = new Map<number, string | undefined>();

  const apart = (
    { index, trustDomains }: ClusterTrustBundleSource & { readonly trustDomains: TrustDomains },
    listed: readonly TrustDomainAnchors[],
    areInFiles: boolean,
  ): AnchorContent | undefined => {
    const { own, needsOwn, as } = trustDomains;
    const isListed = listed.some(({ trustDomain }) => trustDomain === own);
    const all: readonly TrustDomainAnchors[] = isListed || !needsOwn ? listed : [...listed, { trustDomain: own }];
    const before = known.get(index);
    const byTrustDomain = all.map(({ trustDomain, certificates = before?.get(trustDomain) }) =>
      certificates === undefined ? { trustDomain } : { trustDomain, certificates },
    );
    known.set(
      index,
      new Map(
        byTrustDomain.flatMap(({ trustDomain, certificates }) => (certificates ? [[trustDomain, certificates]] : [])),
      ),
    );
    // Of one file for all, no part can stay as it is.
    if (as === 'bundleMap' && areInFiles && byTrustDomain.some(({ certificates }) => certificates === undefined)) {
      return undefined;
    }
    return { kind: 'trustAnchors', certificates: known.get(index)?.get(own) ?? [], byTrustDomain };
  };

  return {
    contentFor(source, anchors, areInFiles) {
      const { trustDomains, optional } = source;
      if (trustDomains === undefined) {
        const certificates = anchors.type === 'found' ? anchors.certificates : [];
        const isEnough = anchors.type === 'found' || (anchors.type === 'missing' && optional);
        return isEnough ? { kind: 'trustAnchors', certificates } : undefined;
      }
      const listed = anchors.type === 'refused' ? undefined : anchors.byTrustDomain;
      if (anchors.type === 'found' || areInFiles) {
        return listed && apart({ ...source, trustDomains }, listed, areInFiles);
      }
      const mayGoWithout = anchors.type === 'missing' && !trustDomains.needsOwn;
      return mayGoWithout ? apart({ ...source, trustDomains }, listed ?? [], false) : undefined;
    },
    newlyLeftOut(index, anchors) {
      const leftOut = anchors.type === 'refused' ? undefined : anchors.leftOut;
      if (leftOut === told.get(index)) {
        return undefined;
      }
      told.set(index, leftOut);
      return leftOut;
    },
  };
}

/** The trust domains that some content keeps apart. */
export function trustDomainsIn({ byTrustDomain }: AnchorContent): readonly string[] | undefined {
  return byTrustDomain?.map(({ trustDomain }) => trustDomain);
}

/** How many certificates some content has. */
export function certificatesIn({ certificates, byTrustDomain }: AnchorContent): number {
  return byTrustDomain?.reduce((sum, { certificates: own = [] }) => sum + own.length, 0) ?? certificates.length;
}

/** What became of the trust domains in the files; nothing where they are the same, or where it is not known which there were. */
export function changeOf(
  before: readonly string[] | undefined,
  now: readonly string[] | undefined,
): FederationChange | undefined {
  if (before === undefined || now === undefined) {
    return undefined;
  }
  const come = now.filter((name) => !before.includes(name));
  const gone = before.filter((name) => !now.includes(name));
  return come.length === 0 && gone.length === 0 ? undefined : { come, gone };
}
