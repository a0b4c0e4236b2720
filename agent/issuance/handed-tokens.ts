/**
 * Tokens of pods' service accounts as the kubelet hands them over with each publish call, which it repeats every minute or
 * so (`requiresRepublish`). They are held in this process only, the newest of each pod, until they expire or the pod's last
 * volume goes: after a restart of the agent there are none until the kubelet's next call.
 *
 * https://kubernetes-csi.github.io/docs/token-requests.html
 */

import { createBoundedMap } from '../../volumes/base/bounded-map.ts';
import type { PodReference } from '../../volumes/base/volume.ts';
import { AgentError } from '../base/errors.ts';
import { decodeHandOver } from '../kubernetes/schemas.ts';
import type { TokenDesk } from '../lifecycle/ports.ts';
import type { Clock } from '../time/clock.ts';
import { maxHandOverLength, maxPodsWithTokens } from './limits.ts';
import { accountOf, listedAudience, type PodTokens, tokenMissing } from './pod-account.ts';
import { judgeToken } from './pod-token.ts';

/** How long the kubelet's next call is waited for. It comes within two minutes, unless something keeps it away. */
const patienceMs = 5 * 60_000;
/** How long it is remembered that a hand-over held no good token. */
const emptyKeptMs = 5 * 60_000;

/** What the last hand-over had for an audience. The token is in a function, so that nothing that prints this prints it. */
type Held =
  | { readonly type: 'good'; readonly token: () => string; readonly expiresAt: number }
  | { readonly type: 'unusable'; readonly why: string }
  | { readonly type: 'awaited'; readonly why: string };

/** What is held for a pod. */
interface Holding {
  readonly byAudience: ReadonlyMap<string, Held>;
  /** When nothing in it is of use any more. */
  readonly expiresAt: number;
}

/** Audiences of the tokens that pods of a namespace need to ask these signers. */
export type Wanted = (namespace: string, signerNames: readonly string[]) => ReadonlySet<string>;

export interface HandedTokens extends PodTokens, TokenDesk {
  stop(): void;
}

/**
 * @param clock the wall clock
 * @param wanted what the rules in force need: tokens for others are not kept
 */
export function createHandedTokens(clock: Clock, wanted: Wanted): HandedTokens {
  const held = createBoundedMap<string, Holding>(maxPodsWithTokens);
  const waiting = new Set<() => void>();
  let cancelSweep = (): void => {};
  let sweepAt = Number.POSITIVE_INFINITY;

  /** Forgets what has expired. */
  function sweep(): void {
    sweepAt = Number.POSITIVE_INFINITY;
    for (const uid of held.keys()) {
      const expiresAt = held.get(uid)?.expiresAt ?? 0;
      if (expiresAt <= clock.now()) {
        held.delete(uid);
      } else {
        sweepBy(expiresAt);
      }
    }
  }

  function sweepBy(time: number): void {
    if (time < sweepAt) {
      cancelSweep();
      sweepAt = time;
      cancelSweep = clock.at(time, sweep);
    }
  }

  function lookUp(pod: PodReference, audience: string): Held {
    const found = held.get(pod.uid)?.byAudience.get(audience);
    if (found?.type === 'good' && found.expiresAt <= clock.now()) {
      return { type: 'awaited', why: 'the last one has expired' };
    }
    return found ?? { type: 'awaited', why: 'it has handed over none since the agent started or the rule was made' };
  }

  function tokenOf(pod: PodReference, audience: string): string | undefined {
    const found = lookUp(pod, audience);
    if (found.type === 'unusable') {
      throw tokenMissing(pod, found.why);
    }
    return found.type === 'good' ? found.token() : undefined;
  }

  return {
    take(pod, signerNames, tokens) {
      const audiences = wanted(pod.namespace, signerNames);
      if (audiences.size === 0) {
        return;
      }
      // Another volume of the pod may need other tokens.
      const others = held.get(pod.uid)?.byAudience ?? [];
      const byAudience = new Map([...others, ...judgeAll(tokens?.(), pod, audiences, clock.now())]);
      const times = [...byAudience.values()].flatMap((each) => (each.type === 'good' ? each.expiresAt : []));
      const expiresAt = Math.max(clock.now() + emptyKeptMs, ...times);
      held.set(pod.uid, { byAudience, expiresAt });
      sweepBy(expiresAt);
      for (const look of [...waiting]) {
        look();
      }
    },
    forget: (pod) => held.delete(pod.uid),
    ready(pod, audience, signal, onWait) {
      return new Promise((resolve, reject) => {
        let told = '';
        const end = (settle: () => void): void => {
          waiting.delete(look);
          signal.removeEventListener('abort', onAbort);
          cancelLimit();
          settle();
        };
        const onAbort = (): void => {
          end(() => reject(new AgentError('Aborted', 'the wait for a token was ended', { actor: 'nobody' })));
        };
        const look = (): void => {
          const found = lookUp(pod, audience);
          if (found.type === 'good') {
            end(resolve);
          } else if (found.type === 'unusable') {
            end(() => reject(tokenMissing(pod, found.why)));
          } else if (told !== found.why) {
            told = found.why;
            onWait(`the kubelet hands over a token of ${accountOf(pod)} with its next call: ${found.why}`);
          }
        };
        const cancelLimit = clock.at(clock.now() + patienceMs, () =>
          end(() => reject(tokenMissing(pod, `the kubelet has handed over none for long; ${needs(audience)}`))),
        );
        waiting.add(look);
        signal.addEventListener('abort', onAbort, { once: true });
        if (signal.aborted) {
          onAbort();
        } else {
          look();
        }
      });
    },
    async bearer(pod, audience) {
      const token = tokenOf(pod, audience);
      if (token === undefined) {
        throw tokenMissing(pod, 'the last one has just expired', { actor: 'nobody' });
      }
      return { account: accountOf(pod), token: () => token };
    },
    stop() {
      cancelSweep();
      for (const uid of held.keys()) {
        held.delete(uid);
      }
    },
  };
}

