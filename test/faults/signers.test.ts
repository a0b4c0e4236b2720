/**
 * Signers that are away, slow, of two minds or wrong, and requests that others remove: pods keep what they have, ask once, and have a
 * new certificate soon after. Each fault has a signer of its own, through each certificate API, and all of them come at once.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CertificateApi } from '../../agent/issuance/issuer-rules.ts';
import { assertFlat, endure } from './campaign/endure.ts';
import { longOnly } from './campaign/long-only.ts';
import { signerFaults } from './campaign/signer-faults.ts';
import { startStage } from './campaign/stage.ts';

const apis: readonly CertificateApi[] = ['podCertificateRequest', 'certificateSigningRequest', 'certManager'];

for (const api of apis) {
  test(
    `whatever a signer does, pods keep what is valid and have a new certificate in time (${api})`,
    longOnly,
    async (t) => {
      const lifetimeMs = 60_000;
      const faults = signerFaults(lifetimeMs);
      const stage = await startStage(t, {
        signers: faults.map(({ name }) => ({ api, name })),
        ...{ lifetimeMs, refreshAfter: 0.1 },
      });
      const before = stage.taken();
      const results = await Promise.allSettled(
        faults.map(async (fault, index) => {
          const tookMs = await endure(stage, fault, stage.subjects.slice(index, index + 1));
          t.diagnostic(`${fault.title}: ${Math.round(tookMs)} ms`);
        }),
      );
      const failed = results.flatMap((result, index) =>
        result.status === 'rejected' ? [`${faults[index]?.title}: ${String(result.reason)}`] : [],
      );
      assert.deepEqual(failed, [], failed.join('\n'));
      assert.deepEqual(await stage.wrong(), []);
      t.diagnostic(`${JSON.stringify(before)} ${JSON.stringify(stage.taken())}`);
      assertFlat(before, stage.taken(), 64);
    },
  );
}
