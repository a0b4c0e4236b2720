/**
 * The anchors of a source that keeps trust domains apart: each bundle belongs to the trust domain that its label names, and to no other.
 * Whoever may label bundles says what names files get, so a label counts only if it is the name of a trust domain, and a bundle without
 * one is left out and told of; the other trust domains go on without it.
 *
 * https://github.com/spiffe/spiffe/pull/376 (a draft; its labels are in volumes/declaration/layouts.ts)
 */
import type { Steps } from '../../volumes/base/steps.ts';
import type { TrustDomainAnchors } from '../../volumes/base/volume.ts';
import { trustDomainLabels } from '../../volumes/declaration/layouts.ts';
import { isTrustDomain, trustDomainForm } from '../../volumes/declaration/trust-domain.ts';
import type { TrustDomains } from '../../volumes/declaration/types.ts';
import { certificateFields, contentOf, elementsOf } from '../base/der.ts';
import type { Anchors } from '../lifecycle/ports.ts';
import { sortCertificates } from './certificates.ts';
import type { BundleOutline } from './feed.ts';
import { mostMapCertificates, mostTrustDomains } from './limits.ts';
import { overLength, overLimit, refused, type Selected } from './selection.ts';

/** What is left out is told by a few examples. */
const mostExamples = 3;
const longestLabel = 63;

/** Whether a bundle of the signer is for workloads of the pod's own trust domain, and as live as the source asks. */
export function isForWorkloadsOf({ metadata }: BundleOutline, { own, canarying }: TrustDomains): boolean {
  const labels = new Map(Object.entries(metadata.labels ?? {}));
  return labels.get(trustDomainLabels.workload) === own && labels.get(trustDomainLabels.canarying) === canarying;
}

/** The label that says whose anchors a bundle has. */
export function peerOf({ metadata }: BundleOutline): string | undefined {
  return new Map(Object.entries(metadata.labels ?? {})).get(trustDomainLabels.peer);
}

/** In steps. */
export function* anchorsApart(
  trustDomains: TrustDomains,
  signerName: string,
  selected: readonly Selected[],
): Steps<Anchors> {
  const bundles = selected.map(({ bundle }) => bundle);
  const over = overLimit(bundles, `the signer ${signerName} has to publish fewer for its workloads`);
  if (over !== undefined) {
    return over;
  }
  const leftOut: string[] = [];
  const byTrustDomain = yield* group(selected, leftOut);
  const tooMuch = overSize(trustDomains, signerName, byTrustDomain);
  if (tooMuch !== undefined) {
    return tooMuch;
  }
  const { own } = trustDomains;
  const anchors: TrustDomainAnchors[] = [];
  for (const [trustDomain, certificates] of [...byTrustDomain].sort(([one], [other]) => (one < other ? -1 : 1))) {
    anchors.push(yield* unite(trustDomains, trustDomain, certificates, leftOut));
    yield;
  }
  const about = { byTrustDomain: anchors, ...(leftOut.length === 0 ? {} : { leftOut: exampleText(leftOut) }) };
  const found = anchors.find(({ trustDomain }) => trustDomain === own);
  if (found?.certificates !== undefined) {
    return { type: 'found', certificates: found.certificates, ...about };
  }
  return { type: 'missing', message: missingMessage(trustDomains, signerName, found !== undefined), ...about };
}

function* group(selected: readonly Selected[], leftOut: string[]): Steps<ReadonlyMap<string, ReadonlySet<Uint8Array>>> {
  const byTrustDomain = new Map<string, Set<Uint8Array>>();
  for (const { outline, bundle } of selected) {
    const peer = peerOf(outline);
    if (peer === undefined || !isTrustDomain(peer)) {
      const label = `its label ${trustDomainLabels.peer}`;
      const why =
        peer === undefined
          ? `${label} is missing`
          : `${label}, ${JSON.stringify(peer.slice(0, longestLabel))}, is no trust domain (${trustDomainForm})`;
      leftOut.push(`ClusterTrustBundle ${JSON.stringify(outline.metadata.name)}: ${why}`);
      continue;
    }
    const certificates = byTrustDomain.get(peer) ?? new Set();
    byTrustDomain.set(peer, certificates);
    for (const certificate of bundle.certificates) {
      certificates.add(certificate);
    }
    yield;
  }
  return byTrustDomain;
}

function overSize(
  { as }: TrustDomains,
  signerName: string,
  byTrustDomain: ReadonlyMap<string, ReadonlySet<Uint8Array>>,
): Anchors | undefined {
  const count = byTrustDomain.size;
  if (count > mostTrustDomains) {
    const message = `the ClusterTrustBundles selected are of ${count} trust domains, more than the ${mostTrustDomains} that one source may have`;
    return refused(`${message}: the signer ${signerName} has to publish fewer for its workloads`);
  }
  const all = [...byTrustDomain.values()].reduce((sum, { size }) => sum + size, 0);
  if (as === 'bundleMap' && all > mostMapCertificates) {
    const message = `the ClusterTrustBundles selected have ${all} certificates, more than the ${mostMapCertificates} of one bundle map`;
    return refused(`${message}: the signer ${signerName} has to publish fewer for its workloads`);
  }
  return overLength(byTrustDomain.values());
}

function* unite(
  { as }: TrustDomains,
  trustDomain: string,
  certificates: ReadonlySet<Uint8Array>,
  leftOut: string[],
): Steps<TrustDomainAnchors> {
  const usable = as === 'bundleMap' ? new Set([...certificates].filter(isFitForMap)) : certificates;
  if (usable.size < certificates.size) {
    const count = certificates.size - usable.size;
    leftOut.push(`${count} certificate(s) of trust domain ${trustDomain} with keys that are neither RSA nor ECDSA`);
  }
  if (certificates.size === 0) {
    leftOut.push(`no certificate can be read from the ClusterTrustBundles of trust domain ${trustDomain}`);
    return { trustDomain };
  }
  return { trustDomain, certificates: yield* sortCertificates(usable) };
}

function missingMessage({ own, canarying }: TrustDomains, signerName: string, isThere: boolean): string {
  if (isThere) {
    return `no certificate can be read from the ClusterTrustBundles of the pod's own trust domain ${own}: signer ${signerName} has to correct them`;
  }
  const labels = `${trustDomainLabels.canarying}=${canarying}, and ${trustDomainLabels.workload} and ${trustDomainLabels.peer} both ${own}`;
  return `signer ${signerName} has no ClusterTrustBundle with the labels ${labels}`;
}

function exampleText(leftOut: readonly string[]): string {
  const more = leftOut.length - mostExamples;
  const shown = leftOut.slice(0, mostExamples).join('; ');
  return more > 0 ? `${shown}; and ${more} more` : shown;
}

/** Algorithms of public keys, and curves, as DER writes their identifiers: what gRPC's readers of bundle maps take. */
const rsa = '2a864886f70d010101';
const ecdsa = '2a8648ce3d0201';
const curves = ['2a8648ce3d030107', '2b81040022', '2b81040023'];

/** One certificate that a reader of a bundle map does not take costs it the whole map: those are left out. */
function isFitForMap(der: Uint8Array): boolean {
  try {
    const publicKey = certificateFields(der)[5];
    const [algorithm, parameters] = elementsOf(contentOf(elementsOf(contentOf(publicKey))[0]));
    const name = hex(contentOf(algorithm));
    return name === rsa || (name === ecdsa && curves.includes(hex(contentOf(parameters))));
  } catch (error) {
    if (error instanceof RangeError) {
      return false;
    }
    throw error;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
