/**
 * What is the sandbox's own: versions per Kubernetes version, deletion of pods and namespaces, compaction.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubernetesVersions } from '../../../sandbox/base/cluster-rules.ts';
import type { JsonObject } from '../../../sandbox/base/objects.ts';
import { withFields } from '../../support/fields.ts';
import { type Answer, call, type Target, watch } from '../serving/client.ts';
import { startSandbox } from '../serving/sandbox-target.ts';

const pods = '/api/v1/namespaces/default/pods';
const group = '/apis/certificates.k8s.io';
const metadataOf = (answer: Answer): JsonObject => answer.body.metadata as JsonObject;

const served: Readonly<Record<string, { requests: readonly string[]; bundles: readonly string[] }>> = {
  '1.34': { requests: ['v1alpha1'], bundles: ['v1beta1', 'v1alpha1'] },
  '1.35': { requests: ['v1beta1'], bundles: ['v1beta1', 'v1alpha1'] },
  '1.36': { requests: ['v1beta1'], bundles: ['v1beta1', 'v1alpha1'] },
  '1.37': { requests: ['v1', 'v1beta1'], bundles: ['v1', 'v1beta1'] },
};

for (const kubernetes of kubernetesVersions) {
  test(`Kubernetes ${kubernetes} serves the versions of its certificate resources and no others`, async (t) => {
    const { target } = await startSandbox(t, { kubernetes });
    for (const version of ['v1', 'v1beta1', 'v1alpha1']) {
      const list = await call(target, `${group}/${version}`);
      const resources = ((list.body.resources ?? []) as JsonObject[]).map(({ name }) => name);
      const has = (name: string): boolean => resources.includes(name);
      assert.equal(has('podcertificaterequests'), served[kubernetes]?.requests.includes(version), version);
      assert.equal(has('clustertrustbundles'), served[kubernetes]?.bundles.includes(version), version);
      const status = (await call(target, `${group}/${version}/podcertificaterequests`)).status;
      assert.equal(status, has('podcertificaterequests') ? 200 : 404);
    }
    const { major, minor, gitVersion } = (await call(target, '/version')).body;
    assert.equal(`${major}.${minor}`, kubernetes);
    assert.equal(gitVersion, `v${kubernetes}.0+sandbox`);
  });
}

/** The key fields that a request still has after it was created with all three, and the warnings on the way. */
async function createdWith(target: Target, version: string): Promise<{ fields: string[]; warning: unknown }> {
  const created = await call(target, `${group}/${version}/namespaces/default/podcertificaterequests`, {
    method: 'POST',
    body: {
      apiVersion: `certificates.k8s.io/${version}`,
      kind: 'PodCertificateRequest',
      metadata: { generateName: 'r-' },
      spec: {
        pkixPublicKey: 'AA==',
        proofOfPossession: 'AA==',
        stubPKCS10Request: 'AA==',
        unverifiedUserAnnotations: { 'a/b': 'c' },
      },
    },
  });
  const spec = created.body.spec as JsonObject;
  const fields = ['pkixPublicKey', 'proofOfPossession', 'stubPKCS10Request', 'unverifiedUserAnnotations'];
  return { fields: fields.filter((field) => spec[field] !== undefined), warning: created.headers.warning };
}

const dropped: readonly (readonly [(typeof kubernetesVersions)[number], string, readonly string[]])[] = [
  ['1.34', 'v1alpha1', ['pkixPublicKey', 'proofOfPossession']],
  ['1.35', 'v1beta1', ['pkixPublicKey', 'proofOfPossession', 'unverifiedUserAnnotations']],
  ['1.36', 'v1beta1', ['pkixPublicKey', 'proofOfPossession', 'stubPKCS10Request', 'unverifiedUserAnnotations']],
  ['1.37', 'v1', ['stubPKCS10Request', 'unverifiedUserAnnotations']],
];
for (const [kubernetes, version, kept] of dropped) {
  test(`${version} of Kubernetes ${kubernetes} keeps ${kept.join(', ')}, names what it drops, and its OpenAPI agrees`, async (t) => {
    const { target } = await startSandbox(t, { kubernetes });
    const { fields, warning } = await createdWith(target, version);
    assert.deepEqual(fields, kept);
    assert.equal(
      String(warning ?? '').includes('unknown field \\"spec.stubPKCS10Request\\"'),
      !kept.includes('stubPKCS10Request'),
    );
    const document = await call(target, `/openapi/v3/apis/certificates.k8s.io/${version}`);
    const { schemas } = withFields<{ schemas: Record<string, { properties: JsonObject }> }>(
      document.body.components,
      'schemas',
    );
    const properties = schemas[`io.k8s.api.certificates.${version}.PodCertificateRequestSpec`]?.properties ?? {};
    assert.deepEqual(
      kept.filter((field) => !(field in properties)),
      [],
    );
    assert.equal('stubPKCS10Request' in properties, kept.includes('stubPKCS10Request'));
  });
}

