/**
 * The agent's typed error: what went wrong, and who can do something about it.
 */

/**
 * Who must act before a retry can help:
 * - `pod author`: the pod's declaration is wrong or names something that does not exist.
 * - `signer`: the signer refused, failed or answered with something unusable.
 * - `cluster operator`: a permission, a feature or a setting is missing.
 * - `nobody`: it is expected to pass by itself.
 */
export type Actor = 'pod author' | 'signer' | 'cluster operator' | 'nobody';

/** What went wrong, as a word that code and metrics can tell apart; the set is closed. */
export type ErrorCode =
  /** No answer from the API server, or one that says "not now" (429, 5xx). */
  | 'Unavailable'
  /** The API server answered 401 or 403. */
  | 'Forbidden'
  /** The API server answered 401 or 403 to the pod's own service account, which a rule makes requests with. */
  | 'AccountForbidden'
  /** There is no usable token of the pod's own service account. */
  | 'TokenMissing'
  /** The operator's allow-list does not let the pod's namespace ask the signer. */
  | 'SignerNotAllowed'
  /** The API server judged the request invalid (400, 422). */
  | 'Rejected'
  /** The object does not exist (404). */
  | 'NotFound'
  /** An object of that name exists already and is not ours, or was changed meanwhile (409). */
  | 'Conflict'
  /** The cluster does not serve the certificate API that is needed. */
  | 'ApiMissing'
  /** The issued chain failed a check. */
  | 'InvalidChain'
  /** The pod is gone, has ended, or is not the pod that the volume was made for. */
  | 'PodGone'
  /** The call was ended by its caller. */
  | 'Aborted'
  /** A fault in the agent itself. */
  | 'Internal';

export interface AgentErrorOptions {
  readonly actor: Actor;
  /** Earliest time to try again, in milliseconds from now, when the other side named one. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly code: ErrorCode;
  readonly actor: Actor;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: AgentErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.actor = options.actor;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** An error that is one of these already, or a fault in the program itself. @param what in its words, what failed */
export function asAgentError(cause: unknown, what: string): AgentError {
  return cause instanceof AgentError ? cause : new AgentError('Internal', what, { actor: 'nobody', cause });
}

/** The API server says that the object does not exist. */
export function isNotFound(error: unknown): boolean {
  return error instanceof AgentError && error.code === 'NotFound';
}

/** A reply, or nothing where the API server answers 404; any other error is no proof of absence. */
export async function unlessNotFound<T>(reply: Promise<T>): Promise<T | undefined> {
  try {
    return await reply;
  } catch (error) {
    if (isNotFound(error)) {
      return undefined;
    }
    throw error;
  }
}
