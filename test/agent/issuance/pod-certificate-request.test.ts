import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Actor, AgentError, type ErrorCode } from '../../../agent/base/errors.ts';
import { createPodCertificateIssuer } from '../../../agent/issuance/pod-certificate-request.ts';
import type { RequestApi, RequestCache, RequestEvent } from '../../../agent/issuance/request-calls.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import type { PodCertificateApi } from '../../../agent/kubernetes/discovery.ts';
import { replyError } from '../../../agent/kubernetes/failure.ts';
import type { PodCertificateRequest, Status } from '../../../agent/kubernetes/objects.ts';
import { describeCall } from '../../../agent/kubernetes/paths.ts';
import type { CertificateOrder, Outcome, PrivateKey } from '../../../agent/lifecycle/ports.ts';

const served = (version: string, evidence: PodCertificateApi['evidence']): PodCertificateApi => ({
  apiVersion: `certificates.k8s.io/${version}`,
  pathPrefix: `/apis/certificates.k8s.io/${version}`,
  evidence,
  userAnnotations: version !== 'v1alpha1',
});
const v1 = served('v1', 'stub');
const v1beta1WithStub = served('v1beta1', 'stub');
const v1beta1 = served('v1beta1', 'keyAndProof');
const v1alpha1 = served('v1alpha1', 'keyAndProof');

const failure = (code: ErrorCode, message = 'no') => new AgentError(code, message, { actor: 'nobody' });

/** The Kubernetes API as a script: each create takes the next step; without one it succeeds. */
function scriptedApi(versions: readonly PodCertificateApi[], steps: readonly (AgentError | 'ok')[] = []) {
  const created: PodCertificateRequest[] = [];
  const told: string[] = [];
  const remaining = [...steps];
  const known = [...versions];
  let existing: PodCertificateRequest | AgentError = failure('NotFound');
  const forget = (what: string) => (api: PodCertificateApi) => {
    told.push(`${what} ${api.apiVersion}`);
    if (known.length > 1) {
      known.shift();
    }
  };
  const api: RequestApi = {
    async served() {
      const [first] = known;
      if (first === undefined) {
        throw failure('ApiMissing');
      }
      return first;
    },
    notServed: forget('notServed'),
    stubRefused: forget('stubRefused'),
    async create(_, body) {
      created.push(body);
      const step = remaining.shift() ?? 'ok';
      if (step !== 'ok') {
        throw step;
      }
    },
    async get(_, namespace, name) {
      told.push(`get ${namespace}/${name}`);
      if (existing instanceof AgentError) {
        throw existing;
      }
      return existing;
    },
  };
  return {
    api,
    created,
    told,
    holds(object: PodCertificateRequest | AgentError) {
      existing = object;
    },
  };
}

/** The watch as a script: a test puts objects in and says when a list is taken over. */
function scriptedCache() {
  const objects = new Map<string, PodCertificateRequest>();
  const listeners = new Set<(event: RequestEvent<PodCertificateRequest>) => void>();
  let begun = 0;
  let taken = 0;
  const emit = (event: RequestEvent<PodCertificateRequest>) => {
    for (const listener of [...listeners]) {
      listener(event);
    }
  };
  const cache: RequestCache<PodCertificateRequest> = {
    get: (key) => objects.get(key),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    lists: () => ({ begun, taken }),
  };
  return {
    cache,
    listeners,
    put(object: PodCertificateRequest) {
      const key = `${object.metadata.namespace}/${object.metadata.name}`;
      const type = objects.has(key) ? 'modified' : 'added';
      objects.set(key, object);
      emit({ type, object });
    },
    remove(key: string) {
      const object = objects.get(key);
      objects.delete(key);
      if (object !== undefined) {
        emit({ type: 'deleted', object });
      }
    },
    beginList() {
      begun += 1;
    },
    takeList() {
      taken = begun;
      emit({ type: 'synced' });
    },
  };
}

