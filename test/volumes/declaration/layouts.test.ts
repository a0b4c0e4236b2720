/** Layouts: the names that a layout stands for, and what a source that has one may not say besides. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layouts } from '../../../volumes/declaration/layouts.ts';
import { parseDeclaration } from '../../../volumes/declaration/sources.ts';
import type { Source } from '../../../volumes/declaration/types.ts';

const certificate = { signerName: 'example.com/mesh', keyType: 'ED25519' };

function read(...sources: readonly object[]): {
  readonly sources: readonly Source[];
  readonly faults: readonly string[];
} {
  const parsed = parseDeclaration({ sources: JSON.stringify(sources) });
  return parsed.ok
    ? { sources: parsed.declaration.sources, faults: [] }
    : { sources: [], faults: parsed.faults.map(({ field, message }) => `${field}: ${message}`) };
}

/** The source of one podCertificate with these fields, without what all have. */
function certificateOf(fields: object): object {
  const { sources, faults } = read({ podCertificate: { ...certificate, ...fields } });
  assert.deepEqual(faults, []);
  const { kind: _k, index: _i, signerName: _s, keyType: _t, userAnnotations: _a, ...rest } = Object(sources[0]);
  return rest;
}

test('a layout gives a certificate the file names that its programs look for, in the folder that path names', () => {
  assert.deepEqual(certificateOf({ layout: 'spiffe' }), {
    credentialBundlePath: 'credential-bundle.private-key.pem',
    roots: 'drop',
  });
  assert.deepEqual(certificateOf({ layout: 'istio', path: './mesh//a/' }), {
    keyPath: 'mesh/a/key.pem',
    certificateChainPath: 'mesh/a/cert-chain.pem',
  });
  assert.deepEqual(certificateOf({ layout: 'istio', roots: 'keep' }), {
    keyPath: 'key.pem',
    certificateChainPath: 'cert-chain.pem',
  });
  assert.deepEqual(certificateOf({ layout: 'grpc', user: 70, mode: '0600', caPath: 'ca.pem', roots: 'drop' }), {
    keyPath: 'private_key.pem',
    certificateChainPath: 'certificates.pem',
    caPath: 'ca.pem',
    roots: 'drop',
    user: 70,
    mode: 0o600,
  });
});

test('what a layout leaves no place for is refused by its field', () => {
  const faults = (fields: object): readonly string[] => read({ podCertificate: { ...certificate, ...fields } }).faults;
  const field = 'sources[0].podCertificate';
  assert.deepEqual(faults({ layout: 'spire' }), [`${field}.layout: must be one of spiffe, istio, grpc, not "spire"`]);
  assert.deepEqual(faults({ layout: 'constructor' }), [
    `${field}.layout: must be one of spiffe, istio, grpc, not "constructor"`,
  ]);
  assert.deepEqual(faults({ layout: 'istio', keyPath: 'a', leafPath: 'b' }), [
    `${field}.keyPath: layout istio says which files there are: leave this out, or the layout`,
    `${field}.leafPath: layout istio says which files there are: leave this out, or the layout`,
  ]);
  assert.deepEqual(faults({ layout: 'spiffe', roots: 'keep' }), [
    `${field}.roots: layout spiffe wants chains without roots: leave this out`,
  ]);
  assert.deepEqual(faults({ keyPath: 'a', path: 'b' }), [
    `${field}.path: goes with layout, whose folder it names: name the files by fields like credentialBundlePath`,
  ]);
  assert.deepEqual(faults({ layout: 'istio', path: '../etc' }), [
    `${field}.path: must not hold ".." as a part, not "../etc/key.pem"`,
  ]);
  assert.deepEqual(faults({ layout: 'istio', path: 7 }), [`${field}.path: must be a string: put "7" in quotes`]);
  assert.deepEqual(faults({ layout: 'spiffe', mode: '0444' }), [
    `${field}.mode: 0444 would let everybody read the private key, write "0440" or tighter, or leave it out`,
  ]);
});

