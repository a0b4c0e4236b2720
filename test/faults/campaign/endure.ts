/** One fault from its beginning to when all is well again, and what has to hold meanwhile. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { boundMs } from '../../support/bounded.ts';
import { type Stage, type StageOptions, type Subject, startStage, type Taken } from './stage.ts';

export interface Fault {
  readonly title: string;
  /** Brings it about. @returns ends it */
  begin(stage: Stage, subjects: readonly Subject[]): Promise<() => unknown> | (() => unknown);
  readonly lastsMs: number;
  /** How long after its end, at the latest, certificates are renewed again; what a busy machine needs comes on top. */
  readonly recoversWithinMs: number;
  /** False: new pods are not tried. Default true. */
  readonly withNewPods?: boolean;
}

/** Files that are open for a moment, and connections that are kept. */
const fewFiles = 12;

/**
 * Lets a fault happen to some subjects, while a new pod of each waits for its first certificate. Afterwards each has another certificate
 * than those known when it ended, and the new pods run. @returns how long the renewals took, milliseconds
 */
export async function endure(stage: Stage, fault: Fault, subjects: readonly Subject[]): Promise<number> {
  const { withNewPods = true } = fault;
  const { admin } = stage.node.cluster;
  const end = await fault.begin(stage, subjects);
  const late = withNewPods ? await Promise.all(subjects.map((subject) => stage.createPod(subject))) : [];
  await delay(fault.lastsMs);
  const known = subjects.map((subject) => subject.serials());
  await end();
  const endedAt = performance.now();
  // A machine that others use too takes longer.
  const ms = fault.recoversWithinMs + boundMs;
  await Promise.all(
    subjects.map(async (subject, index) => {
      const renewed = subject.renewed(known[index] ?? new Set(), ms);
      const { notBefore, notAfter } = await renewed.catch((cause: unknown) => {
        throw new Error(`after this fault, ${fault.title}, nothing is renewed through ${subject.signer.api}`, {
          cause,
        });
      });
      const now = Date.now();
      assert.ok(notAfter > now, `${fault.title}: the renewed certificate has expired`);
      assert.ok(notBefore <= now, `${fault.title}: the renewed certificate is not valid yet`);
    }),
  );
  const tookMs = performance.now() - endedAt;
  await Promise.all(late.map((pod) => admin.podRunning('default', pod)));
  await Promise.all(late.map((pod) => admin.deletePod('default', pod)));
  return tookMs;
}

const apis = ['podCertificateRequest', 'certificateSigningRequest', 'certManager'] as const;

/** One fault after the other, each through every certificate API. */
export async function endureAll(
  t: TestContext,
  faults: readonly Fault[],
  options: Omit<StageOptions, 'signers'>,
): Promise<void> {
  const stage = await startStage(t, { signers: apis.map((api) => ({ api, name: 'mesh' })), ...options });
  const before = stage.taken();
  for (const fault of faults) {
    const tookMs = await endure(stage, fault, stage.subjects);
    t.diagnostic(`${fault.title}: ${Math.round(tookMs)} ms, ${JSON.stringify(stage.taken())}`);
  }
  assert.deepEqual(await stage.wrong(), []);
  assertFlat(before, stage.taken(), 64);
}

/** What a process takes has not grown with what it went through. */
export function assertFlat(before: Taken, after: Taken, moreMiB: number): void {
  const told = `from ${JSON.stringify(before)} to ${JSON.stringify(after)}`;
  assert.ok(after.files <= before.files + fewFiles, `open files grew ${told}`);
  assert.ok(after.memoryMiB <= before.memoryMiB + moreMiB, `memory grew ${told}`);
}
