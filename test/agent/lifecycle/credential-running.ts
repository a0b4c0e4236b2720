/** One credential that runs, with plain objects around it that note, in words, what it does. */
import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type CredentialRunner, runCredential } from '../../../agent/lifecycle/credential-runner.ts';
import type { Notice } from '../../../agent/lifecycle/notices.ts';
import type { Hurdle, Issuer, Outcome } from '../../../agent/lifecycle/ports.ts';
import type { IssuedChain, Setback, TrustRecord } from '../../../volumes/base/volume.ts';
import { createScene, record, type Scene, source } from './credential-scene.ts';
import { answer, begins, hour } from './life.ts';

type Kept = ReturnType<Parameters<typeof runCredential>[0]['kept']>;

export interface Running extends Scene {
  readonly runner: CredentialRunner;
  /** What was done to the volume and the request, and what the volume was told, in order. */
  readonly did: string[];
  readonly reported: Notice[];
  readonly faults: unknown[];
  /** How often it was said that the state may be another one. */
  changes: number;
  /** Who waits for the answer to the request. */
  following: ((outcome: Outcome) => void) | undefined;
  hindering: ((hurdle: Hurdle) => void) | undefined;
  /** Who waits for addresses of the pod. */
  readonly awaiting: Set<() => void>;
  readonly savedSetbacks: (Setback | undefined)[];
  readonly savedTrusts: TrustRecord[];
  /** Instead of doing nothing more. */
  onProject: () => void;
  onDiscard: () => void;
  onSaveAnswer: () => unknown;
  onSaveRecord: () => void;
  /** What is drawn from [0, 1). */
  random: () => number;
  /** Lets come to its end what waits for nothing but its turn. */
  settle(): Promise<void>;
  /** Lets an answer come that the checks make this of. */
  answers(outcome: Outcome | 'issue', made?: IssuedChain): Promise<void>;
}

const issued: Outcome = {
  ...{ type: 'issued', certificateChain: 'a chain', notBefore: begins, notAfter: begins + hour },
  beginRefreshAt: begins,
};

interface Options {
  readonly kept?: Partial<Kept>;
  readonly isProjected?: boolean;
  readonly issuer?: Partial<Issuer>;
  readonly suggested?: 'ECDSAP256';
}

/** A credential that begins; without a certificate unless `kept` has one. */
export function running({ kept, isProjected = true, issuer, suggested }: Options = {}): Running {
  const did: string[] = [];
  let made = answer;
  const scene = createScene({
    follow({ namespace, requestName, signerName }, listener, onHurdle) {
      did.push(`follow ${namespace}/${requestName} of ${signerName}`);
      Object.assign(all, { following: listener, hindering: onHurdle });
      return () => void did.push('unfollow');
    },
    abandon: ({ namespace, requestName, signerName }) =>
      void did.push(`abandon ${namespace}/${requestName} of ${signerName}`),
    verify: () => made,
    ...issuer,
  });
  const isOurs = (index: number): void => assert.equal(index, 0);
  const surroundings: Omit<Running, keyof Scene | 'runner'> = {
    ...{ did, reported: [], faults: [], changes: 0, following: undefined, hindering: undefined, awaiting: new Set() },
    ...{ savedSetbacks: [], savedTrusts: [] },
    ...{ onProject: () => undefined, onDiscard: () => undefined },
    ...{ onSaveAnswer: () => undefined, onSaveRecord: () => undefined, random: () => 0.5 },
    async settle() {
      for (let turn = 0; turn < 3; turn += 1) {
        await nextTurn();
      }
    },
    async answers(outcome, chain = answer) {
      made = chain;
      all.following?.(outcome === 'issue' ? issued : outcome);
      await all.settle();
    },
  };
  const all = Object.assign(scene, surroundings) as Running;
  const volume = {
    ...scene.volume,
    kept: () => ({ current: undefined, trust: undefined, pending: undefined, setback: undefined, ...kept }),
    isProjected: () => isProjected,
    async saveAnswer(index: number, _requestName: string, { serialNumber }: IssuedChain) {
      isOurs(index);
      await all.onSaveAnswer();
      did.push(`save answer ${serialNumber}`);
    },
    saveSetback(index: number, setback: Setback | undefined) {
      isOurs(index);
      all.onSaveRecord();
      all.savedSetbacks.push(setback);
    },
    saveTrust(index: number, trust: TrustRecord) {
      isOurs(index);
      all.onSaveRecord();
      all.savedTrusts.push(trust);
    },
  };
  const host = {
    project(
      index: number,
      { certificate, answer: written }: { certificate: { requestName: string }; answer: IssuedChain },
    ) {
      isOurs(index);
      did.push(`project ${written.serialNumber} of ${certificate.requestName}`);
      all.onProject();
    },
    discard(index: number) {
      isOurs(index);
      all.onDiscard();
      did.push('discard');
    },
    podEnded: (why: string) => void did.push(`the pod is ${why}`),
    podLives: () => void did.push('the pod lives'),
    fault(index: number, error: unknown) {
      isOurs(index);
      all.faults.push(error);
    },
    changed() {
      all.changes += 1;
    },
  };
  const runner = runCredential(volume, { ...source, keyType: 'ED25519' }, host, {
    ...scene.dependencies,
    suggestedKeyType: () => suggested,
    followSuggestedKeyType: () => true,
    nodePods: {
      list: () => assert.fail('nothing is listed here'),
      onEnding: () => assert.fail('nobody asks whether the pod ends'),
      onAddresses(pod, listener) {
        assert.equal(pod, record.pod);
        all.awaiting.add(listener);
        return () => all.awaiting.delete(listener);
      },
    },
    random: () => all.random(),
    report: (notice) => all.reported.push(notice),
  });
  return Object.assign(all, { runner });
}

/** One whose request is with the signer. */
export async function asking(options: Options = {}): Promise<Running> {
  const scene = running(options);
  await scene.settle();
  assert.equal(scene.runner.state().name, 'awaiting');
  return scene;
}
