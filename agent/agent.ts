/**
 * Puts the agent together from its parts. They start in the order in which they depend on each other (the API server,
 * the volumes that an earlier run left, the kubelet's calls) and stop in the reverse order.
 */
import { createForesight } from '../volumes/csi/foresight.ts';
import { createRegistration, type Registration } from '../volumes/csi/registration.ts';
import { type CsiServer, createCsiServer } from '../volumes/csi/server.ts';
import { assertVolumesReachPods } from '../volumes/mounts/mount-table.ts';
import { createVolumeStore } from '../volumes/store.ts';
import { type ApiSide, openApiSide } from './api-side.ts';
import { type Closers, createClosers } from './base/closers.ts';
import type { AgentConfiguration, ParsedConfiguration } from './configuration/configuration.ts';
import { flagLines } from './configuration/flags.ts';
import { createSettings, type Settings } from './configuration/settings.ts';
import { withAllowList } from './issuance/allow-list.ts';
import { type CertificateReader, createCertificateReader } from './issuance/certificate.ts';
import { suggestedKeyType } from './issuance/key-type-suggestion.ts';
import { verifiesAgainst } from './issuance/path.ts';
import { createIssuer, type Issuers } from './issuers.ts';
import { createKeyMaker, type WarmKeyMaker } from './keys/key-maker.ts';
import type { ListWatchHealth } from './kubernetes/list-watch.ts';
import { createPodDirectory } from './kubernetes/pods.ts';
import { createAhead } from './lifecycle/ahead.ts';
import { createVolumeManager, type PodName, type VolumeManager } from './lifecycle/volume-manager.ts';
import { openEndpoint } from './observe/endpoint/endpoint.ts';
import type { ObserveServer } from './observe/endpoint/http.ts';
import { openProbeSocket } from './observe/endpoint/probe-socket.ts';
import type { HealthCheck } from './observe/health.ts';
import type { Logger } from './observe/log/log.ts';
import { createMetrics, type Metrics } from './observe/metrics/metrics.ts';
import { createReporter } from './observe/notices/notices.ts';
import { isSynced, type WatchState, watchCheck } from './readiness.ts';
import type { Clock } from './time/clock.ts';
import { createMonotonicClock } from './time/monotonic-clock.ts';
import { createSystemClock } from './time/system-clock.ts';
import { withExpiry } from './trust/expiry.ts';
import { createSignaller } from './uptake/processes.ts';
import { createUptake } from './uptake/uptake.ts';

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

/** What all parts of the agent are made with. */
interface SharedParts extends AgentOptions {
  /** The wall clock, for what certificates and people say. */
  readonly clock: Clock;
  /** A clock that never goes back, for waiting. */
  readonly monotonic: Clock;
  readonly metrics: Metrics;
  readonly closers: Closers;
}

/** Whether the agent can do its work. */
interface Health {
  /**
   * The answer to CSI's Probe. It stays good through an outage of the API server, because some clusters restart a
   * driver whose probe fails.
   */
  canServe(): boolean;
  readiness(): readonly HealthCheck[];
}