test('a deprecated version warns those who use it', async (t) => {
  const { target } = await startSandbox(t);
  const list = await call(target, `${group}/v1alpha1/clustertrustbundles`);
  assert.match(
    String(list.headers.warning),
    /v1alpha1 ClusterTrustBundle is deprecated in v1.34\+, unavailable in v1.37\+/,
  );
});

test('an event is one object in both of its API groups', async (t) => {
  const { target } = await startSandbox(t);
  const created = await call(target, '/apis/events.k8s.io/v1/namespaces/default/events', {
    method: 'POST',
    body: {
      metadata: { name: 'e' },
      eventTime: '2026-01-01T00:00:00.123456Z',
      regarding: { kind: 'Pod', name: 'p' },
      note: 'text',
      reason: 'Why',
      type: 'Normal',
    },
  });
  assert.equal(created.status, 201);
  assert.equal(created.body.note, 'text');
  const list = await call(target, '/api/v1/events?fieldSelector=involvedObject.name%3Dp,reason%3DWhy');
  const [event] = list.body.items as JsonObject[];
  assert.equal(event?.message, 'text');
  assert.equal(event?.eventTime, '2026-01-01T00:00:00.123456Z');
  const renamed = await call(target, '/apis/events.k8s.io/v1/events?fieldSelector=regarding.name%3Dp');
  assert.equal((renamed.body.items as JsonObject[]).length, 1);
});

test('a pod on a node is asked to end, and goes when it is deleted with no grace', async (t) => {
  const { server, target } = await startSandbox(t);
  const spec = { nodeName: 'a', terminationGracePeriodSeconds: 7, containers: [] };
  await call(target, pods, { method: 'POST', body: { metadata: { name: 'p' }, spec, status: { phase: 'Running' } } });
  const events = await watch(target, `${pods}?watch=1`);
  assert.equal((await events.next())?.type, 'ADDED');
  const ending = await call(target, `${pods}/p`, { method: 'DELETE' });
  assert.equal(ending.status, 200);
  assert.equal(metadataOf(ending).deletionGracePeriodSeconds, 7);
  const endsAt = Date.parse(String(metadataOf(ending).deletionTimestamp));
  assert.ok(
    Math.abs(endsAt - server.now() - 7000) < 3000,
    `${Math.abs(endsAt - server.now() - 7000)} is not less than 3000`,
  );
  assert.equal((await events.next())?.type, 'MODIFIED');
  const longer = await call(target, `${pods}/p?gracePeriodSeconds=60`, { method: 'DELETE' });
  assert.equal(metadataOf(longer).deletionGracePeriodSeconds, 7);
  const body = { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0 };
  assert.equal((await call(target, `${pods}/p`, { method: 'DELETE', body })).status, 200);
  const gone = await events.next();
  events.close();
  assert.equal(gone?.type, 'DELETED');
  assert.equal(gone?.object.metadata.deletionGracePeriodSeconds, 0);
  assert.equal((await call(target, `${pods}/p`)).status, 404);
});

test('a pod without a node, or that has ended, goes at once', async (t) => {
  const { server, target } = await startSandbox(t);
  await call(target, pods, { method: 'POST', body: { metadata: { name: 'unbound' }, spec: {} } });
  server.store.create('pods', {
    metadata: { name: 'ended', namespace: 'default', uid: 'u' },
    spec: { nodeName: 'a' },
    status: { phase: 'Succeeded' },
  });
  for (const name of ['unbound', 'ended']) {
    await call(target, `${pods}/${name}`, { method: 'DELETE' });
    assert.equal((await call(target, `${pods}/${name}`)).status, 404);
  }
  const refused = await call(target, `${pods}/x?gracePeriodSeconds=-1`, { method: 'DELETE' });
  assert.equal(refused.status, 404);
});

