/** Certificates of the signer's CA, by OpenSSL's opinion; and the CA's way into its Secret and back. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { isWhole, type LeafOrder, makeGeneration, openAuthority } from '../../../signer/authority/authority.ts';
import { readGenerations, writeGenerations } from '../../../signer/authority/stored.ts';
import { createOpenSsl } from '../../support/openssl.ts';

const openSsl = createOpenSsl();
const now = Math.floor(Date.now() / 1000) * 1000;
const life = { lifetimeMs: 86_400_000, backdateMs: 60_000, longestLeafMs: 3_600_000 };
const longName = `example.com/${'n'.repeat(200)}`;

const keys: Readonly<Record<string, () => Buffer>> = {
  'P-256': () => spkiOf('ec', { namedCurve: 'P-256' }),
  'P-384': () => spkiOf('ec', { namedCurve: 'P-384' }),
  'P-521': () => spkiOf('ec', { namedCurve: 'P-521' }),
  Ed25519: () => generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }),
  'RSA 3072': () =>
    generateKeyPairSync('rsa', { modulusLength: 3072 }).publicKey.export({ type: 'spki', format: 'der' }),
  'RSA 4096': () =>
    generateKeyPairSync('rsa', { modulusLength: 4096 }).publicKey.export({ type: 'spki', format: 'der' }),
};

function spkiOf(type: 'ec', options: { namedCurve: string }): Buffer {
  return generateKeyPairSync(type, options).publicKey.export({ type: 'spki', format: 'der' });
}

function orderFor(publicKey: Buffer, more: Partial<LeafOrder> = {}): LeafOrder {
  return {
    publicKey,
    uris: ['spiffe://cluster.local/ns/shop/sa/web'],
    dnsNames: ['web.shop.svc'],
    usages: ['digital signature', 'server auth', 'client auth'],
    notBefore: now,
    notAfter: now + 3_600_000,
    ...more,
  };
}

for (const [keyType, makeKey] of Object.entries(keys)) {
  test(`OpenSSL verifies a certificate for a key of type ${keyType} against the anchor, for server and client`, async () => {
    const generation = await makeGeneration(longName, now, life);
    const authority = await openAuthority(generation);
    const publicKey = makeKey();
    const leaf = Buffer.from(await authority.issue(orderFor(publicKey)));
    const anchor = Buffer.from(generation.certificate);
    for (const purpose of ['sslserver', 'sslclient']) {
      const strict = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', anchor, leaf];
      assert.match(String(await openSsl.run(...strict)), /: OK/);
    }
    const read = new X509Certificate(leaf);
    assert.deepEqual(read.publicKey.export({ type: 'spki', format: 'der' }), publicKey);
    assert.equal(read.subjectAltName, 'URI:spiffe://cluster.local/ns/shop/sa/web, DNS:web.shop.svc');
  });
}

test('a certificate has a random serial number of 128 bits, names its issuer, and says what it is for', async () => {
  const generation = await makeGeneration('example.com/mesh', now, life);
  const authority = await openAuthority(generation);
  const leaves = await Promise.all([1, 2].map(() => authority.issue(orderFor(spkiOf('ec', { namedCurve: 'P-256' })))));
  const [one, other] = leaves.map((leaf) => new X509Certificate(leaf));
  assert.match(one?.serialNumber ?? '', /^40[0-9A-F]{32}$/);
  assert.notEqual(one?.serialNumber, other?.serialNumber);
  assert.match(one?.issuer ?? '', /^CN=example\.com\/mesh [0-9a-f]{8}$/);
  const text = String(await openSsl.run('x509', '-noout', '-text', '-in', Buffer.from(leaves[0] ?? '')));
  assert.match(text, /Key Usage: critical\n\s+Digital Signature\n/);
  assert.match(text, /Extended Key Usage: *\n\s+TLS Web Server Authentication, TLS Web Client Authentication\n/);
  assert.match(text, /Subject Alternative Name: critical/);
  assert.match(text, /Basic Constraints: critical\n\s+CA:FALSE/);
  assert.match(text, /Authority Key Identifier/);
  assert.match(text, /Subject Key Identifier/);
});

test('a CA may sign certificates of pods and no other CA, and two of them have two names', async () => {
  const [one, other] = await Promise.all([1, 2].map(() => makeGeneration(longName, now, life)));
  const text = String(await openSsl.run('x509', '-noout', '-text', '-in', Buffer.from(one?.certificate ?? '')));
  assert.match(text, /CA:TRUE, pathlen:0/);
  assert.match(text, /Certificate Sign, CRL Sign/);
  const [subject, next] = [one, other].map((each) => new X509Certificate(each?.certificate ?? '').subject);
  assert.notEqual(subject, next);
  assert.ok((subject ?? '').length <= 'CN='.length + 64, 'a common name has 64 characters at most');
});

test('a CA comes out of its Secret as it went in, and the anchors lie beside it', async () => {
  const first = { ...(await makeGeneration('example.com/mesh', now, life)), publishedAt: now };
  const { privateKey: _, ...retired } = await makeGeneration('example.com/mesh', now, life);
  const generations = [{ ...retired, neededUntil: now + 1000 }, first];
  const data = writeGenerations(generations);
  assert.deepEqual(readGenerations(data, 'Secret a/b'), generations);
  const anchors = Buffer.from(data['ca.crt'] ?? '', 'base64').toString();
  assert.equal(anchors, first.certificate + retired.certificate);
  assert.deepEqual(readGenerations({}, 'Secret a/b'), []);
});

/** Of the form of a time, which no clock shows. */
const noTime = '2026-01-01T00:00:00.000+14';

const secretOf = (text: string) => ({ 'authorities.json': Buffer.from(text).toString('base64') });

/** The month of one of its dates becomes 99. */
function withoutDate(pem: string, date: number): string {
  const der = Buffer.from(new X509Certificate(pem).raw);
  const [at] = [...der.toString('latin1').matchAll(/\d{12}Z/g)].map(({ index }) => index).slice(date);
  der.write('99', (at ?? assert.fail('there is no date')) + 2, 'latin1');
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
}

test('a damaged Secret is told as such, and nothing of it is quoted', async () => {
  const [one, other] = await Promise.all([1, 2].map(() => makeGeneration('example.com/mesh', now, life)));
  const mixed = [{ ...one, privateKey: other?.privateKey }];
  assert.equal(isWhole(one?.certificate ?? '', other?.privateKey ?? ''), false);
  const rows = mixed.map(({ certificate, privateKey }) => ({ certificate, privateKey, longestLeafSeconds: 1 }));
  const whole = { certificate: one?.certificate ?? '', privateKey: one?.privateKey, longestLeafSeconds: 1 };
  const dateless = [0, 1].map((date) => ({ ...whole, certificate: withoutDate(whole.certificate, date) }));
  const odd = [...dateless, { ...whole, publishedAt: noTime }, { ...whole, neededUntil: noTime }];
  const texts = [
    JSON.stringify(rows),
    'not JSON',
    '{}',
    JSON.stringify([{ certificate: 'x', longestLeafSeconds: 1 }]),
    ...odd.map((row) => JSON.stringify([row])),
  ];
  assert.equal(readGenerations(secretOf(JSON.stringify([whole])), 'Secret a/b').length, 1);
  for (const text of texts) {
    assert.throws(
      () => readGenerations(secretOf(text), 'Secret kube-system/ca'),
      (error: Error) =>
        error.message.startsWith('Secret kube-system/ca is damaged') && !error.message.includes('BEGIN'),
    );
  }
});
