/**
 * The suite's command line.
 */
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { PodRun } from './pods.ts';

export interface Options {
  readonly kubeconfig: string;
  /** Runs pods on a node of the cluster, too. */
  readonly withAgent: PodRun | undefined;
}

const defaultImage = 'registry.k8s.io/e2e-test-images/busybox:1.36.1-1';

export const help = `Proves that a cluster gives the pod certificate agent what it needs, and that it judges
certificate requests as the project's sandbox does.

  npm run test:cluster -- [options]

  --kubeconfig <file>  How to reach the cluster, as an administrator. Default: $KUBECONFIG, then ~/.kube/config.
  --with-agent         Also run pods with certificates on a node. The agent must be installed in the cluster.
  --driver-name <name> Name of its CSI driver. Default: csi.podcert.io.
  --image <image>      An image with sh, test, grep and find for those pods. Default: ${defaultImage}.
  --help               This text.

It makes nodes that no machine is behind, namespaces, service accounts, roles, requests and trust bundles whose names
begin with pct-, all labelled app.kubernetes.io/part-of=pod-certificate-agent-suite, and removes them again, also when
it is interrupted. What the cluster does not offer is skipped with the reason. docs/cluster-suite.md has the details.

Exit codes: 0 all passed or skipped, 1 something failed, 2 the suite could not begin.
`;

/** @throws TypeError for arguments that are not known */
export function parseOptions(args: readonly string[], environment: NodeJS.ProcessEnv): Options | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kubeconfig: { type: 'string' },
      'with-agent': { type: 'boolean', default: false },
      'driver-name': { type: 'string', default: 'csi.podcert.io' },
      image: { type: 'string', default: defaultImage },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    return 'help';
  }
  const [first = ''] = (environment['KUBECONFIG'] ?? '').split(delimiter);
  const kubeconfig = values.kubeconfig ?? (first || join(homedir(), '.kube', 'config'));
  const { image, 'driver-name': driverName, 'with-agent': withAgent } = values;
  return { kubeconfig, withAgent: withAgent ? { driverName, image } : undefined };
}
