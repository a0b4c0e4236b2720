/**
 * The plain manifests of a release, one for each identity mode, and the same as bases for Kustomize.
 *
 * https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderChart } from '../chart.ts';
import { manifestText } from '../manifest.ts';
import { defaultRegistry } from './images.ts';
import { Refusal } from './programs.ts';

/** The identity modes of the chart, and what each is called in file names. */
export const modes = {
  impersonatedNode: 'impersonated-node',
  serviceAccount: 'service-account',
  kubelet: 'kubelet',
} as const;

export type Mode = keyof typeof modes;

/** One manifest. */
export interface Manifest {
  readonly mode: Mode;
  readonly text: string;
}

/** Renders a chart in each mode. @throws Refusal when helm is missing or refuses */
export function manifestsOf(chart: string, registry: string, version: string): readonly Manifest[] {
  return (Object.keys(modes) as readonly Mode[]).map((mode) => {
    const rendering = renderChart({ chart, values: { identity: { mode } } });
    if (rendering.type !== 'rendered') {
      throw new Refusal(rendering.message);
    }
    return { mode, text: manifestText(rendering, preambleOf(mode, registry, version)) };
  });
}

function preambleOf(mode: Mode, registry: string, version: string): string {
  const image =
    registry === defaultRegistry
      ? `# Before it is applied, the image has to be named: nobody serves ${registry}.\n`
      : '';
  return `# pod-certificate-agent ${version} in identity mode ${mode}, as its Helm chart renders it with the defaults.\n${image}`;
}

/** Writes a directory for each mode that a kustomization can name among its resources. */
export function writeBases(directory: string, manifests: readonly Manifest[]): void {
  for (const { mode, text } of manifests) {
    const base = join(directory, modes[mode]);
    mkdirSync(base, { recursive: true });
    writeFileSync(join(base, 'manifest.yaml'), text);
    writeFileSync(join(base, 'kustomization.yaml'), kustomization(mode));
  }
}

function kustomization(mode: Mode): string {
  return `# A base in identity mode ${mode}. In a kustomization of yours, name this directory among the resources, and where the image
# comes from under images, with name as it stands in manifest.yaml, newName, and newTag or digest.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - manifest.yaml
`;
}
