/**
 * cert-manager's types at the sandbox's server: served once they are installed, and guarded as cert-manager's webhook
 * guards them.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { certificationRequestInfo } from '../../../agent/issuance/certification-request.ts';
import type { Usage } from '../../../agent/issuance/usages.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import type { UserInfo } from '../../../sandbox/base/cluster-rules.ts';
import type { JsonObject } from '../../../sandbox/base/objects.ts';
import { createRules } from '../../../sandbox/cluster/rules.ts';
import { startApiServer } from '../../../sandbox/serving/server.ts';
import { type Answer, call } from '../serving/client.ts';

const group = '/apis/cert-manager.io/v1';
const requests = `${group}/namespaces/default/certificaterequests`;
const roles = '/apis/rbac.authorization.k8s.io/v1';
const key = await createKeyMaker().generate('ECDSAP256');

/** A PKCS#10 request as the agent makes them, PEM in base64. */
async function pkcs10(usages: readonly Usage[]): Promise<string> {
  const names = { uris: ['spiffe://mesh.example/a'], dnsNames: [], ipAddresses: [], organizations: [] };
  const der = await key.signedRequest(await certificationRequestInfo(key.spki, names, usages));
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  const pem = ['-----BEGIN CERTIFICATE REQUEST-----', ...lines, '-----END CERTIFICATE REQUEST-----', ''].join('\n');
  return Buffer.from(pem).toString('base64');
}

const mutualTls: readonly Usage[] = ['digital signature', 'server auth', 'client auth'];
const request = await pkcs10(mutualTls);
const goodSpec: JsonObject = {
  request,
  issuerRef: { name: 'ca', kind: 'ClusterIssuer' },
  usages: [...mutualTls],
  duration: '1h0m0s',
};
const admin: UserInfo = { username: 'admin', groups: ['system:masters'], extra: { 'example.com/a': ['b'] } };
const approver: UserInfo = { username: 'approver', groups: ['system:authenticated'], extra: {} };

/** A server, and a user who may write the status of every request and approve for the named signers. */
async function start(t: TestContext, signers: readonly string[] = [], certManager = true) {
  const server = await startApiServer({ rules: createRules(), kubernetes: '1.36', certManager });
  t.after(() => server.close());
  const target = (user: UserInfo) => ({ url: server.url, caPem: server.caPem, token: server.userToken(user) });
  const send = (user: UserInfo, method: string, path: string, body?: object): Promise<Answer> =>
    call(target(user), path, { method, ...(body && { body }) });
  const rule = (resource: string, verbs: readonly string[], resourceNames: readonly string[] = []) => ({
    ...{ apiGroups: ['cert-manager.io'], resources: [resource], verbs },
    ...(resourceNames.length === 0 ? {} : { resourceNames }),
  });
  const rules = [
    rule('certificaterequests/status', ['update']),
    ...(signers.length === 0 ? [] : [rule('signers', ['approve'], signers)]),
  ];
  await send(admin, 'POST', `${roles}/clusterroles`, { metadata: { name: 'a' }, rules });
  await send(admin, 'POST', `${roles}/clusterrolebindings`, {
    metadata: { name: 'a' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'a' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'approver' }],
  });
  const create = (spec: JsonObject, metadata: JsonObject = {}, more: JsonObject = {}): Promise<Answer> =>
    send(admin, 'POST', requests, { metadata: { name: 'a', ...metadata }, spec, ...more });
  /** Puts conditions into the status of the request `a`. */
  const decide = async (user: UserInfo, ...conditions: readonly JsonObject[]): Promise<Answer> => {
    const { body } = await send(admin, 'GET', `${requests}/a`);
    return await send(user, 'PUT', `${requests}/a/status`, { ...body, status: { conditions: [...conditions] } });
  };
  return { server, send, create, decide };
}

const approved: JsonObject = { type: 'Approved', status: 'True', reason: 'r', message: 'm' };
const denied: JsonObject = { type: 'Denied', status: 'True', reason: 'r', message: 'm' };

test("cert-manager's types are served from its installation on, with discovery and OpenAPI", async (t) => {
  const { server, send, create } = await start(t, [], false);
  assert.equal((await send(admin, 'GET', group)).status, 404);
  assert.equal((await create(goodSpec)).status, 404);
  server.installCertManager();
  const { body } = await send(admin, 'GET', group);
  const names = (body['resources'] as readonly JsonObject[]).map(({ name }) => name);
  const kinds = ['certificaterequests', 'clusterissuers', 'issuers'];
  assert.deepEqual(
    names,
    kinds.flatMap((kind) => [kind, `${kind}/status`]),
  );
  const openApi = await send(admin, 'GET', '/openapi/v3/apis/cert-manager.io/v1');
  assert.match(JSON.stringify(openApi.body), /io\.cert-manager\.v1\.CertificateRequestSpec/);
  assert.equal((await create(goodSpec)).status, 201);
});

