/**
 * What the files of a release are called.
 */
import type { Image } from './images.ts';
import { type Mode, modes } from './manifests.ts';

export interface FileNames {
  readonly version: string;
  readonly bundle: string;
  readonly chart: string;
  readonly manifest: (mode: Mode) => string;
  readonly kustomize: string;
  readonly image: (image: Image) => string;
  readonly sbom: string;
  readonly licenses: string;
  readonly checksums: string;
}

export function fileNames(version: string): FileNames {
  const name = `pod-certificate-agent-${version}`;
  return {
    version,
    bundle: `${name}-bundle.tar.gz`,
    // As Helm calls it.
    chart: `${name}.tgz`,
    manifest: (mode) => `${name}-${modes[mode]}.yaml`,
    kustomize: `${name}-kustomize.tar.gz`,
    image: (image) => `${image.name}-${version}-image.tar`,
    sbom: `${name}.spdx.json`,
    licenses: 'THIRD-PARTY-LICENSES.txt',
    checksums: 'SHA256SUMS',
  };
}
