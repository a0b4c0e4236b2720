/**
 * The agent, put together: the one file that knows every room. It starts in the order in which things are needed (what an
 * earlier run left, the API server, the kubelet's calls) and stops in the reverse order.
 */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { createRegistration } from '../volumes/csi/registration.ts';
import { createCsiServer } from '../volumes/csi/server.ts';
import { assertMountPropagation, readMountTable } from '../volumes/mount-table.ts';
import { createVolumeStore } from '../volumes/store.ts';
import type { AgentConfiguration, ParsedConfiguration } from './config.ts';
import { flagLines } from './configuration/flags.ts';
import { type ConfigurationChange, watchConfiguration } from './configuration/watch.ts';
import type { AgentError } from './errors.ts';
import { withAllowList } from './issuance/allow-list.ts';
import { suggestedKeyType } from './issuance/key-type-suggestion.ts';
import { createPodCertificateIssuer } from './issuance/pod-certificate-request.ts';
import { createKeyMaker } from './keys/key-maker.ts';
import { watchClusterTrustBundles } from './kubernetes/bundles.ts';
import { createApiClient } from './kubernetes/client.ts';
import { createDiscovery } from './kubernetes/discovery.ts';
import { createEventRecorder } from './kubernetes/events.ts';
import { createIdentity } from './kubernetes/identity.ts';
import { createMonotonicClock } from './kubernetes/monotonic.ts';
import { corePrefix, resourcePath } from './kubernetes/paths.ts';
import { createPodDirectory } from './kubernetes/pods.ts';
import { createRequestApi, watchRequests } from './kubernetes/requests.ts';
import { createSystemClock } from './lifecycle/clock.ts';
import { createVolumeManager } from './lifecycle/volume-manager.ts';
import { createCallObserver } from './observe/api-calls.ts';
import { createSkewMeter } from './observe/clock-skew.ts';
import { openEndpoint } from './observe/endpoint.ts';
import type { HealthCheck } from './observe/health.ts';
import type { Logger } from './observe/log.ts';
import { createMetrics } from './observe/metrics.ts';
import { createReporter } from './observe/notices.ts';
import { startPreflight } from './preflight.ts';
import { createTrustAnchors } from './trust/anchors.ts';

export interface AgentOptions {
  readonly configuration: AgentConfiguration;
  /** Reads the configuration anew, with the same arguments and environment. */
  readonly parse: () => ParsedConfiguration;
  readonly log: Logger;
  readonly version: string;
}

export interface Agent {
  /** Where metrics and health are served; undefined when that is switched off. */
  readonly observeAddress: { readonly host: string; readonly port: number } | undefined;
  /** Lets calls in flight end, keeps every volume as it is, and releases the rest. Idempotent. */
  stop(): Promise<void>;
}

/** Time kept of the shutdown's grace period for sending the last events. */
const lastEventsMs = 2_000;

/**
 * Starts the agent. It stays up whatever the API server says; see its readiness.
 * @throws VolumeError or the error of `listen` when a socket cannot be served, such as by a second agent on the node
 */
