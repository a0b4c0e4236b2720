/**
 * Where the tokens of pods' service accounts come from, for rules that make requests on their behalf. An agent that acts as its
 * node asks the API server, which gives a node tokens for its own pods only. Any other would need the right to become every
 * account of the cluster, so it waits for those that the kubelet hands over.
 */
import { createHandedTokens, type Wanted } from './issuance/handed-tokens.ts';
import type { PodTokens } from './issuance/pod-account.ts';
import { createRequestedTokens } from './issuance/requested-tokens.ts';
import type { ApiClient } from './kubernetes/client.ts';
import type { TokenDesk } from './lifecycle/ports.ts';
import type { Clock } from './time/clock.ts';

export interface TokenSource {
  readonly tokens: PodTokens;
  /** Takes what the kubelet hands over; absent where nobody looks at it. */
  readonly desk?: TokenDesk;
  stop(): void;
}

export interface TokenSourceOptions {
  readonly impersonateNode: boolean;
  readonly client: ApiClient;
  /** The wall clock. */
  readonly clock: Clock;
  /** Gives the audiences of the tokens that pods of a namespace need to ask these signers, by the rules in force. */
  readonly audiences: Wanted;
}

export function createTokenSource({ impersonateNode, client, clock, audiences }: TokenSourceOptions): TokenSource {
  if (impersonateNode) {
    return { tokens: createRequestedTokens(client, clock.now), stop: () => undefined };
  }
  const handed = createHandedTokens(clock, audiences);
  return { tokens: handed, desk: handed, stop: handed.stop };
}
