/**
 * A world for the lifecycle's runners: real keys and a real volume store in a directory; a clock, an issuer, trust anchors
 * and pods that a test plays.
 */
import { createPublicKey } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { CallOptions, Rank } from '../../../agent/base/call.ts';
import { AgentError } from '../../../agent/base/errors.ts';
import { signsFor } from '../../../agent/keys/belonging.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import { createAhead } from '../../../agent/lifecycle/ahead.ts';
import type { Notice } from '../../../agent/lifecycle/notices.ts';
import type {
  Anchors,
  BoundPods,
  CertificateOrder,
  Issuer,
  KeyMaker,
  LeadsToAnchor,
  ListedPod,
  Outcome,
  PodIdentity,
  PrivateKey,
  TokenDesk,
} from '../../../agent/lifecycle/ports.ts';
import type { Uptake } from '../../../agent/lifecycle/uptake.ts';
import { createVolumeManager, type VolumeManager } from '../../../agent/lifecycle/volume-manager.ts';
import type { OpenVolume, VolumeStore } from '../../../volumes/base/volume.ts';
import type { PublishOutcome, PublishRequest } from '../../../volumes/csi/driver.ts';
import type { Source } from '../../../volumes/declaration/types.ts';
import { createVolumeStore } from '../../../volumes/store.ts';
import { until } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { hour } from './plain.ts';

export { hour, minute, podCertificate, trustBundle } from './plain.ts';

/** A request that the issuer was given. */
export interface Submitted {
  readonly order: CertificateOrder;
  readonly spki: Uint8Array;
}

export interface World {
  readonly clock: ManualClock;
  readonly notices: Notice[];
  readonly submitted: Submitted[];
  /** Requests that a listener waits for. */
  readonly followed: Map<string, (outcome: Outcome) => void>;
  /** Secrets that were in the agent's memory: PKCS#8 DER of every key made, restored or read. */
  readonly secrets: Uint8Array[];
  /** Where each key that was made stood in the line. */
  readonly ranks: Rank[];
  readonly faults: unknown[];
  manager: VolumeManager;
  /** Another manager of the same volumes, for the agent's next run. */
  nextManager(): VolumeManager;
  /** Hears every notice after it was noted. */
  onNotice: (notice: Notice) => void;
  /** Publish calls that ask whether their pod is on its way out. */
  readonly asking: Set<() => void>;
  /** Who waits for the pod's addresses. */
  readonly awaitingAddresses: Set<() => void>;
  /** Tells of pods that are bound to the node; undefined while nobody listens. */
  boundPods: Parameters<BoundPods['follow']>[0] | undefined;
  /** Binds the pod of these calls, which are those that are foreseen. */
  bind(requests: readonly PublishRequest[], hostNetwork?: boolean): void;
  /** Whether requests may be made ahead of publish calls. */
  beginsAhead: boolean;
  /** Requests that were given up. */
  readonly abandoned: string[];
  /** The anchor that comes with certificates, where a source wants one. */
  issuedAnchor: string;
  /** Why no answers arrive. */
  hindrance: string | undefined;
  /** Ends the agent as a crash would, and starts the next one. */
  restart(): Promise<void>;
  /** @param uid default `podUID` */
  request(volumeName: string, sources: readonly Source[], uid?: string): PublishRequest;
  publish(request: PublishRequest, timeoutMs?: number): Promise<PublishOutcome>;
  /** Resolves when nothing has been written for a while of turns, and nothing is being written: what was told of is in the files. */
  written(): Promise<void>;
  /** Resolves when the condition holds; the agent's work is asynchronous. */
  until(condition: () => boolean): Promise<void>;
  /** Answers the newest request that is waited for, as a signer whose clock is ahead. @returns its name */
  answer(outcome: Outcome | 'issue', lifetimeMs?: number, aheadMs?: number): Promise<string>;
  /** Tells all sources of trust anchors, or the one with this index. */
  announce(anchors: Anchors, index?: number): Promise<void>;
  /** Whether a chain leads to anchors. */
  leadsToAnchor: LeadsToAnchor;
  read(request: PublishRequest, file: string): string;
  types(): readonly string[];
}

export interface WorldOptions {
  /** What the API server does with a request, waited for; throws to refuse. */
  readonly onSubmit?: (order: CertificateOrder) => unknown;
  /** True: issuance begins when a pod is bound. */
  readonly ahead?: boolean;
  /** What has to come before a request. */
  readonly prepare?: NonNullable<Issuer['prepare']>;
  /** Where tokens go that the kubelet hands over. */
  readonly tokens?: TokenDesk;
  readonly identity?: (identity: PodIdentity) => PodIdentity;
  readonly followSuggestedKeyType?: boolean;
  /** Whether certificates are to name the pod's addresses. */
  readonly namesAddresses?: boolean;
  /** The node's pods by UID, as the API server lists them; throws where it does not. Default none. */
  readonly listed?: () => ReadonlyMap<string, ListedPod>;
  /** Stands between the agent and its volumes. */
  readonly store?: (store: VolumeStore) => VolumeStore;
  /** What comes after a change of files. Default: nothing. */
  readonly uptake?: Uptake;
  /** The issuer of each run of the agent. Default: one that the test answers for. */
  readonly issuer?: () => Issuer;
  /** Default: one that begins at `worldBegins`. */
  readonly clock?: ManualClock;
  /** A kubelet root that its owner removes, for volumes that are mounted; absent: volumes in directories. */
  readonly mountedBelow?: string;
}

