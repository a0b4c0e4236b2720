/** PKCS#10 requests with contents, read by OpenSSL. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { certificationRequestInfo } from '../../../agent/issuance/certification-request.ts';
import type { Usage } from '../../../agent/issuance/usages.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import { keyTypes } from '../../../volumes/declaration/key-types.ts';
import { createOpenSsl } from '../../support/openssl.ts';

describe('a request with names and usages', () => {
  const openssl = createOpenSsl();
  const names = {
    uris: ['spiffe://mesh.example/ns/shop/sa/web'],
    dnsNames: ['web.shop.svc'],
    ipAddresses: ['10.1.2.3', 'fd00::1'],
    organizations: ['shop'],
    commonName: 'web',
  };

  for (const keyType of keyTypes) {
    it(`is verified and read by OpenSSL for ${keyType}`, async () => {
      const key = await createKeyMaker().generate(keyType);
      try {
        const info = await certificationRequestInfo(key.spki, names, [
          'digital signature',
          'server auth',
          'client auth',
        ]);
        const der = await key.signedRequest(info);
        const shown = await openssl.run('req', '-inform', 'DER', '-verify', '-noout', '-text', '-in', der);
        const text = shown.toString();
        assert.match(text, /Subject: O ?= ?shop, CN ?= ?web/);
        assert.match(text, /Digital Signature\n/);
        assert.match(text, /TLS Web Server Authentication, TLS Web Client Authentication/);
        assert.match(
          text,
          /URI:spiffe:\/\/mesh\.example\/ns\/shop\/sa\/web, DNS:web\.shop\.svc, IP Address:10\.1\.2\.3, IP Address:FD00:0:0:0:0:0:0:1/,
        );
      } finally {
        key.destroy();
      }
    });
  }

  it('has critical alternative names where the subject is empty, and no extension that is not asked for', async () => {
    const key = await createKeyMaker().generate('ECDSAP256');
    const bare = { ...names, organizations: [], dnsNames: [], ipAddresses: [] };
    const { commonName: _, ...nameless } = bare;
    const der = await key.signedRequest(await certificationRequestInfo(key.spki, nameless, ['client auth']));
    const text = (await openssl.run('req', '-inform', 'DER', '-verify', '-noout', '-text', '-in', der)).toString();
    assert.match(text, /Subject Alternative Name: critical/);
    assert.doesNotMatch(text, /X509v3 Key Usage/);
    key.destroy();
  });

  it('has the extensions that are asked for and no others, critical where the standard says so', async () => {
    const key = await createKeyMaker().generate('ECDSAP256');
    const none = { uris: [], dnsNames: [], ipAddresses: [], organizations: [] };
    const cases: readonly (readonly [Partial<typeof names>, readonly Usage[], readonly string[]])[] = [
      [{}, [], []],
      [{ commonName: 'web' }, ['digital signature'], ['Key Usage critical']],
      [{ commonName: 'web' }, ['server auth'], ['Extended Key Usage']],
      [{ dnsNames: ['a.example'] }, [], ['Subject Alternative Name critical']],
      [{ dnsNames: ['a.example'], organizations: ['shop'] }, [], ['Subject Alternative Name']],
    ];
    for (const [asked, usages, extensions] of cases) {
      const der = await key.signedRequest(await certificationRequestInfo(key.spki, { ...none, ...asked }, usages));
      const text = (await openssl.run('req', '-inform', 'DER', '-verify', '-noout', '-text', '-in', der)).toString();
      const found = [...text.matchAll(/X509v3 ([^:]+):( critical)?/g)].map(
        ([, name, critical = '']) => name + critical,
      );
      assert.deepEqual(found, extensions);
      assert.equal(/Attributes:\s+\(none\)/.test(text), extensions.length === 0, text);
    }
    key.destroy();
  });
});
