/**
 * Puts together the part of the agent that talks to the API server: its credentials, its calls, its watches, and the
 * checks that what it needs is there.
 */
import type { Closers } from './base/closers.ts';
import type { AgentConfiguration } from './configuration/configuration.ts';
import { watchClusterTrustBundles } from './kubernetes/bundles.ts';
import { type ApiClient, createApiClient } from './kubernetes/client.ts';
import { createDiscovery, type Discovery } from './kubernetes/discovery.ts';
import { createEventRecorder, type EventRecorder } from './kubernetes/events.ts';
import { createIdentity } from './kubernetes/identity.ts';
import type { ListWatch } from './kubernetes/list-watch.ts';
import { createNodePods } from './kubernetes/node-pods.ts';
import type { PodCertificateRequest } from './kubernetes/objects.ts';
import { corePrefix, resourcePath } from './kubernetes/paths.ts';
import { watchRequests } from './kubernetes/requests.ts';
import type { NodePods } from './lifecycle/ports.ts';
import type { WatchSnapshot } from './lifecycle/snapshots.ts';
import type { Logger } from './observe/log/log.ts';
import { warnOnce } from './observe/log/repetition.ts';
import { createCallObserver } from './observe/metrics/api-calls.ts';
import { createSkewMeter, type SkewMeter } from './observe/metrics/clock-skew.ts';
import type { Metrics } from './observe/metrics/metrics.ts';
import { type Preflight, startPreflight } from './preflight.ts';
import { raisesDoubt } from './readiness.ts';
import type { Clock } from './time/clock.ts';
import { createTrustAnchors, type TrustAnchorService } from './trust/anchors.ts';

export interface ApiSideOptions {
  readonly configuration: AgentConfiguration;
  readonly version: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Must not go back. */
  readonly monotonic: Clock;
  readonly closers: Closers;
  /** The API server answers again, or serves the certificate API again; never called before `openApiSide` has returned. */
  readonly onRecovered: () => void;
}

export interface ApiSide {
  readonly client: ApiClient;
  readonly discovery: Discovery;
  /** The node's certificate requests. */
  readonly requests: ListWatch<PodCertificateRequest>;
  readonly nodePods: NodePods;
  readonly trust: TrustAnchorService;
  readonly events: EventRecorder;
  readonly preflight: Preflight;
  readonly skew: SkewMeter;
  watches(): readonly WatchSnapshot[];
}

/** Time kept of the shutdown's grace period for sending the last events. */
const lastEventsMs = 2_000;

/** Begins to list and watch. Nothing here fails for want of an API server; what is amiss is logged and tried again. */
export function openApiSide({
  configuration,
  version,
  log,
  metrics,
  monotonic: clock,
  closers,
  onRecovered,
}: ApiSideOptions): ApiSide {
  const { nodeName, driverName, shutdownGraceMs } = configuration;
  const skew = createSkewMeter(Date.now, clock.now);
  const measure = createCallObserver(metrics, skew);
  const client = createClient(configuration, version, log, clock, (call) => {
    measure(call);
    if (raisesDoubt(call)) {
      preflight.doubt();
    }
  });
  closers.add(() => client.close());
  const discovery = createDiscovery({ client, clock });
  const preflight = startChecks(client, discovery, nodeName, log, clock);
  closers.add(() => preflight.stop());
  const onInterruption = warnOnce(log, 'the watch of certificate requests was interrupted');
  const requests = watchRequests(client, discovery, nodeName, onInterruption, onRecovered);
  closers.add(() => requests.stop());
  const onBlind = warnOnce(
    log,
    'the pods of this node cannot be watched; one that waits and is deleted may take minutes',
  );
  const nodePods = createNodePods({ client, nodeName, clock, onError: onBlind });
  closers.add(() => nodePods.stop());
  const trust = createTrustAnchors({
    clock,
    watchBundles: (selector, onError, take) => watchClusterTrustBundles(client, discovery, selector, onError, take),
    onMalformed: (bundle, reason) =>
      log.warn(`ClusterTrustBundle ${bundle} cannot be read; its signer has to mend it`, { reason }),
    onListenerFault: (error) => log.error('an update of trust anchors failed inside the agent', { error }),
  });
  closers.add(() => trust.stop());
  const events = createEventRecorder({ client, driverName, nodeName, clock });
  closers.add(() => events.stop(Math.min(lastEventsMs, shutdownGraceMs)));
  const watches = (): readonly WatchSnapshot[] => [
    { name: 'podcertificaterequests', ...requests.health() },
    ...[...trust.health()].map(([selector, health]) => ({ name: `clustertrustbundles ${selector}`, ...health })),
  ];
  return { client, discovery, requests, nodePods, trust, events, preflight, skew, watches };
}

function createClient(
  configuration: AgentConfiguration,
  version: string,
  log: Logger,
  clock: Clock,
  onCall: ReturnType<typeof createCallObserver>,
): ApiClient {
  const { kubeconfig, impersonateNode, nodeName, requestsPerSecond, burst, maxConcurrentRequests } = configuration;
  const identity = createIdentity(
    kubeconfig === undefined ? { kind: 'inCluster' } : { kind: 'kubeconfig', path: kubeconfig },
    { clock, onError: warnOnce(log, 'credentials could not be read again; the earlier ones stay in use') },
  );
  return createApiClient({
    identity,
    clock,
    userAgent: `pod-certificate-agent/${version}`,
    requestsPerSecond,
    burst,
    concurrency: maxConcurrentRequests,
    onCall,
    ...(impersonateNode ? { impersonateNode: nodeName } : {}),
  });
}

/** Asks for the node object and the certificate API until both are there, and again when calls fail. */
function startChecks(client: ApiClient, discovery: Discovery, nodeName: string, log: Logger, clock: Clock): Preflight {
  let serving: string | undefined;
  return startPreflight({
    clock,
    requirements: [
      {
        name: 'node',
        check: async (signal) => {
          const path = resourcePath(corePrefix, { resource: 'nodes', name: nodeName });
          await client.request({ method: 'GET', path, signal, priority: 'first' });
        },
      },
      {
        name: 'certificate-api',
        check: async () => {
          const { apiVersion } = await discovery.podCertificateRequests();
          if (apiVersion !== serving) {
            log.info('the cluster serves PodCertificateRequests', { apiVersion });
          }
          serving = apiVersion;
        },
      },
    ],
    onMissing: (name, error) => log.error(`the agent cannot work yet: the check of ${name} fails`, { error }),
    onMet: (name) => log.info(`the check of ${name} passes now`),
  });
}
