/**
 * Ways into a cluster for the suite: as the administrator of a kubeconfig, as any user that the administrator may
 * impersonate, and with a token. Each way comes as the agent's own client and as the tests' plain one.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
 */
import { type ApiClient, type ApiClientOptions, createApiClient } from '../../agent/kubernetes/client.ts';
import { type Credentials, createIdentity, type Identity } from '../../agent/kubernetes/identity.ts';
import { createMonotonicClock } from '../../agent/time/monotonic-clock.ts';
import type { UserInfo } from '../../sandbox/base/cluster-rules.ts';
import type { Target } from '../sandbox/serving/client.ts';

/** Somebody at the API server. */
export interface Caller {
  /** For the agent's own parts. */
  readonly identity: Identity;
  /** For plain requests. */
  readonly target: Target;
}

export interface Access {
  readonly admin: Caller;
  /** Somebody else, by the administrator's impersonation. */
  as(user: UserInfo): Caller;
  withToken(token: string): Caller;
  /** A client for the agent's own parts; closed with the access. */
  client(caller: Caller, options?: Partial<ApiClientOptions>): ApiClient;
  close(): void;
}

/** @throws AgentError when the kubeconfig cannot be read */
export async function openAccess(kubeconfigPath: string): Promise<Access> {
  const clock = createMonotonicClock();
  const identity = createIdentity({ kind: 'kubeconfig', path: kubeconfigPath }, { clock });
  const credentials = await identity.current();
  const clients: ApiClient[] = [];
  return {
    admin: { identity, target: targetOf(credentials) },
    as: (user) => {
      const change = (known: Credentials): Credentials => ({
        ...known,
        // The agent's client sends one value for each header; a node needs no other group than its own.
        headers: { ...known.headers, ...flat(impersonation(user)) },
      });
      const target = targetOf(credentials);
      return {
        identity: derived(identity, user.username, change),
        target: { ...target, headers: { ...target.headers, ...impersonation(user) } },
      };
    },
    withToken: (token) => {
      const change = ({ server, tls }: Credentials): Credentials => {
        const { cert: _, key: __, pfx: ___, passphrase: ____, ...serverTls } = tls;
        return { server, tls: serverTls, headers: { Authorization: `Bearer ${token}` } };
      };
      return { identity: derived(identity, 'a service account', change), target: targetOf(change(credentials)) };
    },
    client: (caller, options = {}) => {
      const client = createApiClient({
        ...{ identity: caller.identity, clock, userAgent: 'pod-certificate-agent-suite' },
        ...{ requestsPerSecond: 50, burst: 50 },
        ...options,
      });
      clients.push(client);
      return client;
    },
    close: () => {
      for (const client of clients) {
        client.close();
      }
    },
  };
}

/** The same place under other credentials, renewed when the first ones are. */
function derived(identity: Identity, name: string, change: (known: Credentials) => Credentials): Identity {
  let known: { readonly from: Credentials; readonly to: Credentials } | undefined;
  return {
    name,
    current: async () => {
      const from = await identity.current();
      if (known?.from !== from) {
        known = { from, to: change(from) };
      }
      return known.to;
    },
    renew: async () => (known === undefined ? false : await identity.renew(known.from)),
  };
}

function targetOf({ server, tls, headers }: Credentials): Target {
  const { ca, ...rest } = tls;
  const caPem = Array.isArray(ca) ? ca.join('\n') : (ca ?? '').toString();
  return { url: server, caPem, token: '', tls: rest, headers };
}

function impersonation(user: UserInfo): Readonly<Record<string, string | string[]>> {
  // The API server itself adds who has been authenticated.
  const groups = user.groups.filter((group) => group !== 'system:authenticated');
  const extra = Object.entries(user.extra).map(([key, values]) => [
    `Impersonate-Extra-${encodeURIComponent(key)}`,
    [...values],
  ]);
  return {
    'Impersonate-User': user.username,
    ...(groups.length === 0 ? {} : { 'Impersonate-Group': groups }),
    ...Object.fromEntries(extra),
  };
}

function flat(headers: Readonly<Record<string, string | string[]>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => {
      const [first] = typeof value === 'string' ? [value] : value;
      return first === undefined ? [] : [[name, first]];
    }),
  );
}
