/** Command line of `node sandbox/approver.ts`. */
import { parseArgs } from 'node:util';
import { messageOf } from '../base/errors.ts';
import { usageNames } from '../base/usages.ts';
import { type ApprovalRules, defaultUris, defaultUsages, isTemplate } from './approval.ts';

export interface ApproverCommandOptions extends ApprovalRules {
  readonly kubeconfig: string;
  readonly signers: readonly string[];
}

export type ApproverCommand =
  | { readonly type: 'run'; readonly options: ApproverCommandOptions }
  | { readonly type: 'help' }
  | { readonly type: 'invalid'; readonly fault: string };

const defaultMaxLifetimeSeconds = 86_400;

export const approverHelp = `Usage: npx node sandbox/approver.ts --kubeconfig FILE --signer NAME [options]

Approves CertificateSigningRequests that the agent makes for pods, and denies those that ask for anything
that the pod may not have. It signs nothing. docs/issuers.md has the permissions that it needs.

  --kubeconfig FILE        The cluster, and as whom to act.
  --signer NAME            A signer to approve for, or a domain's signers as example.org/*. May be repeated.
  --trust-domain NAME      The trust domain of SPIFFE IDs. Default cluster.local.
  --uri TEMPLATE           The URI of every pod; may be repeated, for several. Default
                           ${defaultUris.join(' ')}
  --dns-name TEMPLATE      A DNS name that a pod may ask for. May be repeated.
  --allow-pod-ips          A pod may ask for its own addresses.
  --usage USAGE            A usage that pods may ask for. May be repeated. Default ${defaultUsages.join(', ')}.
  --max-lifetime SECONDS   The longest lifetime that may be asked for. Default ${defaultMaxLifetimeSeconds}.
  --agent-account NS/NAME  The agent's service account, where it does not impersonate its node.
  --allow-pod-accounts     Pods' own accounts may ask, for rules that say "as: pod".
  --help                   This text.
`;

/** Reads the arguments, without interpreter and script. */
export function parseApproverOptions(argv: readonly string[]): ApproverCommand {
  try {
    const values = readArguments(argv);
    return values.help ? { type: 'help' } : checked(values);
  } catch (error) {
    return { type: 'invalid', fault: messageOf(error) };
  }
}

function checked(values: ReturnType<typeof readArguments>): ApproverCommand {
  const invalid = (fault: string): ApproverCommand => ({ type: 'invalid', fault });
  const { kubeconfig = '', signer = [], uri = defaultUris, usage = defaultUsages } = values;
  const dnsNames = values['dns-name'] ?? [];
  const maxLifetimeSeconds = Number(values['max-lifetime']);
  const agentAccount = values['agent-account'];
  if (kubeconfig === '') {
    return invalid('--kubeconfig: is missing');
  }
  if (signer.length === 0 || !signer.every((name) => /^[a-z0-9.-]+\/[^/]+$/.test(name))) {
    return invalid('--signer: must be given, as example.org/name or example.org/*');
  }
  if (![...uri, ...dnsNames].every(isTemplate)) {
    return invalid('--uri and --dns-name: a variable in a template does not exist');
  }
  if (!usage.every((name) => usageNames.includes(name))) {
    return invalid(`--usage: must be one of ${usageNames.join(', ')}`);
  }
  if (!Number.isInteger(maxLifetimeSeconds) || maxLifetimeSeconds < 600) {
    return invalid('--max-lifetime: must be a whole number of seconds, at least 600');
  }
  if (agentAccount !== undefined && !/^[a-z0-9-]+\/[a-z0-9.-]+$/.test(agentAccount)) {
    return invalid('--agent-account: must be namespace/name');
  }
  return {
    type: 'run',
    options: {
      ...{ kubeconfig, signers: signer, uris: uri, dnsNames, usages: usage, maxLifetimeSeconds },
      trustDomain: values['trust-domain'],
      allowPodIPs: values['allow-pod-ips'],
      allowPodAccounts: values['allow-pod-accounts'],
      ...(agentAccount === undefined ? {} : { agentAccount }),
    },
  };
}

function readArguments(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      kubeconfig: { type: 'string' },
      signer: { type: 'string', multiple: true },
      'trust-domain': { type: 'string', default: 'cluster.local' },
      uri: { type: 'string', multiple: true },
      'dns-name': { type: 'string', multiple: true },
      'allow-pod-ips': { type: 'boolean', default: false },
      usage: { type: 'string', multiple: true },
      'max-lifetime': { type: 'string', default: String(defaultMaxLifetimeSeconds) },
      'agent-account': { type: 'string' },
      'allow-pod-accounts': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return values;
}
