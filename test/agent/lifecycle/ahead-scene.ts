/** Issuance ahead of publish calls over plain objects: keys and requests that are names, and a log in words of what is done with them. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CallOptions } from '../../../agent/base/call.ts';
import { type Ahead, createAhead, type Wanted } from '../../../agent/lifecycle/ahead.ts';
import type {
  BoundPods,
  CertificateOrder,
  Issuer,
  Outcome,
  PodIdentity,
  PrivateKey,
} from '../../../agent/lifecycle/ports.ts';
import type { PodReference } from '../../../volumes/base/volume.ts';
import type { PublishRequest } from '../../../volumes/csi/driver.ts';
import type { KeyType } from '../../../volumes/declaration/key-types.ts';
import type { PodCertificateSource } from '../../../volumes/declaration/types.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { now, podCertificate, recordWith } from './plain.ts';

export const source: PodCertificateSource = podCertificate(0, 'tls.pem');

export interface Scene {
  readonly ahead: Ahead;
  readonly clock: ManualClock;
  /** How far the time that is read is from the one that alarms keep to. */
  clockIsOffBy: number;
  /** Keys made, requests made, followed, no longer followed and given up; keys overwritten. */
  readonly did: string[];
  /** With what each key was made, each pod looked up, each request made. */
  readonly calls: { readonly keys: CallOptions[]; readonly pods: CallOptions[]; readonly orders: CertificateOrder[] };
  readonly faults: (readonly [message: string, what: string])[];
  /** Volumes that were foreseen, and their publish calls by volume. */
  readonly asked: string[];
  readonly foreseen: Map<string, PublishRequest>;
  /** What happens before each of these is done; throws where it fails. */
  onForesee: (volumeName: string) => unknown;
  onGenerate: (call: CallOptions) => unknown;
  onName: () => void;
  onIdentify: () => unknown;
  onSubmit: (order: CertificateOrder, signal: AbortSignal) => unknown;
  /** The certificate API that requests are named for. */
  api: string;
  mayBegin: (namespace: string, signerName: string) => boolean;
  readonly followed: Map<string, (outcome: Outcome) => void>;
  listener: Parameters<BoundPods['follow']>[0] | undefined;
  /** Tells of a pod that is bound with these volumes, which are foreseen. */
  bind(requests: readonly PublishRequest[], hostNetwork?: boolean): Promise<void>;
  /** Lets come to its end what waits for nothing but its turn. */
  settle(): Promise<void>;
}

export function podOf(uid: string): PodReference {
  return { namespace: 'shop', name: 'web', uid, serviceAccountName: 'web' };
}

export function requestOf(volumeName: string, sources: readonly PodCertificateSource[], uid = 'uid'): PublishRequest {
  const record = recordWith(sources);
  return { ...record, volumeId: `csi-${volumeName}`, volumeName, pod: podOf(uid), declaration: { sources } };
}

/** What the publish call of a pod with one volume and one certificate asks for. */
export function wanted(changes: Partial<Wanted> = {}): Wanted {
  return { pod: podOf('uid'), volumeName: 'mtls', source, keyType: 'ECDSAP256', ...changes };
}

export function callOf(signal: AbortSignal = new AbortController().signal): CallOptions {
  return { priority: 'first', owner: 'uid', signal };
}

export const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

