/** Reads the command line of the trial signer into checked settings. Every fault is told, not just the first. */
import { parseArgs } from 'node:util';
import type { logFormats, logLevels } from '../agent/observe/log/log.ts';
import { usualLeaseTimes } from './api/election.ts';
import { longestLeafShare } from './authority/succession.ts';
import { realTiming } from './decision/policy.ts';
import { flagOf, type Key, keys, type Row, rows, type Values } from './options.ts';
import type { SignerSettings } from './settings.ts';

/** How often CA, Secret and bundle are looked after. */
const tendEveryMs = 30_000;

export type ParsedOptions =
  | {
      readonly type: 'run';
      readonly settings: SignerSettings;
      readonly logLevel: (typeof logLevels)[number];
      readonly logFormat: (typeof logFormats)[number];
    }
  | { readonly type: 'help'; readonly text: string }
  | { readonly type: 'version' }
  /** One line for each, naming the flag. */
  | { readonly type: 'invalid'; readonly faults: readonly string[] };

/** @param argv the arguments, without interpreter and script */
export function parseOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ParsedOptions {
  const { written, faults, asks } = readArguments(argv);
  switch (asks) {
    case 'help':
      return { type: 'help', text: helpText() };
    case 'version':
      return { type: 'version' };
    case 'run':
      break;
    default:
      return asks satisfies never;
  }
  const readings = keys.map((key) => [key, readingOf(key, written, env)] as const);
  const values = Object.fromEntries(readings.map(([key, { value }]) => [key, value])) as Values;
  const all = [
    ...faults,
    ...readings.flatMap(([, reading]) => reading.fault ?? []),
    ...(['signerName', 'namespace'] as const).flatMap((key) => missing(values, key, written)),
  ];
  const tooLong =
    (values.certificateLifetime ?? 0) > (values.caLifetime ?? Number.POSITIVE_INFINITY) * longestLeafShare;
  if (tooLong) {
    all.push(
      '--certificate-lifetime: must be a third of --ca-lifetime at most, so that no certificate outlives its CA',
    );
  }
  return all.length > 0 ? { type: 'invalid', faults: all } : runWith(values);
}

/** The value of an option, or what is wrong with it; neither where nothing says anything. */
function readingOf(
  key: Key,
  written: ReadonlyMap<Key, string>,
  env: Readonly<Record<string, string | undefined>>,
): { readonly value?: unknown; readonly fault?: string } {
  const { type, environment, default: usual }: Row<unknown> = rows[key];
  const inherited = environment === undefined ? undefined : env[environment] || undefined;
  const text = written.get(key) ?? inherited ?? usual;
  const reading = text === undefined ? undefined : type.read(text);
  if (reading === undefined) {
    return {};
  }
  return reading.ok
    ? { value: reading.value }
    : { fault: `${written.has(key) ? flagOf(key) : (environment ?? flagOf(key))}: ${reading.fault}` };
}

function missing(values: Values, key: 'signerName' | 'namespace', written: ReadonlyMap<Key, string>): string[] {
  return values[key] === undefined && !written.has(key) ? [`${flagOf(key)}: is required`] : [];
}

function runWith(values: Values): ParsedOptions {
  const settings: SignerSettings = {
    policy: {
      signerName: values.signerName ?? '',
      trustDomain: values.trustDomain ?? '',
      dnsNames: values.dnsNames ?? 'none',
      clusterDomain: values.clusterDomain ?? '',
      keyTypes: values.keyTypes ?? [],
      leafMs: values.certificateLifetime ?? 0,
      timing: realTiming,
    },
    identity: values.kubeconfig === undefined ? { kind: 'inCluster' } : { kind: 'kubeconfig', path: values.kubeconfig },
    namespace: values.namespace ?? '',
    name: values.name ?? '',
    replica: values.replica ?? '',
    authorityMs: values.caLifetime ?? 0,
    signingRequests: values.signingRequests ?? 'none',
    agentAccount: values.agentAccount,
    listenAddress: values.listenAddress,
    requestsPerSecond: values.requestsPerSecond ?? 1,
    lease: usualLeaseTimes,
    tendEveryMs,
  };
  return { type: 'run', settings, logLevel: values.logLevel ?? 'info', logFormat: values.logFormat ?? 'auto' };
}

function readArguments(argv: readonly string[]) {
  const faults: string[] = [];
  const written = new Map<Key, string>();
  const types = Object.fromEntries(keys.map((key) => [flagOf(key).slice(2), { type: 'string' as const }]));
  const { tokens } = parseArgs({
    args: [...argv],
    options: types,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const words = tokens.map((token) => (token.kind === 'option' ? token.rawName : ''));
  const asks = words.some((word) => word === '--help' || word === '-h')
    ? ('help' as const)
    : words.includes('--version')
      ? ('version' as const)
      : ('run' as const);
  for (const token of tokens) {
    if (token.kind !== 'option') {
      faults.push(`${token.kind === 'positional' ? token.value : '--'}: is not an option, see --help`);
      continue;
    }
    const key = keys.find((each) => flagOf(each) === `--${token.name}`);
    const { value } = token;
    if (key === undefined) {
      faults.push(`${token.rawName}: is not an option, see --help`);
    } else if (value === undefined || (!token.inlineValue && value.startsWith('-'))) {
      faults.push(`${token.rawName}: needs a value`);
    } else if (written.has(key)) {
      faults.push(`${token.rawName}: is given twice`);
    } else {
      written.set(key, value);
    }
  }
  return { faults, written, asks };
}

function helpText(): string {
  const lines = keys.map((key) => {
    const { type, default: usual, environment, description }: Row<unknown> = rows[key];
    const notes = [
      ...(usual === undefined || usual === '' ? [] : [`default ${usual}`]),
      ...(environment === undefined ? [] : [`or ${environment} in the environment`]),
    ];
    return `  ${flagOf(key)} ${type.placeholder ?? ''}\n      ${description}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`;
  });
  const usage = [
    'Usage: pod-certificate-trial-signer --signer-name DOMAIN/PATH --namespace NAMESPACE [options]',
    '',
    'Answers the certificate requests of one signer name with a CA of its own: for trials, test clusters and small private',
    'meshes. Its key lies in a Secret; see docs/signers.md.',
    '',
    'Options:',
  ];
  return `${[...usage, ...lines, '  --help', '  --version'].join('\n')}\n`;
}
