import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../../sandbox/base/objects.ts';
import { createRules } from '../../../sandbox/cluster/rules.ts';
import { createKeys } from '../rules/cases/keys.ts';
import { condition, podCertificateRequest } from '../rules/cases/requests.ts';
import { createCertificates, createWorld } from '../rules/world.ts';
import { call } from '../serving/client.ts';
import { startSandbox } from '../serving/sandbox-target.ts';

test('a status that is written in a version which lacks some fields of the spec leaves those as they are', async (t) => {
  const { target } = await startSandbox(t, { rules: createRules(), kubernetes: '1.37' });
  const now = Date.now();
  const served = { kubernetes: '1.35', requestVersion: 'v1beta1', bundleVersion: 'v1beta1' } as const;
  const world = createWorld(served, createKeys(), createCertificates(now), now);
  const collection = (version: string) =>
    `/apis/certificates.k8s.io/${version}/namespaces/default/podcertificaterequests`;
  const made = await call(target, collection('v1beta1'), { method: 'POST', body: podCertificateRequest(world) });
  assert.equal(made.status, 201, String(made.body['message']));
  const asV1 = await call(target, `${collection('v1')}/request`);
  const body = { ...asV1.body, status: { conditions: [condition(world, 'Denied')] } };
  const denied = await call(target, `${collection('v1')}/request/status`, { method: 'PUT', body });
  assert.equal(denied.status, 200, String(denied.body['message']));
  const { pkixPublicKey } = (await call(target, `${collection('v1beta1')}/request`)).body['spec'] as JsonObject;
  assert.equal(pkixPublicKey, (made.body['spec'] as JsonObject)['pkixPublicKey']);
});
