import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCertificationRequest } from '../../../sandbox/rules/certification-request.ts';
import { makeDirectory } from '../../support/directory.ts';
import { createKeys, goodKeyNames } from './cases/keys.ts';

const keys = createKeys();

/** A request made by OpenSSL, DER. */
function opensslRequest(...options: string[]): Buffer {
  const directory = makeDirectory();
  const out = join(directory, 'request.der');
  const files = ['-nodes', '-keyout', join(directory, 'key.pem'), '-outform', 'DER', '-out', out];
  const made = spawnSync('openssl', ['req', '-new', '-subj', '/CN=x', ...files, ...options], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  return readFileSync(out);
}

for (const name of goodKeyNames) {
  test(`OpenSSL agrees that the cases' request of type ${name} is signed`, () => {
    const stub = keys(name).stub();
    const judged = spawnSync('openssl', ['req', '-inform', 'DER', '-verify', '-noout'], {
      input: stub,
      encoding: 'utf8',
    });
    assert.equal(judged.status, 0, judged.stderr);
    assert.equal(readCertificationRequest(stub)?.isSelfSigned(), true);
  });
}

const algorithms: readonly (readonly [string, readonly string[]])[] = [
  ['Ed25519', ['-newkey', 'ed25519']],
  ['ECDSA with SHA-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384']],
  ['ECDSA with SHA-512', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521', '-sha512']],
  ['RSA with SHA-512', ['-newkey', 'rsa:3072', '-sha512']],
  ['RSASSA-PSS', ['-newkey', 'rsa:3072', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest']],
];

for (const [name, options] of algorithms) {
  test(`A request that OpenSSL signed with ${name} is taken, extensions and all`, () => {
    const der = opensslRequest(...options, '-addext', 'subjectAltName=DNS:a.example');
    const request = readCertificationRequest(der);
    assert.equal(request?.publicKey.kind, 'supported');
    assert.equal(request?.isSelfSigned(), true);
  });
}

test('A request signed by another key than its own is not self-signed', () => {
  const [ours, theirs] = [keys('ED25519').stub(), createKeys()('ED25519').stub()];
  const mixed = Buffer.concat([ours.subarray(0, -64), theirs.subarray(-64)]);
  assert.equal(readCertificationRequest(mixed)?.isSelfSigned(), false);
});

test('A request that names an algorithm of other keys is not self-signed', () => {
  const ed25519 = Buffer.from('300506032b6570', 'hex');
  const ed448 = Buffer.from('300506032b6571', 'hex');
  const stub = keys('ED25519').stub();
  const at = stub.lastIndexOf(ed25519);
  const renamed = Buffer.concat([stub.subarray(0, at), ed448, stub.subarray(at + ed448.length)]);
  assert.equal(readCertificationRequest(renamed)?.isSelfSigned(), false);
});

test('Bytes that are cut short, indefinite in length or something else are no request', () => {
  const stub = keys('ED25519').stub();
  for (const bytes of [
    Buffer.alloc(0),
    stub.subarray(0, 1),
    stub.subarray(0, 40),
    Buffer.from('3080', 'hex'),
    stub.subarray(2),
  ]) {
    assert.equal(readCertificationRequest(bytes), undefined);
  }
  assert.equal(readCertificationRequest(Buffer.concat([Buffer.from('308200', 'hex'), stub.subarray(1)])), undefined);
});
