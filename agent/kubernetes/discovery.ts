/**
 * Finds out which certificate APIs the cluster serves: PodCertificateRequests as v1, v1beta1 or v1alpha1, and
 * ClusterTrustBundles likewise.
 *
 * The *resource* is looked for, never the group-version alone: `certificates.k8s.io/v1` exists on every cluster. An
 * older version is taken on 404 only; any other error is no proof of absence and is thrown.
 *
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/4317-pod-certificates
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/3257-cluster-trust-bundles
 */
import { isDeepStrictEqual } from 'node:util';
import { AgentError, unlessNotFound } from '../base/errors.ts';
import type { Clock } from '../time/clock.ts';
import { createMonotonicClock } from '../time/monotonic-clock.ts';
import type { ApiClient } from './client.ts';
import { decodeOpenApiDocument, decodeVersion } from './schemas.ts';
import { isServed } from './served.ts';

export interface ServedApi {
  /** `certificates.k8s.io/<version>`, as objects carry it. */
  readonly apiVersion: string;
  /** `/apis/certificates.k8s.io/<version>`. */
  readonly pathPrefix: string;
}

export interface PodCertificateApi extends ServedApi {
  /** How the request proves possession of the key: `stubPKCS10Request`, or `pkixPublicKey` with `proofOfPossession`. */
  readonly evidence: 'stub' | 'keyAndProof';
  /** Whether the spec has `unverifiedUserAnnotations`. */
  readonly userAnnotations: boolean;
}

export interface Discovery {
  /** @throws AgentError ApiMissing, saying what to switch on. */
  podCertificateRequests(): Promise<PodCertificateApi>;
  /** @throws AgentError ApiMissing, saying what to switch on. */
  clusterTrustBundles(): Promise<ServedApi>;
  /** A call under this API's path answered 404 for the collection: look again at the next use. */
  notServed(api: ServedApi): void;
  /**
   * A server dropped the stub and then missed the fields it knows (a 1.35 server beside a 1.36 one during an upgrade).
   * For the next hour v1beta1 is spoken with key and proof, which every server of that version takes.
   */
  stubRefused(api: PodCertificateApi): void;
}

export interface DiscoveryOptions {
  readonly client: ApiClient;
  /** Must not go back. Default `createMonotonicClock()`. */
  readonly clock?: Clock;
  /** How long "missing" is answered from memory before the cluster is asked again. Default 15 seconds. */
  readonly missingForMs?: number;
}

const group = 'certificates.k8s.io';
const versions = ['v1', 'v1beta1', 'v1alpha1'] as const;
type Version = (typeof versions)[number];

/**
 * How long the agent makes do with anything but the newest version before it looks again: clusters are upgraded while
 * it runs.
 */
const makeDoForMs = 3_600_000;

export function createDiscovery(options: DiscoveryOptions): Discovery {
  const { client, clock = createMonotonicClock(), missingForMs = 15_000 } = options;
  let stubRefusedUntil = Number.NEGATIVE_INFINITY;

  const requests = remembered(clock, missingForMs, async (): Promise<PodCertificateApi> => {
    const version = await servedVersion(client, 'podcertificaterequests');
    switch (version) {
      case 'v1':
        return { ...apiOf(version), evidence: 'stub', userAnnotations: true };
      case 'v1beta1': {
        const stub = clock.now() >= stubRefusedUntil && (await knowsStub(client));
        return { ...apiOf(version), evidence: stub ? 'stub' : 'keyAndProof', userAnnotations: true };
      }
      case 'v1alpha1':
        return { ...apiOf(version), evidence: 'keyAndProof', userAnnotations: false };
      default:
        version satisfies undefined;
        throw await missing(client, 'PodCertificateRequest');
    }
  });
  const bundles = remembered(clock, missingForMs, async (): Promise<ServedApi> => {
    const version = await servedVersion(client, 'clustertrustbundles');
    if (version === undefined) {
      throw await missing(client, 'ClusterTrustBundle');
    }
    return apiOf(version);
  });

  return {
    podCertificateRequests: requests.get,
    clusterTrustBundles: bundles.get,
    notServed(api) {
      requests.forget(api);
      bundles.forget(api);
    },
    stubRefused(api) {
      stubRefusedUntil = clock.now() + makeDoForMs;
      requests.forget(api);
    },
  };
}

function apiOf(version: Version): ServedApi {
  return { apiVersion: `${group}/${version}`, pathPrefix: `/apis/${group}/${version}` };
}

interface Remembered<T> {
  get(): Promise<T>;
  /** Forgets the answer if it is still this one: a slow caller does not undo a newer finding. */
  forget(answer: unknown): void;
}

/**
 * Asks once for all who want to know at the same time, and keeps the answer: the newest version for good, an older one for
 * an hour, "missing" for a while. An older one that cannot be looked for again stays.
 */
