/** Which certificate APIs make the agent ready, and how long a missing one is looked for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AgentError } from '../../agent/base/errors.ts';
import { createCertificateApis } from '../../agent/certificate-apis.ts';
import type { CertificateApi } from '../../agent/issuance/issuer-rules.ts';
import { createManualClock } from '../support/manual-clock.ts';

function world(named: readonly CertificateApi[], ...there: CertificateApi[]) {
  const clock = createManualClock();
  const served = new Set(there);
  const looks: CertificateApi[] = [];
  const appeared: CertificateApi[] = [];
  const apis = createCertificateApis({
    clock,
    named: () => named,
    onAppeared: (api) => appeared.push(api),
    async served(api) {
      looks.push(api);
      if (!served.has(api)) {
        throw new AgentError('ApiMissing', `no ${api}`, { actor: 'cluster operator' });
      }
    },
  });
  return { clock, served, looks, appeared, apis };
}

test('every API that a rule names is needed, and no other', async () => {
  const one = world(['certificateSigningRequest'], 'certificateSigningRequest');
  assert.deepEqual(await one.apis.check(), ['certificateSigningRequest']);
  assert.deepEqual(one.looks, ['certificateSigningRequest']);
  const two = world(['podCertificateRequest', 'certManager'], 'podCertificateRequest');
  await assert.rejects(two.apis.check(), { code: 'ApiMissing', message: 'no certManager' });
});

test('without rules one of the two that names lead to will do, and none of them is told as the first', async () => {
  assert.deepEqual(await world([], 'podCertificateRequest').apis.check(), ['podCertificateRequest']);
  assert.deepEqual(await world([], 'certManager').apis.check(), ['certManager']);
  await assert.rejects(world([], 'certificateSigningRequest').apis.check(), { message: 'no podCertificateRequest' });
});

test('an API that pods have missed is looked for once in a while, by one look for all, until it is there', async () => {
  const { apis, clock, served, looks, appeared } = world([]);
  for (let pod = 0; pod < 1_000; pod += 1) {
    apis.missed('certManager');
  }
  for (let look = 1; look <= 3; look += 1) {
    clock.advance(15_000);
    await nextTurn();
    assert.equal(looks.length, look);
  }
  served.add('certManager');
  clock.advance(15_000);
  await nextTurn();
  clock.advance(3_600_000);
  await nextTurn();
  assert.deepEqual(appeared, ['certManager']);
  assert.equal(looks.length, 4);
});

test('an API that no pod has missed for long is looked for no more, and a stopped agent looks for none', async () => {
  const { apis, clock, looks } = world([]);
  apis.missed('certManager');
  for (let minutes = 0; minutes < 60; minutes += 1) {
    clock.advance(60_000);
    await nextTurn();
  }
  assert.ok(looks.length > 0 && looks.length <= 41, `${looks.length} looks`);
  const before = looks.length;
  apis.missed('certManager');
  apis.stop();
  apis.missed('podCertificateRequest');
  clock.advance(60_000);
  await nextTurn();
  assert.equal(looks.length, before);
});
