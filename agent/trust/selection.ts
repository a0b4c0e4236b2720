/** What a clusterTrustBundle source selects among the bundles that are known, within its limits. */
import type { Steps } from '../../volumes/base/steps.ts';
import type { TrustDomainAnchors } from '../../volumes/base/volume.ts';
import type { ClusterTrustBundleSource } from '../../volumes/declaration/types.ts';
import type { Anchors } from '../lifecycle/ports.ts';
import { sortCertificates } from './certificates.ts';
import type { BundleOutline } from './feed.ts';
import { matchesLabels } from './label-selector.ts';
import { longestHeldBytes, longestUnionBytes, mostBundlesPerSource } from './limits.ts';
import type { ShelvedBundle } from './shelf.ts';

export type Select = ClusterTrustBundleSource['select'];

/** A bundle that a source selects, and what was read of it. */
export interface Selected {
  readonly outline: BundleOutline;
  readonly bundle: ShelvedBundle;
}

/** Whether bundles of the watched name or signer are the source's. */
export function isSelected({ metadata }: BundleOutline, select: Select): boolean {
  return select.by === 'name' || matchesLabels(select.labelSelector, metadata.labels);
}

/**
 * The union of the bundles that a source selects, as far as it keeps to the limits, in steps.
 * @param areAny whether its signer has bundles, selected or not
 */
export function* anchorsOf(
  select: Select,
  selected: readonly ShelvedBundle[],
  areAny: boolean = selected.length > 0,
): Steps<Anchors> {
  const over = overLimit(selected);
  if (over !== undefined) {
    return over;
  }
  // The same certificate is the same array. Counted before it is sorted: a node may hold a hundred thousand small ones.
  const distinct = new Set<Uint8Array>();
  for (const { certificates } of selected) {
    for (const certificate of certificates) {
      distinct.add(certificate);
    }
    yield;
  }
  const tooLong = overLength([distinct]);
  if (tooLong !== undefined) {
    return tooLong;
  }
  if (distinct.size > 0) {
    return { type: 'found', certificates: yield* sortCertificates(distinct) };
  }
  return selected.length > 0
    ? refused(
        `no certificate can be read from the ${selected.length} ClusterTrustBundle(s) selected: whoever publishes them has to correct them`,
      )
    : { type: 'missing', message: missingMessage(select, areAny) };
}

/** More bundles than a source may select, or than the node holds. `advice`: what helps against the former. */
export function overLimit(
  selected: readonly ShelvedBundle[],
  advice = 'its author has to narrow the labelSelector',
): Anchors | undefined {
  if (selected.length > mostBundlesPerSource) {
    const count = `selects ${selected.length} ClusterTrustBundles, more than the ${mostBundlesPerSource} that one source may`;
    return refused(`the source ${count} have: ${advice}`);
  }
  if (selected.some(({ isTooMuch }) => isTooMuch)) {
    const limit = `more than the ${mebibytes(longestHeldBytes)} that the agent holds for all pods of a node`;
    const share = 'those of one signer more than half of what the others leave of it';
    return refused(
      `the ClusterTrustBundles in use on this node have ${limit}, or ${share}: the cluster operator has to make them smaller`,
    );
  }
  return undefined;
}

/** More bytes than a source may have. */
export function overLength(certificates: Iterable<Iterable<Uint8Array>>): Anchors | undefined {
  let bytes = 0;
  for (const some of certificates) {
    for (const { length } of some) {
      bytes += length;
    }
  }
  if (bytes <= longestUnionBytes) {
    return undefined;
  }
  const size = `have ${bytes} bytes of certificates, more than the ${mebibytes(longestUnionBytes)} of one source`;
  return refused(
    `the ClusterTrustBundles that the source selects ${size}: select fewer, or have their signer make them smaller`,
  );
}

export function refused(message: string): Anchors {
  return { type: 'refused', message };
}

function mebibytes(bytes: number): string {
  return `${bytes / 1024 / 1024} MiB`;
}

function missingMessage(select: Select, areAny: boolean): string {
  if (select.by === 'name') {
    return `there is no ClusterTrustBundle ${JSON.stringify(select.name)}`;
  }
  const signer = `signer ${JSON.stringify(select.signerName)}`;
  if (select.labelSelector === undefined) {
    return `the source has no labelSelector, which matches nothing: name the labels of the bundles, or {} for all of ${signer}`;
  }
  return areAny
    ? `${signer} has ClusterTrustBundles, and none of them matches the labelSelector`
    : `${signer} has no ClusterTrustBundle at all`;
}

/** True when the same is to be told. */
export function isSame(one: Anchors, other: Anchors | undefined): boolean {
  if (one === other) {
    return true;
  }
  if (one.type === 'refused' || other === undefined || other.type === 'refused') {
    return one.type === 'refused' && other?.type === 'refused' && one.message === other.message;
  }
  return (
    one.leftOut === other.leftOut &&
    isSameApart(one.byTrustDomain, other.byTrustDomain) &&
    (one.type === 'found'
      ? other.type === 'found' && isSameList(one.certificates, other.certificates)
      : other.type === 'missing' && one.message === other.message)
  );
}

function isSameApart(
  one: readonly TrustDomainAnchors[] | undefined,
  other: readonly TrustDomainAnchors[] | undefined,
): boolean {
  if (one === undefined || other === undefined) {
    return one === other;
  }
  return (
    one.length === other.length &&
    one.every(({ trustDomain, certificates }, index) => {
      const counterpart = other[index];
      return trustDomain === counterpart?.trustDomain && isSameList(certificates, counterpart.certificates);
    })
  );
}

function isSameList(one: readonly Uint8Array[] | undefined, other: readonly Uint8Array[] | undefined): boolean {
  return (
    one?.length === other?.length && (one ?? []).every((certificate, index) => isSameBytes(certificate, other?.[index]))
  );
}

function isSameBytes(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return one === other || (other !== undefined && Buffer.compare(one, other) === 0);
}
