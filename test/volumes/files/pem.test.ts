/** PEM as other implementations read it. */
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { certificateBlockSize, encodeCertificate, encodePem } from '../../../volumes/files/pem.ts';

test('blocks of every length decode to their bytes, in lines of 64 characters', () => {
  for (let length = 1; length < 200; length += 1) {
    const bytes = randomBytes(length);
    const text = Buffer.from(encodePem([{ label: 'CERTIFICATE', bytes }])).toString();
    const body = bytes.toString('base64').match(/.{1,64}/g) ?? [];
    assert.equal(text, ['-----BEGIN CERTIFICATE-----', ...body, '-----END CERTIFICATE-----', ''].join('\n'));
  }
});

test('a certificate as a string is the same text, and its size is known before it is made', () => {
  for (let length = 1; length < 200; length += 1) {
    // In the middle of a buffer, as pieces of a message lie.
    const bytes = randomBytes(length + 2).subarray(1, length + 1);
    const text = encodeCertificate(bytes);
    assert.equal(text, Buffer.from(encodePem([{ label: 'CERTIFICATE', bytes }])).toString());
    assert.equal(certificateBlockSize(bytes), text.length);
  }
});

test('OpenSSL reads a private key out of a bundle', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const der = privateKey.export({ type: 'pkcs8', format: 'der' });
  const bundle = encodePem([
    { label: 'PRIVATE KEY', bytes: der },
    { label: 'CERTIFICATE', bytes: Uint8Array.of(1, 2) },
  ]);
  assert.ok(createPrivateKey(Buffer.from(bundle)).equals(privateKey), 'the key in the bundle is another');
});

test('no blocks are an empty file', () => {
  assert.equal(encodePem([]).length, 0);
});
