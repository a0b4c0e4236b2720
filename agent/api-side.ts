/**
 * Puts together the part of the agent that talks to the API server: its credentials, its calls, its watches, and the
 * checks that what it needs is there.
 */
import type { Closers } from './base/closers.ts';
import { unreachable } from './base/unreachable.ts';
import { type CertificateApis, createCertificateApis } from './certificate-apis.ts';
import type { AgentConfiguration } from './configuration/configuration.ts';
import { apisNamed, type CertificateApi, type IssuerRules } from './issuance/issuer-rules.ts';
import { createBoundPods } from './kubernetes/bound-pods.ts';
import { watchClusterTrustBundles } from './kubernetes/bundles.ts';
import {
  assertServed,
  certificateRequestResource,
  signingRequestResource,
} from './kubernetes/certificate-resources.ts';
import { type ApiClient, createApiClient } from './kubernetes/client.ts';
import { createDiscovery, type Discovery } from './kubernetes/discovery.ts';
import { createEventRecorder, type EventRecorder } from './kubernetes/events.ts';
import { createFollowedWatch, type FollowedWatch } from './kubernetes/followed-watch.ts';
import { createIdentity } from './kubernetes/identity.ts';
import { createNodePods } from './kubernetes/node-pods.ts';
import type { NodeRequest } from './kubernetes/objects.ts';
import { corePrefix, resourcePath } from './kubernetes/paths.ts';
import { watchRequests } from './kubernetes/requests.ts';
import type { BoundPods, NodePods } from './lifecycle/ports.ts';
import type { WatchSnapshot } from './lifecycle/snapshots.ts';
import type { Logger } from './observe/log/log.ts';
import { warnOnce } from './observe/log/repetition.ts';
import { createCallObserver } from './observe/metrics/api-calls.ts';
import type { Metrics } from './observe/metrics/metrics.ts';
import { type Preflight, startPreflight } from './preflight.ts';
import { raisesDoubt } from './readiness.ts';
import { createStartupTaint, type StartupTaint } from './startup-taint.ts';
import type { Clock } from './time/clock.ts';
import { createServerClock, type ServerClock } from './time/server-clock.ts';
import { createTrustAnchors, type TrustAnchorService } from './trust/anchors.ts';

export interface ApiSideOptions {
  readonly configuration: AgentConfiguration;
  readonly version: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Must not go back. */
  readonly monotonic: Clock;
  readonly closers: Closers;
  /** Gives the rules for issuers as they are now. */
  readonly rules: () => IssuerRules;
  /** The API server answers again, or serves a certificate API again; never called before `openApiSide` has returned. */
  readonly onRecovered: () => void;
  /** Which certificate APIs are in use; never called before `openApiSide` has returned. */
  readonly onInUse: (apis: readonly CertificateApi[]) => void;
}

