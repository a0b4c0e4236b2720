/** The syntax of names, at the edges of what the API server takes: what one of these lets by, nobody behind it looks at again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clusterTrustBundleNameFault,
  isDnsLabel,
  isDnsSubdomain,
  labelKeyFault,
  labelValueFault,
  signerNameFault,
} from '../../../volumes/declaration/names.ts';

/** Labels of 63 characters, joined by dots, cut to a length that does not end with a dot. */
const labels = (length: number): string => Array(5).fill('a'.repeat(63)).join('.').slice(0, length);

test('a signer name is as long as the API server takes it, in each of its parts and as a whole', () => {
  // 571 characters: a domain of 253, a slash, and 317 behind it.
  const whole = (path: number) => `${labels(253)}/${'b'.repeat(253)}.${'c'.repeat(path - 254)}`;
  for (const [name, isGood] of [
    [`${labels(253)}/x`, true],
    [`${labels(254)}/x`, false],
    [`${'a'.repeat(63)}.b/x`, true],
    [`${'a'.repeat(64)}.b/x`, false],
    [`a.b/${'c'.repeat(253)}`, true],
    [`a.b/${'c'.repeat(254)}`, false],
    [whole(317), true],
    [whole(318), false],
  ] as const) {
    assert.equal(signerNameFault(name) === undefined, isGood, `${name.length}: ${name.slice(0, 80)}`);
  }
  assert.equal(whole(317).length, 571);
});

test('a name that stands without a signer or a slash is taken for no signer', () => {
  for (const name of [
    '',
    '/',
    'a.b',
    'a.b/',
    '/a',
    'a.b/c/',
    'a.b/c/d',
    'a/b',
    'a.b//c',
    'a.b/.c',
    'a.b/c.',
    'a.-/c',
  ]) {
    assert.match(signerNameFault(name) ?? '', /^must be a domain and a path in lower case/, name);
  }
});

test('a bundle with nothing before its colon belongs to no signer, and is none', () => {
  for (const name of [':roots', 'a.b:c:', 'a:roots', 'a.b/c:roots', 'a.b:c:d:roots', '']) {
    assert.match(clusterTrustBundleNameFault(name) ?? '', /^must be the name of a ClusterTrustBundle/, name);
  }
  for (const name of ['roots', 'a.b:c:roots', `a.b:c:${'r'.repeat(253)}`]) {
    assert.equal(clusterTrustBundleNameFault(name), undefined, name);
  }
});

test('labels of DNS and of Kubernetes have 63 characters at most, subdomains 253, and a letter or digit at both ends', () => {
  for (const [isGood, text] of [
    [true, 'a'],
    [true, '0'],
    [true, 'a'.repeat(63)],
    [true, 'a--b'],
    [false, 'a'.repeat(64)],
    [false, ''],
    [false, '-a'],
    [false, 'a-'],
    [false, 'A'],
    [false, 'a.b'],
    [false, 'a\n'],
    [false, '\na'],
  ] as const) {
    assert.equal(isDnsLabel(text), isGood, JSON.stringify(text));
  }
  for (const [isGood, text] of [
    [true, labels(253)],
    [true, 'a'.repeat(64)],
    [false, labels(254)],
    [false, 'a..b'],
    [false, '.a'],
    [false, 'a.'],
    [false, 'a.B'],
    [false, 'a-.b'],
    [false, 'a.-b'],
    [false, 'a.b\n'],
  ] as const) {
    assert.equal(isDnsSubdomain(text), isGood, JSON.stringify(text));
  }
  for (const [isGood, text] of [
    [true, ''],
    [true, 'A_b.c-9'],
    [true, 'a'.repeat(63)],
    [false, 'a'.repeat(64)],
    [false, 'a b'],
    [false, '_a'],
    [false, 'a_'],
    [false, 'a\n'],
  ] as const) {
    assert.equal(labelValueFault(text) === undefined, isGood, JSON.stringify(text));
    assert.equal(labelKeyFault(text) === undefined, isGood && text !== '', JSON.stringify(text));
  }
});
