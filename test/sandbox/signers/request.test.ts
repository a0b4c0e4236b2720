import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodCertificateRequest } from '../../../agent/kubernetes/objects.ts';
import { requestedKey } from '../../../sandbox/signers/request.ts';
import { withFields } from '../../support/fields.ts';

/** @param spec as it comes over the wire */
function requestWith(spec: Readonly<Record<string, unknown>>): PodCertificateRequest {
  return withFields<PodCertificateRequest>({ metadata: { name: 'r' }, spec }, 'metadata', 'spec');
}

test('the key is found where the stub request is absent, empty or null, as v1beta1 shows what is not set', () => {
  const publicKey = Buffer.from('key');
  for (const stub of [{}, { stubPKCS10Request: null }, { stubPKCS10Request: '' }]) {
    const request = requestWith({ ...stub, pkixPublicKey: publicKey.toString('base64') });
    assert.deepEqual(requestedKey(request), { type: 'key', publicKey });
  }
});

test('a request without any key is unusable', () => {
  for (const spec of [{}, { stubPKCS10Request: null, pkixPublicKey: null }]) {
    assert.equal(requestedKey(requestWith(spec)).type, 'unusable');
  }
});
