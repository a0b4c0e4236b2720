import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { assertServed } from '../../../agent/kubernetes/certificate-resources.ts';
import { createDiscovery } from '../../../agent/kubernetes/discovery.ts';
import { decodeOpenApiDocument } from '../../../agent/kubernetes/schemas.ts';
import type { Clock } from '../../../agent/time/clock.ts';
import { clientOf, type Loopback, sendJson, sendStatus, startLoopback } from './loopback.ts';

interface Cluster {
  /** Resources by version of certificates.k8s.io; a version that is absent is not served. */
  served: Record<string, string[]>;
  minor: string;
  specProperties?: string[];
  /** Schemas beside that of the spec. */
  moreSchemas?: object;
  openApiStatus?: number;
  discoveryStatus?: number;
}

const group = '/apis/certificates.k8s.io/';
const csr = 'certificatesigningrequests';

async function start(t: TestContext, cluster: Cluster) {
  const time = { now: 0 };
  const clock: Clock = { now: () => time.now, at: () => () => {} };
  const server = await startLoopback(t, ({ path, response }) => {
    if (path === '/version') {
      sendJson(response, 200, { minor: cluster.minor, gitVersion: `v1.${cluster.minor}.0` });
    } else if (path.startsWith('/openapi/')) {
      const properties = Object.fromEntries((cluster.specProperties ?? []).map((name) => [name, {}]));
      const schemas = {
        ...cluster.moreSchemas,
        'io.k8s.api.certificates.v1beta1.PodCertificateRequestSpec': { properties },
      };
      cluster.openApiStatus
        ? sendStatus(response, cluster.openApiStatus, 'Broken')
        : sendJson(response, 200, { components: { schemas } });
    } else if (cluster.discoveryStatus) {
      sendStatus(response, cluster.discoveryStatus, 'Broken');
    } else {
      const names = cluster.served[path.slice(group.length)];
      names === undefined
        ? sendStatus(response, 404, 'NotFound')
        : sendJson(response, 200, { kind: 'APIResourceList', resources: names.map((name) => ({ name })) });
    }
  });
  return { server, time, discovery: createDiscovery({ client: clientOf(t, server), clock }) };
}

function asked(server: Loopback): string[] {
  return server.received.map(({ path }) => path.replace(group, ''));
}

const pcr = 'podcertificaterequests';
const ctb = 'clustertrustbundles';

test('v1 is taken where it serves the resource, with the stub request', async (t) => {
  const { discovery, server } = await start(t, { served: { v1: [csr, pcr, ctb] }, minor: '37' });
  const expected = { apiVersion: 'certificates.k8s.io/v1', pathPrefix: '/apis/certificates.k8s.io/v1' };
  assert.deepEqual(await discovery.podCertificateRequests(), { ...expected, evidence: 'stub', userAnnotations: true });
  assert.deepEqual(await discovery.clusterTrustBundles(), expected);
  await discovery.podCertificateRequests();
  assert.deepEqual(asked(server), ['v1', 'v1']);
});

test('v1beta1 is spoken with the stub exactly where its OpenAPI document has the field', async (t) => {
  const served = { v1: [csr], v1beta1: [pcr, ctb] };
  const newer = await start(t, { served, minor: '36', specProperties: ['stubPKCS10Request'] });
  const api = await newer.discovery.podCertificateRequests();
  assert.deepEqual([api.apiVersion, api.evidence], ['certificates.k8s.io/v1beta1', 'stub']);
  const older = await start(t, { served, minor: '35', specProperties: ['pkixPublicKey'] });
  assert.equal((await older.discovery.podCertificateRequests()).evidence, 'keyAndProof');
  for (const openApiStatus of [403, 404]) {
    const closed = await start(t, { served, minor: '36', openApiStatus });
    assert.equal((await closed.discovery.podCertificateRequests()).evidence, 'keyAndProof');
  }
  const broken = await start(t, { served, minor: '36', openApiStatus: 500 });
  await assert.rejects(broken.discovery.podCertificateRequests(), { code: 'Unavailable' });
});

test('v1alpha1 is spoken with key and proof and without user annotations', async (t) => {
  const { discovery } = await start(t, { served: { v1: [csr], v1alpha1: [pcr, ctb] }, minor: '34' });
  assert.deepEqual(await discovery.podCertificateRequests(), {
    apiVersion: 'certificates.k8s.io/v1alpha1',
    pathPrefix: '/apis/certificates.k8s.io/v1alpha1',
    evidence: 'keyAndProof',
    userAnnotations: false,
  });
  assert.equal((await discovery.clusterTrustBundles()).apiVersion, 'certificates.k8s.io/v1alpha1');
});

