/** Keystores and truststores as their readers see them: OpenSSL and Java. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import { atOnce } from '../../../volumes/base/steps.ts';
import { keyTypes } from '../../../volumes/declaration/key-types.ts';
import type { FileContent } from '../../../volumes/files/content.ts';
import { integer, objectIdentifier } from '../../../volumes/keystores/der.ts';
import { macKey } from '../../../volumes/keystores/derivation.ts';
import { makePassword } from '../../../volumes/keystores/password.ts';
import {
  keystoreSafe,
  macOver,
  macSalt,
  pkcs12,
  randomnessBytes,
  truststoreSafe,
} from '../../../volumes/keystores/pkcs12.ts';
import { certify, createRootAuthority, makeHolder } from '../../support/certificates.ts';
import { makeDirectory } from '../../support/directory.ts';
import { javaIsMissing, keytool } from '../../support/java.ts';
import { createOpenSsl } from '../../support/openssl.ts';

const password = Buffer.from('0123456789abcdef ~!"\\', 'latin1');
const openSsl = createOpenSsl();

function seal(safe: FileContent, randomness: Uint8Array): Buffer {
  const mac = atOnce(macOver(safe, atOnce(macKey(password, macSalt(randomness)))));
  const file = pkcs12(safe, mac, randomness);
  const bytes = Buffer.concat([...file.pieces()]);
  assert.equal(bytes.length, file.length, 'the length that is told is another');
  return bytes;
}

const opened = (file: Uint8Array, ...options: readonly string[]): Promise<string> =>
  openSsl
    .run('pkcs12', '-in', file, '-passin', `pass:${password.toString('latin1')}`, '-nodes', ...options)
    .then(String);

function fileOf(t: TestContext, bytes: Uint8Array): string {
  const file = path.join(makeDirectory(t), 'store.p12');
  fs.writeFileSync(file, bytes);
  return file;
}

test('OpenSSL opens a keystore of every key type, and Java lists its key with the whole chain', async (t) => {
  const authority = await createRootAuthority();
  const keys = createKeyMaker();
  for (const keyType of keyTypes) {
    const key = await keys.generate(keyType);
    const now = Date.now();
    const leaf = new X509Certificate(
      await authority.issueLeaf({ spki: key.spki, notBefore: now, notAfter: now + 3_600_000 }),
    ).raw;
    const root = new X509Certificate(authority.pem).raw;
    const randomness = randomBytes(randomnessBytes);
    const file = seal(await keystoreSafe(key.pkcs8, [leaf, root], password, randomness), randomness);
    const text = await opened(file);
    const pem = /-----BEGIN PRIVATE KEY-----[^-]*-----END PRIVATE KEY-----/.exec(text)?.[0] ?? '';
    const stored = createPrivateKey({ key: Buffer.from(key.pkcs8), format: 'der', type: 'pkcs8' });
    assert.ok(createPrivateKey(pem).equals(stored), `${keyType}: the key is another`);
    const certificates = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
    assert.deepEqual(
      certificates.map((certificate) => new X509Certificate(certificate).raw),
      [leaf, root],
      keyType,
    );
    assert.ok(!file.includes(Buffer.from(key.pkcs8.subarray(-16))), `${keyType}: the key is not encrypted`);
    if (javaIsMissing === false) {
      const options = ['-keystore', fileOf(t, file), '-storepass', password.toString('latin1')];
      const list = await keytool('-list', '-v', ...options);
      assert.match(list, /Alias name: certificate\n/);
      assert.match(list, /Entry type: PrivateKeyEntry\nCertificate chain length: 2\n/);
      // It signs with the key.
      const request = await keytool('-certreq', '-alias', 'certificate', ...options);
      assert.match(request, /^-----BEGIN NEW CERTIFICATE REQUEST-----$/m, keyType);
    }
    key.destroy();
  }
  if (javaIsMissing !== false) {
    t.diagnostic(`not read by Java: ${javaIsMissing}`);
  }
});

test('what is encrypted, how and how often, is what OpenSSL 3 and Java 17 write', async (t) => {
  const { pkcs8, chain, randomness } = await material();
  const info = infoOf(t, seal(await keystoreSafe(pkcs8, chain, password, randomness), randomness));
  const scheme = 'PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256';
  assert.deepEqual(info, [
    'MAC: sha256, Iteration 10000',
    'MAC length: 32, salt length: 16',
    `PKCS7 Encrypted data: ${scheme}`,
    'Certificate bag',
    'Certificate bag',
    'PKCS7 Data',
    `Shrouded Keybag: ${scheme}`,
  ]);
});

test('another password opens neither a keystore nor a truststore', async () => {
  const { pkcs8, chain, randomness } = await material();
  for (const safe of [await keystoreSafe(pkcs8, chain, password, randomness), truststoreSafe(chain)]) {
    const file = seal(safe, randomness);
    await opened(file, '-noout');
    await assert.rejects(openSsl.run('pkcs12', '-in', file, '-passin', 'pass:other', '-noout'), /Mac verify error/);
  }
});

test('Java trusts each certificate of a truststore, with the password and without one', {
  skip: javaIsMissing,
}, async (t) => {
  const { chain, randomness } = await material();
  const file = fileOf(t, seal(truststoreSafe(chain), randomness));
  for (const given of [['-storepass', password.toString('latin1')], []]) {
    const list = await keytool('-list', '-keystore', file, ...given);
    assert.match(list, /Your keystore contains 2 entries/);
    assert.deepEqual(list.match(/^ca-\d+, .*trustedCertEntry/gm)?.length, 2, list);
  }
});

test('a truststore of no certificate at all is one that opens', async (t) => {
  const { randomness } = await material();
  const file = seal(truststoreSafe([]), randomness);
  assert.equal(await opened(file, '-nokeys'), '');
  if (javaIsMissing === false) {
    const list = await keytool('-list', '-keystore', fileOf(t, file), '-storepass', password.toString('latin1'));
    assert.match(list, /contains 0 entries/);
  }
});

test('a truststore of hundreds of certificates comes in pieces, and holds them all', async () => {
  const { chain, randomness } = await material();
  const [certificate = new Uint8Array()] = chain;
  const many = Array.from({ length: 600 }, () => certificate);
  const pieces = [...truststoreSafe(many).pieces()];
  assert.ok(pieces.length > many.length, 'the certificates are copied into one buffer');
  const file = seal(truststoreSafe(many), randomness);
  const text = await opened(file, '-nokeys');
  assert.equal(text.match(/BEGIN CERTIFICATE/g)?.length, many.length);
});

test('the length that is told before a truststore is made is that of its bytes, whatever the lengths of its certificates', () => {
  for (const length of [1, 20, 70, 100, 127, 128, 200, 240, 255, 256, 300, 65_400, 65_535, 65_536, 70_000]) {
    const certificates = Array.from({ length: 11 }, (_, index) => new Uint8Array(length + index));
    const safe = truststoreSafe(certificates);
    const bytes = [...safe.pieces()].reduce((sum, piece) => sum + piece.length, 0);
    assert.equal(bytes, safe.length, `certificates of ${length} bytes`);
  }
});

test('the same randomness gives the same bytes, and other randomness others', async () => {
  const { pkcs8, chain, randomness } = await material();
  const digest = async (random: Uint8Array): Promise<string> => {
    const safe = await keystoreSafe(pkcs8, chain, password, random);
    return createHash('sha256').update(seal(safe, random)).digest('hex');
  };
  assert.equal(await digest(randomness), await digest(randomness));
  assert.notEqual(await digest(randomness), await digest(randomBytes(randomnessBytes)));
});

test('a password of the agent is 64 hexadecimal digits, each time others, in memory of its own', () => {
  const [one, other] = [makePassword(), makePassword()];
  assert.match(Buffer.from(one).toString('latin1'), /^[0-9a-f]{64}$/);
  assert.notDeepEqual(one, other);
  assert.equal(one.buffer.byteLength, one.length, 'it shares memory with others');
});

test('numbers and names are written as X.690 says', () => {
  assert.deepEqual([...integer(0)], [2, 1, 0]);
  assert.deepEqual([...integer(127)], [2, 1, 127]);
  assert.deepEqual([...integer(128)], [2, 2, 0, 128]);
  assert.deepEqual([...integer(10_000)], [2, 2, 0x27, 0x10]);
  assert.equal(
    Buffer.from(objectIdentifier('2.16.840.1.113894.746875.1.1')).toString('hex'),
    '060c6086480186f966adca7b0101',
  );
});

function infoOf(t: TestContext, file: Uint8Array): readonly string[] {
  const args = ['pkcs12', '-in', fileOf(t, file), '-passin', `pass:${password.toString('latin1')}`, '-info', '-noout'];
  const { stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  return stderr.trim().split('\n');
}

async function material() {
  const root = await makeHolder('CN=root');
  const intermediate = await makeHolder('CN=intermediate');
  const { privateKey } = generateKeyPairSync('ed25519');
  return {
    pkcs8: privateKey.export({ format: 'der', type: 'pkcs8' }),
    chain: [await certify(intermediate, root), await certify(root, root)],
    randomness: randomBytes(randomnessBytes),
  };
}
