import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { errorText, redact, singleLine } from '../../../agent/base/redact.ts';

const pairs = {
  'RSA 3072': generateKeyPairSync('rsa', { modulusLength: 3072 }),
  'P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  Ed25519: generateKeyPairSync('ed25519'),
};

describe('redact', () => {
  for (const [name, { privateKey }] of Object.entries(pairs)) {
    test(`takes a ${name} private key out of a text, as PEM, as PEM cut short, and as bare base64`, () => {
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      const base64 = privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64');
      assert.equal(redact(`before ${pem}after`), 'before [redacted private key]\nafter');
      assert.equal(redact(`before ${pem.slice(0, -40)}`), 'before [redacted private key]');
      assert.equal(redact(`before ${base64} after`).startsWith('before [redacted private key]'), true);
      assert.equal(redact(`{"k":"${base64}"}`), '{"k":"[redacted private key]"}');
    });

    test(`leaves a ${name} public key as it is`, () => {
      const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
      assert.equal(redact(spki), spki);
      assert.equal(redact(spki.replaceAll('\n', '')), spki.replaceAll('\n', ''));
    });
  }

  test('takes keys in the forms of older tools out as well', () => {
    const { privateKey } = pairs['P-256'];
    const pem = privateKey.export({ type: 'sec1', format: 'pem' }).toString();
    assert.equal(redact(pem), '[redacted private key]\n');
  });

  test('takes tokens and Bearer credentials out of a text', () => {
    const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl';
    assert.equal(redact(`got ${jwt}!`), 'got [redacted token]!');
    assert.equal(redact('Authorization: Bearer abcdefghijklmnop1234'), 'Authorization: Bearer [redacted]');
  });

  test('looks at 8192 characters and keeps no more', () => {
    assert.equal(redact('x'.repeat(8_192)), 'x'.repeat(8_192));
    assert.equal(redact(`${'x'.repeat(8_192)}y`), `${'x'.repeat(8_192)}…`);
  });

  test('leaves ordinary words alone', () => {
    const text = 'basic constraints are missing; the bearer of bad news; MIME types; request ns/req-0a1b2c';
    assert.equal(redact(text), text);
  });
});

describe('singleLine', () => {
  test('turns control characters into spaces, so that no line can be forged', () => {
    assert.equal(singleLine('a\r\nb\u001b[31mc\u0085d\u2028e ', 100), 'a b [31mc d e');
  });

  test('cuts to the limit', () => {
    assert.equal(singleLine('abcdef', 6), 'abcdef');
    assert.equal(singleLine('abcdefg', 6), 'abcde…');
  });
});

describe('errorText', () => {
  test('tells an error with its causes, and none of them twice', () => {
    const root = new Error('read ECONNRESET');
    const middle = new Error('connection lost: read ECONNRESET', { cause: root });
    assert.equal(
      errorText(new Error('asking the signer', { cause: middle })),
      'asking the signer: connection lost: read ECONNRESET',
    );
  });

  test('ends with a circular chain', () => {
    const error = new Error('a');
    error.cause = new Error('b', { cause: error });
    assert.equal(errorText(error), 'a: b');
  });

  test('accepts whatever can be thrown', () => {
    assert.equal(errorText('text'), 'text');
    assert.equal(errorText(new TypeError()), 'TypeError');
    for (const thrown of [undefined, null, 7, { secret: 'x' }, Object.create(null)]) {
      assert.equal(errorText(thrown), 'unknown error');
    }
  });
});

test('a signer’s long message costs work in proportion to its length, up to where it is cut', () => {
  const once = (text: string): number => {
    const startedAt = process.cpuUsage();
    for (let count = 0; count < 5; count += 1) {
      redact(text);
    }
    const { user, system } = process.cpuUsage(startedAt);
    return user + system;
  };
  // The best of three: neither other processes nor a collection of garbage count.
  const work = (text: string): number => Math.min(once(text), once(text), once(text));
  const plain = 'x'.repeat(8_192);
  work(plain);
  const unit = Math.max(1_000, work(plain));
  for (const piece of ['eyJ-', 'eyJaaaaaaaa.', '-----BEGIN PRIVATE KEY-----', 'MIIa', 'Bearer  ', ' ', '\u0000']) {
    const spent = work(piece.repeat(32_768 / piece.length));
    assert.ok(spent < 50 * unit, `${JSON.stringify(piece)} costs ${spent / unit} times as much as plain text`);
  }
  assert.ok(redact('y'.repeat(100_000)).length < 9_000, `${redact('y'.repeat(100_000)).length} is not less than 9000`);
});
