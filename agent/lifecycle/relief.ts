/**
 * What can happen while a credential pauses after a failure that lets the next attempt succeed, and which pauses it
 * ends. Pauses are for causes whose end goes unnoticed; where it is noticed, nobody should have to wait.
 */
import type { PodCertificateSource } from '../../volumes/declaration/types.ts';
import type { AgentError, ErrorCode } from '../base/errors.ts';
import { unreachable } from '../base/unreachable.ts';
import { timeLeft } from './credential-moves.ts';
import type { CredentialState, Failure, Moment, Pausing } from './credential-state.ts';
import { pauseAfterRelief } from './pace.ts';

export type Relief =
  /** The operator's rules have changed: who may ask which signer, through which API and with which contents. */
  | { readonly type: 'rulesChanged' }
  /** The API server answers again, or serves the certificate API again. */
  | { readonly type: 'apiServerHeard' }
  /** The signer has answered another credential of this node with a certificate. */
  | { readonly type: 'signerAnswered'; readonly signerName: string }
  /** A trust bundle that was missing is there; of this signer, where it is a signer's. */
  | { readonly type: 'bundleArrived'; readonly signerName: string | undefined }
  /** The kubelet publishes the volume: whatever was thought of its pod, it lives. */
  | { readonly type: 'podWanted' }
  /** The kubelet has handed over tokens of the pod's service account, or none. */
  | { readonly type: 'tokensHandedOver' }
  /** Whoever runs the node says that a cause is mended. */
  | { readonly type: 'operatorAsks' };

/**
 * How long a failure counts although the signer answers others: what it refuses one pod it may go on refusing, and on a
 * busy node it answers others all the time.
 */
const refusalCountsForMs = 30_000;

/**
 * When the credential's next attempt may come thanks to the relief, milliseconds since the epoch; undefined when the
 * relief is no help to it.
 */
export function relievedAt(
  relief: Relief,
  { signerName }: PodCertificateSource,
  state: CredentialState,
  at: Moment,
): number | undefined {
  switch (state.name) {
    case 'pausing':
      return pauseRelievedAt(relief, signerName, state, at);
    case 'ended':
      return relief.type === 'podWanted' ? at.now : undefined;
    case 'fresh':
      return relief.type === 'operatorAsks' && state.trust.verdict === 'mismatch' ? at.now : undefined;
    default:
      return undefined;
  }
}

/** True while an attempt is on its way to the API server. */
export function isAsking({ name }: CredentialState): boolean {
  return name === 'generating' || name === 'submitting';
}

/**
 * Whether an attempt that is under way may have begun too early to profit from the relief: a call that was sent to a server that was
 * away can fail after that server was heard again. The pause that follows is then ended as if the relief had come in it.
 */
export function isHelpedLater({ type }: Relief, state: CredentialState): boolean {
  return isAsking(state) && (type === 'apiServerHeard' || type === 'rulesChanged' || type === 'tokensHandedOver');
}

function pauseRelievedAt(
  relief: Relief,
  signerName: string,
  { failure, attempt }: Pausing,
  at: Moment,
): number | undefined {
  const { now } = at;
  // What the whole cluster notices at the same moment is answered in turn.
  const inTurn = (): number => {
    const failingForMs = now - (attempt.failingSince ?? now);
    return now + pauseAfterRelief({ failingForMs, timeLeftMs: timeLeft(attempt.current, at) }, at.random);
  };
  switch (relief.type) {
    case 'operatorAsks':
      return now;
    case 'rulesChanged':
      return failure.kind === 'error' && dependsOnRules(failure.error) ? now : undefined;
    case 'apiServerHeard':
      return isOfApiServer(failure) ? inTurn() : undefined;
    case 'signerAnswered':
      return relief.signerName === signerName && isOfSigner(failure)
        ? Math.max(inTurn(), attempt.since + refusalCountsForMs)
        : undefined;
    case 'bundleArrived':
      return (relief.signerName ?? signerName) === signerName && isOfSigner(failure) ? inTurn() : undefined;
    case 'tokensHandedOver':
      return failure.kind === 'error' && failure.error.code === 'TokenMissing' ? now : undefined;
    case 'podWanted':
      return undefined;
    default:
      return unreachable(relief);
  }
}

/** The API server could not be asked, or did not let the agent in. What it judged invalid it judges the same again. */
function isOfApiServer(failure: Failure): boolean {
  if (failure.kind !== 'error' || failure.phase !== 'request') {
    return false;
  }
  return failure.error.code !== 'Rejected' && failure.error.code !== 'SignerNotAllowed';
}

const rulesDecide: ReadonlySet<ErrorCode> = new Set([
  'SignerNotAllowed',
  'ApiMissing',
  'Rejected',
  'AccountForbidden',
  'TokenMissing',
]);

/** The rules did not let the pod ask, sent it to an API that is not served, or made a request that nobody takes. */
function dependsOnRules({ code }: AgentError): boolean {
  return rulesDecide.has(code);
}

/** The signer refused, failed, kept silent or gave something unusable. */
function isOfSigner(failure: Failure): boolean {
  return failure.kind !== 'error' || failure.phase === 'signer';
}