test('an object with finalizers goes when the last one is taken off', async (t) => {
  const { target } = await startSandbox(t);
  const accounts = '/api/v1/namespaces/default/serviceaccounts';
  await call(target, accounts, { method: 'POST', body: { metadata: { name: 'x', finalizers: ['a.example/b'] } } });
  const marked = await call(target, `${accounts}/x`, { method: 'DELETE' });
  assert.ok(metadataOf(marked).deletionTimestamp !== undefined, 'the object is not marked as deleted');
  assert.equal((await call(target, `${accounts}/x`)).status, 200);
  const headers = { 'Content-Type': 'application/merge-patch+json' };
  await call(target, `${accounts}/x`, { method: 'PATCH', headers, body: { metadata: { finalizers: null } } });
  assert.equal((await call(target, `${accounts}/x`)).status, 404);
});

test('a namespace goes with everything in it', async (t) => {
  const { target } = await startSandbox(t);
  const made = await call(target, '/api/v1/namespaces', { method: 'POST', body: { metadata: { name: 'n' } } });
  assert.deepEqual(made.body.status, { phase: 'Active' });
  await call(target, '/api/v1/namespaces/n/pods', {
    method: 'POST',
    body: { metadata: { name: 'p' }, spec: { nodeName: 'a' } },
  });
  await call(target, '/api/v1/namespaces/n', { method: 'DELETE' });
  assert.equal((await call(target, '/api/v1/namespaces/n')).status, 404);
  assert.equal((await call(target, '/api/v1/namespaces/n/pods/p')).status, 404);
});

test('a collection is deleted by selector', async (t) => {
  const { target } = await startSandbox(t);
  for (const name of ['a', 'b', 'c']) {
    await call(target, pods, {
      method: 'POST',
      body: { metadata: { name, labels: { keep: String(name === 'b') } }, spec: {} },
    });
  }
  const deleted = await call(target, `${pods}?labelSelector=keep%3Dfalse`, { method: 'DELETE' });
  assert.equal((deleted.body.items as JsonObject[]).length, 2);
  const left = await call(target, pods);
  assert.deepEqual(
    (left.body.items as { metadata: JsonObject }[]).map(({ metadata }) => metadata.name),
    ['b'],
  );
});

test('a status is written through its subresource and nowhere else', async (t) => {
  const { target } = await startSandbox(t);
  const made = await call(target, pods, {
    method: 'POST',
    body: { metadata: { name: 'p' }, spec: {}, status: { phase: 'Failed' } },
  });
  assert.equal((made.body.status as JsonObject).phase, 'Pending');
  const changed = { ...made.body, spec: { x: 1 }, status: { phase: 'Running' } };
  const main = await call(target, `${pods}/p`, { method: 'PUT', body: changed });
  assert.deepEqual([main.body.spec, (main.body.status as JsonObject).phase], [{ x: 1 }, 'Pending']);
  const body = { ...main.body, spec: { x: 2 }, status: { phase: 'Running' } };
  const status = await call(target, `${pods}/p/status`, { method: 'PUT', body });
  assert.deepEqual([status.body.spec, status.body.status], [{ x: 1 }, { phase: 'Running' }]);
  assert.equal((await call(target, `${pods}/p/status`)).status, 200);
  assert.equal((await call(target, `${pods}/p/log`)).status, 404);
  assert.equal((await call(target, `${pods}/p/status`, { method: 'DELETE' })).status, 405);
});

test('after a compaction an old watch is told 410 and an old page offers a way on', async (t) => {
  const { server, target } = await startSandbox(t);
  for (const name of ['a', 'b', 'c']) {
    await call(target, pods, { method: 'POST', body: { metadata: { name }, spec: {} } });
  }
  const page = await call(target, `${pods}?limit=1`);
  const { resourceVersion, continue: token } = metadataOf(page);
  await call(target, pods, { method: 'POST', body: { metadata: { name: 'd' }, spec: {} } });
  server.store.compact();
  const events = await watch(target, `${pods}?watch=1&resourceVersion=${resourceVersion}`);
  const error = await events.next();
  assert.equal(error?.type, 'ERROR');
  assert.deepEqual([error?.object.code, error?.object.reason], [410, 'Expired']);
  assert.equal(await events.next(), undefined);
  const expired = await call(target, `${pods}?limit=1&continue=${encodeURIComponent(String(token))}`);
  assert.deepEqual([expired.status, expired.body.reason], [410, 'Expired']);
  const next = encodeURIComponent(String(metadataOf(expired).continue));
  const rest = await call(target, `${pods}?continue=${next}`);
  assert.deepEqual(
    (rest.body.items as { metadata: JsonObject }[]).map(({ metadata }) => metadata.name),
    ['b', 'c', 'd'],
  );
  const exact = await call(target, `${pods}?resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`);
  assert.equal(exact.status, 410);
});