export const worldBegins = Date.UTC(2026, 10, 21);

export const podUID = '0f8b3f4e-7b1c-4f1e-9d3a-2f5f5f6f7a8b';

export async function createWorld(t: TestContext, options: WorldOptions = {}): Promise<World> {
  const kubeletRoot = options.mountedBelow ?? makeDirectory(t);
  const mode = options.mountedBelow === undefined ? 'directory' : 'tmpfs';
  const clock = options.clock ?? createManualClock(worldBegins);
  const listeners = new Map<(anchors: Anchors) => void, number>();
  const foreseen = new Map<string, PublishRequest>();
  let writing = 0;
  const world: World = {
    clock,
    notices: [],
    submitted: [],
    followed: new Map(),
    secrets: [],
    ranks: [],
    faults: [],
    asking: new Set(),
    awaitingAddresses: new Set(),
    abandoned: [],
    manager: undefined as never,
    nextManager: () => createManager(),
    onNotice: () => undefined,
    leadsToAnchor: () => true,
    issuedAnchor: 'anchor',
    hindrance: undefined,
    async restart() {
      world.manager.stop();
      world.followed.clear();
      world.manager = createManager();
      await world.manager.recover();
    },
    boundPods: undefined,
    bind(requests, hostNetwork = false) {
      const [first] = requests;
      if (first === undefined || world.boundPods === undefined) {
        throw new Error('nobody listens');
      }
      const volumes = requests.map((request) => {
        foreseen.set(`${request.pod.uid}/${request.volumeName}`, request);
        return [request.volumeName, { readOnly: true, attributes: {} }] as const;
      });
      world.boundPods.bound({ pod: first.pod, hostNetwork, volumes: new Map(volumes) });
    },
    beginsAhead: true,
    request(volumeName, sources, uid = podUID) {
      const targetPath = join(kubeletRoot, `pods/${uid}/volumes/kubernetes.io~csi/${volumeName}/mount`);
      mkdirSync(dirname(targetPath), { recursive: true });
      const pod = { namespace: 'shop', name: 'web', uid, serviceAccountName: 'web' };
      return { volumeId: `csi-${volumeName}`, targetPath, volumeName, pod, declaration: { sources } };
    },
    publish: (request, timeoutMs = 110_000) =>
      world.manager.publish(request, clock.now() + timeoutMs, new AbortController().signal),
    until: (condition) =>
      until(
        condition,
        () => `${condition}; the notices so far are ${world.notices.map(({ type }) => type).join(', ')}`,
      ),
    async written() {
      for (let quietTurns = 0; quietTurns < 20; quietTurns += 1) {
        await new Promise((resolve) => setImmediate(resolve));
        await world.until(() => {
          quietTurns = writing > 0 ? 0 : quietTurns;
          return writing === 0;
        });
      }
    },
    async answer(outcome, lifetimeMs = 24 * hour, aheadMs = 0) {
      await world.until(() => world.followed.size > 0);
      const [name, listener] = [...world.followed].at(-1) ?? [];
      if (name === undefined || listener === undefined) {
        throw new Error('no request is waited for');
      }
      world.followed.delete(name);
      listener(outcome === 'issue' ? issued(name, clock.now() + aheadMs, lifetimeMs) : outcome);
      await world.written();
      return name;
    },
    async announce(anchors, index) {
      for (const [listener, source] of [...listeners]) {
        if (index === undefined || index === source) {
          listener(anchors);
        }
      }
      await world.written();
    },
    read: (request, file) => readFileSync(join(request.targetPath, file), 'utf8'),
    types: () => world.notices.map(({ type }) => type),
  };

  const keep = (key: PrivateKey): PrivateKey => {
    world.secrets.push(key.pkcs8);
    return key;
  };
  const maker = createKeyMaker();
  const keys: KeyMaker = {
    generate: async (keyType, call) => {
      if (call !== undefined) {
        world.ranks.push(call);
      }
      return keep(await maker.generate(keyType, call));
    },
    restore: (pkcs8) => keep(maker.restore(pkcs8)),
    // The played issuer's certificates are texts that name their request.
    belongs(pkcs8, leaf) {
      if (options.issuer !== undefined) {
        return maker.belongs(pkcs8, leaf);
      }
      const name = Buffer.from(leaf).toString().split(' ').at(-1);
      const spki = world.submitted.find(({ order }) => order.requestName === name)?.spki;
      const key = spki && createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
      return key !== undefined && signsFor(pkcs8, key);
    },
  };

  const issuer: Issuer = {
    requestName: ({ pod, volumeName, sourceIndex }, spki) =>
      `${volumeName}-${sourceIndex}-${pod.uid.slice(0, 4)}-${Buffer.from(spki).toString('hex').slice(-12)}`,
    ...(options.prepare === undefined ? {} : { prepare: options.prepare }),
    async submit(order, key, signal) {
      signal.throwIfAborted();
      world.submitted.push({ order, spki: Uint8Array.from(key.spki) });
      await options.onSubmit?.(order);
      signal.throwIfAborted();
    },
    beginsAhead: () => world.beginsAhead,
    follow({ requestName }, listener) {
      world.followed.set(requestName, listener);
      return () => world.followed.delete(requestName);
    },
    abandon: ({ requestName }) => void world.abandoned.push(requestName),
    namesAddresses: () => options.namesAddresses ?? false,
    verify(outcome, _spki, _now, withAnchors) {
      const { certificateChain, notBefore, notAfter, beginRefreshAt } = outcome;
      if (certificateChain === 'unusable') {
        throw new AgentError('InvalidChain', 'the leaf holds another key', { actor: 'signer' });
      }
      const certificates = [Buffer.from(certificateChain)];
      const anchors = withAnchors === true ? { anchors: [Buffer.from(world.issuedAnchor)] } : {};
      return { certificates, serialNumber: '0A', notBefore, notAfter, beginRefreshAt, ...anchors };
    },
  };

  const identify = async (pod: PublishRequest['pod'], { signal }: CallOptions): Promise<PodIdentity> => {
    signal.throwIfAborted();
    const identity = { pod, serviceAccountUID: 'sa', nodeName: 'node-a', nodeUID: 'node', ended: false };
    return options.identity?.(identity) ?? identity;
  };

  const createManager = (): VolumeManager => {
    const store = createVolumeStore({ kubeletRoot, driverName: 'csi.example', mode, now: clock.now });
    const served = options.issuer?.() ?? issuer;
    const ahead = createAhead({
      ...{ clock, keys, issuer: served, identify },
      boundPods: {
        follow(listener) {
          world.boundPods = listener;
          return () => {
            world.boundPods = undefined;
          };
        },
      },
      foresee: async ({ uid }, name) => foreseen.get(`${uid}/${name}`),
      onFault: (fault) => world.faults.push(fault),
    });
    return createVolumeManager({
      keys,
      issuer: served,
      ...(options.ahead === true ? { ahead } : {}),
      clock,
      pods: { identify },
      ...(options.tokens === undefined ? {} : { tokens: options.tokens }),
      ...(options.uptake === undefined ? {} : { uptake: options.uptake }),
      nodePods: {
        list: async () => options.listed?.() ?? new Map(),
        onEnding(_pod, listener) {
          world.asking.add(listener);
          return () => world.asking.delete(listener);
        },
        onAddresses(_pod, listener) {
          world.awaitingAddresses.add(listener);
          return () => world.awaitingAddresses.delete(listener);
        },
      },
      store: countingWrites(options.store?.(store) ?? store, (by) => {
        writing += by;
      }),
      random: () => 0.5,
      report: (notice) => {
        world.notices.push(notice);
        world.onNotice(notice);
      },
      onFault: (fault) => world.faults.push(fault),
      suggestedKeyType: (reason, message) =>
        reason === 'UnsupportedKeyType' && message.includes('ED25519') ? 'ED25519' : undefined,
      followSuggestedKeyType: () => options.followSuggestedKeyType ?? false,
      trust: {
        subscribe({ index }, listener) {
          listeners.set(listener, index);
          return () => listeners.delete(listener);
        },
      },
      leadsToAnchor: (...compared) => world.leadsToAnchor(...compared),
      ready: () => true,
      hindrance: () => world.hindrance,
    });
  };
  world.manager = createManager();
  t.after(() => world.manager.stop());
  return world;
}

/** A store whose volumes tell when a write begins (1) and ends (-1). */
function countingWrites(store: VolumeStore, count: (by: 1 | -1) => void): VolumeStore {
  const counting = (volume: OpenVolume): OpenVolume => ({
    ...volume,
    async project(contents) {
      count(1);
      try {
        return await volume.project(contents);
      } finally {
        count(-1);
      }
    },
  });
  return {
    ...store,
    create: async (record) => counting(await store.create(record)),
    async recover() {
      const found = await store.recover();
      return { ...found, volumes: found.volumes.map(counting) };
    },
  };
}

function issued(name: string, now: number, lifetimeMs: number): Outcome {
  const certificateChain = `certificate for ${name}`;
  const beginRefreshAt = now + lifetimeMs * 0.8;
  return { type: 'issued', certificateChain, notBefore: now, notAfter: now + lifetimeMs, beginRefreshAt };
}
