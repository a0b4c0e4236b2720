import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubernetesVersion, RulesContext, ValidationRequest } from '../../../sandbox/base/cluster-rules.ts';
import type { ApiObject, JsonObject } from '../../../sandbox/base/objects.ts';
import { createRules } from '../../../sandbox/cluster/rules.ts';
import { createKeys } from './cases/keys.ts';
import { users } from './cases/objects.ts';
import { condition, minuteMs, podCertificateRequest, rfc3339 } from './cases/requests.ts';
import { createCertificates, createWorld, objectReader } from './world.ts';

const now = Date.UTC(2026, 10, 21, 10);
const world = createWorld(
  { kubernetes: '1.36', requestVersion: 'v1beta1', bundleVersion: 'v1beta1' },
  createKeys(),
  createCertificates(now),
  now,
);
const rules = createRules();
const requests = 'podcertificaterequests.certificates.k8s.io';

function context(kubernetes: KubernetesVersion, timeScale = 1): RulesContext {
  return { objects: objectReader(world, []), now, kubernetes, timeScale };
}

function validation(resource: string, object: ApiObject, version = 'v1'): ValidationRequest {
  return { user: users.admin, resource, version, object };
}

/** The spec after defaults. */
function defaulted(
  resource: string,
  spec: JsonObject | undefined,
  kubernetes: KubernetesVersion = '1.36',
  version = 'v1',
) {
  const object: ApiObject = { metadata: { name: 'it' }, ...(spec === undefined ? {} : { spec }) };
  rules.default(validation(resource, object, version), context(kubernetes));
  return object.spec;
}

test('A request asks for a day unless it says otherwise', () => {
  assert.equal(defaulted(requests, {})?.['maxExpirationSeconds'], 86_400);
  assert.equal(defaulted(requests, undefined)?.['maxExpirationSeconds'], 86_400);
  assert.equal(defaulted(requests, { maxExpirationSeconds: null })?.['maxExpirationSeconds'], 86_400);
  assert.equal(defaulted(requests, { maxExpirationSeconds: 0 })?.['maxExpirationSeconds'], 0);
});

const versions: readonly (readonly [KubernetesVersion, string, readonly string[]])[] = [
  ['1.34', 'v1alpha1', ['pkixPublicKey', 'proofOfPossession']],
  ['1.35', 'v1beta1', ['pkixPublicKey', 'proofOfPossession', 'unverifiedUserAnnotations']],
  ['1.36', 'v1beta1', ['pkixPublicKey', 'proofOfPossession', 'stubPKCS10Request', 'unverifiedUserAnnotations']],
  ['1.37', 'v1beta1', ['pkixPublicKey', 'proofOfPossession', 'stubPKCS10Request', 'unverifiedUserAnnotations']],
  ['1.37', 'v1', ['stubPKCS10Request', 'unverifiedUserAnnotations']],
];

for (const [kubernetes, version, fields] of versions) {
  test(`Kubernetes ${kubernetes} keeps the fields of ${version} and drops others`, () => {
    const all = ['pkixPublicKey', 'proofOfPossession', 'stubPKCS10Request', 'unverifiedUserAnnotations', 'bogus'];
    const spec = defaulted(requests, Object.fromEntries(all.map((field) => [field, 'x'])), kubernetes, version);
    assert.deepEqual(Object.keys(spec ?? {}).sort(), [...fields, 'maxExpirationSeconds'].sort());
  });
}

test('A pod runs as the default service account unless it says otherwise', () => {
  assert.equal(defaulted('pods', {})?.['serviceAccountName'], 'default');
  assert.equal(defaulted('pods', { serviceAccountName: 'web' })?.['serviceAccountName'], 'web');
});

test('A token is for the API server and an hour unless it says otherwise', () => {
  const spec = { audiences: ['https://kubernetes.default.svc'], expirationSeconds: 3600 };
  assert.deepEqual(defaulted('serviceaccounts/token', {}), spec);
  const given = { audiences: ['x'], expirationSeconds: 600 };
  assert.deepEqual(defaulted('serviceaccounts/token', { ...given }), given);
});

test('Other objects stay as they are', () => {
  assert.equal(defaulted('nodes', undefined), undefined);
});

test('With scaled time the shortest lifetimes and margins shrink, and nothing else', async () => {
  const fast = context('1.36', 60);
  const old = podCertificateRequest(world, { maxExpirationSeconds: 60 });
  assert.deepEqual(rules.validateCreate(validation(requests, old, 'v1beta1'), fast), []);
  const short = podCertificateRequest(world, { maxExpirationSeconds: 59 });
  assert.match(
    rules.validateCreate(validation(requests, short, 'v1beta1'), fast)[0]?.message ?? '',
    /range \[60, 7862400\]/,
  );

  const { spki } = world.key('ED25519');
  const status = async (from: number, seconds: number, refreshAfter: number): Promise<string | undefined> => {
    const [notBefore, notAfter] = [now + from, now + from + seconds * 1000];
    const issued = {
      conditions: [condition(world, 'Issued')],
      certificateChain: await world.certificates.leaf({ spki, notBefore, notAfter }),
      notBefore: rfc3339(notBefore),
      notAfter: rfc3339(notAfter),
      beginRefreshAt: rfc3339(notBefore + refreshAfter * 1000),
    };
    return rules.validateStatusUpdate(validation(requests, { ...old, status: issued }, 'v1beta1'), old, fast)[0]
      ?.message;
  };
  assert.equal(await status(0, 60, 10), undefined);
  assert.match((await status(0, 59, 10)) ?? '', />= 60 seconds/);
  assert.match((await status(0, 60, 9)) ?? '', /at least 10 seconds after/);
  assert.match((await status(0, 60, 51)) ?? '', /at least 10 seconds before/);
  assert.match((await status(-6 * minuteMs, 60, 10)) ?? '', /within 5 minutes/);
});