/** @param lacks what the issuer leaves out of what it may leave out */
export function createScene(lacks: readonly ('abandon' | 'beginsAhead')[] = []): Scene {
  const clock = createManualClock(now);
  let keysMade = 0;

  const keyOf = (keyType: KeyType, name: string, pkcs8: Uint8Array, spki: Uint8Array): PrivateKey => ({
    ...{ keyType, pkcs8, spki, ...unused },
    destroy() {
      pkcs8.fill(0);
      scene.did.push(`wipe ${name}`);
    },
  });

  const identify = async (pod: PodReference, call: CallOptions): Promise<PodIdentity> => {
    scene.calls.pods.push(call);
    await scene.onIdentify();
    return { pod, serviceAccountUID: 'sa', nodeName: 'node-a', nodeUID: 'node', ended: false };
  };

  const whole: Issuer = {
    requestName({ pod, volumeName, sourceIndex, signerName }, spki) {
      scene.onName();
      return `${pod.uid}/${volumeName}/${sourceIndex} of ${signerName} by ${scene.api} for ${textOf(spki)}`;
    },
    async submit(order, key, signal) {
      scene.calls.orders.push(order);
      scene.did.push(`request ${order.requestName} with ${textOf(key.pkcs8)}`);
      await scene.onSubmit(order, signal);
    },
    follow({ namespace, requestName, signerName }, listener) {
      scene.did.push(`follow ${namespace} ${requestName} of ${signerName}`);
      scene.followed.set(requestName, listener);
      return () => {
        scene.followed.delete(requestName);
      };
    },
    verify: () => {
      throw new Error('nothing is verified ahead');
    },
    abandon: ({ namespace, requestName, signerName }) =>
      void scene.did.push(`give up ${namespace} ${requestName} of ${signerName}`),
    beginsAhead: (namespace, signerName) => scene.mayBegin(namespace, signerName),
  };
  const kept = Object.entries(whole).filter(([name]) => !lacks.some((lacking) => lacking === name));

  const scene: Omit<Scene, 'ahead'> = {
    ...{ clock, clockIsOffBy: 0, did: [], faults: [], asked: [], foreseen: new Map(), followed: new Map() },
    calls: { keys: [], pods: [], orders: [] },
    ...{ onForesee: nothing, onGenerate: nothing, onName: nothing, onIdentify: nothing, onSubmit: nothing },
    ...{ api: 'one API', mayBegin: () => true, listener: undefined },
    async bind(requests, hostNetwork = false) {
      const [first] = requests;
      if (first === undefined) {
        throw new Error('no pod is bound');
      }
      const volumes = requests.map((request) => {
        scene.foreseen.set(request.volumeName, request);
        return [request.volumeName, { readOnly: true, attributes: {} }] as const;
      });
      scene.listener?.bound({ pod: first.pod, hostNetwork, volumes: new Map(volumes) });
      await scene.settle();
    },
    async settle() {
      for (let turn = 0; turn < 10; turn += 1) {
        await nextTurn();
      }
    },
  };

  const ahead = createAhead({
    clock: { now: () => clock.now() + scene.clockIsOffBy, at: clock.at },
    keys: {
      async generate(keyType, call) {
        scene.calls.keys.push(call ?? callOf());
        keysMade += 1;
        const name = `key ${keysMade}`;
        scene.did.push(`make ${name}, ${keyType}`);
        await scene.onGenerate(call ?? callOf());
        return keyOf(keyType, name, Buffer.from(name), Buffer.from(name));
      },
      restore: (pkcs8, known, call) =>
        keyOf(
          known?.keyType ?? 'ED25519',
          `the copy of ${textOf(pkcs8)} for ${call?.priority}`,
          pkcs8,
          known?.spki ?? pkcs8,
        ),
      belongs: () => false,
    },
    ...{ issuer: Object.fromEntries(kept) as typeof whole, identify },
    boundPods: {
      follow(listener) {
        scene.listener = listener;
        return () => {
          scene.listener = undefined;
        };
      },
    },
    async foresee(_pod, name) {
      scene.asked.push(name);
      await scene.onForesee(name);
      return scene.foreseen.get(name);
    },
    onFault: (error, what) => scene.faults.push([error instanceof Error ? error.message : String(error), what]),
  });

  return Object.assign(scene, { ahead });
}

const nothing = (): void => undefined;

const unused = {
  proofOfPossession: () => Promise.reject(new Error('nothing is signed here')),
  stubRequest: () => Promise.reject(new Error('nothing is signed here')),
  signedRequest: () => Promise.reject(new Error('nothing is signed here')),
};
