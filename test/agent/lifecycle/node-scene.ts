/** What is around the volumes of a node, played with plain objects: keys, certificates and anchors that are names, and a clock that a test sets. */
import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CallOptions } from '../../../agent/base/call.ts';
import { AgentError } from '../../../agent/base/errors.ts';
import type { Notice } from '../../../agent/lifecycle/notices.ts';
import type {
  Anchors,
  CertificateOrder,
  Issuer,
  LeadsToAnchor,
  Outcome,
  PodIdentity,
  PrivateKey,
} from '../../../agent/lifecycle/ports.ts';
import type { Served, Uptake } from '../../../agent/lifecycle/uptake.ts';
import type { VolumeDependencies } from '../../../agent/lifecycle/volume-runner.ts';
import type { PodReference } from '../../../volumes/base/volume.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { hour, now } from './plain.ts';

export interface NodeScene {
  readonly clock: ManualClock;
  readonly notices: Notice[];
  readonly faults: (readonly [message: string, what: string])[];
  /** Keys made, requests made and given up. */
  readonly did: string[];
  readonly submitted: CertificateOrder[];
  readonly identified: { readonly pod: PodReference; readonly call: CallOptions }[];
  /** Who waits for the answer to each request, and for the anchors of each source. */
  readonly followed: Map<string, (outcome: Outcome) => void>;
  readonly subscribed: Map<number, (anchors: Anchors) => void>;
  /** Publish calls that ask whether their pod ends. */
  readonly asking: Map<() => void, PodReference>;
  /** What was done about what comes after a change of files, by volume. */
  readonly uptake: string[];
  served: Served | undefined;
  /** Volumes that have uptake. */
  hasUptake: boolean;
  /** What happens when it is done; throws where it fails. */
  onGenerate: () => unknown;
  onSubmit: (order: CertificateOrder) => unknown;
  onIdentify: (pod: PodReference) => unknown;
  identity: Partial<PodIdentity>;
  leadsToAnchor: LeadsToAnchor;
  /** What is drawn from [0, 1). */
  draw: number;
  readonly dependencies: VolumeDependencies;
  types(): readonly string[];
  /** Answers the newest request that is waited for. @returns its name */
  answer(outcome?: Outcome, lifetimeMs?: number): Promise<string>;
  announce(anchors: Anchors, index?: number): Promise<void>;
  /** Lets come to its end what waits for nothing but its turn. */
  settle(): Promise<void>;
  /** Lets time pass, and then what waits for its turn. */
  pass(ms: number): Promise<void>;
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

export function found(...names: readonly string[]): Anchors & { readonly type: 'found' } {
  return { type: 'found', certificates: names.map((name) => Buffer.from(name)) };
}

export const missing: Anchors & { readonly type: 'missing' } = { type: 'missing', message: 'no bundle' };
export const denied: Outcome = { type: 'denied', reason: 'No', message: 'not you' };

export function createNodeScene(): NodeScene {
  const clock = createManualClock(now);
  let made = 0;

  const keyNamed = (name: string, pkcs8: Uint8Array): PrivateKey => {
    const unused = async (): Promise<Uint8Array> => assert.fail('nothing is signed here');
    return {
      ...{ keyType: 'ECDSAP256', pkcs8, spki: Buffer.from(name) },
      ...{ proofOfPossession: unused, stubRequest: unused, signedRequest: unused },
      destroy: () => void pkcs8.fill(0),
    };
  };

  const issuer: Issuer = {
    requestName: ({ volumeName, sourceIndex }, spki) => `${volumeName}-${sourceIndex}-${textOf(spki)}`,
    async submit(order) {
      scene.submitted.push(order);
      await scene.onSubmit(order);
    },
    follow({ requestName }, listener) {
      scene.followed.set(requestName, listener);
      return () => scene.followed.delete(requestName);
    },
    abandon: ({ requestName }) => void scene.did.push(`abandon ${requestName}`),
    verify({ certificateChain, notBefore, notAfter, beginRefreshAt }, _spki, _now, withAnchors) {
      const anchors = withAnchors === true ? { anchors: [Buffer.from('issued')] } : {};
      const certificates = [Buffer.from(certificateChain)];
      return { certificates, serialNumber: '0A', notBefore, notAfter, beginRefreshAt, ...anchors };
    },
  };

  const uptake: Uptake = ({ record: { volumeName } }, report) => {
    if (!scene.hasUptake) {
      return undefined;
    }
    const note = (what: string) => () => void scene.uptake.push(`${volumeName} ${what}`);
    return {
      settled() {
        note('settled')();
        report({ type: 'servesCurrent', afterMs: 0, wasTold: false });
      },
      served: () => scene.served,
      stop: note('stopped'),
    };
  };

  const scene: NodeScene = {
    ...{ clock, notices: [], faults: [], did: [], submitted: [], identified: [], uptake: [], draw: 0.5 },
    ...{ followed: new Map(), subscribed: new Map(), asking: new Map(), served: undefined, hasUptake: true },
    ...{
      onGenerate: () => undefined,
      onSubmit: () => undefined,
      onIdentify: () => undefined,
      identity: {},
      leadsToAnchor: () => true,
    },
    get dependencies(): VolumeDependencies {
      return {
        keys: {
          async generate() {
            await scene.onGenerate();
            made += 1;
            return keyNamed(`key${made}`, Buffer.from(`key${made}`));
          },
          restore: (pkcs8) => keyNamed(textOf(pkcs8), pkcs8),
          belongs: (pkcs8, leaf) => textOf(leaf).endsWith(textOf(pkcs8)),
        },
        ...{ issuer, clock, uptake },
        pods: {
          async identify(pod, call) {
            scene.identified.push({ pod, call });
            if (call.signal.aborted) {
              throw new AgentError('Aborted', 'the call was ended by its caller', { actor: 'nobody' });
            }
            await scene.onIdentify(pod);
            const rest = { serviceAccountUID: 'sa', nodeName: 'node-a', nodeUID: 'node', ended: false };
            return { pod, ...rest, ...scene.identity };
          },
        },
        nodePods: {
          list: async () => new Map(),
          onEnding(pod, listener) {
            scene.asking.set(listener, pod);
            return () => scene.asking.delete(listener);
          },
          onAddresses: () => () => undefined,
        },
        suggestedKeyType: () => undefined,
        followSuggestedKeyType: () => false,
        random: () => scene.draw,
        report: (notice) => void scene.notices.push(notice),
        onFault: (error, what) =>
          void scene.faults.push([error instanceof Error ? error.message : String(error), what]),
        trust: {
          subscribe({ index }, listener) {
            scene.subscribed.set(index, listener);
            return () => scene.subscribed.delete(index);
          },
        },
        leadsToAnchor: (...compared) => scene.leadsToAnchor(...compared),
      };
    },
    types: () => scene.notices.map(({ type }) => type),
    async answer(outcome, lifetimeMs = 24 * hour) {
      await scene.settle();
      const [name, listener] = [...scene.followed].at(-1) ?? assert.fail('no request is waited for');
      scene.followed.delete(name);
      const [notBefore, notAfter] = [clock.now(), clock.now() + lifetimeMs];
      const times = { notBefore, notAfter, beginRefreshAt: notBefore + lifetimeMs / 2 };
      listener(outcome ?? { type: 'issued', certificateChain: `chain of ${name}`, ...times });
      await scene.settle();
      return name;
    },
    async announce(anchors, index) {
      for (const [source, listener] of [...scene.subscribed]) {
        if (index === undefined || index === source) {
          listener(anchors);
        }
      }
      await scene.settle();
    },
    async settle() {
      for (let turn = 0; turn < 20; turn += 1) {
        await nextTurn();
      }
    },
    async pass(ms) {
      await scene.settle();
      clock.advance(ms);
      await scene.settle();
    },
  };
  return scene;
}
