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
  for (const { certificate: files } of Object.values(layouts)) {
    for (const name of Object.values(files)) {
      assert.match(name, /^[a-z_.-]+$/, name);
    }
  }
});