const order: CertificateOrder = {
  requestName: 'mtls-0-abc',
  identity: {
    pod: { namespace: 'shop', name: 'web', uid: 'pod-uid', serviceAccountName: 'web' },
    serviceAccountUID: 'sa-uid',
    nodeName: 'node-1',
    nodeUID: 'node-uid',
    ended: false,
  },
  signerName: 'example.com/mesh',
  userAnnotations: {},
  priority: 'first',
};
const { signal } = new AbortController();
const isError =
  (code: ErrorCode, message: RegExp, actor: Actor = 'nobody') =>
  (error: unknown) => {
    assert.ok(error instanceof AgentError, `${error} is no AgentError`);
    assert.deepEqual([error.code, error.actor], [code, actor]);
    assert.match(error.message, message);
    return true;
  };

let key: PrivateKey;
let stub: string;
let publicKey: string;
let proof: string;
before(async () => {
  key = await createKeyMaker().generate('ED25519');
  stub = Buffer.from(await key.stubRequest()).toString('base64');
  publicKey = Buffer.from(key.spki).toString('base64');
  proof = Buffer.from(await key.proofOfPossession('pod-uid')).toString('base64');
});

const issuerFor = (api: RequestApi, cache = scriptedCache().cache) => createPodCertificateIssuer(api, cache);

describe('the request that is created', () => {
  const spec = {
    signerName: 'example.com/mesh',
    podName: 'web',
    podUID: 'pod-uid',
    serviceAccountName: 'web',
    serviceAccountUID: 'sa-uid',
    nodeName: 'node-1',
    nodeUID: 'node-uid',
  };

  it('names pod, node, service account and signer, and belongs to the pod', async () => {
    const script = scriptedApi([v1]);
    await issuerFor(script.api).submit(order, key, signal);
    assert.deepEqual(script.created, [
      {
        apiVersion: 'certificates.k8s.io/v1',
        kind: 'PodCertificateRequest',
        metadata: {
          name: 'mtls-0-abc',
          namespace: 'shop',
          ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'web', uid: 'pod-uid' }],
        },
        spec: { ...spec, stubPKCS10Request: stub },
      },
    ]);
  });

  it('carries the stub on v1beta1 where the server knows it, else key and proof', async () => {
    const newer = scriptedApi([v1beta1WithStub]);
    await issuerFor(newer.api).submit(order, key, signal);
    assert.deepEqual(newer.created[0]?.spec, { ...spec, stubPKCS10Request: stub });
    for (const version of [v1beta1, v1alpha1]) {
      const older = scriptedApi([version]);
      await issuerFor(older.api).submit(order, key, signal);
      assert.equal(older.created[0]?.apiVersion, version.apiVersion);
      assert.deepEqual(older.created[0]?.spec, { ...spec, pkixPublicKey: publicKey, proofOfPossession: proof });
    }
  });

  it('passes on the longest lifetime and the annotations that the pod gives', async () => {
    const script = scriptedApi([v1]);
    const wishes = { maxExpirationSeconds: 7200, userAnnotations: { 'example.com/team': 'a' } };
    await issuerFor(script.api).submit({ ...order, ...wishes }, key, signal);
    assert.deepEqual(script.created[0]?.spec, {
      ...spec,
      maxExpirationSeconds: 7200,
      unverifiedUserAnnotations: { 'example.com/team': 'a' },
      stubPKCS10Request: stub,
    });
  });

  it('is not made on v1alpha1 when the pod gives annotations, which that version cannot carry', async () => {
    const script = scriptedApi([v1alpha1]);
    const annotated = { ...order, userAnnotations: { 'example.com/team': 'a' } };
    await assert.rejects(
      issuerFor(script.api).submit(annotated, key, signal),
      isError('Rejected', /userAnnotations .* certificates.k8s.io\/v1alpha1/, 'pod author'),
    );
    assert.equal(script.created.length, 0);
  });
});