function remembered<T extends ServedApi>(clock: Clock, missingForMs: number, ask: () => Promise<T>): Remembered<T> {
  let answer: T | undefined;
  let goodUntil = Number.POSITIVE_INFINITY;
  let asking: Promise<T> | undefined;
  let missingUntil = Number.NEGATIVE_INFINITY;
  let lastMissing: AgentError | undefined;

  async function askOnce(): Promise<T> {
    try {
      const found = await ask();
      goodUntil = found.apiVersion === `${group}/${versions[0]}` ? Number.POSITIVE_INFINITY : clock.now() + makeDoForMs;
      // The same finding stays the same object: whoever holds it may still say that it is not served.
      const kept = answer !== undefined && isDeepStrictEqual(found, answer) ? answer : found;
      answer = kept;
      return kept;
    } catch (error) {
      if (error instanceof AgentError && error.code === 'ApiMissing') {
        answer = undefined;
        lastMissing = error;
        missingUntil = clock.now() + missingForMs;
      }
      if (answer === undefined) {
        throw error;
      }
      goodUntil = clock.now() + missingForMs;
      return answer;
    } finally {
      asking = undefined;
    }
  }

  return {
    async get() {
      if (answer !== undefined && clock.now() < goodUntil) {
        return answer;
      }
      if (lastMissing !== undefined && clock.now() < missingUntil) {
        throw lastMissing;
      }
      asking ??= askOnce();
      return asking;
    },
    forget(known) {
      if (answer === known) {
        answer = undefined;
      }
    },
  };
}

/** The newest version that serves the resource. */
async function servedVersion(client: ApiClient, resource: string): Promise<Version | undefined> {
  for (const version of versions) {
    if (await isServed(client, apiOf(version).pathPrefix, resource)) {
      return version;
    }
  }
  return undefined;
}

/**
 * Whether this server's v1beta1 has `stubPKCS10Request` (1.36 and later), by its OpenAPI v3 document. A server that does
 * not show the document gets key and proof, which it takes in either case.
 */
async function knowsStub(client: ApiClient): Promise<boolean> {
  try {
    const path = `/openapi/v3/apis/${group}/v1beta1`;
    const document = await unlessNotFound(
      client.request({ method: 'GET', path, priority: 'first', decode: decodeOpenApiDocument }),
    );
    const found = Object.values(document?.components?.schemas ?? {});
    return found.some(({ properties }) => properties?.stubPKCS10Request !== undefined);
  } catch (error) {
    if (error instanceof AgentError && error.code === 'Forbidden') {
      return false;
    }
    throw error;
  }
}

/** What must be switched on for a kind, by the server's minor version (kubernetes 1.x); the last row that applies counts. */
const remedies = {
  PodCertificateRequest: [
    { since: 0, remedy: 'it has no such API: version 1.34 is the first' },
    { since: 34, remedy: flags('PodCertificateRequest', 'v1alpha1/podcertificaterequests') },
    { since: 35, remedy: flags('PodCertificateRequest', 'v1beta1/podcertificaterequests') },
    { since: 37, remedy: switchedOff('PodCertificateRequest') },
  ],
  ClusterTrustBundle: [
    { since: 0, remedy: 'it has no such API: version 1.27 is the first' },
    { since: 27, remedy: flags('ClusterTrustBundle', 'v1alpha1/clustertrustbundles') },
    { since: 33, remedy: flags('ClusterTrustBundle', 'v1beta1/clustertrustbundles') },
    { since: 37, remedy: switchedOff('ClusterTrustBundle') },
  ],
} as const;

function flags(gate: string, resource: string): string {
  return `start kube-apiserver with --feature-gates=${gate}=true --runtime-config=${group}/${resource}=true`;
}

function switchedOff(gate: string): string {
  return `it is on by default there, so look for --feature-gates=${gate}=false or a --runtime-config that turns it off`;
}

async function missing(client: ApiClient, kind: keyof typeof remedies): Promise<AgentError> {
  const version = await client
    .request({ method: 'GET', path: '/version', priority: 'first', decode: decodeVersion })
    .catch((): { minor?: string; gitVersion?: string } => ({}));
  const minor = Number.parseInt(version.minor ?? '', 10);
  const remedy = Number.isNaN(minor)
    ? `switch on the feature gate ${kind} and its --runtime-config`
    : remedies[kind].findLast(({ since }) => since <= minor)?.remedy;
  const server = version.gitVersion === undefined ? '' : ` (Kubernetes ${version.gitVersion})`;
  return new AgentError('ApiMissing', `the cluster${server} does not serve ${kind}s: ${remedy}`, {
    actor: 'cluster operator',
  });
}
