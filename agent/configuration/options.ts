/**
 * Every option of the agent, one row each. Parsing, validation, `--help` and the reference are derived from the rows.
 */
import { authModes } from '../observe/endpoint/access.ts';
import { logFormats, logLevels } from '../observe/log/log.ts';
import {
  allowList,
  choice,
  duration,
  filePath,
  issuerRules,
  listenAddress,
  loopbackAddress,
  nodePath,
  type OptionType,
  quantity,
  subdomain,
  taintKey,
  toggle,
} from './option-types.ts';

export interface OptionRow<T> {
  readonly type: OptionType<T>;
  /**
   * What is taken when nothing is written, as it would be written. `<name>` stands for the value of that flag, which
   * has its row further up. Absent: the option has no value then.
   */
  readonly default?: string;
  /** Environment variable that is read when neither flag nor file says anything. */
  readonly environment?: string;
  /** True when the agent cannot start without a value. */
  readonly required?: true;
  /** One or two sentences, for `--help` and the reference. */
  readonly description: string;
  /** True when a change in the configuration file takes effect without a restart. */
  readonly reloadable: boolean;
}

/** A row that may be left without a value. */
const optional = <T>(row: OptionRow<T>): OptionRow<T | undefined> => row;
/** A row that has a value, by its default or because the agent does not start without one. */
const valued = <T>(row: OptionRow<T> & ({ readonly default: string } | { readonly required: true })): OptionRow<T> =>
  row;

/** Longest path of a unix socket on Linux: `sun_path` without its terminating zero (unix(7)). */
const maxSocketPathBytes = 107;

