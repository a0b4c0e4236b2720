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

interface Layout {
  readonly certificate: CertificateFiles;
}

export const layouts = {
  spiffe: {
    certificate: { credentialBundlePath: 'credential-bundle.private-key.pem', roots: 'drop' },
  },
  istio: {
    certificate: { keyPath: 'key.pem', certificateChainPath: 'cert-chain.pem' },
  },
  grpc: {
    certificate: { keyPath: 'private_key.pem', certificateChainPath: 'certificates.pem' },
  },
} as const satisfies Readonly<Record<string, Layout>>;

export type LayoutName = keyof typeof layouts;

export function isLayoutName(text: string): text is LayoutName {
  return Object.hasOwn(layouts, text);
}

export function layoutOf(name: LayoutName): Layout {
  return layouts[name];
}
