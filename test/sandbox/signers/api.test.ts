import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import type { ApiClient, ApiRequest } from '../../../agent/kubernetes/client.ts';
import type { PodCertificateRequest } from '../../../agent/kubernetes/objects.ts';
import { createSignerApi } from '../../../sandbox/signers/api.ts';

const request: PodCertificateRequest = {
  metadata: { name: 'req-1', namespace: 'demo', uid: 'uid-1', resourceVersion: '7' },
  spec: {
    signerName: 'example.com/mesh',
    podName: 'web',
    podUID: 'pod-uid',
    serviceAccountName: 'web',
    serviceAccountUID: 'sa-uid',
    nodeName: 'node-1',
    nodeUID: 'node-uid',
  },
};
const status = { conditions: [{ type: 'Denied', status: 'True' }] };
const bundle = { metadata: { name: 'b' }, spec: { signerName: 'example.com/mesh', trustBundle: 'PEM' } };

function apiError(httpStatus: number): AgentError {
  const cause = { kind: 'ApiFailure', httpStatus, message: 'no', causes: [] };
  return new AgentError('Unavailable', `answered ${httpStatus}`, { actor: 'nobody', cause });
}

/** A client that serves v1beta1 and answers everything else by the function given. */
function clientThat(answer: (request: ApiRequest) => unknown) {
  const calls: ApiRequest[] = [];
  const discover = ({ path }: ApiRequest): unknown => {
    if (!path.endsWith('/v1beta1')) {
      throw apiError(404);
    }
    return { resources: [{ name: 'podcertificaterequests' }, { name: 'clustertrustbundles' }] };
  };
  const client: Pick<ApiClient, 'request'> = {
    request: async <T>(call: ApiRequest): Promise<T> => {
      if (/^\/apis\/[^/]+\/[^/]+$/.test(call.path)) {
        return discover(call) as T;
      }
      calls.push(call);
      return answer(call) as T;
    },
  };
  return { calls, client: client as ApiClient };
}

test('a status is written to the version that is served, on top of the version that was seen', async () => {
  const { calls, client } = clientThat(() => ({}));
  assert.deepEqual(await createSignerApi(client).writeStatus(request, status), { type: 'written' });
  const [call] = calls;
  assert.equal(call?.method, 'PUT');
  assert.equal(call.path, '/apis/certificates.k8s.io/v1beta1/namespaces/demo/podcertificaterequests/req-1/status');
  assert.deepEqual(call.body, {
    ...request,
    apiVersion: 'certificates.k8s.io/v1beta1',
    kind: 'PodCertificateRequest',
    status,
  });
});

test('after a conflict the newest version is written, unless it is answered or another one', async () => {
  const newer = { ...request, metadata: { ...request.metadata, resourceVersion: '8' } };
  for (const [newest, expected, writes] of [
    [newer, 'written', 2],
    [{ ...newer, status }, 'gone', 1],
    [{ ...newer, metadata: { ...newer.metadata, uid: 'another' } }, 'gone', 1],
  ] as const) {
    let puts = 0;
    const { calls, client } = clientThat(({ method }) => {
      if (method === 'GET') {
        return newest;
      }
      puts += 1;
      if (puts === 1) {
        throw apiError(409);
      }
      return {};
    });
    assert.equal((await createSignerApi(client).writeStatus(request, status)).type, expected);
    assert.equal(calls.filter((call) => call.method === 'PUT').length, writes);
  }
});

test('errors say whether to try again', async () => {
  for (const [httpStatus, type] of [
    [404, 'gone'],
    [403, 'refused'],
    [422, 'refused'],
    [429, 'retry'],
    [503, 'retry'],
  ] as const) {
    const { client } = clientThat(() => {
      throw apiError(httpStatus);
    });
    assert.equal((await createSignerApi(client).writeStatus(request, status)).type, type, String(httpStatus));
  }
});

test('a trust bundle is created once and then replaced, also when somebody else wrote in between', async () => {
  let stored: object | undefined;
  let conflicts = 1;
  const { calls, client } = clientThat(({ method, body }) => {
    if (method === 'GET') {
      if (stored === undefined) {
        throw apiError(404);
      }
      return stored;
    }
    if (method === 'PUT' && conflicts-- > 0) {
      throw apiError(409);
    }
    stored = { ...(body as object) };
    return stored;
  });
  const api = createSignerApi(client);
  await api.applyTrustBundle(bundle);
  await api.applyTrustBundle({ ...bundle, spec: { ...bundle.spec, trustBundle: 'NEW' } });
  assert.deepEqual(
    calls.map((call) => call.method),
    ['GET', 'POST', 'GET', 'PUT', 'GET', 'PUT'],
  );
  assert.match(JSON.stringify(stored), /"trustBundle":"NEW"/);
});

test('an API server without the resource is named', async () => {
  const client: Pick<ApiClient, 'request'> = { request: async () => ({ resources: [] }) as never };
  const result = await createSignerApi(client as ApiClient).writeStatus(request, status);
  assert.ok(result.type === 'retry', inspect(result));
  assert.match(result.message, /does not serve podcertificaterequests\.certificates\.k8s\.io/);
});