test('an error other than 404 is no proof of absence', async (t) => {
  const cluster: Cluster = { served: { v1: [csr], v1beta1: [pcr] }, minor: '36', discoveryStatus: 503 };
  const { discovery, server } = await start(t, cluster);
  await assert.rejects(discovery.podCertificateRequests(), { code: 'Unavailable' });
  cluster.discoveryStatus = 403;
  await assert.rejects(discovery.podCertificateRequests(), { code: 'Forbidden' });
  assert.deepEqual(asked(server), ['v1', 'v1']);
});

test('an API that is missing says what to switch on for this version of Kubernetes', async (t) => {
  const messages: Record<string, string> = {};
  for (const minor of ['26', '27', '33', '34', '35', '36+', '37', '']) {
    const { discovery } = await start(t, { served: { v1: [csr] }, minor });
    for (const find of [discovery.podCertificateRequests, discovery.clusterTrustBundles]) {
      await assert.rejects(find(), (error: unknown) => {
        assert.ok(error instanceof AgentError, `${error} is no AgentError`);
        assert.deepEqual([error.code, error.actor], ['ApiMissing', 'cluster operator']);
        messages[`${minor} ${/ClusterTrust|PodCert/.exec(error.message)?.[0]}`] = error.message;
        return true;
      });
    }
  }
  const gate = '--feature-gates=PodCertificateRequest=true --runtime-config=certificates.k8s.io';
  assert.match(messages['33 PodCert'] ?? '', /v1\.33\.0.*no such API: version 1\.34/);
  assert.ok(
    messages['34 PodCert']?.includes(`${gate}/v1alpha1/podcertificaterequests=true`),
    `${`${gate}/v1alpha1/podcertificaterequests=true`} is not in:\n${messages['34 PodCert']}`,
  );
  assert.ok(
    messages['35 PodCert']?.includes(`${gate}/v1beta1/podcertificaterequests=true`),
    `${`${gate}/v1beta1/podcertificaterequests=true`} is not in:\n${messages['35 PodCert']}`,
  );
  assert.ok(
    messages['36+ PodCert']?.includes(`${gate}/v1beta1/podcertificaterequests=true`),
    `${`${gate}/v1beta1/podcertificaterequests=true`} is not in:\n${messages['36+ PodCert']}`,
  );
  assert.match(messages['37 PodCert'] ?? '', /on by default.*--feature-gates=PodCertificateRequest=false/);
  assert.match(messages['26 ClusterTrust'] ?? '', /version 1\.27 is the first/);
  assert.match(messages['27 ClusterTrust'] ?? '', /certificates\.k8s\.io\/v1alpha1\/clustertrustbundles=true/);
  assert.match(messages['33 ClusterTrust'] ?? '', /certificates\.k8s\.io\/v1beta1\/clustertrustbundles=true/);
  assert.match(messages[' PodCert'] ?? '', /feature gate PodCertificateRequest/);
});

test('a missing API is asked for again after a while, and found once it is there', async (t) => {
  const cluster: Cluster = { served: { v1: [csr] }, minor: '37' };
  const { discovery, server, time } = await start(t, cluster);
  await assert.rejects(discovery.podCertificateRequests(), { code: 'ApiMissing' });
  const before = server.received.length;
  cluster.served = { v1: [csr, pcr] };
  await assert.rejects(discovery.podCertificateRequests(), { code: 'ApiMissing' });
  assert.equal(server.received.length, before);
  time.now = 15_000;
  assert.equal((await discovery.podCertificateRequests()).apiVersion, 'certificates.k8s.io/v1');
});

test('many who ask at once cost one look', async (t) => {
  const { discovery, server } = await start(t, { served: { v1: [pcr] }, minor: '37' });
  await Promise.all(Array.from({ length: 20 }, () => discovery.podCertificateRequests()));
  assert.deepEqual(asked(server), ['v1']);
});

test('a version that is served no more is replaced by what is served now', async (t) => {
  const cluster: Cluster = { served: { v1: [csr], v1beta1: [pcr, ctb] }, minor: '36' };
  const { discovery } = await start(t, cluster);
  const requests = await discovery.podCertificateRequests();
  const bundles = await discovery.clusterTrustBundles();
  cluster.served = { v1: [csr, pcr, ctb] };
  assert.equal(await discovery.podCertificateRequests(), requests);
  discovery.notServed(requests);
  discovery.notServed(bundles);
  const found = await discovery.podCertificateRequests();
  assert.equal(found.apiVersion, 'certificates.k8s.io/v1');
  assert.equal((await discovery.clusterTrustBundles()).apiVersion, 'certificates.k8s.io/v1');
  discovery.notServed(requests);
  assert.equal(await discovery.podCertificateRequests(), found);
});

