/**
 * The keys of a log line. A thing is called by the same key on every line, so that one query finds all that happened to
 * a pod, a volume or a request; a key that is not in this list cannot be logged.
 */

/** Key → what it holds. */
const logFields = {
  namespace: 'namespace of the pod',
  pod: 'name of the pod',
  podUID: 'UID of the pod',
  serviceAccount: 'service account of the pod',
  volume: "the volume's name in the pod's spec",
  volumeId: 'CSI volume_id',
  targetPath: 'directory that the kubelet binds into the containers',
  source: "index in the volume's `sources` list",
  signerName: 'signer that is asked',
  keyType: "key type as in the volume's declaration",
  request: 'name of the certificate request',
  serial: 'serial number of the leaf, upper-case hexadecimal',
  notBefore: 'RFC 3339 time',
  notAfter: 'RFC 3339 time',
  since: 'RFC 3339 time from which on something is known',
  refreshAt: 'RFC 3339 time at which the next certificate is asked for',
  retryAt: 'RFC 3339 time of the next attempt',
  phase: 'part of an issuance: key, request, signer, write',
  first: 'true for the first certificate or anchors of a volume, false for a renewal',
  certificates: 'number of certificates',
  tookMs: 'milliseconds',
  waitedMs: 'milliseconds',
  suggested: 'key type that the signer suggests',
  followed: 'true when the agent goes on with the suggested key type',
  reason: 'one word that the other side gave',
  detail: 'sentence that the other side gave',
  error: 'what went wrong, with its causes',
  errorCode: 'the kind of error, as in the metrics',
  actor: 'who must act before a retry can help; absent where it is expected to pass by itself',
  stack: 'where a fault of the agent itself arose',
  node: 'name of the node',
  taint: 'key of a taint of the node',
  driver: 'name of the CSI driver',
  apiVersion: 'group and version of a Kubernetes API',
  resource: 'resource of a Kubernetes API',
  watch: 'which list and watch',
  path: 'file or URL path',
  address: 'host and port, or socket path',
  method: 'HTTP or gRPC method',
  code: 'HTTP status or gRPC code',
  signal: 'POSIX signal',
  option: 'option of the configuration',
  version: 'version of the agent',
  state: 'state of a component, in one word',
  count: 'number of things',
  way: 'how a program is told of new files: touch, http, signal',
  attempts: 'number of attempts so far',
} as const;

export type LogField = keyof typeof logFields;

/** What a field may hold. Objects and bytes are left out: secrets travel in them unseen. */
export type LogValue = string | number | boolean | readonly string[] | undefined;

/** Fields of one line. `error` takes whatever was thrown. */
export type LogFields = { readonly [K in Exclude<LogField, 'error'>]?: LogValue } & { readonly error?: unknown };
