/**
 * What a signer suggests when it denies a key type. The API defines the reason `UnsupportedKeyType` and leaves the
 * suggestion to the message, in words.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#pod-certificate-requests
 */
import { type KeyType, keyTypes } from '../../volumes/declaration/key-types.ts';

/** How people and libraries write the six key types. */
const spellings: Readonly<Record<KeyType, string>> = {
  RSA3072: 'RSA[-_ ]?3072|3072[- ]bit RSA',
  RSA4096: 'RSA[-_ ]?4096|4096[- ]bit RSA',
  ECDSAP256: '(?:ECDSA[-_ ]?)?P[-_ ]?256|secp256r1|prime256v1',
  ECDSAP384: '(?:ECDSA[-_ ]?)?P[-_ ]?384|secp384r1',
  ECDSAP521: '(?:ECDSA[-_ ]?)?P[-_ ]?521|secp521r1',
  ED25519: 'Ed25519',
};

const refusing =
  "\\w*n't|not|cannot|no|un(?:supported|known|accepted)|forbidden|denied|denies|refuse[sd]?|reject(?:s|ed)?";
const suggesting =
  'use|try|instead|please|only|supports?|supported|accepts?|accepted|allow(?:s|ed)|prefer(?:s|red)?|suggest(?:s|ed)?|must be|expected|one of';

/** A key type, a word that refuses (with the "supported" that it negates), one that suggests, or the end of a clause. */
const token = new RegExp(
  `(?<![\\w-])(?:${Object.entries(spellings)
    .map(([keyType, spelling]) => `(?<${keyType}>${spelling})`)
    .join(
      '|',
    )}|(?<refusing>(?:${refusing})(?: (?:yet |be |an? )?(?:supported|accepted|allowed))?)|(?<suggesting>${suggesting}))(?![\\w-])|(?<end>[.;\\n])(?=\\s|$)`,
  'gi',
);

const longestMessage = 2048;

/**
 * The first supported key type that the message recommends; failing that, the first it names without refusing it.
 * @param refused the key type that was asked for, which is never the suggestion.
 */
export function suggestedKeyType(reason: string, message: string, refused?: KeyType): KeyType | undefined {
  if (reason !== 'UnsupportedKeyType') {
    return undefined;
  }
  let mood: 'neutral' | 'refusing' | 'suggesting' = 'neutral';
  let named: KeyType[] = [];
  const mentioned: KeyType[] = [];
  for (const { groups = {} } of message.slice(0, longestMessage).matchAll(token)) {
    const keyType = keyTypeIn(groups);
    if (keyType !== undefined) {
      if (keyType === refused) {
        continue;
      }
      if (mood === 'suggesting') {
        return keyType;
      }
      if (mood === 'neutral') {
        named.push(keyType);
      }
    } else if (groups['end'] !== undefined) {
      mood = 'neutral';
      mentioned.push(...named);
      named = [];
    } else if (groups['suggesting'] !== undefined) {
      mood = 'suggesting';
    } else {
      // "RSA3072 is not supported": the refusal comes after the name.
      mood = 'refusing';
      named = [];
    }
  }
  return [...mentioned, ...named][0];
}

function keyTypeIn(groups: Readonly<Record<string, string | undefined>>): KeyType | undefined {
  return keyTypes.find((keyType) => groups[keyType] !== undefined);
}