/**
 * Starts the agent. An API server that is missing or fails does not end it, but makes it unready.
 * @throws VolumeError or the error of `listen` when a socket cannot be served, such as by a second agent on the node
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { configuration, log, version } = options;
  const closers = createClosers((error) => log.error('a part of the agent could not be stopped', { error }));
  const metrics = createMetrics({ version, podMetrics: configuration.podMetrics });
  const clock = createSystemClock();
  const parts: SharedParts = { ...options, clock, monotonic: createMonotonicClock(), metrics, closers };
  const startedAt = clock.now();
  const settings = createSettings({
    ...options,
    onChange(changed) {
      client.setRate(changed);
      // Rules may name another certificate API now.
      api.preflight.doubt();
      manager.relieve({ type: 'rulesChanged' });
    },
  });
  const api = openApiSide({
    ...parts,
    rules: () => settings.current().issuers,
    onRecovered: () => manager.relieve({ type: 'apiServerHeard' }),
    onInUse: (apis) => issuers.inUse(apis),
  });
  const { client, serverClock } = api;
  const registration = registrationOf(options, () => api.startupTaint?.registered());
  let csi: CsiServer | undefined;
  const health = healthOf(
    api,
    () => issuers.standingWatch(),
    registration,
    () => csi,
  );
  const keys = createKeyMaker({ rsaConcurrency: configuration.maxConcurrentRsa });
  // One for all: what is read of an answer is looked at again beside the trust anchors.
  const reader = createCertificateReader();
  const issuers = createIssuer(api, {
    reader,
    nodeName: configuration.nodeName,
    impersonateNode: configuration.impersonateNode,
    trustDomain: configuration.trustDomain,
    rules: () => settings.current().issuers,
    clock,
    log,
  });
  closers.add(() => issuers.stop());
  const manager = createManager(parts, api, issuers, { keys, reader }, settings, health);
  metrics.collectFrom({
    credentials: manager.credentials,
    volumes: manager.count,
    anchorWaits: manager.anchorWaits,
    served: manager.served,
    unusableVolumes: manager.unusable,
    watches: () => [...api.watches(), ...issuers.watches()],
    load: client.load,
    eventsDropped: api.events.dropped,
    clockSkew: serverClock.skewSeconds,
    readiness: health.readiness,
  });
  try {
    csi = await claimNode(parts, manager);
    const judged = keys.warmUp();
    const opened = takeUpVolumes(manager, log).then(() =>
      openEndpoints(parts, api, manager, settings, health, startedAt),
    );
    // Both have ended before anything is closed.
    await Promise.allSettled([judged, opened]);
    await judged;
    const endpoint = await opened;
    const watching = await settings.watch();
    closers.add(() => watching.close());
    await csi.start();
    closers.add(async () => registration?.stop());
    await (registration === undefined ? api.startupTaint?.registered() : registration.start());
    return { observeAddress: endpoint?.address, stop: closers.close };
  } catch (error) {
    await closers.close();
    throw error;
  }
}

function registrationOf({ configuration, log }: AgentOptions, onRegistered: () => void): Registration | undefined {
  const { registrationDir: directory, driverName, csiSocket: endpoint } = configuration;
  return directory === undefined
    ? undefined
    : createRegistration({ directory, driverName, endpoint, log, onRegistered });
}

function healthOf(
  { requests, preflight, startupTaint }: ApiSide,
  standingWatch: () => ListWatchHealth | undefined,
  registration: Registration | undefined,
  csi: () => CsiServer | undefined,
): Health {
  const isRegistered = (): boolean => registration === undefined || registration.state().type === 'registered';
  return {
    canServe: () => isSynced(requests.health() ?? notOpen) && isRegistered(),
    readiness() {
      const state = registration?.state();
      const reason = state?.type === 'rejected' ? state.error : 'the kubelet has not registered the driver yet';
      return [
        ...preflight.checks(),
        watchCheck(standingWatch() ?? requests.health() ?? notOpen),
        socketCheck(csi()),
        check('kubelet-registration', isRegistered(), reason),
        ...(startupTaint === undefined ? [] : [startupTaint.check()]),
      ];
    },
  };
}

/** A copy that nobody needs keeps nothing away. */
const notOpen: WatchState = { synced: true, lastError: undefined, failingForMs: 0 };

/** Without the CSI socket no volume is published or unpublished. */
function socketCheck(csi: CsiServer | undefined): HealthCheck {
  const problem = csi === undefined ? 'the CSI socket is not served yet' : csi.problem();
  return check('csi-socket', problem === undefined, problem ?? '');
}

function check(name: string, ok: boolean, message: string): HealthCheck {
  return ok ? { name, ok } : { name, ok, message };
}

