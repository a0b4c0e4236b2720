/**
 * Every metric of the agent, one row each: `metrics.ts` creates them from here, and docs/metrics.md lists the same rows.
 * Times are seconds, as Prometheus' conventions ask; moments are exported as Unix timestamps, so that an alert on
 * `expiry - time()` still moves when the agent hangs.
 *
 * https://prometheus.io/docs/practices/naming/
 */

import type { LabelName } from './metric-labels.ts';

/** One metric. A histogram has buckets (upper bounds, seconds); the other kinds have none. */
export type MetricRow = {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly LabelName[];
} & ({ readonly kind: 'counter' | 'gauge' } | { readonly kind: 'histogram'; readonly buckets: readonly number[] });

/** From an instant signer to one that a person approves. */
const issuanceBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900] as const;
/** From a write to memory to a starved process. */
const writeBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5] as const;
/** From a cached read to a request timeout. */
const callBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

export const metricTable = {
  buildInfo: {
    name: 'podcert_agent_build_info',
    kind: 'gauge',
    help: 'Always 1; the labels say which agent on which Node.js this is.',
    labels: ['version', 'node_version'],
  },
  credentials: {
    name: 'podcert_agent_credentials',
    kind: 'gauge',
    help: "Credentials by state, with the kubelet's names: not_yet_issued, fresh, overdue_for_refresh, expired, denied, failed; and ended (the pod has ended, its volume is still there).",
    labels: ['signer_name', 'state'],
  },
  oldestWait: {
    name: 'podcert_agent_oldest_wait_timestamp_seconds',
    kind: 'gauge',
    help: 'Since when the first of the credentials in state not_yet_issued has waited for its certificate, as Unix time; absent where none waits.',
    labels: ['signer_name'],
  },
  anchorWaits: {
    name: 'podcert_agent_volumes_waiting_for_anchors',
    kind: 'gauge',
    help: 'Volumes whose pods do not start because trust anchors are missing, and nothing else.',
    labels: [],
  },
  oldestAnchorWait: {
    name: 'podcert_agent_oldest_anchor_wait_timestamp_seconds',
    kind: 'gauge',
    help: 'Since when the first of these volumes has waited for nothing but trust anchors, as Unix time; absent where none does.',
    labels: [],
  },
  trustMismatches: {
    name: 'podcert_agent_trust_mismatches',
    kind: 'gauge',
    help: "Credentials whose chain leads to none of their signer's trust anchors in the same volume.",
    labels: ['signer_name'],
  },
  refusedCredentials: {
    name: 'podcert_agent_refused_credentials',
    kind: 'gauge',
    help: "Credentials whose last request was denied or failed, a refresh's too, with the signer's reason; until there is another answer.",
    labels: ['signer_name', 'outcome', 'reason'],
  },
  nearestExpiry: {
    name: 'podcert_agent_nearest_expiry_timestamp_seconds',
    kind: 'gauge',
    help: 'When the first of the certificates held expires (notAfter), as Unix time.',
    labels: ['signer_name'],
  },
  nearestRefresh: {
    name: 'podcert_agent_nearest_refresh_timestamp_seconds',
    kind: 'gauge',
    help: 'When the first of the certificates held is due for its refresh (beginRefreshAt plus jitter, or earlier for a trust mismatch), as Unix time.',
    labels: ['signer_name'],
  },
  volumes: {
    name: 'podcert_agent_volumes',
    kind: 'gauge',
    help: 'Volumes that the agent looks after.',
    labels: [],
  },
  probedVolumes: {
    name: 'podcert_agent_probed_volumes',
    kind: 'gauge',
    help: 'Volumes with a probe whose files have changed, by what their program was seen to serve: looking (less than five minutes after the change), current (the certificate in the files), other (another one, for longer), unknown (nothing could be seen, for longer).',
    labels: ['state'],
  },
  unusableVolumes: {
    name: 'podcert_agent_unusable_volumes',
    kind: 'gauge',
    help: 'Volumes that could not be taken up or made anew: their certificates are not refreshed.',
    labels: [],
  },
  credentialExpiry: {
    name: 'podcert_agent_credential_expiry_timestamp_seconds',
    kind: 'gauge',
    help: 'When the certificate of one source of one volume expires, as Unix time; only with --pod-metrics.',
    labels: ['namespace', 'pod', 'volume', 'source', 'signer_name'],
  },
  readiness: {
    name: 'podcert_agent_readiness_check',
    kind: 'gauge',
    help: 'Whether a check of /readyz is well (1) or not (0).',
    labels: ['check'],
  },
  refusedCalls: {
    name: 'podcert_agent_refused_calls_total',
    kind: 'counter',
    help: "Calls of the kubelet about a volume that were answered with an error, by gRPC's code; those that go on waiting do not count.",
    labels: ['method', 'code'],
  },
  publishDuration: {
    name: 'podcert_agent_publish_duration_seconds',
    kind: 'histogram',
    help: 'From the first publish call for a volume until all its files are there.',
    labels: [],
    buckets: issuanceBuckets,
  },
  firstCertificateDuration: {
    name: 'podcert_agent_first_certificate_duration_seconds',
    kind: 'histogram',
    help: 'How long the first certificate of a volume took, by phase: key, request, signer, write, and total.',
    labels: ['signer_name', 'key_type', 'phase'],
    buckets: issuanceBuckets,
  },
  renewalDuration: {
    name: 'podcert_agent_renewal_duration_seconds',
    kind: 'histogram',
    help: 'How long the renewal of a certificate took, by phase: key, request, signer, write, and total.',
    labels: ['signer_name', 'key_type', 'phase'],
    buckets: issuanceBuckets,
  },
  propagation: {
    name: 'podcert_agent_propagation_duration_seconds',
    kind: 'histogram',
    help: "From the arrival of an issued certificate to the pod's files.",
    labels: [],
    buckets: writeBuckets,
  },
  requests: {
    name: 'podcert_agent_requests_total',
    kind: 'counter',
    help: 'Certificate requests that the API server accepted.',
    labels: ['signer_name'],
  },
  requestOutcomes: {
    name: 'podcert_agent_request_outcomes_total',
    kind: 'counter',
    help: "What became of certificate requests: issued, denied, failed or lost; with the signer's reason, or why it was lost.",
    labels: ['signer_name', 'outcome', 'reason'],
  },
  attemptFailures: {
    name: 'podcert_agent_attempt_failures_total',
    kind: 'counter',
    help: "Steps of the agent's own that failed, by phase and kind of error.",
    labels: ['signer_name', 'phase', 'error'],
  },
  retries: {
    name: 'podcert_agent_retries_total',
    kind: 'counter',
    help: 'Further attempts that were scheduled, by what ended the one before: denied, failed, lost, error.',
    labels: ['signer_name', 'cause'],
  },
  waitingForSigner: {
    name: 'podcert_agent_slow_requests_total',
    kind: 'counter',
    help: 'Requests that the signer left unanswered for so long that the agent said so.',
    labels: ['signer_name'],
  },
  notYetValid: {
    name: 'podcert_agent_not_yet_valid_total',
    kind: 'counter',
    help: "Certificates that were held back because by the node's clock they were not valid yet: the signer's clock is ahead, or the node's behind.",
    labels: ['signer_name'],
  },
  refreshOverdue: {
    name: 'podcert_agent_refresh_overdue_total',
    kind: 'counter',
    help: 'Certificates that were not renewed within ten minutes of beginRefreshAt, or a quarter of the time left at their refresh, where that is less.',
    labels: ['signer_name'],
  },
  expired: {
    name: 'podcert_agent_expired_total',
    kind: 'counter',
    help: 'Certificates that expired in a running pod.',
    labels: ['signer_name'],
  },
  anchorWrites: {
    name: 'podcert_agent_trust_anchor_writes_total',
    kind: 'counter',
    help: 'Trust anchors written to a volume: for the first time, or because they changed.',
    labels: ['occasion'],
  },
  anchorFailures: {
    name: 'podcert_agent_trust_anchor_failures_total',
    kind: 'counter',
    help: 'Trust anchors that could not be provided: missing (nothing matches), refused (over a limit, or unreadable), or the kind of error that kept them from the files.',
    labels: ['error'],
  },
  anchorsExpired: {
    name: 'podcert_agent_trust_anchor_expiries_total',
    kind: 'counter',
    help: 'Times that trust anchors selected by a source were found expired, more than before: kept in the file, or dropped from it, as the source says.',
    labels: ['outcome'],
  },
  reloads: {
    name: 'podcert_agent_reloads_total',
    kind: 'counter',
    help: 'Attempts to tell a program of new files, by way (touch, http, signal): done, failed (and tried again), given_up (until the next change).',
    labels: ['way', 'outcome'],
  },
  watchRestarts: {
    name: 'podcert_agent_watch_restarts_total',
    kind: 'counter',
    help: 'Watches that ended unplanned and were started again.',
    labels: ['watch'],
  },
  watchLastEvent: {
    name: 'podcert_agent_watch_last_event_timestamp_seconds',
    kind: 'gauge',
    help: 'When a watch last heard from the API server (bookmarks included), as Unix time.',
    labels: ['watch'],
  },
  apiRequestDuration: {
    name: 'podcert_agent_api_request_duration_seconds',
    kind: 'histogram',
    help: 'Calls to the API server, from sending to the reply; code is the HTTP status, or error when there was no reply.',
    labels: ['verb', 'resource', 'code'],
    buckets: callBuckets,
  },
  apiThrottleDuration: {
    name: 'podcert_agent_api_throttle_duration_seconds',
    kind: 'histogram',
    help: "How long calls waited for the agent's own rate limit before they were sent.",
    labels: [],
    buckets: callBuckets,
  },
  apiQueue: {
    name: 'podcert_agent_api_queue_length',
    kind: 'gauge',
    help: 'Calls to the API server that wait for their turn.',
    labels: [],
  },
  apiActive: {
    name: 'podcert_agent_api_calls_in_flight',
    kind: 'gauge',
    help: 'Calls to the API server under way; watches do not count.',
    labels: [],
  },
  apiPause: {
    name: 'podcert_agent_api_pause_seconds',
    kind: 'gauge',
    help: 'How much longer the agent makes no call because the API server asked for a pause (Retry-After).',
    labels: [],
  },
  volumesHealed: {
    name: 'podcert_agent_volumes_healed_total',
    kind: 'counter',
    help: 'Volumes that were damaged and made anew from their pods.',
    labels: [],
  },
  eventsDropped: {
    name: 'podcert_agent_events_dropped_total',
    kind: 'counter',
    help: 'Pod events that were not sent: a pod made too many, too many waited, or the API server did not take them.',
    labels: [],
  },
  clockSkew: {
    name: 'podcert_agent_clock_skew_seconds',
    kind: 'gauge',
    help: "How far the node's clock is ahead of the API server's, give or take a second; negative: behind. Absent when it was not measured in the last quarter of an hour.",
    labels: [],
  },
} as const satisfies Readonly<Record<string, MetricRow>>;

export type MetricKey = keyof typeof metricTable;

/** Keys of the metrics of one kind. */
export type KeyOf<Kind extends MetricRow['kind']> = {
  [K in MetricKey]: (typeof metricTable)[K]['kind'] extends Kind ? K : never;
}[MetricKey];

/** Values for exactly the labels of a metric. */
export type Labels<K extends MetricKey> = Readonly<Record<(typeof metricTable)[K]['labels'][number], string>>;
