/**
 * The sandbox's API server: HTTPS on a loopback port, an in-memory store, and the rules it is given.
 *
 * @example
 * ```ts
 * const server = await startApiServer({ kubernetes: '1.36', rules });
 * const kubeconfig = server.kubeconfig({ username: 'admin', groups: ['system:masters'], extra: {} });
 * await server.close();
 * ```
 */
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { KubernetesVersion, Rules, UserInfo } from '../base/cluster-rules.ts';
import type { ApiObject } from '../base/objects.ts';
import { apiAudience, createTokens, type IssuedToken, type ServiceAccountClaims } from '../identity/tokens.ts';
import type { Api, ServedType } from '../storage/api.ts';
import { certManagerGroup } from '../storage/cert-manager-resources.ts';
import { createDefaultServiceAccount, startControllers } from '../storage/controllers.ts';
import { timestamp } from '../storage/metadata.ts';
import { resourceTypes } from '../storage/resources.ts';
import { createStore, type Store } from '../storage/store.ts';
import { type Connections, trackConnections } from './connections.ts';
import { createFaults, type Faults, type ServerSwitches } from './faults.ts';
import { handleRequest } from './http.ts';
import { createServingCredentials, kubeconfig } from './tls.ts';

export interface ApiServerOptions {
  readonly rules: Rules;
  readonly kubernetes: KubernetesVersion;
  /** Default 0: a free port. */
  readonly port?: number;
  /** How much faster than real the periods and minimums run; default 1. */
  readonly timeScale?: number;
  /** Milliseconds since the epoch; default the machine's clock. */
  readonly clock?: () => number;
  /** Bearer tokens known from the start. */
  readonly tokens?: Readonly<Record<string, UserInfo>>;
  /** How many changes are remembered for watches; default 20000. */
  readonly historyLimit?: number;
  /** Whether cert-manager's types are served from the start; default false. */
  readonly certManager?: boolean;
}

export interface ApiServer {
  /** `https://127.0.0.1:<port>`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** The authority behind the serving certificate, PEM. */
  readonly caPem: string;
  readonly kubernetes: KubernetesVersion;
  /** Everything stored. What is written here passes by all rules. */
  readonly store: Store;
  readonly faults: Faults;
  /** Serves cert-manager's types from now on, as when it is installed. */
  installCertManager(): void;
  /** The server's clock, milliseconds since the epoch. */
  now(): number;
  /** A static token for a user; the same for the same user name. */
  userToken(user: UserInfo): string;
  /** A token for a service account, by default for the API server and for an hour. */
  issueToken(
    claims: ServiceAccountClaims,
    options?: { audiences?: readonly string[]; lifetimeSeconds?: number },
  ): IssuedToken;
  /** A kubeconfig file (YAML) with a static token for the user. */
  kubeconfig(user: UserInfo, namespace?: string): string;
  /** Removes outlived PodCertificateRequests and events at once. */
  sweep(): void;
  /** Ends all connections and timers. Idempotent. */
  close(): Promise<void>;
}

export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { rules, kubernetes, timeScale = 1, clock = Date.now, certManager = false } = options;
  const store = createStore(options.historyLimit === undefined ? {} : { historyLimit: options.historyLimit });
  const tokens = createTokens(options.tokens);
  const credentials = await createServingCredentials();
  const closing = new AbortController();
  const connections = trackConnections();
  const switchboard = createSwitchboard(kubernetes, store, connections);
  const now = (): number => clock() + switchboard.clockOffsetMs();
  const api: Api = {
    ...{ store, rules, tokens, timeScale, now, served: switchboard.served },
    get kubernetes() {
      return switchboard.kubernetes();
    },
  };
  const faults = createFaults(switchboard.switches);
  const installCertManager = (): void => faults.serve(certManagerGroup, 'v1');
  if (!certManager) {
    faults.unserve(certManagerGroup, 'v1');
  }
  const controllers = startControllers(api);
  for (const name of ['default', 'kube-system']) {
    createNamespace(store, name, now());
    createDefaultServiceAccount(api, name);
  }
  const context = { api, faults, closing: closing.signal };
  const server = createServer({ cert: credentials.certificatePem, key: credentials.keyPem, keepAlive: true });
  // Idle connections stay, as at the real server; clients with pooled connections count on it.
  server.keepAliveTimeout = 180_000;
  server.on('request', (request, response) => {
    if (!connections.isFrozen(request.socket)) {
      void handleRequest(context, request, response);
    }
  });
  server.on('connection', connections.add);
  server.on('secureConnection', connections.add);
  // A client that breaks off its handshake is no concern of the server.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `https://127.0.0.1:${port}`;
  let closed: Promise<unknown> | undefined;
  const close = (): Promise<unknown> => {
    closing.abort();
    controllers.stop();
    const ended = once(server, 'close');
    server.close();
    connections.destroyAll();
    return ended;
  };
  return {
    url,
    port,
    caPem: credentials.caPem,
    get kubernetes() {
      return switchboard.kubernetes();
    },
    store,
    faults,
    installCertManager,
    now,
    userToken: tokens.userToken,
    issueToken: (claims, { audiences = [apiAudience], lifetimeSeconds = 3600 } = {}) =>
      tokens.issue(claims, audiences, lifetimeSeconds, now()),
    kubeconfig: (user, namespace) =>
      kubeconfig({
        url,
        caPem: credentials.caPem,
        user: user.username,
        token: tokens.userToken(user),
        ...(namespace === undefined ? {} : { namespace }),
      }),
    sweep: controllers.sweep,
    close: async () => {
      closed ??= close();
      await closed;
    },
  };
}

function createNamespace(store: Store, name: string, now: number): ApiObject {
  return store.create('namespaces', {
    metadata: {
      name,
      uid: crypto.randomUUID(),
      creationTimestamp: timestamp(now),
      labels: { 'kubernetes.io/metadata.name': name },
    },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  });
}

interface Switchboard {
  readonly switches: ServerSwitches;
  clockOffsetMs(): number;
  kubernetes(): KubernetesVersion;
  served(): readonly ServedType[];
}

function createSwitchboard(first: KubernetesVersion, store: Store, connections: Connections): Switchboard {
  const unserved = new Set<string>();
  let offset = 0;
  let kubernetes = first;
  const name = (group: string, version: string, resource = '*'): string => `${group}/${version}/${resource}`;
  return {
    switches: {
      dropConnections: connections.destroyAll,
      freezeConnections: connections.freezeAll,
      compact: store.compact,
      setClockOffset: (offsetMs) => {
        offset = offsetMs;
      },
      unserve: (group, version, resource) => {
        unserved.add(name(group, version, resource));
      },
      serve: (group, version, resource) => {
        unserved.delete(name(group, version, resource));
      },
      setKubernetes: (version) => {
        kubernetes = version;
      },
    },
    clockOffsetMs: () => offset,
    kubernetes: () => kubernetes,
    served: () =>
      resourceTypes.flatMap((type) => {
        const { group, resource } = type;
        const versions = type
          .versions(kubernetes)
          .filter((version) => !unserved.has(name(group, version)) && !unserved.has(name(group, version, resource)));
        return versions.length === 0 ? [] : [{ type, versions }];
      }),
  };
}
