/**
 * Keystores are the same, byte by byte, whatever version of the agent makes them: the MAC that an earlier one has noted is put under what a
 * later one makes. Where these digests change, `form` in make.ts has to, or a file is made that nobody can open. OpenSSL and Java have read
 * what they are of (`pkcs12.test.ts`).
 */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import type { FileContent } from '../../../volumes/files/content.ts';
import { macKey } from '../../../volumes/keystores/derivation.ts';
import { keystoreSafe, macOver, macSalt, pkcs12, truststoreSafe } from '../../../volumes/keystores/pkcs12.ts';

const password = Buffer.from('changeit');
const randomness = Uint8Array.from({ length: 80 }, (_, index) => index);
const privateKey = new Uint8Array(100).fill(9);
const certificates = Array.from({ length: 120 }, (_, index) => new Uint8Array(600 + (index % 3)).fill(index));

function piecesOf(safe: FileContent): readonly Uint8Array[] {
  const mac = atOnce(macOver(safe, atOnce(macKey(password, macSalt(randomness)))));
  const file = pkcs12(safe, mac, randomness);
  const pieces = [...file.pieces()].map((piece) => Uint8Array.from(piece));
  assert.equal(
    pieces.reduce((sum, { length }) => sum + length, 0),
    file.length,
    'the length that is told is another',
  );
  return pieces;
}

test('the same key and certificates under the same randomness are the same keystore in every version', async () => {
  const [first] = certificates;
  for (const [chain, digest] of [
    [certificates.slice(0, 3), 'eb53d7243d2f6de052f50e0fb82168dd31f50a621fd0e9f46192bcbc28f1b92c'],
    [first === undefined ? [] : [first], '4ba851af61926e2ba642a024b9d1b8dc47a8682be9909f76dbf20f4090a17d01'],
  ] as const) {
    const safe = await keystoreSafe(privateKey, chain, password, randomness);
    assert.equal(hash('sha256', Buffer.concat(piecesOf(safe))), digest, `${chain.length} certificates`);
  }
});

test('the same anchors are the same truststore in every version, and none are one too', () => {
  for (const [anchors, digest] of [
    [certificates, '8a6df2909e2d57f9472fe48c295fe16e141bbad69a7a7d71353d8573778d30d0'],
    // Lengths of certificates and of their names that must not be taken for one another.
    [
      Array.from({ length: 18 }, (_, index) => new Uint8Array(index < 9 ? 664 : 600)),
      'e7cf136f571d55486f4f1aff4a04545906fd5106a530c2d73bcdd0a03fd3b859',
    ],
    [[], '22ef6e86fd45cddf14bffc7220020af9e6db1106f426d0aee574c4084972c3e4'],
  ] as const) {
    const bytes = Buffer.concat(piecesOf(truststoreSafe(anchors)));
    assert.equal(hash('sha256', bytes), digest, `${anchors.length} certificates`);
  }
});

test('a truststore is written in pieces of 64 KiB and at most one certificate more', () => {
  const lengths = piecesOf(truststoreSafe([...certificates, ...certificates])).map(({ length }) => length);
  assert.equal(lengths.length, 3);
  for (const length of lengths.slice(0, -1)) {
    assert.ok(length >= 65_536 && length < 65_536 + 1024, lengths.join());
  }
});

test('a MAC is made in as many steps as a file has pieces', () => {
  const steps = macOver(truststoreSafe(certificates), new Uint8Array(32));
  let count = 0;
  while (steps.next().done !== true) {
    count += 1;
  }
  assert.equal(count, 2);
});
