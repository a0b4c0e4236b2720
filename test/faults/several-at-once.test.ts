/**
 * The short form of `signers.test.ts`, `servers.test.ts` and `clocks.test.ts`: some of their faults, all at once, before the eyes of a
 * reader that is a process of its own.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountSkip } from '../volumes/support.ts';
import { endure, type Fault } from './campaign/endure.ts';
import type { Conduct } from './campaign/signers.ts';
import { startStage } from './campaign/stage.ts';

const lastsMs = 3_000;
const recoversWithinMs = 5_000;

const conducts: readonly Conduct[] = [
  { does: 'deny' },
  { does: 'issue a chain', which: 'for another key' },
  { does: 'issue a chain', which: 'of a block that is cut off' },
  { does: 'lose requests', when: 'asked' },
  { does: 'issue a chain', which: 'not valid yet' },
];
const apis = [
  'podCertificateRequest',
  'certificateSigningRequest',
  'certManager',
  'podCertificateRequest',
  'certificateSigningRequest',
] as const;

const signerFaults = conducts.map(
  (conduct): Fault => ({
    ...{ title: JSON.stringify(conduct), lastsMs, recoversWithinMs, withNewPods: false },
    begin(_, subjects) {
      for (const { signer } of subjects) {
        signer.conduct(conduct);
      }
      return () => {
        for (const { signer } of subjects) {
          signer.conduct({ does: 'issue' });
        }
      };
    },
  }),
);

/** The agent stands still while its connections are cut off, and finds nobody listening when it goes on. */
const interruption: Fault = {
  ...{ title: 'a network that is gone when the agent wakes up', lastsMs: lastsMs / 2, recoversWithinMs },
  async begin({ agent, gate }) {
    process.kill(agent.pid, 'SIGSTOP');
    await gate.shut();
    process.kill(agent.pid, 'SIGCONT');
    return () => gate.open();
  },
};

test('signers that fail in several ways, under a network that fails: pods keep what is valid and have new certificates in time', {
  skip: mountSkip,
  timeout: 600_000,
}, async (t) => {
  const stage = await startStage(t, {
    signers: apis.map((api, index) => ({ api, name: `signer-${index}` })),
    ...{ lifetimeMs: 30_000, refreshAfter: 0.034 },
  });
  const { subjects } = stage;
  const tookMs = await Promise.all([
    ...signerFaults.map((fault, index) => endure(stage, fault, subjects.slice(index, index + 1))),
    endure(stage, interruption, []),
  ]);
  t.diagnostic(`renewed after ${tookMs.map(Math.round).join(', ')} ms`);
  assert.deepEqual(await stage.wrong(), []);
});
