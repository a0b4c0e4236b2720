/**
 * What all calls of the services share: deadline, cancellation, errors to statuses, and the drain on shutdown.
 */
import type { handleUnaryCall, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import type { Log } from './driver.ts';
import { type CallSubject, createRefusals, type OnRefused } from './refusals.ts';
import { type CallStatus, isExpected, statusOfError } from './status.ts';

/** What a call's handler may need beside the request. */
export interface CallContext {
  /** When the caller stops waiting, milliseconds since the epoch. */
  readonly deadline: number;
  /** Fires when the caller has given up, or the server cannot wait any longer. */
  readonly signal: AbortSignal;
}

export interface Calls {
  /**
   * A gRPC handler from a function of the request. What the function throws becomes the call's status.
   * @param subjectOf which volume the request is about: the log has then why it was refused
   */
  handle<Request, Response>(
    method: string,
    handler: (request: Request, context: CallContext) => Promise<Response>,
    subjectOf?: (request: Request) => CallSubject,
  ): handleUnaryCall<Request, Response>;
  /** Fires the signals of all calls in flight, and of those that begin later. */
  abort(): void;
  /** Resolves when every call that has begun is answered. */
  answered(): Promise<void>;
}

/**
 * @param publishTimeoutMs how long a call may take whose caller sets no deadline
 * @param opened calls that come before this is fulfilled wait for it; what it is rejected with is their answer.
 * @param onRefused takes each call about a volume that is answered with an error, but for those that go on waiting
 */
export function createCalls(
  log: Log,
  publishTimeoutMs: number,
  opened: Promise<void>,
  onRefused: OnRefused = () => undefined,
): Calls {
  const shutdown = new AbortController();
  const inFlight = new Set<Promise<void>>();
  const refusals = createRefusals(log, onRefused);

  function handle<Request, Response>(
    method: string,
    handler: (request: Request, context: CallContext) => Promise<Response>,
    subjectOf?: (request: Request) => CallSubject,
  ): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      const answering = answer(method, handler, call, callback, subjectOf?.(call.request))
        .catch((error) => log.error('a call was not answered', { method, error }))
        .finally(() => inFlight.delete(answering));
      inFlight.add(answering);
    };
  }

  async function answer<Request, Response>(
    method: string,
    handler: (request: Request, context: CallContext) => Promise<Response>,
    call: ServerUnaryCall<Request, Response>,
    callback: sendUnaryData<Response>,
    subject: CallSubject | undefined,
  ): Promise<void> {
    const startedAt = Date.now();
    const canceled = new AbortController();
    const cancel = () => canceled.abort();
    const signal = AbortSignal.any([canceled.signal, shutdown.signal]);
    call.once('cancelled', cancel);
    try {
      await opened;
      const response = await handler(call.request, {
        deadline: deadlineOf(call.getDeadline(), startedAt + publishTimeoutMs),
        signal,
      });
      log.debug('call answered', { method, tookMs: Date.now() - startedAt });
      if (subject !== undefined) {
        refusals.served(method, subject);
      }
      callback(null, response);
    } catch (error) {
      const { code, details } = presentable(statusOfError(error));
      const fields = { method, tookMs: Date.now() - startedAt, code, detail: details };
      if (isExpected(error)) {
        log.debug('call answered with an error', fields);
        if (subject !== undefined) {
          refusals.refused(method, subject, { code, details });
        }
      } else {
        log.error('call failed', { ...fields, error });
      }
      callback({ code, details });
    } finally {
      call.removeListener('cancelled', cancel);
    }
  }

  async function answered(): Promise<void> {
    while (inFlight.size > 0) {
      await Promise.all(inFlight);
    }
  }

  return { handle, abort: () => shutdown.abort(), answered };
}

function deadlineOf(deadline: Date | number, otherwise: number): number {
  const time = Number(deadline);
  return Number.isFinite(time) ? time : otherwise;
}

/** A status message travels percent-encoded in a header of limited size. */
const maxDetailsLength = 4096;

/**
 * Messages may hold what a signer or a pod's author wrote: half a character would make the encoding fail and leave the call
 * unanswered, and control characters would break the event it ends up in.
 */
function presentable({ code, details }: CallStatus): CallStatus {
  return {
    code,
    details: details
      .slice(0, maxDetailsLength)
      .toWellFormed()
      .replace(/\p{Cc}+/gu, ' '),
  };
}
