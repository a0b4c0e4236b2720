/** What survives where keystores are made and sealed, each with its reason. */
import { becauseIn } from './because.ts';
import type { Explanation } from './explanation.ts';

const because = becauseIn('volumes/keystores');

export const keystores: readonly Explanation[] = [
  ...because('a declared password is ASCII, which is the same bytes in either encoding', {
    make: [["'latin1'", '""']],
  }),
  ...because('a bundle has no key, and its declaration no keystore', {
    make: [
      ['{ certificates: [] }', '{}'],
      ['[]', '["Stryker was here"]', 'return { keystore: { certificates: [] }, truststore: content };'],
    ],
  }),
  ...because('a bundle has come back already; only the type checker has to be told', {
    make: [
      [
        "source.kind === 'podCertificate'",
        'true',
        "const dropsRoots = source.kind === 'podCertificate' && source.roots === 'drop';",
      ],
    ],
  }),
  ...because('a digest is as good in another form, and each is of one length', {
    make: [
      ["'base64'", '""', "parts.push(hash('sha256', der, 'base64'));"],
      ["'base64'", '""', "return hash('sha256', parts.join(' '), 'base64');"],
      ["' '", '""', "return hash('sha256', parts.join(' '), 'base64');"],
    ],
  }),
  ...because('the name is the last of the attributes, and nothing can be written behind the end of a buffer', {
    pkcs12: [['character < alias.length', 'character <= alias.length']],
  }),
  ...because('no name is as long as 64, so that this tells lengths apart as well', {
    pkcs12: [['derLength * 64 + aliasLength', 'derLength * 64 - aliasLength']],
  }),
  ...because('what is kept only spares making the same again', {
    pkcs12: [
      ['found !== undefined', 'false'],
      ['{ return found; }', '{}'],
    ],
  }),
  ...because('a piece may as well be one part longer', {
    pkcs12: [['length >= pieceBytes', 'length > pieceBytes']],
  }),
  ...because('a piece of no bytes adds nothing', {
    pkcs12: [
      ['length > 0', 'true'],
      ['length > 0', 'length >= 0'],
    ],
  }),
];
