/** Volumes with which something is wrong, with plain objects for the API server, the kubelet's notes and what is done to a volume. */
import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AgentError } from '../../../agent/base/errors.ts';
import type { Notice } from '../../../agent/lifecycle/notices.ts';
import type { ListedPod } from '../../../agent/lifecycle/ports.ts';
import { createStrayVolumes, type Stray, type StrayVolumes } from '../../../agent/lifecycle/stray-volumes.ts';
import type { KubeletNotes, PodReference } from '../../../volumes/base/volume.ts';
import type { PublishRequest } from '../../../volumes/csi/driver.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { now } from './plain.ts';

export const pod: PodReference = { namespace: 'shop', name: 'web', uid: 'uid', serviceAccountName: 'web' };
const sources = '- podCertificate: {signerName: example.com/mesh, keyType: ECDSAP256, credentialBundlePath: tls.pem}';
export const notes: KubeletNotes = { driverName: 'csi.example', volumeName: 'mtls', volumeId: 'csi-mtls' };
export const forgotten: Stray = { targetPath: '/volume', podUID: 'uid', volumeName: 'mtls' };
export const damaged = { ...forgotten, reason: 'its record is damaged' };

export interface Scene {
  readonly strays: StrayVolumes;
  readonly clock: ManualClock;
  /** Calls for the node's pods, and what comes of one. */
  lists: number;
  list: () => Promise<ReadonlyMap<string, ListedPod>>;
  notes: KubeletNotes | 'none' | 'unreadable';
  /** What is known of the pod when it is asked for by its name. */
  isPodGone: boolean;
  /** Pods that were asked for by name, and what happens meanwhile. */
  readonly asked: string[];
  onAsked: () => void;
  readonly healed: (readonly [request: PublishRequest, reason: string])[];
  /** What a healing does; throws where it fails. */
  onHeal: () => unknown;
  readonly removed: Stray[];
  readonly reported: Notice[];
  readonly faults: unknown[];
  /** Lets time pass, and what then waits for nothing but its turn. */
  pass(ms: number): Promise<void>;
}

export function listing(
  attributes: Readonly<Record<string, string>> = { sources },
  volumeName = 'mtls',
): ReadonlyMap<string, ListedPod> {
  return new Map([['uid', { pod, csiVolumes: new Map([[volumeName, { driver: 'csi.example', attributes }]]) }]]);
}

export function createScene(): Scene {
  const clock = createManualClock(now);
  const scene: Omit<Scene, 'strays'> = {
    ...{
      clock,
      lists: 0,
      list: async () => listing(),
      notes,
      isPodGone: true,
      onAsked: () => undefined,
      onHeal: () => undefined,
    },
    ...{ asked: [], healed: [], removed: [], reported: [], faults: [] },
    async pass(ms) {
      await settle();
      clock.advance(ms);
      await settle();
    },
  };
  const strays = createStrayVolumes({
    clock,
    nodePods: {
      list(call) {
        assert.equal(call.priority, 'refresh');
        scene.lists += 1;
        return scene.list();
      },
    },
    store: { kubeletNotes: () => scene.notes },
    report: (notice) => scene.reported.push(notice),
    onFault: (fault) => scene.faults.push(fault),
    async isPodGone({ name }) {
      scene.asked.push(name);
      scene.onAsked();
      return scene.isPodGone;
    },
    async heal(request, reason) {
      scene.healed.push([request, reason]);
      await scene.onHeal();
    },
    async remove(stray) {
      scene.removed.push(stray);
      strays.forget(stray.targetPath);
    },
  });
  return Object.assign(scene, { strays });
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) {
    await nextTurn();
  }
}

export const unavailable = (): Promise<never> =>
  Promise.reject(new AgentError('Unavailable', 'connection refused', { actor: 'nobody' }));
export const nobody = async (): Promise<ReadonlyMap<string, ListedPod>> => new Map();
