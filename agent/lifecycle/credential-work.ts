/**
 * The work on one credential's requests, step by step: makes and stores the key, submits the request, judges the answer. Each
 * step ends in the event that says how it went, and never throws.
 *
 * The private key is in this process only while a key is made, a request is signed or an answer is checked; between those
 * steps it lies in the volume.
 */
import { messageOf } from '../../volumes/base/errors.ts';
import type { IssuedChain, OpenVolume } from '../../volumes/base/volume.ts';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import { wantsAnchors } from '../../volumes/declaration/pod-certificate.ts';
import type { PodCertificateSource } from '../../volumes/declaration/types.ts';
import type { CallOptions, Priority } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import { unreachable } from '../base/unreachable.ts';
import type { Clock } from '../time/clock.ts';
import { secondsText } from '../time/time-text.ts';
import type { Ahead, Begun } from './ahead.ts';
import { currentOf, keyTypeOf, lacksAddresses } from './credential.ts';
import type { CredentialEvent, CredentialState } from './credential-state.ts';
import type { EndReason } from './notices.ts';
import { orderFor } from './order.ts';
import type { Issuer, KeyMaker, Outcome, PodDirectory, PodIdentity, PrivateKey } from './ports.ts';

/** What the work needs from the rest of the agent. */
export interface WorkDependencies {
  readonly keys: KeyMaker;
  readonly pods: PodDirectory;
  readonly issuer: Issuer;
  readonly clock: Clock;
  /** What the API server's clock shows, milliseconds since the epoch; undefined, like absent: nobody knows. */
  readonly serverTime?: () => number | undefined;
  /** What was begun before the kubelet called; absent: nothing is. */
  readonly ahead?: Pick<Ahead, 'take'>;
  /** The key type that a signer's refusal suggests, if it does. */
  readonly suggestedKeyType: (reason: string, message: string, refused: KeyType) => KeyType | undefined;
  /** Whether a suggested key type is used from now on; asked at every suggestion. */
  readonly followSuggestedKeyType: () => boolean;
}

/** What the work needs of the volume. */
export type WorkVolume = Pick<OpenVolume, 'record' | 'pending' | 'pendingWithKey' | 'savePending'>;

/** The credential that the work is for. */
export interface WorkSubject {
  readonly volume: WorkVolume;
  readonly source: PodCertificateSource;
  /** The state as it is when it is asked for. */
  state(): CredentialState;
  /** Ends the work. */
  readonly signal: AbortSignal;
  /** The request cannot be made before something comes that nobody here can hasten. */
  heldUp(requestName: string, waitsFor: string): void;
  /** The pod has ended, with all its credentials. */
  podEnded(why: EndReason): void;
}

export interface CredentialWork {
  makeKey(keyType: KeyType): Promise<CredentialEvent>;
  submit(requestName: string, priority: Priority): Promise<CredentialEvent>;
  /** The pod, or why it counts as ended. Nothing else that fails says that. @throws AgentError */
  find(priority: Priority): Promise<PodIdentity | EndReason>;
  judge(outcome: Outcome): CredentialEvent;
}

/** The API server refuses PodCertificateRequests' answers that begin later than so long after its own time (docs of `status.notBefore`). */
const mostAheadMs = 5 * 60_000;

