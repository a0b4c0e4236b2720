import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMailAddress } from '../../../sandbox/rules/certificates.ts';

const good = ['a@b', 'a.b@c.example', 'é@b', '"a b"@c', 'A B <a@b>', '"A, B" <a@b>', '<a@b>', 'a@[127.0.0.1]'];
const bad = ['', 'a', 'a@', '@b', 'not an address', 'a b@c', 'a..b@c', '.a@b', 'a@b.', 'A <a@b', 'a@b, c@d'];

for (const address of good) {
  test(`"${address}" is a mail address`, () => assert.equal(isMailAddress(address), true));
}

for (const address of bad) {
  test(`"${address}" is no mail address`, () => assert.equal(isMailAddress(address), false));
}

test('A long text that is no address is told quickly', { timeout: 5000 }, () => {
  assert.equal(isMailAddress('a'.repeat(999)), false);
  assert.equal(isMailAddress(`${'a '.repeat(499)}<`), false);
});
