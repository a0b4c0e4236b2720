/** `inspect` of a volume with the anchors of several trust domains, in files of their own or in one bundle map. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { inspect } from '../../../agent/cli/inspect.ts';
import { createRootAuthority } from '../../support/certificates.ts';
import { createMaterial, createVolume } from './volume.ts';

const own = 'a.example';

function look(t: TestContext, files: Readonly<Record<string, string>>, as: string, needsOwn = true) {
  const directory = createVolume(t, files);
  const path = as === 'bundleMap' ? 'map.json' : `${own}.spiffe-trust-bundle.pem`;
  const select = { by: 'signer', signerName: 'example.com/mesh' };
  const sources = [
    { kind: 'podCertificate', signerName: 'example.com/mesh', credentialBundlePath: 'tls.pem' },
    { kind: 'clusterTrustBundle', select, path, trustDomains: { own, as, needsOwn } },
  ];
  mkdirSync(join(directory, '..agent'));
  writeFileSync(join(directory, '..agent', 'volume.json'), JSON.stringify({ record: { declaration: { sources } } }));
  let stdout = '';
  const stream = {
    write: (text: string) => {
      stdout += text;
    },
  };
  const options = { directory, anchors: undefined, output: 'text', strict: true, now: Date.now() } as const;
  const code = inspect(options, { stdout: stream, stderr: stream, stopping: new AbortController().signal });
  return { code, lines: stdout.split('\n') };
}

function mapOf(bundles: Readonly<Record<string, string>>): string {
  const entry = (pem: string) => ({ use: 'x509-svid', x5c: [new X509Certificate(pem).raw.toString('base64')] });
  const domains = Object.entries(bundles).map(([name, pem]) => [name, { keys: [entry(pem)] }]);
  return JSON.stringify({ trust_domains: Object.fromEntries(domains) });
}

test("a chain is compared with the anchors of the pod's own trust domain, wherever these are", async (t) => {
  const { key, leaf, intermediate, root } = await createMaterial();
  const peer = await createRootAuthority('CN=peer');
  const tls = { 'tls.pem': key + leaf + intermediate.pem };
  const map = look(t, { ...tls, 'map.json': mapOf({ [own]: root.pem, 'b.example': peer.pem }) }, 'bundleMap');
  assert.equal(map.code, 0, map.lines.join('\n'));
  assert.ok(map.lines.includes('ok    map.json[a.example]: 1 trust anchor'), map.lines.join('\n'));
  assert.ok(map.lines.includes('ok    map.json[b.example]: 1 trust anchor'), map.lines.join('\n'));
  assert.ok(map.lines.includes('ok    tls.pem: the chain leads to the trust anchor "CN=root"'), map.lines.join('\n'));

  const files = { [`${own}.spiffe-trust-bundle.pem`]: root.pem, 'b.example.spiffe-trust-bundle.pem': peer.pem };
  assert.equal(look(t, { ...tls, ...files }, 'filePerTrustDomain').code, 0);

  // Another trust domain that has the root is no help.
  for (const [as, wrong] of [
    ['bundleMap', { 'map.json': mapOf({ [own]: peer.pem, 'b.example': root.pem }) }],
    [
      'filePerTrustDomain',
      { [`${own}.spiffe-trust-bundle.pem`]: peer.pem, 'b.example.spiffe-trust-bundle.pem': root.pem },
    ],
  ] as const) {
    const { code, lines } = look(t, { ...tls, ...wrong }, as);
    assert.equal(code, 1);
    assert.ok(
      lines.some((line) => line.startsWith('fail  tls.pem: the chain leads to none')),
      lines.join('\n'),
    );
  }
});

test('a file of the own trust domain is missing only where it is needed', async (t) => {
  const { key, leaf, intermediate } = await createMaterial();
  const tls = { 'tls.pem': key + leaf + intermediate.pem };
  assert.equal(look(t, tls, 'filePerTrustDomain', false).code, 0);
  const { code, lines } = look(t, tls, 'filePerTrustDomain');
  assert.equal(code, 1);
  assert.ok(
    lines.includes(`fail  ${own}.spiffe-trust-bundle.pem: the pod asks for it, and it is missing`),
    lines.join('\n'),
  );
});

test('a damaged map is told as one, and other JSON as what it is', async (t) => {
  const { key, leaf, intermediate } = await createMaterial();
  const tls = { 'tls.pem': key + leaf + intermediate.pem };
  const damaged = [
    '{"trust_domains":{"a.example":{"keys":[{"use":"x509-svid","x5c":["AAAA"]}]}}}',
    mapOf({}).replace('{}', '{"a":{"keys":[{}]}}'),
  ];
  for (const text of damaged) {
    const { lines } = look(t, { ...tls, 'map.json': text }, 'bundleMap');
    assert.ok(
      lines.includes('fail  map.json: it is a SPIFFE bundle map with an entry that cannot be understood'),
      lines.join('\n'),
    );
  }
  const { lines } = look(t, { ...tls, 'map.json': '{"other":1}' }, 'bundleMap');
  assert.ok(
    lines.includes('fail  map.json: it holds neither a private key nor a certificate in PEM'),
    lines.join('\n'),
  );
});
