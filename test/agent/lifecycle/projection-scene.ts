/** A projection over a volume that notes, in words, what is done to it and what is told; with keys and certificates that are names. */
import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createProjection, type Projection, type Staged } from '../../../agent/lifecycle/projection.ts';
import { VolumeError, type VolumeErrorCode } from '../../../volumes/base/errors.ts';
import type { CertificateRecord, IssuedChain, SourceContent } from '../../../volumes/base/volume.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import { certificate, now, podCertificate, recordWith, trustBundle } from './plain.ts';

interface Scene {
  projection: Projection;
  readonly clock: ManualClock;
  /** What was done to the volume, and what was told. */
  readonly did: string[];
  /** Every key that was read, and what each was when it was written. */
  readonly keys: Uint8Array[];
  readonly projectedKeys: string[];
  /** What lies in the volume as the key of an answer, by its name; a code of an error: it cannot be read for that. */
  keyOf: (name: string) => string;
  /** Why nothing can be written, or what matches `refused`. */
  fault: Error | undefined;
  refused: RegExp;
  leftover: Error | undefined;
  result: 'written' | 'unchanged';
  onProject: (text: string) => void;
  /** These sources have files from an earlier run. */
  fill(...indices: readonly number[]): void;
  /** They have, with these certificates, by source. */
  fillWith(certificates: readonly CertificateRecord[]): void;
  /** The next write lasts until the gate is opened. */
  hold(): PromiseWithResolvers<void>;
  /** Lets come to its end what waits for nothing but its turn. */
  settle(): Promise<void>;
}

const unreadable: ReadonlySet<string> = new Set<VolumeErrorCode>(['Corrupt', 'Tampered', 'NoSpace']);

export function createScene(...kinds: readonly ('certificate' | 'anchors')[]): Scene {
  const clock = createManualClock(now);
  const sources = kinds.map((kind, index) =>
    kind === 'certificate' ? podCertificate(index, `${index}.pem`) : trustBundle(index, `${index}.pem`),
  );
  const { did, keys, projectedKeys }: Pick<Scene, 'did' | 'keys' | 'projectedKeys'> = {
    did: [],
    keys: [],
    projectedKeys: [],
  };
  let held: PromiseWithResolvers<void> | undefined;
  let current: readonly CertificateRecord[] = [];
  /** By source: whose answer was kept last. */
  const kept = new Map<number, string>();

  const create = (indices: readonly number[]): Projection =>
    createProjection(
      {
        record: recordWith(sources),
        projected: () => new Set(indices),
        current: (index) => current[index],
        async saveAnswer(index, _requestName, answer) {
          const name = textOf(answer.certificates[0]).replace('chain of ', '');
          kept.set(index, name);
          did.push(`keep the answer to ${name}`);
        },
        readPendingKey(index) {
          const text = scene.keyOf(kept.get(index) ?? '');
          if (unreadable.has(text)) {
            throw new VolumeError(text as VolumeErrorCode, text);
          }
          const key = Uint8Array.from(Buffer.from(text));
          keys.push(key);
          return key;
        },
        async project(contents) {
          const text = [...contents].map(([index, content]) => `${index}: ${inWords(content)}`).join('; ');
          did.push(`project ${text}`);
          projectedKeys.push(...[...contents.values()].flatMap(keyIn));
          scene.onProject(text);
          const gate = held;
          held = undefined;
          await gate?.promise;
          if (scene.fault !== undefined && scene.refused.test(text)) {
            throw scene.fault;
          }
          return scene.result;
        },
        async saveCurrent(_index, { requestName }, chain, anchors = []) {
          did.push(`make ${requestName} current, ${[...chain, ...anchors].map(textOf)}`);
        },
        discardPending(index) {
          if (scene.leftover !== undefined) {
            throw scene.leftover;
          }
          did.push(`discard the request of ${index}`);
        },
      },
      {
        clock,
        random: () => 0.5,
        belongs(key, leaf) {
          assert.ok(leaf.length > 0, 'there is no such certificate');
          return `chain of ${textOf(key).replace('key of ', '')}` === textOf(leaf);
        },
        onWritten: (index, _content, { first, changed }) =>
          did.push(`note of ${index}: written, ${first ? 'first' : 'again'}, ${changed ? 'changed' : 'unchanged'}`),
        onKept: (index, requestName) => did.push(`note of ${index}: ${requestName} is kept`),
        onNotWritten: (index, _content, cause, retryAt) =>
          did.push(`note of ${index}: not written, ${messageOf(cause)}, again in ${retryAt - clock.now()} ms`),
        onUnfit: (index, why) => did.push(`note of ${index}: unfit, ${why}`),
        onLeftover: (index, cause) => did.push(`note of ${index}: left over, ${messageOf(cause)}`),
      },
    );

  const scene: Scene = {
    ...{ projection: create([]), clock, did, keys, projectedKeys },
    keyOf: (name) => `key of ${name}`,
    ...{ fault: undefined, refused: /./, leftover: undefined, result: 'written', onProject: () => undefined },
    fill(...indices) {
      scene.projection = create(indices);
    },
    fillWith(certificates) {
      current = certificates;
      scene.projection = create([...certificates.keys()]);
    },
    hold() {
      held = Promise.withResolvers();
      return held;
    },
    async settle() {
      for (let turn = 0; turn < 20; turn += 1) {
        await nextTurn();
      }
    },
  };
  return scene;
}

export function answerOf(name: string): IssuedChain {
  const { serialNumber, notBefore, notAfter, beginRefreshAt } = certificate;
  return { certificates: [Buffer.from(`chain of ${name}`)], serialNumber, notBefore, notAfter, beginRefreshAt };
}

export function credentialOf(name: string): Staged & { readonly kind: 'credential' } {
  return { kind: 'credential', certificate: { ...certificate, requestName: name }, answer: answerOf(name) };
}

export function bundleOf(name: string): Staged {
  return { kind: 'trustAnchors', certificates: [Buffer.from(name)] };
}

function inWords(content: SourceContent): string {
  if (content.kind === 'trustAnchors') {
    return content.certificates.map(textOf).join();
  }
  if (content.kind === 'issuedAnchors') {
    return content.anchors.map(textOf).join();
  }
  const { certificates, privateKey, ...rest } = content;
  const more = 'anchors' in rest ? (rest.anchors?.map(textOf) ?? ['undefined']) : [];
  return [...certificates.map(textOf), textOf(privateKey), ...more].join(', ');
}

function keyIn(content: SourceContent): readonly string[] {
  return content.kind === 'credential' ? [textOf(content.privateKey)] : [];
}

function textOf(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