test('lists refuse revisions and tokens that make no sense', async (t) => {
  const { target } = await startSandbox(t);
  const statusOf = async (query: string): Promise<number> => (await call(target, `${pods}?${query}`)).status;
  assert.equal(await statusOf('resourceVersion=abc'), 400);
  assert.equal(await statusOf('watch=1&resourceVersion=abc'), 500);
  assert.equal(await statusOf('limit=x'), 400);
  assert.equal(await statusOf('continue=x'), 400);
  assert.equal(await statusOf('resourceVersionMatch=Exact'), 422);
  assert.equal(await statusOf('resourceVersionMatch=Exact&resourceVersion=0'), 422);
  assert.equal(await statusOf('watch=1&resourceVersionMatch=Exact'), 422);
});

test('initial events from a revision that is yet to come are refused within the watch', async (t) => {
  const { target } = await startSandbox(t);
  const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=99999';
  const events = await watch(target, `${pods}?${query}`);
  const error = await events.next();
  assert.deepEqual([error?.type, error?.object.code], ['ERROR', 504]);
  assert.equal(await events.next(), undefined);
});

test('a certificate signing request carries who made it', async (t) => {
  const { target } = await startSandbox(t);
  const requests = `${group}/v1/certificatesigningrequests`;
  const body = { metadata: { name: 'r' }, spec: { request: 'AA==', signerName: 'a.b/c', username: 'forged' } };
  const made = await call(target, requests, { method: 'POST', body });
  const { username, groups } = made.body.spec as JsonObject;
  assert.deepEqual([username, groups], ['admin', ['system:masters', 'system:authenticated']]);
  const conditions = [
    {
      ...{ type: 'Approved', status: 'True', reason: 'x' },
      ...{ lastUpdateTime: '2026-01-01T00:00:00Z', lastTransitionTime: '2026-01-01T00:00:00.5+01:00' },
    },
  ];
  const approved = await call(target, `${requests}/r/approval`, {
    method: 'PUT',
    body: { ...made.body, status: { conditions } },
  });
  assert.deepEqual((approved.body.status as JsonObject).conditions, [
    { ...conditions[0], lastTransitionTime: '2025-12-31T23:00:00Z' },
  ]);
});

test('a method that a resource does not have is answered 405', async (t) => {
  const { target } = await startSandbox(t);
  assert.equal((await call(target, pods, { method: 'PUT', body: {} })).status, 405);
  assert.equal((await call(target, `${pods}/x`, { method: 'POST', body: {} })).status, 405);
  assert.equal((await call(target, pods, { method: 'OPTIONS' })).status, 405);
  assert.equal((await call(target, '/api/v1/namespaces/default/serviceaccounts/default/token')).status, 405);
});

test('replies come as YAML and indented to those who ask', async (t) => {
  const { target } = await startSandbox(t);
  const yaml = await call(target, '/api/v1/namespaces/default', { headers: { Accept: 'application/yaml' } });
  assert.match(String(yaml.body.text), /^kind: Namespace\n/);
  const made = await call(target, '/api/v1/namespaces', {
    method: 'POST',
    headers: { 'Content-Type': 'application/yaml' },
    body: 'metadata:\n  name: from-yaml\n',
  });
  assert.equal(made.status, 201);
  const pretty = await call(target, '/api/v1/namespaces/default?pretty=true');
  const plain = await call(target, '/api/v1/namespaces/default');
  assert.ok(
    Number(pretty.headers['content-length']) > Number(plain.headers['content-length']),
    `${Number(pretty.headers['content-length'])} is not more than ${Number(plain.headers['content-length'])}`,
  );
});

test('a body larger than the real server takes is refused with 413', async (t) => {
  const { target } = await startSandbox(t);
  const body = JSON.stringify({ metadata: { name: 'x', annotations: { a: 'x'.repeat(3 * 1024 * 1024) } } });
  assert.equal((await call(target, pods, { method: 'POST', body })).status, 413);
});

test('a watch gets a bookmark before it ends, where bookmarks are wanted', async (t) => {
  const { server, target } = await startSandbox(t);
  const resourceVersion = String(server.store.revision());
  const query = `watch=1&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion=${resourceVersion}`;
  const events = await watch(target, `${pods}?${query}`);
  const bookmark = await events.next();
  assert.deepEqual(bookmark, {
    type: 'BOOKMARK',
    object: { kind: 'Pod', apiVersion: 'v1', metadata: { resourceVersion }, spec: {}, status: {} },
  });
  assert.equal(await events.next(), undefined);
});
