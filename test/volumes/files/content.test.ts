/** Trust anchors as bytes that are made while they are written: never all at once, and of a length that is known before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificatesContent, createCertificatesContents, wholeContent } from '../../../volumes/files/content.ts';
import { encodePem } from '../../../volumes/files/pem.ts';

/** Certificates of a kilobyte, each of another byte. */
const certificates = (count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, index) => new Uint8Array(1024).fill(index));

test('many certificates come in pieces of a quarter of a megabyte and what passes it, and are the text that they should be', () => {
  for (const count of [0, 1, 200, 1000]) {
    const ders = certificates(count);
    const { length, pieces } = certificatesContent(ders);
    const made = [...pieces()];
    const expected = encodePem(ders.map((bytes) => ({ label: 'CERTIFICATE', bytes })));
    assert.equal(length, expected.length);
    assert.ok(Buffer.concat(made).equals(expected), `${count} certificates`);
    const sizes = made.map((piece) => piece.length);
    const block = expected.length / count;
    const most = Math.ceil((256 * 1024) / block) * block;
    assert.ok(
      sizes.every((size, index) => (index < sizes.length - 1 ? size === most : size > 0 && size <= most)),
      `pieces of ${sizes.join(', ')} bytes`,
    );
    assert.deepEqual([...pieces()].length, made.length, 'the pieces can be asked for again');
  }
});

test('a piece that is just full is followed by no empty one', () => {
  // 54 bytes are 128 as PEM, so that 2048 of them fill a piece.
  const sizes = (count: number) =>
    [...certificatesContent(Array(count).fill(new Uint8Array(54))).pieces()].map((piece) => piece.length);
  assert.deepEqual([0, 1, 2047, 2048, 2049].map(sizes), [[], [128], [2047 * 128], [256 * 1024], [256 * 1024, 128]]);
});

test('bytes that are there are one piece', () => {
  const bytes = Uint8Array.of(1, 2);
  const { length, pieces } = wholeContent(bytes);
  assert.deepEqual([length, ...pieces()], [2, bytes]);
});

test('the same certificates are the same content, and any other order or cut is another', () => {
  const contentOf = createCertificatesContents();
  const [a, b] = [Uint8Array.of(1, 2), Uint8Array.of(3)];
  const first = contentOf([a, b]);
  assert.equal(contentOf([Uint8Array.from(a), Uint8Array.from(b)]), first);
  for (const other of [[b, a], [a], [a, b, b], [Uint8Array.of(1), Uint8Array.of(2, 3)], []]) {
    assert.notEqual(contentOf(other), first);
  }
  assert.notEqual(createCertificatesContents()([a, b]), first, 'nothing is shared between volumes');
});