describe('a request that exists already', () => {
  const mine = (evidence: object): PodCertificateRequest => ({
    metadata: { name: order.requestName, namespace: 'shop' },
    spec: {
      ...{ podName: 'web', serviceAccountName: 'web', serviceAccountUID: 'sa-uid', nodeUID: 'node-uid' },
      ...{ podUID: 'pod-uid', signerName: 'example.com/mesh', nodeName: 'node-1' },
      ...evidence,
    },
  });

  it('is taken as this one when pod, signer, node and key agree, in whichever form the key is', async () => {
    for (const evidence of [{ stubPKCS10Request: stub }, { pkixPublicKey: publicKey, proofOfPossession: proof }]) {
      const script = scriptedApi([v1], [failure('Conflict')]);
      script.holds(mine(evidence));
      await issuerFor(script.api).submit(order, key, signal);
      assert.deepEqual(script.told, ['get shop/mtls-0-abc']);
    }
  });

  it('is looked for in the watch before the server is asked', async () => {
    const script = scriptedApi([v1], [failure('Conflict')]);
    const watch = scriptedCache();
    watch.put(mine({ stubPKCS10Request: stub }));
    await issuerFor(script.api, watch.cache).submit(order, key, signal);
    assert.deepEqual(script.told, []);
  });

  it('is a conflict when anything about it differs', async () => {
    const same = mine({ stubPKCS10Request: stub });
    const others = [
      { podUID: 'other' },
      { nodeName: 'node-2' },
      { signerName: 'example.com/other' },
      { stubPKCS10Request: Buffer.from(key.spki.subarray(1)).toString('base64') },
      { stubPKCS10Request: '', pkixPublicKey: Buffer.from('other').toString('base64') },
    ];
    const different = others.map((difference) => ({ ...same, spec: { ...same.spec, ...difference } }));
    for (const other of [...different, mine({})]) {
      const script = scriptedApi([v1], [failure('Conflict')]);
      script.holds(other);
      await assert.rejects(
        issuerFor(script.api).submit(order, key, signal),
        isError('Conflict', /shop\/mtls-0-abc exists that this agent did not make/),
      );
    }
  });

  it('and is gone when it is looked at leaves an error that passes by itself', async () => {
    const script = scriptedApi([v1], [failure('Conflict')]);
    await assert.rejects(issuerFor(script.api).submit(order, key, signal), isError('Unavailable', /was deleted/));
  });

  it('and cannot be read says so', async () => {
    const script = scriptedApi([v1], [failure('Conflict')]);
    script.holds(failure('Forbidden', 'may not get'));
    await assert.rejects(issuerFor(script.api).submit(order, key, signal), isError('Forbidden', /may not get/));
  });
});

/** The error that the API server's reply becomes. */
function reply(httpStatus: number, status: Omit<Status, 'kind'>): AgentError {
  const call = describeCall('POST', '/apis/certificates.k8s.io/v1/namespaces/shop/podcertificaterequests', false, 'me');
  return replyError(call, httpStatus, { kind: 'Status', ...status });
}