test('a request says who made it, whatever its maker says about that, and begins without a status', async (t) => {
  const { create } = await start(t);
  const forged = { username: 'somebody', groups: ['system:masters'], uid: 'x', extra: { a: ['b'] } };
  const { body } = await create({ ...goodSpec, ...forged }, {}, { status: { conditions: [approved] } });
  const spec = body['spec'] as JsonObject;
  assert.equal(spec['username'], 'admin');
  assert.deepEqual(spec['extra'], { 'example.com/a': ['b'] });
  assert.ok(!JSON.stringify(spec['groups']).includes('somebody'), 'the groups are those of the token');
  assert.equal((body['status'] as JsonObject | undefined)?.['conditions'], undefined);
});

/** What Kubernetes 1.36 with cert-manager 1.21 answers, to the letter where the text is not Go's own. */
const refusals: readonly (readonly [string, JsonObject, number, RegExp])[] = [
  [
    'without a request',
    { request: '' },
    422,
    /spec\.request: Invalid value: "": spec\.request in body must be of type/,
  ],
  ['without the name of an issuer', { issuerRef: { kind: 'Issuer' } }, 422, /spec\.issuerRef\.name: Required value/],
  ['with an empty name', { issuerRef: { name: '' } }, 403, /spec\.issuerRef\.name: Required value: must be specified$/],
  ['with a usage that is none', { usages: ['server'] }, 422, /spec\.usages\[0\]: Unsupported value: "server"/],
  [
    'with a request that is none',
    { request: Buffer.from('x').toString('base64') },
    403,
    /"x": error decoding cert.*no PEM/,
  ],
  [
    'of a kind that is no issuer',
    { issuerRef: { name: 'ca', kind: 'CA' } },
    403,
    /Issuer or ClusterIssuer \(did you forget/,
  ],
  [
    'with other usages than the request in it',
    { usages: ['digital signature', 'client auth'] },
    403,
    /encoded CSR error: the ExtKeyUsages \[ 'server auth', 'client auth' \] do not match the expected ExtKeyUsages \[ 'client auth' \]$/,
  ],
  [
    'with the extended usages in another order',
    { usages: [...mutualTls].reverse() },
    403,
    /the ExtKeyUsages \[ 'server auth', 'client auth' \] do not match the expected ExtKeyUsages \[ 'client auth', 'server/,
  ],
  [
    'without usages, and with others than the usual ones in it',
    { usages: [] },
    403,
    /the KeyUsages \[ 'digital signature' \] do not match the expected KeyUsages \[ 'digital signature', 'key encipherment' \]$/,
  ],
  ['for an authority, without the usage of one in it', { isCA: true }, 403, /expected KeyUsages \[ .*'cert sign' \]$/],
  [
    'with two faults',
    { issuerRef: { name: 'ca', kind: 'CA' }, usages: ['any'] },
    403,
    /request: \[spec\.issuer.*, spec\.req.*\]$/,
  ],
  ['with a lifetime that is none', { duration: '1 hour' }, 400, /duration "1 hour"$/],
];
for (const [title, part, code, says] of refusals) {
  test(`a request ${title} is refused`, async (t) => {
    const { create } = await start(t);
    const { status, body } = await create({ ...goodSpec, ...part });
    assert.equal(status, code, JSON.stringify(body));
    assert.match(String(body['message']), says);
    const isWebhook = /^admission webhook "webhook\.cert-manager\.io" denied the request: /;
    assert.equal(isWebhook.test(String(body['message'])), code !== 422);
    assert.equal(body['reason'], { 400: undefined, 403: 'Forbidden', 422: 'Invalid' }[code]);
  });
}

const agreeing: readonly (readonly [string, JsonObject])[] = [
  [
    'key usages may be listed in another order than in the request',
    { usages: ['server auth', 'digital signature', 'client auth'] },
  ],
  ['usages may be left to the object', { request: await pkcs10([]) }],
  ['usages may be left to cert-manager', { request: await pkcs10([]), usages: [] }],
  ['a usage may be named twice', { usages: [...mutualTls, 'signing'] }],
];
for (const [title, part] of agreeing) {
  test(title, async (t) => {
    const { create } = await start(t);
    const { status, body } = await create({ ...goodSpec, ...part });
    assert.equal(status, 201, JSON.stringify(body));
  });
}

test('neither the spec nor an annotation of cert-manager changes once a request is made', async (t) => {
  const { send, create } = await start(t);
  const { body } = await create(goodSpec, { annotations: { 'cert-manager.io/a': '1', 'example.com/a': '1' } });
  const change = (metadata: JsonObject, spec: JsonObject) =>
    send(admin, 'PUT', `${requests}/a`, {
      ...body,
      metadata: { ...(body['metadata'] as JsonObject), ...metadata },
      spec: { ...(body['spec'] as JsonObject), ...spec },
    });
  for (const part of [{ duration: '2h' }, { isCA: true }, { username: 'x' }]) {
    const { status, body: answer } = await change({}, part);
    assert.equal(status, 403, JSON.stringify(answer));
    assert.match(String(answer['message']), /spec: Forbidden: cannot change spec after creation/);
    const isIdentity = /spec\.username: Forbidden: username identity cannot be changed once set/;
    assert.equal(isIdentity.test(String(answer['message'])), 'username' in part);
  }
  const annotated = await change({ annotations: { 'cert-manager.io/a': '2' } }, {});
  assert.match(String(annotated.body['message']), /cannot change cert-manager annotation after creation/);
  const added = await change({ annotations: { 'cert-manager.io/a': '1', 'acme.cert-manager.io/b': '1' } }, {});
  assert.equal(added.status, 403);
  assert.equal((await change({ annotations: { 'cert-manager.io/a': '1' } }, {})).status, 200);
});

test('custom resources know no strategic merge patch, and no update of whatever is stored', async (t) => {
  const { server, send, create } = await start(t);
  const { body } = await create(goodSpec);
  const patch = (type: string) =>
    call({ url: server.url, caPem: server.caPem, token: server.userToken(admin) }, `${requests}/a`, {
      method: 'PATCH',
      body: { metadata: { labels: { a: 'b' } } },
      headers: { 'Content-Type': `application/${type}+json` },
    });
  assert.equal((await patch('strategic-merge-patch')).status, 415);
  assert.equal((await patch('merge-patch')).status, 200);
  const { resourceVersion: _, ...metadata } = body['metadata'] as JsonObject;
  const { status, body: refused } = await send(admin, 'PUT', `${requests}/a`, { ...body, metadata });
  assert.equal(status, 422);
  assert.match(String(refused['message']), /metadata\.resourceVersion: Invalid value: 0: must be specified/);
});

test('only those may approve or deny who may do so for the issuer that is named', async (t) => {
  const names: readonly (readonly [readonly string[], JsonObject, number])[] = [
    [['clusterissuers.cert-manager.io/ca'], { name: 'ca', kind: 'ClusterIssuer' }, 200],
    [['clusterissuers.cert-manager.io/*'], { name: 'ca', kind: 'ClusterIssuer' }, 200],
    [['issuers.cert-manager.io/default.ca'], { name: 'ca' }, 200],
    [['issuers.cert-manager.io/*'], { name: 'ca', kind: 'ClusterIssuer' }, 403],
    [['issuers.cert-manager.io/other.ca'], { name: 'ca' }, 403],
    [['issuers.cert-manager.io/ca'], { name: 'ca' }, 403],
    [[], { name: 'ca' }, 403],
    [['issuers.cert-manager.io/*'], { name: 'ca', kind: 'Made', group: 'up.example' }, 403],
  ];
  for (const [signers, issuerRef, code] of names) {
    for (const decision of [approved, denied]) {
      const { create, decide } = await start(t, signers);
      assert.equal((await create({ ...goodSpec, issuerRef })).status, 201);
      const { status, body } = await decide(approver, decision);
      assert.equal(status, code, `${signers}: ${JSON.stringify(body)}`);
      // What is no decision needs no right to decide.
      const pending = await decide(approver, ...(code === 200 ? [decision] : []), { type: 'Ready', status: 'False' });
      assert.equal(pending.status, 200, JSON.stringify(pending.body));
    }
  }
});

test('a decision is made once, and neither changed nor taken back', async (t) => {
  const { create, decide } = await start(t);
  await create(goodSpec);
  const both = await decide(admin, approved, denied);
  assert.match(String(both.body['message']), /both 'Denied' and 'Approved' conditions cannot coexist/);
  const untrue = await decide(admin, { ...approved, status: 'False' });
  assert.match(String(untrue.body['message']), /"Approved" condition may only be set to True/);
  assert.equal((await decide(admin, approved, { ...approved })).status, 422, 'one condition of each type');
  assert.equal((await decide(admin, approved)).status, 200);
  for (const conditions of [[], [{ ...approved, message: 'other' }], [denied]]) {
    const { status, body } = await decide(admin, ...conditions);
    assert.equal(status, 403, JSON.stringify(body));
    assert.match(String(body['message']), /'Approved' condition may not be modified once set/);
  }
  assert.equal((await decide(admin, { type: 'Ready', status: 'False' }, approved)).status, 200);
});