function createManager(
  { configuration, log, clock, monotonic, metrics }: SharedParts,
  api: ApiSide,
  issuers: Issuers,
  { keys, reader }: { readonly keys: WarmKeyMaker; readonly reader: CertificateReader },
  settings: Settings,
  health: Health,
): VolumeManager {
  const { nodeName, kubeletRoot, driverName, volumeMode: mode } = configuration;
  const { client, trust, events, serverClock } = api;
  const onProblem = (targetPath: string, problem: string): void => log.warn(problem, { targetPath });
  const onFault = (error: unknown, what: string): void => log.error(what, { error });
  const pods = createPodDirectory({ client, nodeName, clock: monotonic });
  const issuer = withAllowList(issuers.issuer, () => settings.current().allowedSigners);
  const foresee = createForesight(kubeletRoot);
  const { boundPods } = api;
  const ahead = configuration.issueAhead
    ? { ahead: createAhead({ clock, keys, issuer, boundPods, identify: pods.identifyBound, foresee, onFault }) }
    : {};
  const signals = configuration.reloadSignals ? { signaller: createSignaller() } : {};
  return createVolumeManager({
    clock,
    serverTime: serverClock.now,
    keys,
    trust: withExpiry(trust, clock),
    leadsToAnchor: (chain, anchors, now) => verifiesAgainst(chain, anchors, now, reader),
    pods,
    nodePods: api.nodePods,
    ...ahead,
    ...(issuers.tokenDesk === undefined ? {} : { tokens: issuers.tokenDesk }),
    issuer,
    store: createVolumeStore({ kubeletRoot, driverName, mode, onProblem }),
    random: Math.random,
    report: createReporter({ log, metrics, events: events.record }),
    suggestedKeyType,
    followSuggestedKeyType: () => settings.current().followSuggestedKeyType,
    ready: health.canServe,
    hindrance: issuers.hindrance,
    uptake: createUptake({ clock, random: Math.random, pods, onFault, ...signals }),
    onFault,
  });
}

/** Takes the driver's socket. A second agent on the node finds it taken before it touches the volumes of the first. */
async function claimNode(
  { configuration, log, version, metrics, closers }: SharedParts,
  manager: VolumeManager,
): Promise<CsiServer> {
  const { csiSocket: socketPath, driverName, nodeName, volumeCondition } = configuration;
  const { publishTimeoutMs, shutdownGraceMs } = configuration;
  if (configuration.volumeMode === 'tmpfs') {
    assertVolumesReachPods(configuration.kubeletRoot);
  }
  const names = { socketPath, driverName, version, nodeName };
  const onRefused = (method: string, code: string): void => metrics.count('refusedCalls', { method, code });
  const csi = createCsiServer({ ...names, driver: manager, volumeCondition, log, publishTimeoutMs, onRefused });
  await csi.claim();
  closers.add(async () => {
    const drained = csi.stop(shutdownGraceMs);
    // Calls that wait for a signer are answered now; the kubelet asks the next agent.
    manager.stop();
    await drained;
  });
  return csi;
}

async function takeUpVolumes(manager: VolumeManager, log: Logger): Promise<void> {
  const { adopted, unusable } = await manager.recover();
  if (adopted > 0) {
    log.info('volumes of an earlier run are taken up', { count: adopted });
  }
  // Most come right by themselves, such as one that a crash left without a record; what does not is an error when that is known.
  for (const { targetPath, reason } of unusable) {
    log.warn('a volume of an earlier run cannot be taken up; its pod is looked for', { targetPath, detail: reason });
  }
}

/** Opens the socket for probes and the addresses for metrics, health and status. @returns the one for Prometheus, if there is one */
async function openEndpoints(
  { configuration, log, version, clock, monotonic, metrics, closers }: SharedParts,
  { client }: ApiSide,
  manager: VolumeManager,
  settings: Settings,
  health: Health,
  startedAt: number,
): Promise<ObserveServer | undefined> {
  const { metricsAddress, localAddress, nodeName, driverName, probeSocket } = configuration;
  const { metricsAuth: auth, tlsCertFile: certFile, tlsKeyFile: keyFile } = configuration;
  const sources = {
    metrics,
    health: { live: () => [], ready: health.readiness },
    status: { version, nodeName, driverName, startedAt, now: clock.now, volumes: manager.describe },
    flags: () => flagLines(settings.current()),
  };
  const retry = {
    volumes: manager.describe,
    wake: (pod?: PodName) => manager.relieve({ type: 'operatorAsks' }, pod),
  };
  closers.add(await openProbeSocket({ ...sources, path: probeSocket, retry, log }));
  const shared = { sources, client, clock, monotonic, log };
  const open = async (options: Parameters<typeof openEndpoint>[0]): Promise<ObserveServer> => {
    const server = await openEndpoint(options);
    closers.add(() => server.close());
    return server;
  };
  const endpoint = metricsAddress && (await open({ ...shared, address: metricsAddress, auth, certFile, keyFile }));
  if (localAddress !== undefined) {
    await open({ ...shared, address: localAddress, auth: 'auto' });
  }
  if (endpoint !== undefined) {
    const { host, port } = endpoint.address;
    log.info('serving metrics and health', { address: `${host}:${port}` });
  }
  return endpoint;
}