describe('a server of another version', () => {
  const dropped = reply(422, {
    reason: 'Invalid',
    message: 'PodCertificateRequest "web" is invalid: spec.pkixPublicKey: Required value',
    details: { name: 'web', causes: [{ reason: 'FieldValueRequired', field: 'spec.pkixPublicKey' }] },
  });
  const unknown = failure('NotFound', 'the server could not find the requested resource');

  it('that drops the stub gets key and proof at once', async () => {
    const script = scriptedApi([v1beta1WithStub, v1beta1], [dropped]);
    await issuerFor(script.api).submit(order, key, signal);
    assert.deepEqual(script.told, ['stubRefused certificates.k8s.io/v1beta1']);
    assert.deepEqual(
      script.created.map(({ spec }) => [spec.stubPKCS10Request, spec.pkixPublicKey, spec.proofOfPossession]),
      [
        [stub, undefined, undefined],
        [undefined, publicKey, proof],
      ],
    );
  });

  it('that serves the version no more is asked by the one that it serves now', async () => {
    const script = scriptedApi([v1alpha1, v1beta1WithStub], [unknown]);
    await issuerFor(script.api).submit(order, key, signal);
    assert.deepEqual(script.told, ['notServed certificates.k8s.io/v1alpha1']);
    assert.deepEqual(
      script.created.map(({ apiVersion }) => apiVersion),
      ['certificates.k8s.io/v1alpha1', 'certificates.k8s.io/v1beta1'],
    );
  });

  it('may change twice within one request, and no more', async () => {
    const script = scriptedApi([v1alpha1, v1beta1WithStub, v1beta1], [unknown, dropped]);
    await issuerFor(script.api).submit(order, key, signal);
    assert.equal(script.created.length, 3);
    const endless = scriptedApi([v1, v1alpha1, v1, v1alpha1, v1], [unknown, unknown, unknown, unknown]);
    await assert.rejects(issuerFor(endless.api).submit(order, key, signal), unknown);
    assert.equal(endless.created.length, 3);
  });

  it('that serves nothing else leaves the error as it was', async () => {
    for (const error of [dropped, unknown]) {
      const script = scriptedApi([v1beta1WithStub], [error]);
      await assert.rejects(issuerFor(script.api).submit(order, key, signal), error);
      assert.equal(script.created.length, 1);
    }
  });

  it('is not looked for when the request itself is at fault', async () => {
    const errors = [failure('Rejected', 'spec.maxExpirationSeconds: Invalid value'), failure('Unavailable')];
    for (const error of errors) {
      const script = scriptedApi([v1, v1beta1], [error]);
      await assert.rejects(issuerFor(script.api).submit(order, key, signal), error);
      assert.deepEqual(script.told, []);
    }
  });

  it('is not suspected when the namespace is gone, and the pod with it', async () => {
    const script = scriptedApi(
      [v1, v1beta1],
      [reply(404, { reason: 'NotFound', message: 'gone', details: { name: 'shop', kind: 'namespaces' } })],
    );
    await assert.rejects(
      issuerFor(script.api).submit(order, key, signal),
      isError('PodGone', /namespace shop does not exist/),
    );
    assert.deepEqual(script.told, []);
  });
});