/** Options by their key in the configuration file; the flag is the same word in kebab-case. */
export const options = {
  nodeName: valued({
    type: subdomain({ maxLength: 253 }),
    environment: 'NODE_NAME',
    required: true,
    description: 'Name of the Node object of the node that the agent runs on.',
    reloadable: false,
  }),
  kubeconfig: optional({
    type: filePath(),
    description:
      "How to reach the API server, through an HTTP proxy if it names one; without it the pod's own service account is used (in-cluster).",
    reloadable: false,
  }),
  impersonateNode: valued({
    type: toggle(),
    default: 'false',
    description:
      'Make certificate requests as system:node:<node-name>, so that all checks on nodes apply (Kubernetes 1.36 or newer).',
    reloadable: false,
  }),
  driverName: valued({
    type: subdomain({ maxLength: 63 }),
    default: 'csi.podcert.io',
    description: 'Name of the CSI driver, as in the CSIDriver object and in the volumes of pods.',
    reloadable: false,
  }),
  kubeletRoot: valued({
    type: nodePath(),
    default: '/var/lib/kubelet',
    description: 'Root directory of the kubelet (its --root-dir).',
    reloadable: false,
  }),
  csiSocket: valued({
    type: nodePath({ maxBytes: maxSocketPathBytes }),
    default: '<kubelet-root>/plugins/<driver-name>/csi.sock',
    description: 'Unix socket on which the CSI services are offered.',
    reloadable: false,
  }),
  probeSocket: valued({
    type: nodePath({ maxBytes: maxSocketPathBytes }),
    default: '<csi-socket>.probe',
    description:
      'Unix socket on which `pod-certificate-agent probe`, `retry` and `status` reach the agent; only root can use it.',
    reloadable: false,
  }),
  registrationDir: valued({
    type: nodePath(),
    default: '<kubelet-root>/plugins_registry',
    description: 'Directory in which the kubelet looks for plugins that register themselves.',
    reloadable: false,
  }),
  noRegistration: valued({
    type: toggle(),
    default: 'false',
    description: 'Do not register with the kubelet, for runs without one; registration-dir is then not used.',
    reloadable: false,
  }),
  startupTaint: optional({
    type: taintKey(),
    default: '',
    description:
      'Key of a taint that is taken off this node once its CSINode object lists the driver, with a domain that is not of Kubernetes; empty: none.',
    reloadable: false,
  }),
  volumeMode: valued({
    type: choice(['tmpfs', 'directory']),
    default: 'tmpfs',
    description:
      'tmpfs mounts a file system in memory for each volume and needs root; directory writes into the target directory itself, keys included, and is for development.',
    reloadable: false,
  }),
  publishTimeout: valued({
    type: duration({ min: '1s', max: '1h' }),
    default: '110s',
    description: 'How long a publish call waits for its files at most, if the caller sets no deadline.',
    reloadable: false,
  }),
  volumeCondition: valued({
    type: toggle(),
    default: 'false',
    description:
      'Also tell kubelets before 1.37 whether volumes are well; every kubelet then asks for each volume, every minute or two.',
    reloadable: false,
  }),
  requestsPerSecond: valued({
    type: quantity({ min: 0.1, max: 1_000, whole: false }),
    default: '20',
    description: 'Calls to the API server per second, on average.',
    reloadable: true,
  }),
  burst: valued({
    type: quantity({ min: 1, max: 10_000, whole: true }),
    default: '50',
    description: 'Calls to the API server that may be made at once after a quiet time.',
    reloadable: true,
  }),
  maxConcurrentRequests: valued({
    type: quantity({ min: 1, max: 1_000, whole: true }),
    default: '16',
    description: 'Calls to the API server under way at the same time; watches do not count.',
    reloadable: false,
  }),
  maxConcurrentRsa: valued({
    type: quantity({ min: 1, max: 2, whole: true }),
    default: '1',
    description: 'RSA keys made at the same time; each keeps one processor busy for up to seconds.',
    reloadable: false,
  }),
  allowedSigners: valued({
    type: allowList(),
    default: '[{namespaces: ["*"], signers: ["*"]}]',
    description:
      'Which namespaces may ask which signers; what no rule allows is refused, and the pod is told by an event. A namespace may end in *; a signer is a name, domain/* or *.',
    reloadable: true,
  }),
  issuers: valued({
    type: issuerRules(),
    default: '[]',
    description:
      'Through which certificate API signers are asked; the first rule that matches counts. Without one, names of cert-manager issuers go to cert-manager, everything else to PodCertificateRequests.',
    reloadable: true,
  }),
  trustDomain: valued({
    type: subdomain({ maxLength: 253 }),
    default: 'cluster.local',
    description:
      'SPIFFE trust domain for the names in certificate requests: the variable trustDomain in the templates of issuers.',
    reloadable: false,
  }),
  followSuggestedKeyType: valued({
    type: toggle(),
    default: 'false',
    description: 'When a signer denies a key type and suggests another, ask again with the suggested one.',
    reloadable: true,
  }),
  issueAhead: valued({
    type: toggle(),
    default: 'false',
    description:
      "Begin to issue when a pod is bound to the node, before the kubelet publishes its volumes; takes the right to list the node's pods.",
    reloadable: false,
  }),
  reloadSignals: valued({
    type: toggle(),
    default: 'false',
    description:
      "Let volumes have processes of their own pod signalled after a change (reload.signal). Not without need: it takes the node's processes in sight (hostPID) and CAP_KILL.",
    reloadable: false,
  }),
  logLevel: valued({
    type: choice(logLevels),
    default: 'info',
    description: 'Lowest level of the log lines that are written.',
    reloadable: true,
  }),
  logFormat: valued({
    type: choice(logFormats),
    default: 'auto',
    description: 'Form of the log lines; auto is text in a terminal and JSON elsewhere.',
    reloadable: false,
  }),
  metricsAddress: optional({
    type: listenAddress(),
    default: '127.0.0.1:9808',
    description:
      'Where metrics, health and status are served; empty switches it off. Beyond loopback addresses it is HTTPS and asks for a bearer token.',
    reloadable: false,
  }),
  localAddress: optional({
    type: loopbackAddress(),
    default: '',
    description:
      'Loopback address where the same is served over HTTP without a token, for people on the node or in the pod while metrics-address asks for one.',
    reloadable: false,
  }),
  metricsAuth: valued({
    type: choice(authModes),
    default: 'auto',
    description:
      'When metrics and status ask for a bearer token, which is checked with TokenReview and SubjectAccessReview: auto everywhere but on loopback addresses, token there too.',
    reloadable: false,
  }),
  tlsCertFile: optional({
    type: filePath(),
    description:
      'Certificate chain (PEM) of the metrics address, read again when it changes; without it, HTTPS uses a self-signed one.',
    reloadable: false,
  }),
  tlsKeyFile: optional({
    type: filePath(),
    description: 'Private key (PEM) of tls-cert-file.',
    reloadable: false,
  }),
  podMetrics: valued({
    type: toggle(),
    default: 'false',
    description: 'Export the expiry of each certificate by pod and volume; at most 1000 series.',
    reloadable: false,
  }),
  shutdownGrace: valued({
    type: duration({ min: '0s', max: '10m' }),
    default: '10s',
    description: 'How long calls under way may take to end when the agent is told to stop.',
    reloadable: false,
  }),
} as const;

export type OptionKey = keyof typeof options;

/** The options' values: durations in milliseconds, paths absolute. */
export type OptionValues = {
  readonly [K in OptionKey]: (typeof options)[K] extends OptionRow<infer T> ? T : never;
};

/** The keys in the order of the rows. */
export const optionKeys = Object.keys(options) as readonly OptionKey[];

/** The flag of a key: `nodeName` is `--node-name`. */
export function flagOf(key: OptionKey): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

const keysByFlag: ReadonlyMap<string, OptionKey> = new Map(optionKeys.map((key) => [flagOf(key), key]));

/** The key of a flag, dashes included; undefined when it is none of the options. */
export function keyOfFlag(flag: string): OptionKey | undefined {
  return keysByFlag.get(flag);
}

/** False for a switch, whose flag stands alone. */
export function takesValue(key: OptionKey): boolean {
  return options[key].type.placeholder !== undefined;
}