function needs(audience: string): string {
  return `the CSIDriver object has to list ${listedAudience(audience)} in tokenRequests and to say requiresRepublish: true, as in the chart`;
}

/** What a hand-over has for each of the audiences. */
function judgeAll(
  text: string | undefined,
  pod: PodReference,
  audiences: ReadonlySet<string>,
  now: number,
): ReadonlyMap<string, Held> {
  const handed = read(text);
  return new Map(
    [...audiences].map((audience): [string, Held] => [
      audience,
      handed === 'unreadable'
        ? { type: 'unusable', why: 'what the kubelet handed over is not in the form of tokenRequests' }
        : judge(handed.get(audience), pod, audience, now),
    ]),
  );
}

function judge(handed: HandedToken | undefined, pod: PodReference, audience: string, now: number): Held {
  if (handed === undefined) {
    return { type: 'unusable', why: `the kubelet handed over none with its last call; ${needs(audience)}` };
  }
  const { token, expiresAt } = handed;
  const verdict = judgeToken(token(), pod, audience, now);
  switch (verdict.type) {
    case 'good':
      return expiresAt > now
        ? { type: 'good', token, expiresAt: Math.min(verdict.expiresAt, expiresAt) }
        : { type: 'awaited', why: lastExpired };
    case 'expired':
      return { type: 'awaited', why: lastExpired };
    default:
      return { type: 'unusable', why: `the one that the kubelet handed over ${verdict.why}` };
  }
}

const lastExpired = 'the one of its last call has expired';

interface HandedToken {
  readonly token: () => string;
  /** By what stands beside the token, milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** The tokens of a hand-over by audience. It may be anything: a pod's author can write an attribute of that name. */
function read(text: string | undefined): ReadonlyMap<string, HandedToken> | 'unreadable' {
  if (text === undefined) {
    return new Map();
  }
  if (text.length > maxHandOverLength) {
    return 'unreadable';
  }
  try {
    const entries = Object.entries(decodeHandOver(JSON.parse(text)));
    return new Map(
      entries.map(([audience, { token, expirationTimestamp }]) => [
        audience,
        { token: () => token, expiresAt: Date.parse(expirationTimestamp) },
      ]),
    );
  } catch {
    return 'unreadable';
  }
}