export function createCredentialWork(subject: WorkSubject, dependencies: WorkDependencies): CredentialWork {
  const { volume, source, signal } = subject;
  const { keys, pods, issuer, clock, serverTime, ahead } = dependencies;
  const { record } = volume;
  const { index, signerName } = source;
  const owner = { pod: record.pod, volumeName: record.volumeName, sourceIndex: index, signerName };
  /** The last request whose key this run of the agent has made. */
  let madeHere: string | undefined;
  /** What was begun for the last key before the kubelet called, where it was. */
  let begun: Begun | undefined;
  /** The addresses that this run of the agent has asked for, and with which request. */
  let asked: { readonly requestName: string; readonly podIPs: readonly string[] | undefined } | undefined;

  /** How urgent this credential's work is, and what ends it. */
  const callOptions = (): CallOptions => {
    const expiresAt = currentOf(subject.state())?.notAfter;
    const priority = expiresAt === undefined ? 'first' : 'refresh';
    return { priority, owner: record.pod.uid, expiresAt, signal };
  };

  const makeKey = async (keyType: KeyType): Promise<CredentialEvent> => {
    let key: PrivateKey | undefined;
    try {
      begun = await ahead?.take({ pod: record.pod, volumeName: record.volumeName, source, keyType }, callOptions());
      key = begun?.key ?? (await keys.generate(keyType, callOptions()));
      const requestName = begun?.requestName ?? issuer.requestName(owner, key.spki);
      // The volume may have been unpublished while the key was made.
      if (!signal.aborted && subject.state().name === 'generating') {
        const pending = { requestName, keyType, publicKey: key.spki, createdAt: clock.now() };
        volume.savePending(index, pending, key.pkcs8);
      }
      madeHere = requestName;
      return { type: 'keyMade', requestName };
    } catch (error) {
      return { type: 'keyFailed', error: asAgentError(error, 'the key could not be made or stored') };
    } finally {
      key?.destroy();
    }
  };

  /** The pod may have ended, and come back with another key, while it was looked for: a key is used for one request. */
  const assertStillPending = (requestName: string): void => {
    if (volume.pending(index)?.requestName !== requestName) {
      throw new AgentError('Internal', 'the request was given up before it was made', { actor: 'nobody' });
    }
  };

  const pendingKey = (call: CallOptions): PrivateKey => {
    const { pending, privateKey } = volume.pendingWithKey(index);
    const { keyType, publicKey: spki } = pending;
    return keys.restore(privateKey, spki === undefined ? undefined : { keyType, spki }, call);
  };

  const submit = async (requestName: string, priority: Priority): Promise<CredentialEvent> => {
    let key: PrivateKey | undefined;
    try {
      const call = { ...callOptions(), priority };
      // Before the pod is looked up and the key is read: this may take until the kubelet calls again.
      await issuer.prepare?.({ ...owner, requestName }, signal, (waitsFor) => subject.heldUp(requestName, waitsFor));
      const identity = await find(priority);
      if (typeof identity === 'string') {
        subject.podEnded(identity);
        return { type: 'podEnded', why: identity };
      }
      signal.throwIfAborted();
      assertStillPending(requestName);
      noteAddresses(requestName, identity);
      if (begun?.requestName === requestName && (await begun.submitted())) {
        return { type: 'submitted', requestName };
      }
      key = pendingKey(call);
      const order = { ...orderFor(source, { requestName, identity }), priority, expiresAt: call.expiresAt };
      await issuer.submit(order, key, signal);
      return { type: 'submitted', requestName };
    } catch (error) {
      return { type: 'submitFailed', requestName, error: asAgentError(error, 'the request could not be made') };
    } finally {
      key?.destroy();
    }
  };

  /**
   * Remembers which addresses are asked for. Of a request that an earlier attempt may have made they count as none: at
   * worst one certificate is renewed that need not be.
   */
  const noteAddresses = (requestName: string, { podIPs }: PodIdentity): void => {
    const isEarly =
      podIPs?.length === 0 &&
      lacksAddresses(subject.state()) &&
      clock.now() < (currentOf(subject.state())?.refreshAt ?? 0);
    if (isEarly) {
      throw new AgentError('Unavailable', 'the API server does not show the addresses of the pod yet', {
        actor: 'nobody',
      });
    }
    const isFirst = asked?.requestName !== requestName && madeHere === requestName;
    asked = { requestName, podIPs: isFirst ? podIPs : podIPs && [] };
  };

  /** The addresses that the answer to this request was to name; absent where the rules want none, or the pod has none of its own. */
  const addressesAsked = (): { readonly podIPs?: readonly string[] } => {
    const isWanted = issuer.namesAddresses?.(record.pod.namespace, signerName) === true;
    return isWanted && asked?.podIPs !== undefined ? { podIPs: asked.podIPs } : {};
  };

  /** The pod, or why it counts as ended. Nothing else that fails says that. */
  const find = async (priority: Priority): Promise<PodIdentity | EndReason> => {
    try {
      const identity = await pods.identify(record.pod, { ...callOptions(), priority }, lacksAddresses(subject.state()));
      return identity.ended ? 'finished' : identity;
    } catch (error) {
      if (error instanceof AgentError && error.code === 'PodGone') {
        return 'gone';
      }
      throw error;
    }
  };

  const judge = (outcome: Outcome): CredentialEvent => {
    switch (outcome.type) {
      case 'issued':
        return check(outcome);
      case 'denied':
      case 'failed': {
        const { type: kind, reason, message } = outcome;
        const suggested = dependencies.suggestedKeyType(reason, message, keyTypeOf(subject.state()));
        const followSuggestion = dependencies.followSuggestedKeyType();
        const refusal = { type: 'refused', kind, reason, message, followSuggestion } as const;
        return suggested === undefined ? refusal : { ...refusal, suggested };
      }
      case 'gone':
        return { type: 'deleted' };
      default:
        return unreachable(outcome);
    }
  };

  /** That the answer is valid only later by this node's clock may be this node's fault; by the API server's too, it is the signer's. */
  const doubtAbout = ({ notBefore }: IssuedChain): { readonly doubt?: AgentError } => {
    const now = clock.now();
    const serverNow = serverTime?.();
    if (serverNow === undefined || notBefore - Math.max(now, serverNow) <= mostAheadMs) {
      return {};
    }
    const when = `${secondsText(notBefore)} on, and it is ${secondsText(now)} here and ${secondsText(serverNow)} at the API server`;
    const message = `the certificate chain cannot be used yet: its leaf is valid from ${when}`;
    return { doubt: new AgentError('InvalidChain', message, { actor: 'signer' }) };
  };

  const check = (outcome: Outcome & { readonly type: 'issued' }): CredentialEvent => {
    let key: PrivateKey | undefined;
    try {
      key = pendingKey(callOptions());
      const answer = issuer.verify(outcome, key.spki, clock.now(), wantsAnchors(source));
      return { type: 'accepted', answer: { ...answer, ...addressesAsked() }, ...doubtAbout(answer) };
    } catch (error) {
      return { type: 'unusable', error: asAgentError(error, 'the answer could not be checked') };
    } finally {
      key?.destroy();
    }
  };

  return { makeKey, submit, find, judge };
}

/** Errors of the volume and of the agent itself get the agent's type; their message carries no secret. */
function asAgentError(error: unknown, what: string): AgentError {
  if (error instanceof AgentError) {
    return error;
  }
  const reason = messageOf(error);
  return new AgentError('Internal', `${what}: ${reason}`, { actor: 'nobody', cause: error });
}