test('files of a layout collide with others like files that are named', () => {
  const { faults } = read(
    { podCertificate: { ...certificate, layout: 'istio', path: 'mesh' } },
    { clusterTrustBundle: { name: 'roots', path: 'mesh/key.pem' } },
    { podCertificate: { ...certificate, layout: 'spiffe', path: 'mesh/cert-chain.pem' } },
  );
  assert.deepEqual(faults, [
    'sources[1].clusterTrustBundle.path: "mesh/key.pem" is written by sources[0].podCertificate.layout already',
    'sources[2].podCertificate.layout: "mesh/cert-chain.pem/credential-bundle.private-key.pem" needs a directory "mesh/cert-chain.pem", which sources[0].podCertificate.layout writes as a file',
  ]);
});

test('each name of a layout is one part of a path', () => {
  for (const { certificate: files, anchors } of Object.values(layouts)) {
    for (const name of [...Object.values(files), 'name' in anchors ? anchors.name : `a${anchors.ending}`]) {
      assert.match(name, /^[a-z_.-]+$/, name);
    }
  }
});

const bundles = { signerName: 'example.com/mesh', layout: 'spiffe', trustDomain: 'a.example' };
const bundleFaults = (fields: object): readonly string[] => read({ clusterTrustBundle: fields }).faults;

/** The source of one clusterTrustBundle with these fields, without what all have. */
function bundleOf(fields: object): object {
  const { sources, faults } = read({ clusterTrustBundle: fields });
  assert.deepEqual(faults, []);
  const { kind: _k, index: _i, ...rest } = Object(sources[0]);
  return rest;
}

test('a layout gives trust anchors one file, a file for each trust domain, or one map of them', () => {
  assert.deepEqual(bundleOf({ layout: 'istio', name: 'roots', path: 'mesh' }), {
    select: { by: 'name', name: 'roots' },
    optional: false,
    path: 'mesh/root-cert.pem',
  });
  const select = { by: 'signer', signerName: 'example.com/mesh' };
  assert.deepEqual(bundleOf({ ...bundles, path: 'mesh' }), {
    select,
    optional: false,
    path: 'mesh/a.example.spiffe-trust-bundle.pem',
    trustDomains: { own: 'a.example', canarying: 'live', as: 'filePerTrustDomain', needsOwn: true },
  });
  assert.deepEqual(
    bundleOf({
      ...bundles,
      layout: 'grpc',
      canarying: 'preview',
      optional: true,
      expired: 'drop',
      user: 70,
      mode: '0440',
    }),
    {
      select,
      // What an older agent reads must not let it write an empty file.
      optional: false,
      expired: 'drop',
      path: 'trust_bundles.json',
      trustDomains: { own: 'a.example', canarying: 'preview', as: 'bundleMap', needsOwn: false },
      user: 70,
      mode: 0o440,
    },
  );
});

test('what would mix trust domains, or name files by something that is none, is refused by its field', () => {
  const field = 'sources[0].clusterTrustBundle';
  assert.deepEqual(bundleFaults({ signerName: 'example.com/mesh', layout: 'spiffe' }), [
    `${field}.trustDomain: is required with this layout: the pod's own trust domain, like "example.org"`,
  ]);
  assert.deepEqual(bundleFaults({ layout: 'spiffe', trustDomain: 'a', name: 'roots', labelSelector: {} }), [
    `${field}.name: layout spiffe selects by signerName, trustDomain and canarying: leave this out`,
    `${field}.labelSelector: layout spiffe selects by signerName, trustDomain and canarying: leave this out`,
    `${field}.signerName: is required, like "example.com/signer-name"`,
  ]);
  for (const password of ['password', 'passwordPath']) {
    assert.deepEqual(bundleFaults({ ...bundles, truststorePath: 't.p12', [password]: 'changeit' }), [
      `${field}.truststorePath: layout spiffe keeps trust domains apart, which a keystore cannot: leave this out`,
      `${field}.${password}: layout spiffe keeps trust domains apart, which a keystore cannot: leave this out`,
    ]);
  }
  assert.deepEqual(bundleFaults({ ...bundles, canarying: 'Live' }), [
    `${field}.canarying: must be live or preview, not "Live"`,
  ]);
  assert.deepEqual(bundleFaults({ name: 'roots', path: 'ca.pem', trustDomain: 'a', canarying: 'live' }), [
    `${field}.trustDomain: goes with layout spiffe or grpc`,
    `${field}.canarying: goes with layout spiffe or grpc`,
  ]);
  assert.deepEqual(bundleFaults({ name: 'roots', layout: 'istio', trustDomain: 'a' }), [
    `${field}.trustDomain: goes with layout spiffe or grpc`,
  ]);
  const hostile = [
    'A.example',
    '../a',
    'a/b',
    '.a',
    'a.',
    '..',
    '-a',
    'a_',
    'ä',
    'a b',
    'a\n',
    'a\u0000',
    'x'.repeat(64),
  ];
  for (const trustDomain of hostile) {
    const [fault = '', ...others] = bundleFaults({ ...bundles, trustDomain });
    assert.ok(
      fault.startsWith(`${field}.trustDomain: must be a trust domain, at most 63 of`),
      `${trustDomain}: ${fault}`,
    );
    assert.deepEqual(others, []);
  }
  assert.deepEqual(bundleFaults({ ...bundles, trustDomain: 5 }), [
    `${field}.trustDomain: must be a string: put "5" in quotes`,
  ]);
  for (const trustDomain of ['a', 'a..b', 'a_b-c.d', '1', 'x'.repeat(63)]) {
    assert.deepEqual(bundleFaults({ ...bundles, trustDomain }), []);
  }
  assert.deepEqual(bundleFaults({ ...bundles, path: '/etc' }), [
    `${field}.path: must be relative to the volume, not "/etc/a.example.spiffe-trust-bundle.pem"`,
  ]);
});

