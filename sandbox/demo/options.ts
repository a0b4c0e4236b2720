/**
 * Command line of `npm start`.
 */
import { parseArgs } from 'node:util';
import { type KubernetesVersion, kubernetesVersions } from '../base/cluster-rules.ts';
import { messageOf } from '../base/errors.ts';
import { type DemoIssuerName, demoIssuerNames } from './issuers.ts';

export interface DemoOptions {
  readonly once: boolean;
  /** The certificate API through which the signer is asked. */
  readonly issuer: DemoIssuerName;
  readonly kubernetes: KubernetesVersion;
  readonly lifetimeSeconds: number;
  /** Absent: a fresh temporary directory. */
  readonly directory: string | undefined;
  readonly keep: boolean;
  readonly verbose: boolean;
}

export type DemoCommand =
  | { readonly type: 'demo'; readonly options: DemoOptions }
  /** No sandbox: the agent alone, against a real cluster, with these arguments. */
  | { readonly type: 'agent'; readonly argv: readonly string[] }
  | { readonly type: 'help' }
  | { readonly type: 'invalid'; readonly faults: readonly string[] };

const defaultIssuer: DemoIssuerName = 'podCertificateRequest';
const defaultLifetimeSeconds = 15;
const shortestLifetimeSeconds = 10;
const longestLifetimeSeconds = 86400;

export const helpText = `Usage: npm start -- [options]

Starts a cluster in one process (API server, signer, kubelet), the agent beside it, and pods that
get certificates from it. No cluster, no root. Ctrl-C ends everything and leaves nothing behind.

  --once                 End by itself: with 0 when both workloads have seen a new leaf and a new CA
                         without a failed request, else with 1 and what was missing.
  --issuer NAME          Through which certificate API the agent asks the signer; the pods are the same with each:
                         ${demoIssuerNames.join(', ')}. Default ${defaultIssuer}.
  --kubernetes VERSION   The Kubernetes version to play: ${kubernetesVersions.join(', ')}. Default 1.36.
  --lifetime SECONDS     Lifetime of certificates, ${shortestLifetimeSeconds} to ${longestLifetimeSeconds}. Default ${defaultLifetimeSeconds}. The cluster's
                         minimums (an hour, in a real one) shrink along with it.
  --dir PATH             Work directory; must be empty or not exist. Default: a new one below the
                         system's temporary directory. It is removed at the end.
  --keep                 Do not remove the work directory.
  --verbose              The agent's log in the terminal; otherwise it goes to a file.
  --help                 This text.

Against a real cluster, without a sandbox; all other arguments are the agent's own
(npm run agent -- --help explains them):

  --kubeconfig PATH      Run the agent with this kubeconfig.
  --in-cluster           Run the agent with the service account of its pod.
`;

/** Reads the arguments, without interpreter and script. */
export function parseDemoOptions(argv: readonly string[]): DemoCommand {
  const isReal = (arg: string) => arg === '--in-cluster' || arg === '--kubeconfig' || arg.startsWith('--kubeconfig=');
  if (argv.some(isReal)) {
    return { type: 'agent', argv: argv.filter((arg) => arg !== '--in-cluster') };
  }
  let values: ReturnType<typeof readArguments>;
  try {
    values = readArguments(argv);
  } catch (error) {
    return { type: 'invalid', faults: [messageOf(error)] };
  }
  if (values.help) {
    return { type: 'help' };
  }
  const faults: string[] = [];
  const issuer = demoIssuerNames.find((name) => name === values.issuer);
  if (issuer === undefined) {
    faults.push(`--issuer: must be one of ${demoIssuerNames.join(', ')}`);
  }
  const kubernetes = kubernetesVersions.find((version) => version === values.kubernetes);
  if (kubernetes === undefined) {
    faults.push(`--kubernetes: must be one of ${kubernetesVersions.join(', ')}`);
  }
  const lifetimeSeconds = Number(values.lifetime);
  const inRange = lifetimeSeconds >= shortestLifetimeSeconds && lifetimeSeconds <= longestLifetimeSeconds;
  if (!Number.isInteger(lifetimeSeconds) || !inRange) {
    faults.push(`--lifetime: must be a whole number from ${shortestLifetimeSeconds} to ${longestLifetimeSeconds}`);
  }
  if (issuer === undefined || kubernetes === undefined || faults.length > 0) {
    return { type: 'invalid', faults };
  }
  const { once, keep, verbose, dir } = values;
  return { type: 'demo', options: { once, issuer, kubernetes, lifetimeSeconds, directory: dir, keep, verbose } };
}

function readArguments(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      once: { type: 'boolean', default: false },
      issuer: { type: 'string', default: defaultIssuer },
      kubernetes: { type: 'string', default: '1.36' },
      lifetime: { type: 'string', default: String(defaultLifetimeSeconds) },
      dir: { type: 'string' },
      keep: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return values;
}