export async function startAgent({ configuration, parse, log, version }: AgentOptions): Promise<Agent> {
  const { nodeName, driverName, kubeletRoot } = configuration;
  const closers: (() => void | Promise<void>)[] = [];
  const onClose = (closer: () => void | Promise<void>): void => void closers.unshift(closer);
  const stop = once(async () => {
    for (const closer of closers) await closer();
  });

  const clock = createSystemClock();
  const startedAt = clock.now();
  const monotonic = createMonotonicClock();
  const metrics = createMetrics({ version, podMetrics: configuration.podMetrics });
  const skew = createSkewMeter(Date.now);
  onClose(() => metrics.close());

  const warn = (message: string) =>
    onceAWhile((error, repeated) => log[repeated ? 'debug' : 'warn'](message, { error }));
  const identity = createIdentity(
    configuration.kubeconfig === undefined
      ? { kind: 'inCluster' }
      : { kind: 'kubeconfig', path: configuration.kubeconfig },
    { clock: monotonic, onError: warn('credentials could not be read again; the earlier ones stay in use') },
  );
  const client = createApiClient({
    identity,
    clock: monotonic,
    userAgent: `pod-certificate-agent/${version}`,
    requestsPerSecond: configuration.requestsPerSecond,
    burst: configuration.burst,
    concurrency: configuration.maxConcurrentRequests,
    onCall: createCallObserver(metrics, skew),
    ...(configuration.impersonateNode ? { impersonateNode: nodeName } : {}),
  });
  onClose(() => client.close());
  const discovery = createDiscovery({ client, clock: monotonic });
  const requests = watchRequests(
    client,
    discovery,
    nodeName,
    warn('the watch of certificate requests was interrupted'),
  );
  onClose(() => requests.stop());
  const trust = createTrustAnchors({
    clock: monotonic,
    watchBundles: (selector, onError) => watchClusterTrustBundles(client, discovery, selector, onError),
    onMalformed: (bundle, reason) =>
      log.warn(`ClusterTrustBundle ${bundle} cannot be read; its signer has to mend it`, { reason }),
    onListenerFault: (error) => log.error('trust anchors could not be taken over', { error }),
  });
  onClose(() => trust.stop());
  const events = createEventRecorder({ client, driverName, nodeName, clock: monotonic });
  onClose(() => events.stop(Math.min(lastEventsMs, configuration.shutdownGraceMs)));

  const preflight = startPreflight({
    clock: monotonic,
    requirements: [
      {
        name: 'node',
        check: async (signal) => {
          const path = resourcePath(corePrefix, { resource: 'nodes', name: nodeName });
          await client.request({ method: 'GET', path, signal });
        },
      },
      {
        name: 'certificate-api',
        check: async () => {
          const { apiVersion } = await discovery.podCertificateRequests();
          log.info('the cluster serves PodCertificateRequests', { apiVersion });
        },
      },
    ],
    onMissing: (name, error) => log.error(`the agent cannot work yet: no ${name}`, { error }),
    onMet: (name) => log.info(`the agent has its ${name} now`),
  });
  onClose(() => preflight.stop());

  const keys = createKeyMaker({ rsaConcurrency: configuration.maxConcurrentRsa });
  let { allowedSigners, followSuggestedKeyType } = configuration;
  const registration =
    configuration.registrationDir === undefined
      ? undefined
      : createRegistration({
          directory: configuration.registrationDir,
          driverName,
          endpoint: configuration.csiSocket,
          log,
        });
  /** A watch that is cut off comes back by itself; one that is forbidden or not served brings no answers until somebody acts. */
  const synced = (): boolean => {
    const { synced: isListed, lastError } = requests.health();
    return isListed && lastError?.actor !== 'cluster operator';
  };
  const registered = (): boolean => registration === undefined || registration.state().type === 'registered';
  const manager = createVolumeManager({
    clock,
    keys,
    trust,
    pods: createPodDirectory({ client, nodeName, clock: monotonic }),
    issuer: withAllowList(
      createPodCertificateIssuer(createRequestApi(client, discovery), requests),
      () => allowedSigners,
    ),
    store: createVolumeStore({
      kubeletRoot,
      driverName,
      mode: configuration.volumeMode,
      report: (targetPath, problem) => log.warn(problem, { targetPath }),
    }),
    random: Math.random,
    report: createReporter({ log, metrics, events: events.record }),
    suggestedKeyType,
    followSuggestedKeyType: () => followSuggestedKeyType,
    ready: () => synced() && registered(),
    hindrance: () => requests.health().lastError?.message,
    onFault: (error, what) => log.error(what, { error }),
  });

  let inForce = configuration;
  const applyChange = (change: ConfigurationChange): void => {
    switch (change.type) {
      case 'changed':
        inForce = change.configuration;
        log.setLevel(inForce.logLevel);
        client.setRate(change.configuration);
        ({ allowedSigners, followSuggestedKeyType } = change.configuration);
        log.info('the configuration file has changed', { option: change.options });
        return;
      case 'restartNeeded':
        log.warn('the configuration file has changes that take effect at the next start', { option: change.options });
        return;
      case 'rejected':
        log.error('the configuration file has faults; the earlier configuration stays', { detail: change.faults });
        return;
      default:
        change satisfies never;
    }
  };

  const csi = createCsiServer({
    socketPath: configuration.csiSocket,
    driverName,
    version,
    nodeName,
    driver: manager,
    log,
    publishTimeoutMs: configuration.publishTimeoutMs,
  });
  const readiness = (): readonly HealthCheck[] => {
    const state = registration?.state();
    const reason = state?.type === 'rejected' ? state.error : 'the kubelet has not registered the driver yet';
    return [
      ...preflight.checks(),
      check(
        'certificate-request-watch',
        synced(),
        requests.health().lastError?.message ?? 'the first list is under way',
      ),
      check('kubelet-registration', registered(), reason),
    ];
  };

  metrics.collectFrom({
    credentials: () => manager.snapshot().credentials,
    volumes: () => manager.snapshot().volumes,
    watches: () => [
      { name: 'podcertificaterequests', ...requests.health() },
      ...[...trust.health()].map(([selector, health]) => ({ name: `clustertrustbundles ${selector}`, ...health })),
    ],
    load: client.load,
    clockSkew: skew.seconds,
    readiness,
  });

  try {
    if (configuration.volumeMode === 'tmpfs') assertMountPropagation(readMountTable(), podsDirectory(kubeletRoot));
    // A second agent on the node must find the socket taken before it touches the volumes of the first.
    await csi.claim();
    onClose(async () => {
      const drained = csi.stop(configuration.shutdownGraceMs);
      // Calls that wait for a signer are answered now; the kubelet asks the next agent.
      manager.stop();
      await drained;
    });
    await keys.warmUp();
    const { adopted, unusable } = await manager.recover();
    if (adopted > 0) log.info('volumes of an earlier run are taken up', { count: adopted });
    for (const { targetPath, reason } of unusable) {
      log.error('a volume of an earlier run cannot be taken up; it is left as it is', { targetPath, detail: reason });
    }
    const { metricsAddress, localAddress } = configuration;
    const sources = {
      metrics,
      health: { live: () => [], ready: readiness },
      status: { version, nodeName, driverName, startedAt, now: clock.now, volumes: manager.describe },
      flags: () => flagLines(inForce),
    };
    const shared = { sources, client, clock, monotonic, log };
    const { metricsAuth: auth, tlsCertFile: certFile, tlsKeyFile: keyFile } = configuration;
    const observe =
      metricsAddress && (await openEndpoint({ ...shared, address: metricsAddress, auth, certFile, keyFile }));
    onClose(async () => observe?.close());
    const local = localAddress && (await openEndpoint({ ...shared, address: localAddress, auth: 'auto' }));
    onClose(async () => local?.close());
    if (observe !== undefined) {
      const { host, port } = observe.address;
      log.info('serving metrics and health', { address: `${host}:${port}` });
    }
    const watching = await watchConfiguration({
      configuration,
      parse,
      listener: applyChange,
      onError: (error) => log.warn('the configuration file cannot be watched', { error }),
    });
    onClose(() => watching.close());
    await csi.start();
    onClose(async () => registration?.stop());
    await registration?.start();
    return { observeAddress: observe?.address, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Where the kubelet keeps its pods, by its real path. @throws Error that says what to set */
function podsDirectory(kubeletRoot: string): string {
  const directory = join(kubeletRoot, 'pods');
  try {
    return realpathSync(directory);
  } catch (cause) {
    const message =
      `${directory} cannot be found: set kubelet-root to the kubelet's --root-dir, ` +
      "and mount that directory at the same path into the agent's container";
    throw new Error(message, { cause });
  }
}

function check(name: string, ok: boolean, message: string): HealthCheck {
  return ok ? { name, ok } : { name, ok, message };
}

/** How long the same error is a repetition. */
const repetitionMs = 600_000;

/** Tells whether an error says what the one before it said a short while ago, as in a retry every few seconds. */
function onceAWhile(tell: (error: AgentError, repeated: boolean) => void): (error: AgentError) => void {
  let last = { message: '', at: Number.NEGATIVE_INFINITY };
  return (error) => {
    const repeated = error.message === last.message && performance.now() - last.at < repetitionMs;
    if (!repeated) last = { message: error.message, at: performance.now() };
    tell(error, repeated);
  };
}

function once(task: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= task();
    return running;
  };
}
