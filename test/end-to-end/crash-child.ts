/**
 * An agent's volume manager that dies, for `crash.test.ts`: over real mounts and a real API, wrapped so that the process kills
 * itself after its n-th effect. Standard output has one line for each phase begun and each effect carried out.
 *
 *     node crash-child.ts <JSON of CrashPlan>
 *
 * First it takes over what the child before it left, as the kubelet would let it: a publish that was not answered is repeated.
 * Then it lives a volume of its own: its first certificate, and after a restart thirteen hours later its refresh.
 */
import { readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { readIssuerRules } from '../../agent/issuance/issuer-rules.ts';
import { verifiesAgainst } from '../../agent/issuance/path.ts';
import { createIssuer } from '../../agent/issuers.ts';
import { createKeyMaker } from '../../agent/keys/key-maker.ts';
import { watchClusterTrustBundles } from '../../agent/kubernetes/bundles.ts';
import { createApiClient } from '../../agent/kubernetes/client.ts';
import { createDiscovery } from '../../agent/kubernetes/discovery.ts';
import { createNodePods } from '../../agent/kubernetes/node-pods.ts';
import { createPodDirectory } from '../../agent/kubernetes/pods.ts';
import { watchRequests } from '../../agent/kubernetes/requests.ts';
import type { Notice } from '../../agent/lifecycle/notices.ts';
import type { Issuer, KeyMaker } from '../../agent/lifecycle/ports.ts';
import { createVolumeManager, type VolumeManager } from '../../agent/lifecycle/volume-manager.ts';
import { createLogger } from '../../agent/observe/log/log.ts';
import { createMonotonicClock } from '../../agent/time/monotonic-clock.ts';
import { createSystemClock } from '../../agent/time/system-clock.ts';
import { createTrustAnchors } from '../../agent/trust/anchors.ts';
import type { OpenVolume, VolumeStore } from '../../volumes/base/volume.ts';
import type { PublishRequest } from '../../volumes/csi/driver.ts';
import { createVolumeStore } from '../../volumes/store.ts';
import { boundMs, withinBound } from '../support/bounded.ts';

/** `issuance`: the first certificate; `refresh`: the second one. */
export type Phase = 'issuance' | 'refresh';

/** One volume below a kubelet root of its own, so that each manager finds its volume only. */
export interface Round {
  readonly kubeletRoot: string;
  readonly request: PublishRequest;
}

export interface CrashPlan {
  readonly server: string;
  readonly ca: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly nodeName: string;
  readonly impersonateNode: boolean;
  readonly driverName: string;
  /** Rules for issuers. */
  readonly issuers: readonly object[];
  /** What an earlier child left, and in which phase it died. */
  readonly left?: Round & { readonly phase: Phase };
  readonly next?: Round;
  /** Number of effects in `next` after which the process dies. */
  readonly dieAfter: number;
}

const hour = 3_600_000;
/** Where the wall clock of each phase stands: certificates live a day and are refreshed from noon on. */
const offsets = { issuance: 0, refresh: 13 * hour } as const satisfies Record<Phase, number>;

const plan: CrashPlan = JSON.parse(process.argv[2] ?? '');
const { server, ca, headers, nodeName, driverName } = plan;
const credentials = { server, tls: { ca }, headers };
const client = createApiClient({
  identity: { name: 'the test', current: async () => credentials, renew: async () => false },
  ...(plan.impersonateNode ? { impersonateNode: nodeName } : {}),
});
const monotonic = createMonotonicClock();
const discovery = createDiscovery({ client, clock: monotonic });
const requests = watchRequests(client, discovery, nodeName, complain);
const nodePods = createNodePods({ client, nodeName, clock: monotonic, onError: complain });
const trust = createTrustAnchors({
  clock: monotonic,
  watchBundles: (selector, onError, take) => watchClusterTrustBundles(client, discovery, selector, onError, take),
  onMalformed: complain,
  onListenerFault: complain,
});

const rules = readIssuerRules(plan.issuers);
if (!rules.ok) {
  throw new Error(rules.fault);
}
const { issuer } = createIssuer(
  { client, discovery, requests, certificateApis: { missed: () => undefined } },
  {
    ...{ nodeName, impersonateNode: plan.impersonateNode, trustDomain: 'cluster.local', rules: () => rules.value },
    clock: createSystemClock(),
    log: createLogger({ level: 'warn', format: 'text', destination: { write: complain } }),
  },
);

if (plan.left !== undefined) {
  await finish(plan.left, plan.left.phase, Number.POSITIVE_INFINITY);
}
if (plan.next !== undefined) {
  let left = plan.dieAfter;
  for (const phase of ['issuance', 'refresh'] as const) {
    left = await finish(plan.next, phase, left);
  }
}
say('done');
process.exit(0);

/** Brings a phase to its end. @returns how many effects of `dieAfter` are left */
async function finish(round: Round, phase: Phase, dieAfter: number): Promise<number> {
  let left = dieAfter;
  say(`phase ${phase}`);
  const carriedOut = (effect: string): void => {
    say(`effect ${effect}`);
    left -= 1;
    // Its own signal reaches a process before the call returns: nothing runs after this line.
    if (left === 0) {
      process.kill(process.pid, 'SIGKILL');
    }
  };
  const renewed = Promise.withResolvers<void>();
  const now = () => Date.now() + offsets[phase];
  const manager = createManager(round, now, carriedOut, (notice) => {
    if ('refreshAt' in notice && notice.refreshAt > now()) {
      renewed.resolve();
    }
  });
  await manager.recover();
  if (phase === 'issuance') {
    await publish(manager, round.request);
  } else {
    await withinBound(renewed.promise, 'the refresh');
  }
  await atRest(round.request);
  await callsAnswered();
  manager.stop();
  return left;
}

/** Waits until no request is under way: what the files hold already is cleared away a few turns after the volume is ready. */
async function atRest({ targetPath }: PublishRequest): Promise<void> {
  const until = performance.now() + boundMs;
  while (readdirSync(join(targetPath, '..agent')).some((name) => name.startsWith('pending-'))) {
    if (performance.now() > until) {
      throw new Error(`a request stays in ${targetPath}`);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Waits until no call is under way, such as the removal of an answered request. */
async function callsAnswered(): Promise<void> {
  const until = performance.now() + boundMs;
  while (client.load().active + client.load().waiting > 0) {
    if (performance.now() > until) {
      throw new Error('a call is not answered');
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Asks like a kubelet, until the volume is there. */
async function publish(manager: VolumeManager, request: PublishRequest): Promise<void> {
  for (;;) {
    const outcome = await manager.publish(request, Date.now() + 60_000, new AbortController().signal);
    if (outcome.type === 'ready') {
      return;
    }
    complain(outcome.message);
  }
}

function createManager(
  { kubeletRoot }: Round,
  now: () => number,
  carriedOut: (effect: string) => void,
  report: (notice: Notice) => void,
): VolumeManager {
  return createVolumeManager({
    clock: createSystemClock({ wallClock: now }),
    keys: watchedKeys(carriedOut),
    issuer: watchedIssuer(issuer, carriedOut),
    store: watchedStore(createVolumeStore({ kubeletRoot, driverName, mode: 'tmpfs' }), carriedOut),
    pods: createPodDirectory({ client, nodeName, clock: monotonic }),
    nodePods,
    trust,
    leadsToAnchor: verifiesAgainst,
    random: Math.random,
    report,
    suggestedKeyType: () => undefined,
    followSuggestedKeyType: () => false,
    ready: () => true,
    onFault: complain,
  });
}

function watchedKeys(carriedOut: (effect: string) => void): KeyMaker {
  const keys = createKeyMaker();
  return {
    ...keys,
    async generate(keyType) {
      const key = await keys.generate(keyType);
      carriedOut('generate');
      return key;
    },
  };
}

function watchedIssuer(issuer: Issuer, carriedOut: (effect: string) => void): Issuer {
  return {
    ...issuer,
    async submit(...values) {
      await issuer.submit(...values);
      carriedOut('submit');
    },
    // The answer is there, and nobody knows it yet.
    verify: after('verify', issuer.verify, carriedOut),
  };
}

function watchedStore(store: VolumeStore, carriedOut: (effect: string) => void): VolumeStore {
  const watched = (volume: OpenVolume): OpenVolume => ({
    ...volume,
    savePending: after('savePending', volume.savePending, carriedOut),
    saveAnswer: after('saveAnswer', volume.saveAnswer, carriedOut),
    // Trust anchors come when they come; what is counted is what every run does in the same order.
    project: (contents) =>
      contents.has(0) ? after('project', volume.project, carriedOut)(contents) : volume.project(contents),
    saveCurrent: after('saveCurrent', volume.saveCurrent, carriedOut),
    discardPending: after('discardPending', volume.discardPending, carriedOut),
  });
  return {
    ...store,
    async create(record) {
      const volume = await store.create(record);
      carriedOut('create');
      return watched(volume);
    },
    async recover() {
      const found = await store.recover();
      return { ...found, volumes: found.volumes.map(watched) };
    },
  };
}

function after<Values extends unknown[], Result>(
  name: string,
  effect: (...values: Values) => Result,
  carriedOut: (effect: string) => void,
): (...values: Values) => Result {
  return (...values) => {
    const result = effect(...values);
    if (result instanceof Promise) {
      result.then(
        () => carriedOut(name),
        () => undefined,
      );
    } else {
      carriedOut(name);
    }
    return result;
  };
}

/** Synchronous: what was said is out when the process dies. */
function say(line: string): void {
  writeSync(1, `${line}\n`);
}

function complain(problem: unknown): void {
  writeSync(2, `${problem instanceof Error ? problem.stack : String(problem)}\n`);
}