test('after a refused stub v1beta1 is spoken with key and proof', async (t) => {
  const served = { v1: [csr], v1beta1: [pcr] };
  const { discovery } = await start(t, { served, minor: '36', specProperties: ['stubPKCS10Request'] });
  const api = await discovery.podCertificateRequests();
  assert.equal(api.evidence, 'stub');
  discovery.stubRefused(api);
  assert.equal((await discovery.podCertificateRequests()).evidence, 'keyAndProof');
});

const hourMs = 3_600_000;

test('an older version is made do with for an hour, and then the newest is looked for again', async (t) => {
  const cluster: Cluster = { served: { v1: [csr], v1beta1: [pcr, ctb] }, minor: '36', specProperties: [] };
  const { discovery, time, server } = await start(t, cluster);
  const older = await discovery.podCertificateRequests();
  assert.deepEqual([older.apiVersion, older.evidence], ['certificates.k8s.io/v1beta1', 'keyAndProof']);
  discovery.stubRefused(older);
  await discovery.podCertificateRequests();
  cluster.specProperties = ['stubPKCS10Request'];
  time.now = hourMs - 1;
  assert.equal((await discovery.podCertificateRequests()).evidence, 'keyAndProof');
  time.now = hourMs;
  assert.equal((await discovery.podCertificateRequests()).evidence, 'stub');
  cluster.served = { v1: [csr, pcr, ctb], v1beta1: [pcr, ctb] };
  time.now = 2 * hourMs;
  assert.equal((await discovery.podCertificateRequests()).apiVersion, 'certificates.k8s.io/v1');
  const calls = server.received.length;
  time.now = 100 * hourMs;
  await discovery.podCertificateRequests();
  assert.equal(server.received.length, calls, 'the newest is kept for good');
});

test('an older version that cannot be looked for again stays in use', async (t) => {
  const cluster: Cluster = { served: { v1: [csr], v1alpha1: [pcr, ctb] }, minor: '34' };
  const { discovery, time, server } = await start(t, cluster);
  const known = await discovery.podCertificateRequests();
  cluster.discoveryStatus = 503;
  time.now = hourMs;
  assert.equal(await discovery.podCertificateRequests(), known);
  const calls = server.received.length;
  assert.equal(await discovery.podCertificateRequests(), known);
  assert.equal(server.received.length, calls, 'and it is not asked for at every use');
  delete cluster.discoveryStatus;
  cluster.served = { v1: [csr] };
  time.now = 2 * hourMs;
  await assert.rejects(discovery.podCertificateRequests(), { code: 'ApiMissing' });
});

test('a resource is found among any number of others of its group', async (t) => {
  const others = Array.from({ length: 9_000 }, (_, index) => `thing${index}s`);
  const { discovery, server } = await start(t, { served: { v1: [...others, pcr, ctb] }, minor: '37' });
  assert.equal((await discovery.podCertificateRequests()).apiVersion, 'certificates.k8s.io/v1');
  assert.equal((await discovery.clusterTrustBundles()).apiVersion, 'certificates.k8s.io/v1');
  const client = clientOf(t, server);
  const resource = { pathPrefix: `${group}v1`, missing: 'it is not there' };
  await assertServed(client, { ...resource, resource: pcr });
  await assert.rejects(assertServed(client, { ...resource, resource: 'thing9000s' }), {
    code: 'ApiMissing',
    message: 'it is not there',
  });
});

test('the stub is found among any number of schemas, and nothing else of the OpenAPI document is kept', async (t) => {
  const properties = { spec: { type: 'object' }, list: { items: [[], [], []] } };
  const moreSchemas = Object.fromEntries(
    Array.from({ length: 1_000 }, (_, index) => [`thing${index}`, { properties }]),
  );
  const cluster = { served: { v1: [csr], v1beta1: [pcr] }, minor: '36', moreSchemas };
  const { discovery, server } = await start(t, { ...cluster, specProperties: ['uid', 'stubPKCS10Request'] });
  assert.equal((await discovery.podCertificateRequests()).evidence, 'stub');
  const kept: unknown[] = [];
  const decode = Object.assign(
    (value: unknown) => {
      kept.push(value);
      return decodeOpenApiDocument(value);
    },
    { shape: decodeOpenApiDocument.shape ?? 'all' },
  );
  await clientOf(t, server).request({ method: 'GET', path: '/openapi/v3/apis/certificates.k8s.io/v1beta1', decode });
  const spec = { properties: { stubPKCS10Request: {} } };
  const schemas = { 'io.k8s.api.certificates.v1beta1.PodCertificateRequestSpec': spec };
  assert.deepEqual(kept, [{ components: { schemas } }]);
});
