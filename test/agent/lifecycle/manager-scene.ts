/** All volumes of a node that lie in memory, and the calls for them. */
import type { ListedPod } from '../../../agent/lifecycle/ports.ts';
import { createVolumeManager, type VolumeManager } from '../../../agent/lifecycle/volume-manager.ts';
import type { KubeletNotes, VolumeRecord, VolumeStore } from '../../../volumes/base/volume.ts';
import type { PublishOutcome, PublishRequest } from '../../../volumes/csi/driver.ts';
import type { Source } from '../../../volumes/declaration/types.ts';
import { createMemoryVolume, type MemoryVolume } from './memory-volume.ts';
import { createNodeScene, type NodeScene } from './node-scene.ts';
import { podCertificate } from './plain.ts';

type Left = Awaited<ReturnType<VolumeStore['recover']>>;

export interface ManagerScene extends NodeScene {
  readonly manager: VolumeManager;
  /** What the store has, by target path. */
  readonly volumes: Map<string, MemoryVolume>;
  /** What was done to the store, about issuance ahead of calls, and about tokens. */
  readonly stored: string[];
  readonly ahead: string[];
  readonly tokens: string[];
  /** What happens when it is done; throws where it fails. */
  onCreate: (record: VolumeRecord) => unknown;
  onRemove: (targetPath: string) => unknown;
  /** What an earlier run left. */
  left: Left;
  readonly notes: Map<string, KubeletNotes>;
  listed: ReadonlyMap<string, ListedPod>;
  lists: number;
  isReady: boolean;
  hindrance: string | undefined;
  /** The requests that were asked about. */
  readonly hindered: (readonly string[])[];
  publish(request: PublishRequest, timeoutMs?: number, signal?: AbortSignal): Promise<PublishOutcome>;
  /** Publishes a volume and answers its request. */
  serve(request: PublishRequest): Promise<void>;
}

export const certificate: Source = podCertificate(0, 'tls.pem');

export function requestFor(
  volumeName: string,
  sources: readonly Source[] = [certificate],
  uid = 'uid',
): PublishRequest {
  const pod = { namespace: 'shop', name: `web-${uid}`, uid, serviceAccountName: 'web' };
  const targetPath = `/${uid}/${volumeName}`;
  return { volumeId: `csi-${uid}-${volumeName}`, targetPath, volumeName, pod, declaration: { sources } };
}

export function recordFor(request: PublishRequest): VolumeRecord {
  return { ...request, owner: { kind: 'none' } };
}

type Optional = 'ahead' | 'tokens' | 'hindrance';

/** @param without what the agent does not do */
export function createManagerScene(without: readonly Optional[] = []): ManagerScene {
  const node = createNodeScene();
  const own: Omit<ManagerScene, keyof NodeScene | 'manager'> = {
    ...{ volumes: new Map(), stored: [], ahead: [], tokens: [], notes: new Map(), listed: new Map(), lists: 0 },
    ...{ onCreate: () => undefined, onRemove: () => undefined, left: { volumes: [], unusable: [] } },
    ...{ isReady: true, hindrance: undefined, hindered: [] },
    publish: (request, timeoutMs = 10_000, signal = new AbortController().signal) =>
      scene.manager.publish(request, scene.clock.now() + timeoutMs, signal),
    async serve(request) {
      const published = scene.publish(request);
      await scene.answer();
      await published;
    },
  };
  const scene = Object.assign(node, own) as ManagerScene;
  const store: VolumeStore = {
    async create(record) {
      scene.stored.push(`create ${record.targetPath}`);
      await scene.onCreate(record);
      const volume = createMemoryVolume(record);
      scene.volumes.set(record.targetPath, volume);
      return volume;
    },
    recover: async () => scene.left,
    kubeletNotes: (targetPath) => scene.notes.get(targetPath) ?? 'none',
    async remove(targetPath) {
      scene.stored.push(`remove ${targetPath}`);
      await scene.onRemove(targetPath);
      scene.volumes.delete(targetPath);
    },
  };
  const { ahead, tokens, hindrance, ...rest }: Required<Parameters<typeof createVolumeManager>[0]> = {
    ...(scene.dependencies as Required<typeof scene.dependencies>),
    store,
    nodePods: {
      ...scene.dependencies.nodePods,
      async list() {
        scene.lists += 1;
        return scene.listed;
      },
    },
    ahead: {
      start: () => void scene.ahead.push('start'),
      called: ({ uid }) => void scene.ahead.push(`called ${uid}`),
      take: async () => undefined,
      stop: () => void scene.ahead.push('stop'),
    },
    tokens: {
      take: ({ uid }, signerNames, given) => void scene.tokens.push(`take ${uid} ${signerNames}: ${given?.()}`),
      forget: ({ uid }) => void scene.tokens.push(`forget ${uid}`),
    },
    ready: () => scene.isReady,
    hindrance(requestNames) {
      scene.hindered.push(requestNames);
      return scene.hindrance;
    },
  };
  const optional = Object.entries({ ahead, tokens, hindrance }).filter(
    ([name]) => !without.some((one) => one === name),
  );
  return Object.assign(scene, { manager: createVolumeManager({ ...rest, ...Object.fromEntries(optional) }) });
}
