/** DER at the edges of its lengths and numbers. The octets are those of X.690 and of OpenSSL. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bmpString,
  element,
  explicit0,
  header,
  integer,
  nothing,
  objectIdentifier,
  octets,
  sequence,
  setOf,
  tag,
} from '../../../volumes/keystores/der.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('a length is one octet below 128, and beyond that its octets with their number before them', () => {
  for (const [length, expected] of [
    [0, '3000'],
    [127, '307f'],
    [128, '308180'],
    [255, '3081ff'],
    [256, '30820100'],
    [65_535, '3082ffff'],
    [65_536, '3083010000'],
  ] as const) {
    assert.equal(hex(header(tag.sequence, length)), expected);
  }
});

test('a number that is not negative never looks as if it were', () => {
  for (const [value, expected] of [
    [0, '020100'],
    [1, '020101'],
    [127, '02017f'],
    [128, '02020080'],
    [255, '020200ff'],
    [256, '02020100'],
    [10_000, '02022710'],
    [32_768, '0203008000'],
  ] as const) {
    assert.equal(hex(integer(value)), expected);
  }
});

test('object identifiers and texts are those that OpenSSL writes', () => {
  for (const [dotted, expected] of [
    ['1.2', '06012a'],
    ['1.2.840.113549.1.7.1', '06092a864886f70d010701'],
    ['2.16.840.1.101.3.4.2.1', '0609608648016503040201'],
    ['2.5.29.37.0', '0604551d2500'],
    ['1.3.127.128.16383.16384', '06092b7f8100ff7f818000'],
  ] as const) {
    assert.equal(hex(objectIdentifier(dotted)), expected, dotted);
  }
  assert.equal(hex(bmpString('aé€')), '1e06006100e920ac');
});

test('an element holds its contents one after the other, and a set in the order of their octets', () => {
  const [one, two] = [integer(1), integer(2)];
  assert.equal(hex(sequence(two, one)), '3006020102020101');
  assert.equal(hex(setOf(two, one, octets(Uint8Array.of(0)))), '3109020101020102040100');
  assert.equal(hex(explicit0(one)), 'a003020101');
  assert.equal(hex(element(tag.implicitContext0, Uint8Array.of(7))), '800107');
  assert.equal(hex(nothing), '0500');
});
