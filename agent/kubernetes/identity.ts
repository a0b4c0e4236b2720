/**
 * Who the agent is to the API server: where the server is, whom to trust, and what to authenticate with, from a
 * kubeconfig file or from the pod's service account. Reading, authentication and TLS settings are client-node's.
 *
 * Tokens and CAs are rotated under a running process (the kubelet renews a projected token after 80 % of its life), so
 * the files are looked at again when they change, after a minute, and at once when the server answers 401.
 *
 * https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 * https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AgentOptions, RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { messageOf } from '../../volumes/base/errors.ts';
import { AgentError } from '../base/errors.ts';
import { markOf } from '../base/file-mark.ts';
import type { Clock } from '../time/clock.ts';

export type IdentitySource =
  /** A kubeconfig file; without `context` its current one. */
  | { readonly kind: 'kubeconfig'; readonly path: string; readonly context?: string }
  /** The service account of the agent's own pod; `root` is a prefix of its files' paths, for tests. */
  | { readonly kind: 'inCluster'; readonly root?: string };

/** What a connection to the API server is made with. The object stays the same as long as none of it changes. */
export type TlsMaterial = Pick<
  AgentOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'pfx' | 'servername' | 'rejectUnauthorized' | 'proxyEnv'
>;

export interface Credentials {
  /** `https://host:port`, possibly with a path, without a slash at the end. */
  readonly server: string;
  readonly tls: TlsMaterial;
  /** Authorization, and the impersonation a kubeconfig asks for. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Identity {
  /** What to use now; files that changed are read again first. @throws AgentError when they never could be read. */
  current(): Promise<Credentials>;
  /**
   * Reads everything again whatever its age: the server refused what `used` says.
   * @returns true when what it found differs from `used`, so that the call is worth repeating.
   */
  renew(used: Credentials): Promise<boolean>;
  /** Who this is, for messages. */
  readonly name: string;
}

export interface IdentityOptions {
  /** Must not go back. */
  readonly clock: Clock;
  /** Takes what could not be read while earlier credentials stay in use. */
  readonly onError?: (error: AgentError) => void;
  /** Longest time without reading everything again, milliseconds. Default one minute. */
  readonly maxAgeMs?: number;
  /** Shortest time between two looks at the files' change marks, milliseconds. Default one second. */
  readonly checkEveryMs?: number;
}

interface Loaded {
  readonly credentials: Credentials;
  readonly fingerprint: string;
  readonly tlsFingerprint: string;
  /** Files it came from, with the marks they had before they were read. */
  readonly marks: ReadonlyMap<string, string>;
  readonly readAt: number;
}

export function createIdentity(source: IdentitySource, options: IdentityOptions): Identity {
  const { clock, onError, maxAgeMs = 60_000, checkEveryMs = 1_000 } = options;
  let loaded: Loaded | undefined;
  let checkedAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<Loaded> | undefined;

  function isStale(known: Loaded): boolean {
    const now = clock.now();
    if (now - known.readAt >= maxAgeMs) {
      return true;
    }
    if (now - checkedAt < checkEveryMs) {
      return false;
    }
    checkedAt = now;
    return [...known.marks].some(([file, mark]) => markOf(file) !== mark);
  }

  /** One reading at a time; whoever comes meanwhile gets its result. */
  function load(): Promise<Loaded> {
    checkedAt = clock.now();
    loading ??= read(source, clock.now(), loaded)
      .then((fresh) => {
        loaded = fresh;
        return fresh;
      })
      .finally(() => {
        loading = undefined;
      });
    return loading;
  }

  async function loadOrKeep(): Promise<Loaded> {
    try {
      return await load();
    } catch (fault) {
      const error = unreadable(source, fault);
      if (loaded === undefined) {
        throw error;
      }
      onError?.(error);
      loaded = { ...loaded, readAt: clock.now() };
      return loaded;
    }
  }

  return {
    name: source.kind === 'inCluster' ? "the agent's service account" : `the user of ${source.path}`,
    async current() {
      const known = loaded;
      return (known === undefined || isStale(known) ? await loadOrKeep() : known).credentials;
    },
    async renew(used) {
      return (await loadOrKeep()).credentials !== used;
    },
  };
}

