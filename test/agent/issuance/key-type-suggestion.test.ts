import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { suggestedKeyType } from '../../../agent/issuance/key-type-suggestion.ts';
import { type KeyType, keyTypes } from '../../../volumes/declaration/key-types.ts';

const suggestions: readonly (readonly [message: string, refused: KeyType, suggested: KeyType | undefined])[] = [
  ['use ECDSAP256', 'RSA3072', 'ECDSAP256'],
  ['RSA3072 is not supported, use ECDSAP256', 'RSA3072', 'ECDSAP256'],
  ['RSA3072 and RSA4096 are not supported; use ED25519 instead', 'RSA3072', 'ED25519'],
  ['unsupported key types: RSA3072, RSA4096. Supported: ECDSAP384, ECDSAP256', 'RSA3072', 'ECDSAP384'],
  ['supported key types are RSA3072, ECDSAP521', 'RSA3072', 'ECDSAP521'],
  ["ED25519 isn't supported yet, try ECDSA P-256", 'ED25519', 'ECDSAP256'],
  ['only RSA-4096', 'ED25519', 'RSA4096'],
  ['ECDSAP256, please', 'RSA4096', 'ECDSAP256'],
  ['this signer issues for ecdsa-p384 or Ed25519', 'RSA4096', 'ECDSAP384'],
  ['curve must be secp521r1', 'ECDSAP256', 'ECDSAP521'],
  ['use a 3072-bit RSA key', 'ED25519', 'RSA3072'],
  ['ECDSAP384 cannot be used. RSA4096 can.', 'ECDSAP384', 'RSA4096'],
  ['RSA3072 is not a supported key type.', 'RSA3072', undefined],
  ['RSA4096 is not supported either', 'RSA3072', undefined],
  ['unsupported: RSA4096, ED25519', 'RSA3072', undefined],
  ['use RSA2048', 'RSA3072', undefined],
  ['ask in #pki-256', 'RSA3072', undefined],
  ['', 'RSA3072', undefined],
];

describe('the key type that a signer suggests', () => {
  it('is looked for in the first 2048 characters', () => {
    const words = 'use ED25519';
    const endsAt = (length: number): string => `${'- '.repeat(1024)}`.slice(0, length - words.length) + words;
    assert.equal(suggestedKeyType('UnsupportedKeyType', endsAt(2048), 'RSA3072'), 'ED25519');
    assert.equal(suggestedKeyType('UnsupportedKeyType', endsAt(2049), 'RSA3072'), undefined);
  });

  for (const [message, refused, suggested] of suggestions) {
    it(`in ${JSON.stringify(message)} is ${suggested ?? 'none'}`, () => {
      assert.equal(suggestedKeyType('UnsupportedKeyType', message, refused), suggested);
    });
  }

  it('is looked for only when the reason is UnsupportedKeyType', () => {
    assert.equal(suggestedKeyType('PolicyViolation', 'use ECDSAP256'), undefined);
  });

  it('is found without knowing what was refused', () => {
    assert.equal(suggestedKeyType('UnsupportedKeyType', 'RSA3072 is not supported, use ECDSAP256'), 'ECDSAP256');
  });

  it('is never the one that was refused, whatever the message', () => {
    const word = fc.constantFrom(...keyTypes, 'use', 'not', 'supported', ',', '.', ';', 'P-256', 'key types:', '\n');
    fc.assert(
      fc.property(fc.array(word), fc.constantFrom(...keyTypes), (words, refused) => {
        assert.notEqual(suggestedKeyType('UnsupportedKeyType', words.join(' '), refused), refused);
      }),
    );
  });

  it('is found in a message of any length in a moment', () => {
    assert.equal(suggestedKeyType('UnsupportedKeyType', `use ECDSAP256 ${'not '.repeat(1_000_000)}`), 'ECDSAP256');
    assert.equal(suggestedKeyType('UnsupportedKeyType', `${'x'.repeat(1_000_000)} use ECDSAP256`), undefined);
  });
});
