/** Requests under the watch that are nobody's here cost bounded memory, however many there are and however large. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificateSigningRequests } from '../../../agent/issuance/certificate-signing-request.ts';
import { createClaims, isOutline } from '../../../agent/issuance/claims.ts';
import { signingRequestResource } from '../../../agent/kubernetes/certificate-resources.ts';
import { watchOwnRequests } from '../../../agent/kubernetes/simple-requests.ts';
import { until } from '../../support/bounded.ts';
import { clientOf, isList, isWatch, openWatch, sendEvent, sendList, startLoopback } from '../kubernetes/loopback.ts';

const mostKept = 512;

function request(name: string, version = '1') {
  return {
    metadata: {
      ...{ name, uid: `uid of ${name}`, resourceVersion: version },
      labels: { 'podcert.io/node': 'node-a', 'podcert.io/pod-uid': 'pod-1', other: 'x'.repeat(60) },
      annotations: { ballast: 'x'.repeat(2_000) },
    },
    spec: { request: Buffer.from(`request of ${name}`).toString('base64'), signerName: 'example.org/a' },
    status: { conditions: [] },
  };
}

test('what is claimed is kept whole, of what is not no more than tells whose it is, and of many that nothing', () => {
  const claims = createClaims(certificateSigningRequests.outline);
  const ours = request('ours');
  const bare = { ...ours, metadata: { name: 'bare' } };
  const outline = {
    metadata: { name: 'ours', uid: 'uid of ours', labels: { 'podcert.io/pod-uid': 'pod-1' } },
    spec: { request: '', signerName: '' },
  };
  assert.deepEqual(claims.keep(ours, 0), outline);
  assert.deepEqual(claims.keep({ ...ours, metadata: { ...ours.metadata, namespace: 'shop' } }, mostKept - 1), {
    ...outline,
    metadata: { ...outline.metadata, namespace: 'shop' },
  });
  for (const request of [bare, { ...bare, metadata: { name: 'bare', labels: { other: 'x' } } }]) {
    assert.deepEqual(claims.keep(request, 0), { ...outline, metadata: { name: 'bare' } });
  }
  assert.equal(claims.keep(ours, mostKept), undefined);
  assert.equal(claims.claim('ours'), false, 'it was nobody’s');
  assert.equal(claims.claim('ours'), true, 'it is claimed already');
  assert.equal(claims.keep(ours, mostKept), ours);
  assert.equal(claims.keep({ ...ours, metadata: { ...ours.metadata, namespace: 'shop' } }, mostKept), undefined);
  claims.release('ours');
  assert.equal(claims.keep(ours, mostKept), undefined);
  assert.deepEqual([isOutline(outline), isOutline(ours)], [true, false]);
});

test('of many requests of others a few outlines are kept, and those that are waited for whole', async (t) => {
  const many = Array.from({ length: 1_200 }, (_, index) => request(`forged-${index}`));
  const claims = createClaims(certificateSigningRequests.outline);
  claims.claim('ours');
  claims.claim('forged-1000');
  const server = await startLoopback(t, (call) => {
    if (isList(call)) {
      sendList(call.response, 1, [...many, request('ours')]);
    } else {
      openWatch(call.response);
    }
  });
  const selector = 'podcert.io/node=node-a';
  const cache = watchOwnRequests(clientOf(t, server), signingRequestResource, selector, () => undefined, claims.keep);
  t.after(() => cache.stop());
  cache.subscribe(() => undefined);
  await until(() => cache.lists().taken > 0, 'the list');
  const held = () => cache.list().filter(isOutline);
  assert.equal(held().length, mostKept);
  assert.ok(JSON.stringify(held()).length < mostKept * 300, 'contents of others are not kept');
  assert.deepEqual(
    cache
      .list()
      .filter((each) => !isOutline(each))
      .map(({ metadata }) => metadata.name),
    ['forged-1000', 'ours'],
  );

  const { response } = await server.nth(1, isWatch);
  const send = (name: string, version?: string) => sendEvent(response, 'ADDED', request(name, version));
  for (let index = 0; index < 600; index += 1) {
    send(`later-${index}`);
  }
  claims.claim('mine');
  claims.claim('forged-1');
  send('mine');
  send('forged-1', '2');
  await until(() => cache.get('mine') !== undefined, 'the request that was claimed');
  await until(
    () => !isOutline(cache.get('forged-1') ?? assert.fail('it is known')),
    'the whole of what was an outline',
  );
  assert.ok(cache.list().length <= mostKept + 4, `${cache.list().length}`);
  claims.release('mine');
  send('mine', '2');
  await until(() => cache.get('mine') === undefined, 'it to be dropped');
});
