/**
 * Renders the Helm chart with `helm template`, without a cluster: for the plain manifest and for the tests.
 *
 * https://helm.sh/docs/helm/helm_template/
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const chartDirectory = join(import.meta.dirname, 'helm/pod-certificate-agent');

/** Release and namespace of the plain manifest. In kube-system, privileged pods and node-critical ones are at home. */
export const release = { name: 'pod-certificate-agent', namespace: 'kube-system' } as const;

/** What rendering depends on, beside the chart. */
export interface RenderOptions {
  /** Values other than the chart's own. */
  readonly values?: unknown;
  /** Default 1.36.0. */
  readonly kubernetes?: string;
  /** Default: this project's. */
  readonly chart?: string;
}

/** Rendered YAML, or what helm said against it. `missing`: there is no helm on this machine. */
export type Rendering =
  | { readonly type: 'rendered'; readonly yaml: string }
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'missing' };

/** Runs helm from PATH, or the program that HELM names. */
export function renderChart(options: RenderOptions = {}): Rendering {
  const { values = {}, kubernetes = '1.36.0', chart = chartDirectory } = options;
  const args = [
    ...['template', release.name, chart, '--namespace', release.namespace],
    ...['--kube-version', kubernetes, '--values', '-'],
  ];
  const result = spawnSync(process.env['HELM'] ?? 'helm', args, { input: JSON.stringify(values), encoding: 'utf8' });
  if (result.error !== undefined) {
    return { type: 'missing' };
  }
  return result.status === 0
    ? { type: 'rendered', yaml: result.stdout }
    : { type: 'refused', message: result.stderr.trim() };
}