/** Reads everything anew; keeps the earlier objects where nothing changed, so that connections stay. */
async function read(source: IdentitySource, readAt: number, before: Loaded | undefined): Promise<Loaded> {
  const config = new KubeConfig();
  const files = source.kind === 'inCluster' ? readInCluster(config, source.root) : readKubeconfig(config, source);
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  if (cluster === null || user === null) {
    throw new Error(`context ${JSON.stringify(config.getCurrentContext() ?? '')} names no cluster and user`);
  }
  if (!cluster.server.startsWith('https://')) {
    throw new Error('the server must be https: credentials are not sent in clear');
  }
  const proxy = proxyOf(cluster.proxyUrl);
  // Node itself goes through the proxy: the library's proxies are not in the bundle.
  config.clusters = config.clusters.map(({ proxyUrl: _, ...rest }) => rest);
  files.push(...[cluster.caFile, user.certFile, user.keyFile, tokenFileOf(user.authProvider)].filter(isPath));
  // Marks are taken before the reading: a change in between makes the next look read once too often, never once too
  // little.
  const marks = new Map(files.map((file) => [file, markOf(file)]));
  const applied: RequestOptions = {};
  await config.applyToHTTPSOptions(applied);
  const credentials = { server: cluster.server, tls: { ...tlsOf(applied), ...proxy }, headers: headersOf(applied) };
  const tlsFingerprint = hash([credentials.server, credentials.tls]);
  const fingerprint = hash([tlsFingerprint, credentials.headers]);
  if (before?.fingerprint === fingerprint) {
    return { ...before, marks, readAt };
  }
  const tls = before?.tlsFingerprint === tlsFingerprint ? before.credentials.tls : credentials.tls;
  return { credentials: { ...credentials, tls }, fingerprint, tlsFingerprint, marks, readAt };
}

function readInCluster(config: KubeConfig, root = ''): string[] {
  if (!process.env['KUBERNETES_SERVICE_HOST'] || !process.env['KUBERNETES_SERVICE_PORT']) {
    throw new Error('KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: not in a pod');
  }
  config.loadFromCluster(root);
  return [];
}

function readKubeconfig(config: KubeConfig, source: IdentitySource & { readonly kind: 'kubeconfig' }): string[] {
  config.loadFromFile(source.path);
  if (source.context !== undefined) {
    config.setCurrentContext(source.context);
  }
  // client-node does not know `tokenFile`, which a kubeconfig made for a service account has.
  const tokenFiles = tokenFilesOf(source.path);
  config.users = config.users.map((user) => {
    const tokenFile = tokenFiles.get(user.name);
    return tokenFile === undefined || user.token !== undefined
      ? user
      : { ...user, authProvider: { name: 'tokenFile', config: { tokenFile } } };
  });
  return [source.path];
}

function tokenFilesOf(path: string): ReadonlyMap<string, string> {
  const text: unknown = parse(readFileSync(path, 'utf8'));
  const users = isRecord(text) && Array.isArray(text['users']) ? text['users'] : [];
  return new Map(
    users.flatMap((entry: unknown): [string, string][] => {
      const user = isRecord(entry) ? entry['user'] : undefined;
      const tokenFile = isRecord(user) ? user['tokenFile'] : undefined;
      return isRecord(entry) && typeof entry['name'] === 'string' && typeof tokenFile === 'string'
        ? [[entry['name'], resolve(dirname(path), tokenFile)]]
        : [];
    }),
  );
}

function tokenFileOf(authProvider: unknown): string | undefined {
  const config = isRecord(authProvider) ? authProvider['config'] : undefined;
  const file = isRecord(config) ? config['tokenFile'] : undefined;
  return typeof file === 'string' ? file : undefined;
}

function tlsOf(applied: RequestOptions): TlsMaterial {
  const { ca, cert, key, passphrase, pfx, servername, rejectUnauthorized } = applied;
  const all = { ca, cert, key, passphrase, pfx, servername, rejectUnauthorized };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** How to go through the proxy that a kubeconfig names, by CONNECT. @throws Error for a proxy of another kind */
function proxyOf(url: string | undefined): Pick<TlsMaterial, 'proxyEnv'> {
  if (url === undefined) {
    return {};
  }
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new Error('proxy-url has to be a URL of http or https: a proxy of another kind is not supported');
  }
  return { proxyEnv: { HTTPS_PROXY: url } };
}

/** A token file ends with a line break as often as not, and a header value must not. */
function headersOf(applied: RequestOptions): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(applied.headers ?? {}).map(([name, value]) => [name, String(value).trim()]));
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64');
}

function unreadable(source: IdentitySource, fault: unknown): AgentError {
  const where = source.kind === 'inCluster' ? 'the service account of this pod' : source.path;
  return new AgentError('Unavailable', `cannot read credentials from ${where}: ${harmlessWords(fault)}`, {
    actor: 'cluster operator',
  });
}

/** Parsers quote what they read, and what is read here holds tokens and keys: only their first line, JSON's not at all. */
function harmlessWords(fault: unknown): string {
  if (fault instanceof SyntaxError) {
    return 'not valid JSON';
  }
  return messageOf(fault, 'unknown fault').split('\n', 1)[0] ?? '';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isPath(value: string | undefined | null): value is string {
  return typeof value === 'string' && value !== '';
}
