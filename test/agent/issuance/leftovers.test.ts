/** Which requests of a node are left over from others of the same source, by their names and labels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leftovers } from '../../../agent/issuance/leftovers.ts';
import type { KubernetesObject } from '../../../agent/kubernetes/objects.ts';

const hash = (digit: string, count = 40): string => digit.repeat(count);

function request(name: string, { namespace = 'shop', pod = 'u1' } = {}) {
  return { metadata: { name, namespace, labels: { 'podcert.io/pod-uid': pod } } };
}

const served = request(`mtls-0-${hash('a')}.cr`);

test('a request is left over where pod, namespace and source are those of the one that served, of whichever API', () => {
  const others = [request(`mtls-0-${hash('b')}.cr`), request(`mtls-0-${hash('c')}.csr`)];
  assert.deepEqual(leftovers(served, [served, ...others]), others);
});

test('a request that differs in anything is not left over, nor is one whose name the agent did not make', () => {
  const strangers = [
    request(`mtls-0-${hash('b')}.cr`, { namespace: 'bank' }),
    request(`mtls-0-${hash('b')}.cr`, { pod: 'u2' }),
    { metadata: { name: `mtls-0-${hash('b')}.cr`, namespace: 'shop' } },
    request(`mtls-1-${hash('b')}.cr`),
    request(`x\nmtls-0-${hash('b')}.cr`),
    request(`mtls-0-${hash('b', 39)}.cr`),
    request(`mtls-0-${hash('g')}.cr`),
    request(`mtls-0-${hash('b')}.`),
    request(`mtls-0-${hash('b')}.cr2`),
    request(`mtls-0-${hash('b')}`),
  ];
  assert.deepEqual(leftovers(served, strangers), []);
});

test('nothing is left over from a request of another name or of no pod', () => {
  const others = [request('by-hand'), request('mtls-0-by-hand.cr'), request(`mtls-0-${hash('b')}.cr`)];
  assert.deepEqual(leftovers(request('mine'), others), []);
  const { name, namespace } = served.metadata;
  const unlabelled: KubernetesObject = { metadata: { name: `mtls-0-${hash('b')}.cr`, namespace } };
  assert.deepEqual(leftovers({ metadata: { name, namespace } }, [unlabelled]), []);
  assert.deepEqual(leftovers({ metadata: { name, namespace, labels: {} } }, [unlabelled]), []);
});
