/** What a clusterTrustBundle source selects among the bundles that are known, within its limits. */
import type { ClusterTrustBundleSource } from '../../volumes/declaration/types.ts';
import type { Anchors } from '../lifecycle/ports.ts';
import { uniteCertificates } from './certificates.ts';
import type { BundleOutline } from './feed.ts';
import { matchesLabels } from './label-selector.ts';
import { longestHeldBytes, longestUnionBytes, mostBundlesPerSource } from './limits.ts';
import type { ShelvedBundle } from './shelf.ts';

export type Select = ClusterTrustBundleSource['select'];

/** Whether bundles of the watched name or signer are the source's. */
export function isSelected({ metadata }: BundleOutline, select: Select): boolean {
  return select.by === 'name' || matchesLabels(select.labelSelector, metadata.labels);
}

/**
 * The union of the bundles that a source selects, as far as it keeps to the limits.
 * @param areAny whether its signer has bundles, selected or not
 */
export function anchorsOf(
  select: Select,
  selected: readonly ShelvedBundle[],
  areAny: boolean = selected.length > 0,
): Anchors {
  if (selected.length > mostBundlesPerSource) {
    const count = `selects ${selected.length} ClusterTrustBundles, more than the ${mostBundlesPerSource} that one source may`;
    return refused(`the source ${count} have: its author has to narrow the labelSelector`);
  }
  if (selected.some(({ isTooMuch }) => isTooMuch)) {
    const limit = `more than the ${mebibytes(longestHeldBytes)} that the agent holds for all pods of a node`;
    return refused(
      `the ClusterTrustBundles in use on this node have ${limit}: the cluster operator has to make them smaller`,
    );
  }
  // The same certificate is the same array. Counted before it is sorted: a node may hold a hundred thousand small ones.
  const distinct = new Set(selected.flatMap((bundle) => bundle.certificates));
  let bytes = 0;
  for (const { length } of distinct) {
    bytes += length;
  }
  if (bytes > longestUnionBytes) {
    const size = `have ${bytes} bytes of certificates, more than the ${mebibytes(longestUnionBytes)} of one source`;
    return refused(
      `the ClusterTrustBundles that the source selects ${size}: select fewer, or have their signer make them smaller`,
    );
  }
  if (distinct.size > 0) {
    return { type: 'found', certificates: uniteCertificates([[...distinct]]) };
  }
  return selected.length > 0
    ? refused(
        `no certificate can be read from the ${selected.length} ClusterTrustBundle(s) selected: whoever publishes them has to correct them`,
      )
    : { type: 'missing', message: missingMessage(select, areAny) };
}

function refused(message: string): Anchors {
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
  if (one.type !== 'found' || other?.type !== 'found') {
    return one.type !== 'found' && one.type === other?.type && one.message === other.message;
  }
  return (
    one.certificates.length === other.certificates.length &&
    one.certificates.every((certificate, index) => isSameBytes(certificate, other.certificates[index]))
  );
}

function isSameBytes(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return one === other || (other !== undefined && Buffer.compare(one, other) === 0);
}
