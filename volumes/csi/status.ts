/**
 * How outcomes and errors are told to the kubelet: the one table of gRPC status codes.
 *
 * The kubelet takes Canceled, DeadlineExceeded, Unavailable, ResourceExhausted and Aborted as "may have happened": it asks again,
 * and unpublishes when the pod goes. Any other code is final: after a failed first publish it forgets the volume without
 * unpublishing it, so such a code is for calls that leave no mount behind.
 *
 * https://github.com/container-storage-interface/spec/blob/master/spec.md#error-scheme
 */
import { type StatusObject, status } from '@grpc/grpc-js';
import { VolumeError, type VolumeErrorCode } from '../base/errors.ts';
import type { PublishOutcome } from './driver.ts';

const outcomeCodes = {
  waiting: status.ABORTED,
  refused: status.ABORTED,
  invalid: status.INVALID_ARGUMENT,
  unavailable: status.UNAVAILABLE,
} as const satisfies Record<Exclude<PublishOutcome['type'], 'ready'>, status>;

const errorCodes = {
  InvalidTarget: status.INVALID_ARGUMENT,
  NoParent: status.FAILED_PRECONDITION,
  Foreign: status.FAILED_PRECONDITION,
  Tampered: status.FAILED_PRECONDITION,
  MountFailed: status.UNAVAILABLE,
  UnmountFailed: status.UNAVAILABLE,
  Gone: status.ABORTED,
  NoSpace: status.RESOURCE_EXHAUSTED,
  OverShare: status.RESOURCE_EXHAUSTED,
  Corrupt: status.UNAVAILABLE,
  FileSystem: status.UNAVAILABLE,
  SocketUnusable: status.UNAVAILABLE,
} as const satisfies Record<VolumeErrorCode, status>;

/** What a call answers when it does not answer OK. */
export type CallStatus = Pick<StatusObject, 'code' | 'details'>;

/** A call that ends with a status of its own. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly status: CallStatus;

  constructor(code: status, details: string) {
    super(details);
    this.status = { code, details };
  }
}

/** The status of an outcome; nothing when the volume is ready. */
export function statusOfOutcome(outcome: PublishOutcome): CallStatus | undefined {
  return outcome.type === 'ready' ? undefined : { code: outcomeCodes[outcome.type], details: outcome.message };
}

/** The status of an error. What is not expected is not shown: its message may hold anything. */
export function statusOfError(error: unknown): CallStatus {
  if (error instanceof CallError) {
    return error.status;
  }
  if (error instanceof VolumeError) {
    return { code: errorCodes[error.code], details: error.message };
  }
  return { code: status.UNAVAILABLE, details: "a fault in the agent itself; the agent's log has it" };
}

const tentativeCodes: ReadonlySet<status> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
]);

/**
 * The error of a call about a volume that is there already. Kubelets before mid-2026 take a final code for a repeated publish as
 * the end of the volume and remove the directory under a running pod.
 */
export function tentative(error: unknown): unknown {
  const { code, details } = statusOfError(error);
  return tentativeCodes.has(code) ? error : new CallError(status.UNAVAILABLE, details);
}

/** True for errors that are answers; others are faults of the agent, and its log needs all of them. */
export function isExpected(error: unknown): boolean {
  return error instanceof CallError || error instanceof VolumeError;
}
