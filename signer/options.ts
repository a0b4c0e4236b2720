/**
 * Every option of the trial signer, one row each. Checking, `--help` and the table in docs/signers.md are made from the rows.
 */
import {
  choice,
  duration,
  filePath,
  listenAddress,
  type OptionType,
  quantity,
  type Reading,
  subdomain,
} from '../agent/configuration/option-types.ts';
import { logFormats, logLevels } from '../agent/observe/log/log.ts';
import { type KeyType, keyTypes } from '../volumes/declaration/key-types.ts';

export interface Row<T> {
  readonly type: OptionType<T>;
  /** What is taken when nothing is written. Absent: there is no value then. */
  readonly default?: string;
  /** Environment variable that is read when there is no flag. */
  readonly environment?: string;
  readonly description: string;
}

const row = <T>(given: Row<T>): Row<T> => given;

export const rows = {
  signerName: row({
    type: ofSignerName(),
    description: 'Name whose requests are answered: domain and path, such as example.com/mesh. Required.',
  }),
  namespace: row({
    type: subdomain({ maxLength: 63 }),
    environment: 'POD_NAMESPACE',
    description: 'Namespace of the Lease and of the Secret with the CA. Required.',
  }),
  name: row({
    type: subdomain({ maxLength: 63 }),
    default: 'trial-signer',
    description: "Name of the Lease, with -ca behind it of the Secret, and the last part of the ClusterTrustBundle's.",
  }),
  replica: row({
    type: subdomain({ maxLength: 253 }),
    default: 'signer',
    environment: 'POD_NAME',
    description: 'Who this replica is, as the Lease says it.',
  }),
  kubeconfig: row({
    type: filePath(),
    description: "How to reach the API server; without it the pod's own service account is used.",
  }),
  trustDomain: row({
    type: subdomain({ maxLength: 253 }),
    default: 'cluster.local',
    description: 'SPIFFE trust domain of the names: spiffe://<trust-domain>/ns/<namespace>/sa/<service account>.',
  }),
  dnsNames: row({
    type: choice(['service-account', 'none']),
    default: 'service-account',
    description: 'Whether a certificate also names the Service that is called like its service account.',
  }),
  clusterDomain: row({
    type: subdomain({ maxLength: 200 }),
    default: 'cluster.local',
    description: "Domain of the cluster's Services, for those names.",
  }),
  keyTypes: row({
    type: ofKeyTypes(),
    default: 'ECDSAP256,ECDSAP384,ECDSAP521,ED25519,RSA3072,RSA4096',
    description: 'Key types that are signed for, the recommended one first; others are denied with a suggestion.',
  }),
  certificateLifetime: row({
    type: duration({ min: '1h', max: '2184h' }),
    default: '24h',
    description: 'Longest lifetime of a certificate; a request may ask for less. A third of ca-lifetime at most.',
  }),
  caLifetime: row({
    type: duration({ min: '24h', max: '87600h' }),
    default: '8760h',
    description:
      'Lifetime of a CA. Its successor is made and published after half of it, and signs after seven twelfths.',
  }),
  signingRequests: row({
    type: choice(['none', 'sign', 'approve']),
    default: 'none',
    description:
      'CertificateSigningRequests for the signer name: none are looked at, approved ones are signed, or those that fit their pod are approved as well.',
  }),
  agentAccount: row({
    type: ofAccount(),
    description:
      "With approve: the agent's service account, NAMESPACE:NAME, where it asks as itself and not as its node.",
  }),
  listenAddress: row({
    type: listenAddress(),
    default: '0.0.0.0:9810',
    description: 'Where /healthz, /livez, /readyz and /metrics are served over HTTP; empty switches it off.',
  }),
  requestsPerSecond: row({
    type: quantity({ min: 1, max: 1_000, whole: true }),
    default: '100',
    description: 'Calls to the API server per second, on average; a certificate takes three.',
  }),
  logLevel: row({ type: choice(logLevels), default: 'info', description: 'Lowest level of the log lines.' }),
  logFormat: row({
    type: choice(logFormats),
    default: 'auto',
    description: 'Form of the log lines; auto is text in a terminal and JSON elsewhere.',
  }),
} as const;

export type Key = keyof typeof rows;
export type Values = { readonly [K in Key]: (typeof rows)[K] extends Row<infer T> ? T | undefined : never };

export const keys = Object.keys(rows) as readonly Key[];
/** What the table in docs/signers.md shows of an option. */
export const optionRows = keys.map((key) => ({ flag: flagOf(key), ...described(key) }));

function described(key: Key): { readonly default: string; readonly description: string } {
  const { default: usual = '', description }: Row<unknown> = rows[key];
  return { default: usual, description };
}

export function flagOf(key: Key): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

const fault = (text: string): Reading<never> => ({ ok: false, fault: text });

/** The API server holds these names to a domain and a path, and keeps Kubernetes' own domains to Kubernetes. */
function ofSignerName(): OptionType<string> {
  const domain = subdomain({ maxLength: 253 });
  return {
    placeholder: 'DOMAIN/PATH',
    accepts: 'a signer name such as example.com/mesh',
    read(written) {
      const [, host = '', path] = /^([^/]+)\/([^/]+)$/.exec(String(written)) ?? [];
      const isWhole = host.includes('.') && domain.read(host).ok && /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(path ?? '');
      if (!isWhole || String(written).length > 500) {
        return fault(`must be a domain and a path, such as example.com/mesh, not ${JSON.stringify(written)}`);
      }
      return host === 'kubernetes.io' || host.endsWith('.kubernetes.io')
        ? fault("the domain kubernetes.io is Kubernetes' own; take one of yours")
        : { ok: true, value: String(written) };
    },
  };
}

function ofKeyTypes(): OptionType<readonly KeyType[]> {
  const accepts = `a list of ${keyTypes.join(', ')}`;
  return {
    placeholder: 'LIST',
    accepts,
    read(written) {
      const words = String(written).split(',');
      const known = keyTypes.filter((keyType) => words.includes(keyType));
      const isWhole = known.length === words.length && new Set(words).size === words.length;
      const sorted = known.toSorted((one, other) => words.indexOf(one) - words.indexOf(other));
      return isWhole ? { ok: true, value: sorted } : fault(`must be ${accepts}, separated by commas`);
    },
  };
}

function ofAccount(): OptionType<string | undefined> {
  return {
    placeholder: 'NAMESPACE:NAME',
    accepts: 'namespace and name of a service account, with a colon between them',
    read: (written) =>
      /^[a-z0-9][-a-z0-9]*:[a-z0-9][-.a-z0-9]*$/.test(String(written))
        ? { ok: true, value: String(written) }
        : fault(`must be NAMESPACE:NAME, not ${JSON.stringify(written)}`),
  };
}
