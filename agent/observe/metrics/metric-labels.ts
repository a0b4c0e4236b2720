/**
 * The labels of the metrics, and how many values each may take. Values come from pods, signers and API servers, and none of
 * them may make the agent's memory or the operator's Prometheus grow.
 *
 * https://prometheus.io/docs/practices/naming/#labels
 */

/** By label: how many distinct values it may take. Later ones are counted as `other`. */
export const labelLimits = {
  signer_name: 100,
  key_type: 6,
  phase: 5,
  occasion: 2,
  state: 11,
  outcome: 8,
  reason: 50,
  cause: 4,
  error: 20,
  watch: 100,
  method: 4,
  verb: 10,
  resource: 20,
  code: 30,
  version: 1,
  node_version: 1,
  way: 3,
  check: 10,
  namespace: 1_000,
  pod: 1_000,
  volume: 1_000,
  source: 1_000,
} as const;
/**
 * Signers that have never issued anything here share this many of the values of `signer_name`, because pods name signers as
 * they like: made-up names take no place from a signer that answers.
 */
export const strangerSigners = 50;

export type LabelName = keyof typeof labelLimits;
