/** What a source comes to as an order, and which pods cannot have what their declaration asks for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { orderFor, whyNotReachable } from '../../../agent/lifecycle/order.ts';
import type { PodCertificateSource } from '../../../volumes/declaration/types.ts';
import { createWorld, podCertificate } from './world.ts';

const identity = {
  pod: { namespace: 'shop', name: 'web', uid: 'u', serviceAccountName: 'web' },
  ...{ serviceAccountUID: 's', nodeName: 'n', nodeUID: 'nu', ended: false },
};

test('an order says what its source says, and nothing that the source does not say', () => {
  const plain = podCertificate(0, 'tls.pem');
  assert.ok(plain.kind === 'podCertificate', plain.kind);
  const { signerName, userAnnotations } = plain;
  const base = { requestName: 'r', identity, signerName, userAnnotations };
  const orderOf = (more: Partial<PodCertificateSource>) =>
    orderFor({ ...plain, ...more }, { requestName: 'r', identity });
  assert.deepEqual(orderOf({}), base);
  assert.deepEqual(orderOf({ maxExpirationSeconds: 3600 }), { ...base, maxExpirationSeconds: 3600 });
  const names = { dnsNames: ['a.example'], uris: [], ipAddresses: [] };
  assert.deepEqual(orderOf({ names }), { ...base, names });
  assert.deepEqual(orderOf({ caPath: 'ca.pem' }), { ...base, wantsAnchors: true });
  assert.deepEqual(orderOf({ userAnnotations: { a: 'b' } }), { ...base, userAnnotations: { a: 'b' } });
});

test('what is asked for at an address of the pod is refused to a pod that has none, with each field that asks for it', async (t) => {
  const world = await createWorld(t);
  const { declaration, ...request } = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const reload = { http: { port: 8080, path: '/', method: 'POST', scheme: 'http' } } as const;
  const probe = { port: 8443 };
  const whyNot = (more: object, hasAddresses: boolean): string | undefined =>
    whyNotReachable({ ...request, declaration: { ...declaration, ...more } }, hasAddresses);
  for (const more of [{}, { reload }, { probe }, { reload, probe }]) {
    assert.equal(whyNot(more, true), undefined);
  }
  assert.equal(whyNot({}, false), undefined);
  const why =
    "it can only be asked at an address of its own, and a pod on the node's network (hostNetwork: true) has none";
  assert.equal(whyNot({ reload }, false), `reload.http: ${why}`);
  assert.equal(whyNot({ probe }, false), `probe: ${why}`);
  assert.equal(whyNot({ reload, probe }, false), `reload.http, probe: ${why}`);
  assert.equal(whyNot({ reload: { signal: { process: 'a', signal: 'SIGHUP' } } }, false), undefined);
});