describe('following a request', () => {
  const name = order.requestName;
  const pending = (): PodCertificateRequest => ({
    metadata: { name, namespace: 'shop' },
    spec: {
      ...{ podName: 'web', serviceAccountName: 'web', serviceAccountUID: 'sa-uid', nodeUID: 'node-uid' },
      ...{ podUID: 'pod-uid', signerName: 'example.com/mesh', nodeName: 'node-1' },
    },
  });
  const denied = (): PodCertificateRequest => ({
    ...pending(),
    status: { conditions: [{ type: 'Denied', status: 'True', reason: 'Policy', message: 'no' }] },
  });
  const denial: Outcome = { type: 'denied', reason: 'Policy', message: 'no' };
  const gone: Outcome = { type: 'gone' };
  const nextMicrotasks = () => new Promise((resolve) => setImmediate(resolve));

  async function submitted() {
    const watch = scriptedCache();
    const issuer = issuerFor(scriptedApi([v1]).api, watch.cache);
    const outcomes: Outcome[] = [];
    watch.beginList();
    watch.takeList();
    await issuer.submit(order, key, signal);
    const follow = () =>
      issuer.follow({ namespace: 'shop', requestName: name, signerName: order.signerName }, (outcome) =>
        outcomes.push(outcome),
      );
    return { watch, issuer, outcomes, follow };
  }

  it('reports the answer when the watch brings it, once, and listens no more', async () => {
    const { watch, outcomes, follow } = await submitted();
    follow();
    watch.put(pending());
    await nextMicrotasks();
    assert.deepEqual(outcomes, []);
    watch.put(denied());
    watch.put(denied());
    assert.deepEqual(outcomes, [denial]);
    assert.equal(watch.listeners.size, 0);
  });

  it('reports an answer that is there already, after the call has returned', async () => {
    const { watch, outcomes, follow } = await submitted();
    watch.put(denied());
    follow();
    assert.deepEqual(outcomes, []);
    await nextMicrotasks();
    assert.deepEqual(outcomes, [denial]);
  });

  it('waits for a request that the watch has not shown yet', async () => {
    const { watch, outcomes, follow } = await submitted();
    follow();
    await nextMicrotasks();
    watch.put(pending());
    watch.takeList();
    assert.deepEqual(outcomes, []);
  });

  it('is not misled by a list that began before the request was made', async () => {
    const watch = scriptedCache();
    const issuer = issuerFor(scriptedApi([v1]).api, watch.cache);
    const outcomes: Outcome[] = [];
    watch.beginList();
    await issuer.submit(order, key, signal);
    issuer.follow({ namespace: 'shop', requestName: name, signerName: order.signerName }, (outcome) =>
      outcomes.push(outcome),
    );
    await nextMicrotasks();
    watch.takeList();
    assert.deepEqual(outcomes, []);
    watch.beginList();
    watch.takeList();
    assert.deepEqual(outcomes, [gone]);
  });

  it('reports a deleted request as gone, or as answered when it was answered before', async () => {
    const first = await submitted();
    first.follow();
    first.watch.put(pending());
    first.watch.remove(`shop/${name}`);
    assert.deepEqual(first.outcomes, [gone]);
    const second = await submitted();
    second.watch.put(denied());
    second.follow();
    second.watch.remove(`shop/${name}`);
    assert.deepEqual(second.outcomes, [denial]);
    await nextMicrotasks();
    assert.equal(second.outcomes.length, 1);
  });

  it('reports a request of an earlier run as gone when a list of this run lacks it', async () => {
    const watch = scriptedCache();
    const issuer = issuerFor(scriptedApi([v1]).api, watch.cache);
    const outcomes: Outcome[] = [];
    const follow = () =>
      issuer.follow({ namespace: 'shop', requestName: name, signerName: order.signerName }, (outcome) =>
        outcomes.push(outcome),
      );
    follow();
    await nextMicrotasks();
    assert.deepEqual(outcomes, []);
    watch.beginList();
    watch.takeList();
    assert.deepEqual(outcomes, [gone]);
    follow();
    await nextMicrotasks();
    assert.deepEqual(outcomes, [gone, gone]);
  });

  it('says nothing once it is ended, and leaves no listener', async () => {
    const { watch, outcomes, follow } = await submitted();
    watch.put(denied());
    const end = follow();
    end();
    end();
    await nextMicrotasks();
    assert.deepEqual(outcomes, []);
    assert.equal(watch.listeners.size, 0);
  });

  it('is not disturbed by other requests, nor by one of the same name in another namespace', async () => {
    const { watch, outcomes, follow } = await submitted();
    follow();
    watch.put({ ...denied(), metadata: { name, namespace: 'other' } });
    watch.put({ ...denied(), metadata: { name: 'other', namespace: 'shop' } });
    await nextMicrotasks();
    assert.deepEqual(outcomes, []);
  });

  it('remembers a bounded number of requests, the latest', async () => {
    const { watch, issuer, outcomes, follow } = await submitted();
    for (let index = 0; index < 1024; index += 1) {
      await issuer.submit({ ...order, requestName: `r-${index}` }, key, signal);
    }
    // Forgotten, the request counts as one of an earlier run, and the list that was taken lacks it.
    follow();
    issuer.follow({ namespace: 'shop', requestName: 'r-0', signerName: order.signerName }, () =>
      assert.fail('r-0 is remembered'),
    );
    await nextMicrotasks();
    assert.deepEqual(outcomes, [gone]);
    assert.equal(watch.listeners.size, 1);
  });
});

it('names requests and verifies chains as the Issuer of the lifecycle', () => {
  const issuer = issuerFor(scriptedApi([v1]).api);
  assert.match(
    issuer.requestName(
      { pod: order.identity.pod, volumeName: 'mtls', sourceIndex: 0, signerName: order.signerName },
      key.spki,
    ),
    /^mtls-0-[0-9a-f]{40}$/,
  );
  const empty = { type: 'issued', certificateChain: '', notBefore: 0, notAfter: 0, beginRefreshAt: 0 } as const;
  assert.throws(() => issuer.verify(empty, key.spki, 0), isError('InvalidChain', /no certificate/, 'signer'));
});
