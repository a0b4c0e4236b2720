/** Certificates of ten minutes, the least that CertificateSigningRequests can ask for, are renewed in time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificateSigningRequests } from '../../../agent/issuance/certificate-signing-request.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import { latestRefresh, overdueTime, patience, pauseAfterFailure, refreshTime } from '../../../agent/lifecycle/pace.ts';
import { createRootAuthority } from '../../support/certificates.ts';

const second = 1000;
const lifetime = 600 * second;
const key = await createKeyMaker().generate('ECDSAP256');
const notBefore = Math.floor(Date.now() / second) * second;
const chain = await (await createRootAuthority()).issueLeaf({
  spki: key.spki,
  notBefore,
  notAfter: notBefore + lifetime,
});

function issuedWith(refreshAfter: number) {
  const status = {
    conditions: [{ type: 'Approved', status: 'True' }],
    certificate: Buffer.from(chain).toString('base64'),
  };
  const spec = { request: '', signerName: 'example.com/a' };
  const outcome = certificateSigningRequests.outcome({ metadata: { name: 'a.csr' }, spec, status }, refreshAfter);
  assert.ok(outcome?.type === 'issued', 'the request is answered');
  return outcome;
}

test('a certificate of ten minutes is renewed after its part of them, with jitter in proportion, and overdue before it expires', () => {
  for (const refreshAfter of [0.1, 0.5, 2 / 3, 0.95]) {
    const validity = issuedWith(refreshAfter);
    assert.equal(validity.beginRefreshAt, notBefore + Math.round(lifetime * refreshAfter));
    for (const random of [0, 0.5, 0.999]) {
      const refreshAt = refreshTime(validity, notBefore, random);
      const left = validity.notAfter - refreshAt;
      assert.ok(refreshAt >= validity.beginRefreshAt, `${refreshAfter}: not before its time`);
      assert.ok(
        refreshAt <= validity.beginRefreshAt + (validity.notAfter - validity.beginRefreshAt) / 10 + 1,
        'jitter',
      );
      assert.ok(refreshAt <= latestRefresh(validity, notBefore), 'a third of what is left stays for the refresh');
      const overdue = overdueTime(validity, refreshAt);
      assert.ok(refreshAt < overdue && overdue <= refreshAt + left / 2 + 1, `${refreshAfter}: warned in time`);
    }
  }
});

test('while a certificate of ten minutes runs out, a signer that is silent or fails is asked often enough', () => {
  const validity = issuedWith(2 / 3);
  let now = refreshTime(validity, notBefore, 0.999);
  let attempts = 0;
  for (let failures = 1; now < validity.notAfter; failures += 1) {
    const timeLeftMs = validity.notAfter - now;
    assert.ok(patience(timeLeftMs) < timeLeftMs || timeLeftMs <= 5 * second, 'there is another attempt before the end');
    now += pauseAfterFailure({ failures, nature: 'lasting', timeLeftMs, retryAfterMs: 0, failingForMs: 0 }, 0.999);
    attempts += 1;
  }
  assert.ok(attempts >= 20, `${attempts} attempts in the last third`);
});
