/**
 * The layouts: file names that programs agreed on, so that a pod need not spell them out. This table is the only place where such a name
 * stands, since two of the three are drafts whose names may still change.
 *
 * spiffe: draft, https://github.com/spiffe/spiffe/pull/376
 * istio: https://istio.io/latest/docs/ops/integrations/spire/
 * grpc: draft, https://github.com/grpc/proposal/blob/master/A87-mtls-spiffe-support.md
 */

/** Where the files of a podCertificate source lie in a layout's folder, by the fields that they stand for. */
interface CertificateFiles {
  readonly credentialBundlePath?: string;
  readonly keyPath?: string;
  readonly certificateChainPath?: string;
  /** The layout wants chains without root certificates. */
  readonly roots?: 'drop';
}

/** What a clusterTrustBundle source becomes in a layout's folder. */
type AnchorFiles =
  /** One file. */
  | { readonly as: 'file'; readonly name: string }
  /** A file for each trust domain, named after it. */
  | { readonly as: 'filePerTrustDomain'; readonly ending: string }
  /** One JSON file with the anchors of each trust domain. */
  | { readonly as: 'bundleMap'; readonly name: string };

interface Layout {
  readonly certificate: CertificateFiles;
  readonly anchors: AnchorFiles;
}

export const layouts = {
  spiffe: {
    certificate: { credentialBundlePath: 'credential-bundle.private-key.pem', roots: 'drop' },
    anchors: { as: 'filePerTrustDomain', ending: '.spiffe-trust-bundle.pem' },
  },
  istio: {
    certificate: { keyPath: 'key.pem', certificateChainPath: 'cert-chain.pem' },
    anchors: { as: 'file', name: 'root-cert.pem' },
  },
  grpc: {
    certificate: { keyPath: 'private_key.pem', certificateChainPath: 'certificates.pem' },
    anchors: { as: 'bundleMap', name: 'trust_bundles.json' },
  },
} as const satisfies Readonly<Record<string, Layout>>;

export type LayoutName = keyof typeof layouts;

export function isLayoutName(text: string): text is LayoutName {
  return Object.hasOwn(layouts, text);
}

export function layoutOf(name: LayoutName): Layout {
  return layouts[name];
}

/** Labels of ClusterTrustBundles, as in the appendix of the draft of spiffe, by which a bundle is one of a trust domain. */
export const trustDomainLabels = {
  /** `live` or `preview`. */
  canarying: 'k8s.spiffe.io/canarying',
  /** The trust domain whose workloads use the bundle. */
  workload: 'k8s.spiffe.io/workload-trust-domain',
  /** The trust domain whose peers the bundle verifies. */
  peer: 'k8s.spiffe.io/peer-trust-domain',
} as const;

export const canaryings = ['live', 'preview'] as const;
