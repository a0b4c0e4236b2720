/**
 * What clients may expect of any Kubernetes API server, as tests that need no more than its address, authority and an
 * administrator's token. They run against the sandbox, and against a real server when one is named.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { inspect } from 'node:util';
import type { JsonObject } from '../../../sandbox/base/objects.ts';
import { eachWithFields, withFields } from '../../support/fields.ts';
import { type Answer, call, type RequestOptions, type Target, watch } from './client.ts';

type Connect = () => Target;
const accounts = '/api/v1/namespaces/default/serviceaccounts';
const bundles = '/apis/certificates.k8s.io/v1beta1/clustertrustbundles';

interface Metadata {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly [field: string]: unknown;
}
const metadataOf = (answer: Answer): Metadata => withFields<Metadata>(answer.body.metadata, 'resourceVersion');
const namesIn = (answer: Answer): string[] =>
  eachWithFields<{ metadata: Metadata }>(answer.body.items, 'metadata').map((item) => item.metadata.name);
const causesOf = (answer: Answer): JsonObject[] => (answer.body.details as JsonObject).causes as JsonObject[];
const merge = { 'Content-Type': 'application/merge-patch+json' };

export function apiBehaviour(connect: Connect): void {
  /** A label that only the objects of one test have. */
  const mark = (): string => `t${randomUUID().slice(0, 8)}`;
  const api = (path: string, options?: RequestOptions): Promise<Answer> => call(connect(), path, options);
  const create = (metadata: JsonObject): Promise<Answer> =>
    api(accounts, { method: 'POST', body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata } });

  test('a created object comes back with uid, resourceVersion and creationTimestamp', async () => {
    const created = await create({ generateName: 'made-' });
    assert.equal(created.status, 201);
    assert.match(metadataOf(created).name, /^made-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    assert.match(metadataOf(created).uid, /^[0-9a-f-]{36}$/);
    assert.match(String(metadataOf(created).creationTimestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const read = await api(`${accounts}/${metadataOf(created).name}`);
    assert.deepEqual(read.body, created.body);
  });

  test('a second object of the same name is refused with 409 AlreadyExists', async () => {
    const name = mark();
    await create({ name });
    const again = await create({ name });
    assert.equal(again.status, 409);
    assert.equal(again.body.reason, 'AlreadyExists');
    assert.equal(again.body.message, `serviceaccounts "${name}" already exists`);
    assert.deepEqual(again.body.details, { name, kind: 'serviceaccounts' });
  });

  test('what does not exist is answered 404 with the name in the details', async () => {
    const missing = await api(`${bundles}/no-such-bundle`);
    assert.deepEqual(missing.body, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'clustertrustbundles.certificates.k8s.io "no-such-bundle" not found',
      reason: 'NotFound',
      details: { name: 'no-such-bundle', group: 'certificates.k8s.io', kind: 'clustertrustbundles' },
      code: 404,
    });
  });

  test('an update on top of an older version is refused with 409 Conflict', async () => {
    const name = mark();
    const first = await create({ name });
    await api(`${accounts}/${name}`, { method: 'PATCH', headers: merge, body: { metadata: { labels: { a: 'b' } } } });
    const stale = await api(`${accounts}/${name}`, { method: 'PUT', body: first.body });
    assert.equal(stale.status, 409);
    assert.equal(stale.body.reason, 'Conflict');
    assert.match(String(stale.body.message), /the object has been modified; please apply your changes/);
  });

  test('a Secret is made once by its name, and written by whoever knows its newest version', async () => {
    const secrets = '/api/v1/namespaces/default/secrets';
    const name = mark();
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name } };
    const created = await api(secrets, { method: 'POST', body: secret });
    assert.equal(created.body.type, 'Opaque');
    assert.equal((await api(secrets, { method: 'POST', body: secret })).body.reason, 'AlreadyExists');
    const filled = { ...created.body, data: { key: Buffer.from('value').toString('base64') } };
    assert.deepEqual((await api(`${secrets}/${name}`, { method: 'PUT', body: filled })).body.data, filled.data);
    const stale = await api(`${secrets}/${name}`, { method: 'PUT', body: filled });
    assert.equal(stale.status, 409);
    await api(`${secrets}/${name}`, { method: 'DELETE' });
  });

  test('a Lease is written by whoever knows its newest version', async () => {
    const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
    const name = mark();
    const spec = { holderIdentity: 'one', leaseDurationSeconds: 15, renewTime: '2026-11-26T06:00:00.000000Z' };
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name }, spec };
    const created = await api(leases, { method: 'POST', body: lease });
    assert.deepEqual(created.body.spec, spec);
    const taken = { ...created.body, spec: { ...spec, holderIdentity: 'two' } };
    assert.equal((await api(`${leases}/${name}`, { method: 'PUT', body: taken })).status, 200);
    assert.equal((await api(`${leases}/${name}`, { method: 'PUT', body: taken })).body.reason, 'Conflict');
    await api(`${leases}/${name}`, { method: 'DELETE' });
  });

  test('an update that changes nothing keeps the resourceVersion', async () => {
    const first = await create({ name: mark() });
    const path = `${accounts}/${metadataOf(first).name}`;
    const same = await api(path, { method: 'PUT', body: first.body });
    assert.equal(same.status, 200);
    assert.equal(metadataOf(same).resourceVersion, metadataOf(first).resourceVersion);
  });

  test('a JSON patch whose test fails changes nothing and is answered 422', async () => {
    const path = `${accounts}/${metadataOf(await create({ name: mark() })).name}`;
    const headers = { 'Content-Type': 'application/json-patch+json' };
    const failed = await api(path, {
      method: 'PATCH',
      headers,
      body: [
        { op: 'test', path: '/metadata/name', value: 'other' },
        { op: 'add', path: '/metadata/labels', value: { x: 'y' } },
      ],
    });
    assert.equal(failed.status, 422);
    assert.equal(metadataOf(await api(path)).labels, undefined);
    const added = await api(path, {
      method: 'PATCH',
      headers,
      body: [{ op: 'add', path: '/metadata/labels', value: { x: 'y' } }],
    });
    assert.deepEqual(metadataOf(added).labels, { x: 'y' });
  });

  test('a deletion with another uid is refused, with the right one it is carried out', async () => {
    const { name, uid } = metadataOf(await create({ name: mark() }));
    const options = (wanted: string): RequestOptions => ({
      method: 'DELETE',
      body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: wanted } },
    });
    const refused = await api(`${accounts}/${name}`, options(randomUUID()));
    assert.equal(refused.status, 409);
    assert.match(String(refused.body.message), /The object might have been deleted and then recreated/);
    assert.equal((await api(`${accounts}/${name}`, options(uid))).status, 200);
    assert.equal((await api(`${accounts}/${name}`)).status, 404);
  });

  test('pages of a list show one state, whatever happens between them', async () => {
    const label = mark();
    for (const letter of ['a', 'b', 'c']) {
      await create({ name: `${label}-${letter}`, labels: { label } });
    }
    const selector = `labelSelector=label%3D${label}`;
    const first = await api(`${accounts}?limit=2&${selector}`);
    assert.deepEqual(namesIn(first), [`${label}-a`, `${label}-b`]);
    await api(`${accounts}/${label}-c`, { method: 'DELETE' });
    await create({ name: `${label}-d`, labels: { label } });
    const token = encodeURIComponent(String(metadataOf(first).continue));
    const second = await api(`${accounts}?limit=2&${selector}&continue=${token}`);
    assert.deepEqual(namesIn(second), [`${label}-c`]);
    assert.equal(metadataOf(second).continue, undefined);
    assert.equal(metadataOf(second).resourceVersion, metadataOf(first).resourceVersion);
  });

  test('label selectors select by equality, sets and existence', async () => {
    const label = mark();
    await create({ name: `${label}-1`, labels: { label, tier: 'web' } });
    await create({ name: `${label}-2`, labels: { label, tier: 'db' } });
    await create({ name: `${label}-3`, labels: { label } });
    const select = async (terms: string): Promise<string[]> =>
      namesIn(await api(`${accounts}?labelSelector=${encodeURIComponent(`label=${label},${terms}`)}`));
    assert.deepEqual(await select('tier=web'), [`${label}-1`]);
    assert.deepEqual(await select('tier!=web'), [`${label}-2`, `${label}-3`]);
    assert.deepEqual(await select('tier in (web, db)'), [`${label}-1`, `${label}-2`]);
    assert.deepEqual(await select('tier notin (web)'), [`${label}-2`, `${label}-3`]);
    assert.deepEqual(await select('tier'), [`${label}-1`, `${label}-2`]);
    assert.deepEqual(await select('!tier'), [`${label}-3`]);
  });

  test('a field that cannot be selected by is refused with 400', async () => {
    const refused = await api(`${bundles}?fieldSelector=spec.trustBundle%3Dx`);
    assert.equal(refused.status, 400);
    assert.equal(refused.body.message, 'field label not supported: spec.trustBundle');
    const plain = await api(`${accounts}?fieldSelector=spec.x%3Dy`);
    assert.equal(plain.status, 400);
    assert.match(String(plain.body.message), /"spec.x" is not a known field selector/);
  });

  test('a list at a state that is yet to come is answered 504 with Retry-After', async () => {
    const refused = await api(`${accounts}?resourceVersion=999999999`);
    assert.equal(refused.status, 504);
    assert.equal(refused.body.reason, 'Timeout');
    assert.equal(refused.headers['retry-after'], '1');
    assert.equal(causesOf(refused)[0]?.reason, 'ResourceVersionTooLarge');
  });

  test('a watch shows what happens after a list, in order', async () => {
    const label = mark();
    const selector = `labelSelector=label%3D${label}`;
    const { resourceVersion } = metadataOf(await api(`${accounts}?${selector}`));
    const events = await watch(connect(), `${accounts}?watch=1&resourceVersion=${resourceVersion}&${selector}`);
    const path = `${accounts}/${label}`;
    await create({ name: label, labels: { label } });
    await api(path, { method: 'PATCH', headers: merge, body: { metadata: { annotations: { a: 'b' } } } });
    await api(path, { method: 'DELETE' });
    const seen = [await events.next(), await events.next(), await events.next()];
    events.close();
    assert.deepEqual(
      seen.map((event) => [event?.type, event?.object.metadata.name]),
      [
        ['ADDED', label],
        ['MODIFIED', label],
        ['DELETED', label],
      ],
    );
    const versions = seen.map((event) => Number(event?.object.metadata.resourceVersion));
    assert.ok(
      versions.every((version, index) => index === 0 || version > Number(versions[index - 1])),
      `resource versions do not grow: ${versions}`,
    );
    assert.equal(seen[0]?.object.kind, 'ServiceAccount');
  });

  test('an object that leaves a watched selection is shown as deleted, as it was before', async () => {
    const label = mark();
    await create({ name: label, labels: { label } });
    const events = await watch(connect(), `${accounts}?watch=1&labelSelector=label%3D${label}`);
    assert.equal((await events.next())?.type, 'ADDED');
    const patch = { metadata: { labels: { label: null } } };
    const changed = await api(`${accounts}/${label}`, { method: 'PATCH', headers: merge, body: patch });
    const left = await events.next();
    events.close();
    assert.equal(left?.type, 'DELETED');
    const { managedFields: _, ...shown } = left?.object.metadata ?? {};
    const { managedFields: __, ...now } = metadataOf(changed);
    assert.deepEqual(shown, { ...now, labels: { label } });
  });

  test('initial events end with a bookmark that says so', async () => {
    const label = mark();
    await create({ name: label, labels: { label } });
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const events = await watch(connect(), `${accounts}?${query}&labelSelector=label%3D${label}`);
    assert.equal((await events.next())?.type, 'ADDED');
    const end = await events.next();
    events.close();
    assert.equal(end?.type, 'BOOKMARK');
    assert.deepEqual(end?.object.metadata.annotations, { 'k8s.io/initial-events-end': 'true' });
  });

  test('initial events without resourceVersionMatch are refused with 422', async () => {
    const refused = await api(`${accounts}?watch=1&sendInitialEvents=true`);
    assert.equal(refused.status, 422);
    assert.match(String(refused.body.message), /^ListOptions.meta.k8s.io "" is invalid: /);
  });

  test('the server ends a watch after timeoutSeconds', async () => {
    const { resourceVersion } = metadataOf(await api(`${accounts}?limit=1`));
    const query = `watch=1&timeoutSeconds=1&resourceVersion=${resourceVersion}&fieldSelector=metadata.name%3Dnobody`;
    const events = await watch(connect(), `${accounts}?${query}`);
    assert.equal(await events.next(), undefined);
  });

  test('unknown fields are dropped with a warning, refused when validation is strict', async () => {
    const body = { metadata: { name: mark() }, bogus: 1 };
    const strict = await api(`${accounts}?fieldValidation=Strict`, { method: 'POST', body });
    assert.equal(strict.status, 400);
    assert.match(String(strict.body.message), /strict decoding error: unknown field "bogus"$/);
    const warned = await api(accounts, { method: 'POST', body });
    assert.equal(warned.status, 201);
    assert.equal(warned.headers.warning, '299 - "unknown field \\"bogus\\""');
    assert.equal(warned.body.bogus, undefined);
    const ignored = await api(`${accounts}?fieldValidation=Ignore&dryRun=All`, {
      method: 'POST',
      body: { ...body, metadata: { name: mark() } },
    });
    assert.equal(ignored.headers.warning, undefined);
  });

  test('a wrong type is refused with 400 and the place of it', async () => {
    const wrong = await api(accounts, { method: 'POST', body: { metadata: { name: 1 } } });
    assert.equal(wrong.status, 400);
    assert.match(
      String(wrong.body.message),
      /cannot unmarshal number into Go struct field .*metadata\.name of type string/,
    );
  });

  test('a dry run answers as if and stores nothing', async () => {
    const name = mark();
    const dry = await api(`${accounts}?dryRun=All`, { method: 'POST', body: { metadata: { name } } });
    assert.equal(dry.status, 201);
    assert.equal((await api(`${accounts}/${name}`)).status, 404);
  });

  test('an object for a namespace that does not exist is refused with 404', async () => {
    const path = '/api/v1/namespaces/nowhere/serviceaccounts';
    const refused = await api(path, { method: 'POST', body: { metadata: { name: 'x' } } });
    assert.equal(refused.status, 404);
    assert.deepEqual(refused.body.details, { name: 'nowhere', kind: 'namespaces' });
  });

  test('an object for another namespace than the path names is refused with 400', async () => {
    const refused = await create({ name: 'x', namespace: 'kube-system' });
    assert.equal(refused.status, 400);
    assert.match(String(refused.body.message), /namespace of the provided object does not match/);
  });

  test('lists come as tables to those who ask', async () => {
    const name = mark();
    await create({ name });
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    const table = await api(`${accounts}?fieldSelector=metadata.name%3D${name}`, { headers: { Accept: accept } });
    assert.equal(table.body.kind, 'Table');
    const columns = table.body.columnDefinitions as JsonObject[];
    assert.equal(columns[0]?.name, 'Name');
    assert.equal(columns[0]?.format, 'name');
    const rows = table.body.rows as { cells: unknown[]; object: JsonObject }[];
    assert.equal(rows[0]?.cells[0], name);
    assert.equal(rows[0]?.object.kind, 'PartialObjectMetadata');
  });

  test('lists come as metadata alone to those who ask', async () => {
    const accept = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
    const list = await api(accounts, { headers: { Accept: accept } });
    assert.equal(list.body.kind, 'PartialObjectMetadataList');
  });

  test('a form that is not served is answered 406, a body of a form not read 415', async () => {
    assert.equal((await api(accounts, { headers: { Accept: 'text/html' } })).status, 406);
    const headers = { 'Content-Type': 'text/plain' };
    assert.equal((await api(accounts, { method: 'POST', headers, body: '{}' })).status, 415);
    assert.equal((await api(accounts, { method: 'POST', body: '{' })).status, 400);
  });

  test('a token that nobody has is answered 401', async () => {
    const refused = await api(accounts, { token: 'nobody' });
    assert.equal(refused.status, 401);
    assert.deepEqual(refused.body, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'Unauthorized',
      reason: 'Unauthorized',
      code: 401,
    });
  });

  test('requests without a token are those of the anonymous user', async () => {
    const refused = await api(accounts, { token: null });
    assert.equal(refused.status, 403);
    assert.match(
      String(refused.body.message),
      /^serviceaccounts is forbidden: User "system:anonymous" cannot list resource/,
    );
  });

  test('discovery names the certificate resources, OpenAPI their fields', async () => {
    const group = await api('/apis/certificates.k8s.io/v1beta1');
    assert.equal(group.body.kind, 'APIResourceList');
    const resources = group.body.resources as JsonObject[];
    assert.deepEqual(
      resources.map(({ name }) => name),
      ['clustertrustbundles', 'podcertificaterequests', 'podcertificaterequests/status'],
    );
    const index = await api('/openapi/v3');
    const { paths } = JSON.parse(typeof index.body.text === 'string' ? index.body.text : JSON.stringify(index.body));
    const document = await api(paths['apis/certificates.k8s.io/v1beta1'].serverRelativeURL);
    const { schemas } = withFields<{ schemas: Record<string, { properties: JsonObject }> }>(
      document.body.components,
      'schemas',
    );
    const spec = schemas['io.k8s.api.certificates.v1beta1.PodCertificateRequestSpec'];
    assert.ok(spec !== undefined && 'stubPKCS10Request' in spec.properties, inspect(spec));
  });

  test('a group version that is not served is answered 404', async () => {
    assert.equal((await api('/apis/certificates.k8s.io/v9')).status, 404);
    assert.equal((await api('/apis/certificates.k8s.io/v9/clustertrustbundles')).status, 404);
    assert.equal((await api('/no/such/path')).status, 404);
  });

  test('health and version are there for everybody', async () => {
    assert.equal((await api('/readyz')).body.text, 'ok');
    assert.equal((await api('/version')).body.major, '1');
  });
}
