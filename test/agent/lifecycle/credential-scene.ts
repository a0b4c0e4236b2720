/**
 * What is around one credential, played with plain objects: a volume that keeps a request and its key, keys that are names,
 * an API that notes what it is asked.
 */
import assert from 'node:assert/strict';
import type { CallOptions } from '../../../agent/base/call.ts';
import type { CredentialState } from '../../../agent/lifecycle/credential-state.ts';
import {
  type CredentialWork,
  createCredentialWork,
  type WorkDependencies,
  type WorkVolume,
} from '../../../agent/lifecycle/credential-work.ts';
import type { CertificateOrder, Issuer, KnownHalf, PodIdentity, PrivateKey } from '../../../agent/lifecycle/ports.ts';
import type { PendingRequest } from '../../../volumes/base/volume.ts';
import type { KeyType } from '../../../volumes/declaration/key-types.ts';
import type { PodCertificateSource } from '../../../volumes/declaration/types.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { answer, begins, lifeOf } from './life.ts';
import { podCertificate, recordWith } from './plain.ts';

export const source = podCertificate(0, 'tls.pem');
export const record = recordWith([source]);
/** Of a pod on the node's network, which has no addresses of its own. */
export const identity: PodIdentity = {
  ...{ pod: record.pod, serviceAccountUID: 'sa', nodeName: 'node-a', nodeUID: 'node', ended: false },
};

type Issued = Parameters<Issuer['verify']>;

export interface Scene {
  readonly clock: ManualClock;
  /** Names of the keys whose private half is in memory. */
  readonly inMemory: Set<string>;
  /** What was asked, each with what it was asked with. */
  readonly generated: { readonly keyType: KeyType; readonly call: CallOptions }[];
  readonly restored: { readonly known: KnownHalf | undefined; readonly call: CallOptions | undefined }[];
  readonly identified: { readonly call: CallOptions; readonly withAddresses: boolean | undefined }[];
  readonly submitted: { readonly order: CertificateOrder; readonly key: string; readonly signal: AbortSignal }[];
  readonly verified: Issued[];
  /** What the volume keeps. */
  pending: PendingRequest | undefined;
  /** Instead of what they do otherwise. */
  onGenerate: () => unknown;
  onSave: () => void;
  onIdentify: () => PodIdentity | Promise<PodIdentity>;
  onSubmit: () => unknown;
  onVerify: () => void;
  readonly volume: WorkVolume;
  readonly issuer: Issuer;
  readonly dependencies: WorkDependencies;
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** @param parts what the API does beyond the rest */
export function createScene(parts: Partial<Issuer> = {}): Scene {
  let stored: Uint8Array | undefined;
  let made = 0;

  const keyNamed = (name: string, pkcs8: Uint8Array = Buffer.from(name)): PrivateKey => {
    scene.inMemory.add(name);
    const unused = async (): Promise<Uint8Array> => assert.fail('nothing is signed here');
    return {
      ...{ keyType: 'ED25519', pkcs8, spki: Buffer.from(`public ${name}`) },
      ...{ proofOfPossession: unused, stubRequest: unused, signedRequest: unused },
      destroy() {
        pkcs8.fill(0);
        scene.inMemory.delete(name);
      },
    };
  };

  const volume: WorkVolume = {
    record,
    pending: () => scene.pending,
    savePending(index, pending, privateKey) {
      assert.equal(index, 0);
      scene.onSave();
      scene.pending = pending;
      stored = Uint8Array.from(privateKey);
    },
    pendingWithKey() {
      assert.ok(scene.pending !== undefined && stored !== undefined, 'there is no request with its key');
      return { pending: scene.pending, privateKey: Uint8Array.from(stored) };
    },
  };

  const issuer: Issuer = {
    requestName: ({ sourceIndex }, spki) => `req-${sourceIndex}-${textOf(spki).replace('public ', '')}`,
    async submit(order, { pkcs8 }, signal) {
      scene.submitted.push({ order, key: textOf(pkcs8), signal });
      await scene.onSubmit();
    },
    follow: () => assert.fail('nothing is followed here'),
    verify(...asked) {
      scene.verified.push(asked);
      scene.onVerify();
      return answer;
    },
    ...parts,
  };

  const scene: Scene = {
    clock: createManualClock(begins),
    ...{ inMemory: new Set(), generated: [], restored: [], identified: [], submitted: [], verified: [] },
    pending: undefined,
    ...{ onGenerate: () => undefined, onSave: () => undefined, onSubmit: () => undefined, onVerify: () => undefined },
    onIdentify: () => identity,
    ...{ volume, issuer },
    get dependencies(): WorkDependencies {
      return {
        keys: {
          async generate(keyType, call) {
            scene.generated.push({ keyType, call: call ?? assert.fail('it stands in no line') });
            await scene.onGenerate();
            made += 1;
            return keyNamed(`key-${made}`);
          },
          restore(pkcs8, known, call) {
            scene.restored.push({ known, call });
            return keyNamed(textOf(pkcs8), pkcs8);
          },
          belongs: () => true,
        },
        pods: {
          async identify(pod, call, withAddresses) {
            assert.equal(pod, record.pod);
            scene.identified.push({ call, withAddresses });
            return scene.onIdentify();
          },
        },
        issuer,
        clock: scene.clock,
        suggestedKeyType: () => undefined,
        followSuggestedKeyType: () => false,
      };
    },
  };
  return scene;
}

export interface Working extends Scene {
  readonly work: CredentialWork;
  readonly stopping: AbortController;
  state: CredentialState;
  /** What was told of a request's waiting, and of the pod's end. */
  readonly told: string[];
}

/** Work for a first certificate. */
export function working(
  parts: Partial<Issuer> = {},
  others: Partial<WorkDependencies> = {},
  asked: PodCertificateSource = source,
): Working {
  const scene = createScene(parts);
  const stopping = new AbortController();
  const told: string[] = [];
  const subject = {
    ...{ volume: scene.volume, source: asked, signal: stopping.signal },
    state: () => all.state,
    heldUp: (requestName: string, waitsFor: string) => void told.push(`${requestName} waits for ${waitsFor}`),
    podEnded: (why: string) => void told.push(`the pod is ${why}`),
  };
  const work = createCredentialWork(subject, { ...scene.dependencies, ...others });
  const all: Working = Object.assign(scene, { work, stopping, told, state: lifeOf().state() });
  return all;
}