test('no file of another source may lie where the bundle of a trust domain may come', () => {
  const { faults } = read(
    { clusterTrustBundle: { ...bundles, path: 'mesh' } },
    { clusterTrustBundle: { name: 'roots', path: 'mesh/b.example.spiffe-trust-bundle.pem' } },
    { clusterTrustBundle: { name: 'roots', path: 'mesh/c.spiffe-trust-bundle.pem/ca.pem' } },
    { clusterTrustBundle: { ...bundles, trustDomain: 'd.example', path: 'mesh' } },
    { clusterTrustBundle: { name: 'roots', path: 'e.example.spiffe-trust-bundle.pem' } },
    { podCertificate: { ...certificate, layout: 'spiffe', path: 'mesh' } },
    { clusterTrustBundle: { ...bundles, path: 'mesh/inner' } },
  );
  const owner = 'sources[0].clusterTrustBundle.layout';
  const why = `may become a file of ${owner}, which writes all names with ".spiffe-trust-bundle.pem" in its folder`;
  assert.deepEqual(faults, [
    `sources[1].clusterTrustBundle.path: "mesh/b.example.spiffe-trust-bundle.pem" ${why}`,
    `sources[2].clusterTrustBundle.path: "mesh/c.spiffe-trust-bundle.pem/ca.pem" ${why}`,
    `sources[3].clusterTrustBundle.layout: "mesh/d.example.spiffe-trust-bundle.pem" ${why}`,
    ...['[0].clusterTrustBundle.layout', '[1].clusterTrustBundle.path', '[2].clusterTrustBundle.path'].map(
      (field, index) => {
        const file = [
          'a.example.spiffe-trust-bundle.pem',
          'b.example.spiffe-trust-bundle.pem',
          'c.spiffe-trust-bundle.pem/ca.pem',
        ][index];
        return `sources${field}: "mesh/${file}" ${why.replace('[0]', '[3]')}`;
      },
    ),
  ]);
  assert.deepEqual(read({ clusterTrustBundle: bundles }, { clusterTrustBundle: bundles }).faults, [
    'sources[1].clusterTrustBundle.layout: "a.example.spiffe-trust-bundle.pem" is written by sources[0].clusterTrustBundle.layout already',
  ]);
});

test('a volume keeps trust domains apart in eight sources at most', () => {
  const sources = (count: number): readonly object[] =>
    Array.from({ length: count }, (_, index) => ({ clusterTrustBundle: { ...bundles, path: `mesh${index}` } }));
  assert.deepEqual(read(...sources(8)).faults, []);
  assert.deepEqual(read(...sources(9)).faults, [
    'sources: must hold at most 8 sources that keep trust domains apart, not 9',
  ]);
});
