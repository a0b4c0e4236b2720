/** Tokens of service accounts, as an API server signs them, for the tests of what is done with them. */

import { createTokens, type ServiceAccountClaims } from '../../../sandbox/identity/tokens.ts';
import type { PodReference } from '../../../volumes/base/volume.ts';

export const pod: PodReference = { namespace: 'shop', name: 'web', uid: 'uid-of-web', serviceAccountName: 'web' };

export const apiServer = 'https://kubernetes.default.svc';

const signer = createTokens();

export interface TokenChanges {
  readonly claims?: Partial<ServiceAccountClaims>;
  readonly audience?: string;
  readonly lifetimeSeconds?: number;
}

/** A token of the pod that is good but for the changes. @param now milliseconds since the epoch */
export function tokenOf(now: number, { claims = {}, audience = apiServer, lifetimeSeconds = 600 }: TokenChanges = {}) {
  const serviceAccount = { name: pod.serviceAccountName, uid: 'uid-of-account' };
  const own = { namespace: pod.namespace, serviceAccount, pod: { name: pod.name, uid: pod.uid } };
  return signer.issue({ ...own, ...claims }, [audience], lifetimeSeconds, now).token;
}

/** What the kubelet hands over: tokens by audience. */
export function handOver(now: number, tokens: Readonly<Record<string, string>>, lifetimeSeconds = 600): () => string {
  const expirationTimestamp = new Date(now + lifetimeSeconds * 1000).toISOString();
  const entries = Object.entries(tokens).map(([audience, token]) => [audience, { token, expirationTimestamp }]);
  return () => JSON.stringify(Object.fromEntries(entries));
}
