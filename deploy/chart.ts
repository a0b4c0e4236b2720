/**
 * Renders the Helm chart with `helm template`, without a cluster: for the plain manifest and for the tests.
 *
 * https://helm.sh/docs/helm/helm_template/
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const chartDirectory = join(import.meta.dirname, 'helm/pod-certificate-agent');

const maxOutputBytes = 16 * 1024 * 1024;

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

/** Rendered YAML, or what helm said against it. `missing`: there is no helm on this machine; the message says how to get it. */
export type Rendering =
  | { readonly type: 'rendered'; readonly yaml: string }
  | { readonly type: 'refused' | 'missing'; readonly message: string };

/** The program that HELM names, or the one on PATH. */
export const helmProgram = (): string => process.env['HELM'] ?? 'helm';

/** For whoever has no helm. */
export const helmAdvice =
  'put Helm 3 on PATH, or its path into HELM; `go install helm.sh/helm/v3/cmd/helm@v3.18.4` builds it, ' +
  'and https://helm.sh/docs/intro/install/ has other ways';

export function renderChart(options: RenderOptions = {}): Rendering {
  const { values = {}, kubernetes = '1.36.0', chart = chartDirectory } = options;
  const args = [
    ...['template', release.name, chart, '--namespace', release.namespace],
    ...['--kube-version', kubernetes, '--values', '-'],
  ];
  const helm = helmProgram();
  const result = spawnSync(helm, args, { input: JSON.stringify(values), encoding: 'utf8', maxBuffer: maxOutputBytes });
  if (result.error !== undefined) {
    return 'code' in result.error && result.error.code === 'ENOENT'
      ? { type: 'missing', message: `${helm} is not here: ${helmAdvice}` }
      : { type: 'refused', message: `${helm} could not be run: ${result.error.message}` };
  }
  return result.status === 0
    ? { type: 'rendered', yaml: result.stdout }
    : { type: 'refused', message: result.stderr.trim() };
}
