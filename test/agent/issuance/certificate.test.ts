/** What is read of a certificate itself: which names are one name, how far a CA reaches, and until when. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { certificateFields, contentOf } from '../../../agent/base/der.ts';
import { isExpired, isSignedBy, outlineCertificate, parseCertificate } from '../../../agent/issuance/certificate.ts';
import { certify, makeHolder, now, type Quality } from '../../support/certificates.ts';

const signer = await makeHolder('CN=signer');
const { keys } = await makeHolder('CN=any');
const tags = { utf8: 0x0c, printable: 0x13, ia5: 0x16, teletex: 0x14, bmp: 0x1e };

function named(name: string, quality?: Quality): Promise<Uint8Array> {
  return certify({ name, keys }, signer, quality);
}

const plain = 'abcd';
const der = Buffer.from(await named(`CN=${plain}`));

/** The name of a certificate with another text in place of the plain one, as long as that, in another kind of string. */
function nameOf(text: string, tag = tags.utf8): string {
  const changed = Buffer.from(der);
  const at = changed.indexOf(plain, 'latin1');
  assert.equal(changed.indexOf(plain, at + 1, 'latin1'), -1, 'the text stands in it once');
  assert.equal(Buffer.byteLength(text), plain.length, 'the lengths before it stay right');
  changed[at - 2] = tag;
  changed.write(text, at);
  return outlineCertificate(changed).subject;
}

/** An element of DER with a long length. */
function element(tag: number, content: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(tag, 0x82, content.length >> 8, content.length & 0xff), content]);
}

/** What is left of a certificate when its extensions are taken away. */
function withoutExtensions(certificate: Uint8Array): Uint8Array {
  const fields = certificateFields(certificate).filter((field) => field.tag !== 0xa3);
  return element(0x30, element(0x30, Buffer.concat(fields.map((field) => element(field.tag, field.content)))));
}

describe('two names are one', () => {
  test('in any of three kinds of string, in upper and lower case, with more spaces or fewer', () => {
    for (const tag of [tags.utf8, tags.printable, tags.ia5]) {
      for (const text of ['a  b', 'A  b', ' a b', 'a B ']) {
        assert.equal(nameOf(text, tag), nameOf('a  b'), `${tag} ${JSON.stringify(text)}`);
      }
    }
  });

  test('in whatever order the parts of one step stand', async () => {
    const [one, other] = [await named('CN=a+O=b'), await named('O=b+CN=a')];
    assert.notDeepEqual(contentOf(certificateFields(one)[4]), contentOf(certificateFields(other)[4]));
    assert.equal(outlineCertificate(one).subject, outlineCertificate(other).subject);
  });

  test('and no others are: another text, another kind of part, another order of steps, strings that are no text', async () => {
    const different = [
      nameOf('a  b'),
      nameOf('ab  '),
      nameOf('a bc'),
      ...[tags.bmp, tags.teletex].flatMap((tag) => [nameOf('a  b', tag), nameOf('A  b', tag)]),
      ...(await Promise.all(['O=abcd', 'CN=a+O=b', 'CN=a,O=b', 'O=b,CN=a'].map((name) => named(name)))).map(
        (each) => outlineCertificate(each).subject,
      ),
    ];
    assert.deepEqual([...new Set(different)], different);
  });

  test('byte by byte only, where they are longer than names are', async () => {
    const name = async (text: string) => outlineCertificate(await named(`CN=${text}`)).subject;
    const [longest, tooLong] = ['a'.repeat(495), 'a'.repeat(496)];
    assert.equal(contentOf(certificateFields(await named(`CN=${longest}`))[4]).length, 512);
    assert.equal(await name(longest), await name(longest.toUpperCase()));
    assert.equal(await name(tooLong), await name(tooLong));
    assert.notEqual(await name(tooLong), await name(tooLong.toUpperCase()));
  });
});

test('a certificate without extensions, or without a limit in them, has none on its path', async () => {
  assert.equal(outlineCertificate(withoutExtensions(der)).longestPath, Number.POSITIVE_INFINITY);
  for (const quality of [{ ca: 'absent' }, {}] as const) {
    assert.equal(outlineCertificate(await named('CN=any', quality)).longestPath, Number.POSITIVE_INFINITY);
  }
  assert.equal(outlineCertificate(await named('CN=any', { pathLength: 3 })).longestPath, 3);
});

test('a certificate is valid until the end of its last moment', async () => {
  const certificate = parseCertificate(await named('CN=any', { notAfter: now }));
  assert.deepEqual(
    [-1, 0, 1].map((later) => isExpired(certificate, now + later)),
    [false, false, true],
  );
});

test('nothing is signed with a key of a kind that nobody knows', async () => {
  const certificate = parseCertificate(der);
  const issuer = Buffer.from(await certify(signer, signer));
  assert.equal(isSignedBy(certificate, parseCertificate(issuer)), true);
  const ecPublicKey = Buffer.from('2a8648ce3d0201', 'hex');
  issuer[issuer.indexOf(ecPublicKey) + ecPublicKey.length - 1] = 9;
  assert.equal(isSignedBy(certificate, parseCertificate(issuer)), false);
});