export interface ApiSide {
  readonly client: ApiClient;
  readonly discovery: Discovery;
  /** The node's PodCertificateRequests. */
  readonly requests: FollowedWatch<NodeRequest>;
  readonly certificateApis: CertificateApis;
  readonly nodePods: NodePods;
  readonly boundPods: BoundPods;
  readonly trust: TrustAnchorService;
  readonly events: EventRecorder;
  readonly preflight: Preflight;
  /** Undefined where the agent has no taint to take off. */
  readonly startupTaint: StartupTaint | undefined;
  readonly serverClock: ServerClock;
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
  rules,
  onRecovered,
  onInUse,
}: ApiSideOptions): ApiSide {
  const { nodeName, driverName, shutdownGraceMs } = configuration;
  const serverClock = createServerClock(Date.now, clock.now);
  const measure = createCallObserver(metrics, serverClock);
  const client = createClient(configuration, version, log, clock, (call) => {
    measure(call);
    if (raisesDoubt(call)) {
      preflight.doubt();
    }
  });
  closers.add(() => client.close());
  const discovery = createDiscovery({ client, clock });
  const onInterruption = warnOnce(log, 'the watch of certificate requests was interrupted');
  const requests = createFollowedWatch(() => watchRequests(client, discovery, nodeName, onInterruption, onRecovered));
  closers.add(() => requests.stop());
  const named = (): readonly CertificateApi[] => apisNamed(rules());
  requests.hold(named().length === 0 || named().includes('podCertificateRequest'));
  const served = servedBy(client, discovery, log);
  const certificateApis = createCertificateApis({ served, named, clock, onAppeared: onRecovered });
  closers.add(() => certificateApis.stop());
  const checkApis = async (): Promise<void> => {
    const apis = await certificateApis.check();
    requests.hold(apis.includes('podCertificateRequest'));
    onInUse(apis);
  };
  // The watch of PodCertificateRequests hears it too, but there need not be one.
  const preflight = startChecks(client, checkApis, nodeName, log, clock, onRecovered);
  closers.add(() => preflight.stop());
  const { startupTaint: key } = configuration;
  const startupTaint =
    key === undefined ? undefined : createStartupTaint({ client, clock, nodeName, driverName, key, log });
  closers.add(() => startupTaint?.stop());
  const onBlind = warnOnce(
    log,
    'the pods of this node cannot be watched; one that waits and is deleted may take minutes',
  );
  const nodePods = createNodePods({ client, nodeName, clock, onError: onBlind });
  closers.add(() => nodePods.stop());
  const onUnseen = warnOnce(log, 'the pods of this node cannot be watched; nothing is issued ahead of publish calls');
  const boundPods = createBoundPods({ client, nodeName, driverName, clock, onError: onUnseen });
  closers.add(() => boundPods.stop());
  const trust = createTrustAnchors({
    clock,
    watchBundles: (selector, onError, take, untilRoom) =>
      watchClusterTrustBundles(client, discovery, selector, onError, take, { untilRoom }),
    onMalformed: (bundle, reason) =>
      log.warn(`ClusterTrustBundle ${bundle} cannot be read; its signer has to mend it`, { reason }),
    onListenerFault: (error) => log.error('an update of trust anchors failed inside the agent', { error }),
  });
  closers.add(() => trust.stop());
  const events = createEventRecorder({ client, driverName, nodeName, clock });
  closers.add(() => events.stop(Math.min(lastEventsMs, shutdownGraceMs)));
  const watches = (): readonly WatchSnapshot[] => [
    ...[
      { name: 'podcertificaterequests', health: requests.health() },
      { name: 'pods', health: boundPods.health() },
    ].flatMap(({ name, health }) => (health === undefined ? [] : [{ name, ...health }])),
    ...[...trust.health()].map(([selector, health]) => ({ name: `clustertrustbundles ${selector}`, ...health })),
  ];
  return {
    ...{ client, discovery, requests, certificateApis, nodePods, boundPods, trust, events },
    ...{ preflight, startupTaint, serverClock, watches },
  };
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

/** Whether the cluster serves a certificate API; the version of PodCertificateRequests is told in the log. */
function servedBy(client: ApiClient, discovery: Discovery, log: Logger): (api: CertificateApi) => Promise<void> {
  let serving: string | undefined;
  return async (api) => {
    switch (api) {
      case 'certificateSigningRequest':
        return assertServed(client, signingRequestResource);
      case 'certManager':
        return assertServed(client, certificateRequestResource);
      case 'podCertificateRequest': {
        const { apiVersion } = await discovery.podCertificateRequests();
        if (apiVersion !== serving) {
          log.info('the cluster serves PodCertificateRequests', { apiVersion });
        }
        serving = apiVersion;
        return;
      }
      default:
        return unreachable(api);
    }
  };
}

/** Asks for the node object and the certificate APIs until both are there, and again when calls fail. */
function startChecks(
  client: ApiClient,
  checkApis: () => Promise<void>,
  nodeName: string,
  log: Logger,
  clock: Clock,
  onRecovered: () => void,
): Preflight {
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
        check: checkApis,
      },
    ],
    onMissing: (name, error) => log.error(`the agent cannot work yet: the check of ${name} fails`, { error }),
    onMet: (name) => log.info(`the check of ${name} passes now`),
    onRecovered,
  });
}
