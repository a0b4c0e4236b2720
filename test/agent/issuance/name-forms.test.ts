/** Which texts may be names in a certificate: each form at its edges, and what only looks like one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAttribute, isDnsName, isIpAddress, isSpiffeId, isUri } from '../../../agent/issuance/name-forms.ts';

type Form = (text: string) => boolean;

function takes(form: Form, texts: readonly string[]): void {
  assert.deepEqual(
    texts.filter((text) => !form(text)),
    [],
    'these are refused',
  );
}

function refuses(form: Form, texts: readonly string[]): void {
  assert.deepEqual(texts.filter(form), [], 'these are let in');
}

test('a DNS name is of labels in lower case, of which the first may be a star, and has 253 characters at most', () => {
  const longest = `${'a'.repeat(63)}.`.repeat(4).slice(0, 253);
  takes(isDnsName, ['a', 'a.example', '*.a.example', 'a-1.b', longest]);
  refuses(isDnsName, ['', '*', '*.', 'a.*', 'a.*.b', '**.a', '*a.b', 'a..b', 'a.', '.a', 'A.b', 'a_b', '-a', 'a-.b']);
  refuses(isDnsName, [`a.${longest.slice(1)}`, `${'a'.repeat(64)}.b`]);
});

test('a URI has a scheme and plain characters, none that means something else, and 2048 at most', () => {
  const longest = 'urn:'.padEnd(2048, 'a');
  takes(isUri, ['urn:a', 'https://a.example/b', 'h+t.p-2:a', longest]);
  refuses(isUri, [
    '',
    'urn:',
    ':a',
    '1a:b',
    ' urn:a',
    'urn:a b',
    'urn:a%2f',
    'urn:a?b',
    'urn:a#b',
    'urn:a\\b',
    'urn:a\n',
  ]);
  refuses(isUri, [`${longest}a`, 'http://[', 'no scheme']);
});

test('what has the scheme of a SPIFFE ID is one in every part, however it is written', () => {
  const [id, domain] = ['spiffe://a.example', 'a'.repeat(255)];
  const longest = `${id}/`.padEnd(2048, 'a');
  for (const form of [isUri, isSpiffeId]) {
    takes(form, [id, `${id}/a/B_.-9`, `spiffe://${domain}`, longest]);
    refuses(form, [
      `${id}/`,
      `${id}//a`,
      `${id}/.`,
      `${id}/..`,
      `${id}/a/../b`,
      `${id}/a:b`,
      `${id}:80/a`,
      `${longest}a`,
    ]);
    refuses(form, ['spiffe://', 'spiffe:a', 'spiffe://A.example/b', 'SPIFFE://a.example/b', 'spiffe://u@a/b']);
    refuses(form, [`spiffe://${domain}a`, 'Spiffe:x']);
  }
  takes(isSpiffeId, ['spiffe://a/...']);
  refuses(isSpiffeId, ['urn:a', 'https://a.example/b', ` ${id}`]);
});

test('an IP address has no zone, and is none of the other family in disguise', () => {
  takes(isIpAddress, ['192.0.2.1', '2001:db8::1', '2001:DB8::A', '::']);
  refuses(isIpAddress, [
    '',
    '192.0.2.256',
    '192.0.2',
    '192.0.2.1/24',
    'fe80::1%eth0',
    '::ffff:192.0.2.1',
    '[::1]',
    'a',
  ]);
});

test('a common name or organization has 1 to 64 characters, none of which is not seen', () => {
  takes(isAttribute, ['a', 'x'.repeat(64), 'Ä b, c=d']);
  refuses(isAttribute, ['', 'x'.repeat(65), 'a\u0000', 'a\nb', 'a\u202eb', 'a\u200bb', '\u007f']);
});
