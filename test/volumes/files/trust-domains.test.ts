/**
 * Anchors of several trust domains as files of a volume: each in its own file, or in one map under its name; they come, go and stay, also
 * while other sources of the volume change. With real tmpfs mounts where this run may mount.
 */
import assert from 'node:assert/strict';
import { createPublicKey, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { SourceContent, TrustDomainAnchors } from '../../../volumes/base/volume.ts';
import type { Source } from '../../../volumes/declaration/types.ts';
import { isFileOf } from '../../../volumes/files/trust-domain-files.ts';
import { createVolumeStore } from '../../../volumes/store.ts';
import { derOf, makeAuthority, makeAuthorityOf } from '../../agent/trust/authorities.ts';
import { buildGoProgram, goIsMissing } from '../../support/go.ts';
import { certificateSource, credential, makeRecord, makeTarget, mountSkip, temporaryDirectory } from '../support.ts';

const [alpha, beta, gamma] = ['alpha', 'beta', 'gamma'].map(makeAuthority) as [string, string, string];

function apart(as: 'filePerTrustDomain' | 'bundleMap', needsOwn = true) {
  const name = as === 'bundleMap' ? 'trust_bundles.json' : 'a.example.spiffe-trust-bundle.pem';
  return {
    kind: 'clusterTrustBundle',
    index: 1,
    select: { by: 'signer', signerName: 'example.com/mesh' },
    optional: false,
    path: `mesh/${name}`,
    trustDomains: { own: 'a.example', canarying: 'live', as, needsOwn },
  } as const satisfies Source;
}

function content(bundles: Readonly<Record<string, string | undefined>>): SourceContent {
  const byTrustDomain = Object.entries(bundles).map(
    ([trustDomain, pem]): TrustDomainAnchors =>
      pem === undefined ? { trustDomain } : { trustDomain, certificates: [derOf(pem)] },
  );
  return { kind: 'trustAnchors', certificates: byTrustDomain[0]?.certificates ?? [], byTrustDomain };
}

async function setUp(t: TestContext, source: Source, mode: 'tmpfs' | 'directory') {
  const root = temporaryDirectory(t);
  const targetPath = makeTarget(root);
  const record = makeRecord(targetPath);
  const declaration = { sources: [{ ...certificateSource, credentialBundlePath: 'mesh/credentials.pem' }, source] };
  const start = () =>
    createVolumeStore({ kubeletRoot: root, driverName: 'csi.test', mode, onProblem: () => undefined });
  const volume = await start().create({ ...record, declaration });
  const names = (): readonly string[] => fs.readdirSync(path.join(targetPath, 'mesh')).toSorted();
  const read = (name: string): string => fs.readFileSync(path.join(targetPath, 'mesh', name), 'utf8');
  return { volume, names, read, targetPath, recover: () => start().recover() };
}

const bundle = (name: string): string => `${name}.spiffe-trust-bundle.pem`;

for (const mode of ['directory', 'tmpfs'] as const) {
  const skip = mode === 'tmpfs' ? mountSkip : false;

  test(`each trust domain has a file of its own, which goes when it goes, and no other file notices (${mode})`, {
    skip,
  }, async (t) => {
    const source = apart('filePerTrustDomain');
    const { volume, names, read, recover } = await setUp(t, source, mode);
    const write = (bundles: Readonly<Record<string, string | undefined>>) =>
      volume.project(new Map([[1, content(bundles)]]));
    await volume.project(
      new Map([
        [0, credential(1)],
        [1, content({ 'a.example': alpha, 'b.example': beta })],
      ]),
    );
    assert.deepEqual(names(), [bundle('a.example'), bundle('b.example'), 'credentials.pem']);
    assert.equal(read(bundle('a.example')), alpha);
    assert.equal(read(bundle('b.example')), beta);

    // The certificate is renewed: all bundles stay.
    await volume.project(new Map([[0, credential(2)]]));
    assert.deepEqual(names(), [bundle('a.example'), bundle('b.example'), 'credentials.pem']);
    assert.equal(read(bundle('b.example')), beta);

    assert.equal(await write({ 'a.example': alpha, 'b.example': beta }), 'unchanged');
    assert.equal(await write({ 'a.example': undefined, 'c.example': gamma }), 'written');
    assert.deepEqual(names(), [bundle('a.example'), bundle('c.example'), 'credentials.pem']);
    assert.equal(read(bundle('a.example')), alpha);
    assert.equal(volume.isProjected(1), true);

    // Another run of the agent finds them, and that the pod's own is needed.
    const { volumes } = await recover();
    const [found] = volumes;
    assert.equal(found?.isProjected(1), true);
    assert.equal(await write({ 'b.example': beta }), 'written');
    assert.deepEqual(names(), [bundle('b.example'), 'credentials.pem']);
    assert.equal(volume.isProjected(1), false);
  });
}

test('a source that may go without its own trust domain is whole without any file', async (t) => {
  const { volume, names } = await setUp(t, apart('filePerTrustDomain', false), 'directory');
  assert.equal(volume.isProjected(1), false);
  await volume.project(
    new Map([
      [0, credential(1)],
      [1, content({})],
    ]),
  );
  assert.deepEqual(names(), ['credentials.pem']);
  assert.equal(volume.isProjected(1), true);
});

test('names that are no trust domains never become paths, and anchors that are not kept apart never become files', async (t) => {
  const { volume, names } = await setUp(t, apart('filePerTrustDomain'), 'directory');
  for (const name of ['../../escape', '..', 'a/b', 'A.example', '']) {
    await assert.rejects(
      volume.project(
        new Map([
          [0, credential(1)],
          [1, content({ 'a.example': alpha, [name]: beta })],
        ]),
      ),
      {
        message: /holds trust anchors by trust domain only/,
      },
    );
  }
  const united: SourceContent = { kind: 'trustAnchors', certificates: [derOf(alpha), derOf(beta)] };
  await assert.rejects(
    volume.project(
      new Map([
        [0, credential(1)],
        [1, united],
      ]),
    ),
    { message: /by trust domain only/ },
  );
  await volume.project(
    new Map([
      [0, credential(1)],
      [1, content({ 'a.example': alpha })],
    ]),
  );
  assert.deepEqual(names(), [bundle('a.example'), 'credentials.pem']);
});

test('the files of a source are known by their form, and by nothing that only resembles it', () => {
  const source = apart('filePerTrustDomain');
  const has = (file: string): boolean => isFileOf(source, file);
  assert.ok(has('mesh/b.example.spiffe-trust-bundle.pem') && has(source.path), 'its files');
  for (const file of [
    'b.example.spiffe-trust-bundle.pem',
    'mesh/.spiffe-trust-bundle.pem',
    'mesh/b/c.spiffe-trust-bundle.pem',
    'mesh/B.spiffe-trust-bundle.pem',
    'mesh/..spiffe-trust-bundle.pem',
    'mesh/b.example.spiffe-trust-bundle.pem.bak',
    'mesh/a',
    '',
  ]) {
    assert.equal(has(file), false, file);
  }
  assert.deepEqual(
    ['mesh/trust_bundles.json', 'mesh/x.json'].map((file) => isFileOf(apart('bundleMap'), file)),
    [true, false],
  );
});

/** As gRPC reads it. */
interface BundleMap {
  readonly trust_domains: Readonly<Record<string, { readonly keys: readonly Readonly<Record<string, unknown>>[] }>>;
}

test('a bundle map has the anchors of each trust domain under its name, each with its own key and nothing that readers refuse', async (t) => {
  const { volume, names, read } = await setUp(t, apart('bundleMap'), 'directory');
  const rsa = makeAuthorityOf('rsa', 'root of RSA');
  await volume.project(
    new Map([
      [0, credential(1)],
      [1, content({ 'a.example': alpha, 'b.example': rsa })],
    ]),
  );
  assert.deepEqual(names(), ['credentials.pem', 'trust_bundles.json']);
  const map: BundleMap = JSON.parse(read('trust_bundles.json'));
  assert.deepEqual(Object.keys(map), ['trust_domains']);
  assert.deepEqual(Object.keys(map.trust_domains), ['a.example', 'b.example']);
  for (const [name, pem, members] of [
    ['a.example', alpha, ['crv', 'kty', 'use', 'x', 'x5c', 'y']],
    ['b.example', rsa, ['e', 'kty', 'n', 'use', 'x5c']],
  ] as const) {
    const [key, ...others] = map.trust_domains[name]?.keys ?? [];
    assert.deepEqual(others, []);
    assert.deepEqual(Object.keys(key ?? {}).toSorted(), members);
    assert.equal(key?.['use'], 'x509-svid');
    assert.deepEqual(key?.['x5c'], [Buffer.from(derOf(pem)).toString('base64')]);
    // OpenSSL makes the same public key of the parameters as of the certificate.
    const spki = { type: 'spki', format: 'pem' } as const;
    const fromJwk = createPublicKey({ key: { ...key }, format: 'jwk' }).export(spki);
    assert.equal(fromJwk, new X509Certificate(pem).publicKey.export(spki));
  }
  assert.equal(await volume.project(new Map([[1, content({ 'a.example': alpha, 'b.example': rsa })]])), 'unchanged');
  await volume.project(new Map([[1, content({ 'a.example': alpha })]]));
  assert.deepEqual(Object.keys(JSON.parse(read('trust_bundles.json')).trust_domains), ['a.example']);
});

test('Go reads the same certificates and keys from a bundle map', { skip: goIsMissing }, async (t) => {
  const { volume, read } = await setUp(t, apart('bundleMap'), 'directory');
  const rsa = makeAuthorityOf('rsa', 'root of RSA');
  await volume.project(
    new Map([
      [0, credential(1)],
      [1, content({ 'a.example': alpha, 'b.example': rsa })],
    ]),
  );
  assert.deepEqual(buildGoProgram('bundlemap').ask(JSON.parse(read('trust_bundles.json'))), {
    'a.example': ['CN=alpha'],
    'b.example': ['CN=root of RSA'],
  });
});
