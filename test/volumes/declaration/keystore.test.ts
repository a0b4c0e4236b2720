/** What a source says of keystores: what is accepted, that faults name their field, and that nothing repeats a password. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { hasKeystores } from '../../../volumes/declaration/keystore.ts';
import { wantsAnchors } from '../../../volumes/declaration/pod-certificate.ts';
import { describeFaults, parseDeclaration } from '../../../volumes/declaration/sources.ts';
import type { PodCertificateSource } from '../../../volumes/declaration/types.ts';
import { encodeRecord } from '../../../volumes/state/state-format.ts';
import { makeRecord } from '../support.ts';

const certificate = { signerName: 'example.com/mesh', keyType: 'ECDSAP256' };
const bundle = { name: 'roots', path: 'roots.pem' };

function read(...sources: readonly object[]) {
  return parseDeclaration({ sources: JSON.stringify(sources) });
}

function faultsOf(...sources: readonly object[]): readonly string[] {
  const verdict = read(...sources);
  return verdict.ok ? [] : verdict.faults.map(({ field, message }) => `${field}: ${message}`);
}

function sourcesOf(...sources: readonly object[]) {
  const verdict = read(...sources);
  assert.ok(verdict.ok, verdict.ok ? '' : describeFaults(verdict.faults));
  return verdict.declaration.sources;
}

test('a keystore alone is enough of a podCertificate source, and a truststore stands beside a bundle', () => {
  const [first, second] = sourcesOf(
    { podCertificate: { ...certificate, keystorePath: 'a//keystore.p12', passwordPath: 'a/password' } },
    { clusterTrustBundle: { ...bundle, truststorePath: 'truststore.p12', passwordPath: 'truststore.password' } },
  );
  assert.deepEqual(first, {
    kind: 'podCertificate',
    index: 0,
    ...certificate,
    userAnnotations: {},
    keystorePath: 'a/keystore.p12',
    passwordPath: 'a/password',
  });
  assert.equal(second?.truststorePath, 'truststore.p12');
  assert.equal(second?.passwordPath, 'truststore.password');
});

test('a keystore has one password: one that the agent makes, or one that is given', () => {
  const of = (fields: object) => faultsOf({ podCertificate: { ...certificate, keyPath: 'key.pem', ...fields } });
  assert.deepEqual(of({}), []);
  assert.deepEqual(of({ keystorePath: 'k.p12', password: 'changeit' }), []);
  assert.deepEqual(of({ keystorePath: 'k.p12' }), [
    'sources[0].podCertificate: needs passwordPath beside keystorePath, the file that the agent writes a random password to, or a password',
  ]);
  assert.deepEqual(of({ truststorePath: 'k.p12', passwordPath: 'p', password: 'changeit' }), [
    'sources[0].podCertificate: has both passwordPath and password, keep one',
  ]);
  assert.deepEqual(of({ passwordPath: 'p' }), [
    'sources[0].podCertificate.passwordPath: is the password of a keystorePath or a truststorePath, and there is none',
  ]);
  assert.deepEqual(of({ password: 'changeit' }), [
    'sources[0].podCertificate.password: is the password of a keystorePath or a truststorePath, and there is none',
  ]);
  assert.deepEqual(faultsOf({ clusterTrustBundle: { ...bundle, keystorePath: 'k.p12', password: 'changeit' } }), [
    'sources[0].clusterTrustBundle.keystorePath: unknown field "keystorePath", known are name, signerName, labelSelector, optional, expired, path, layout, trustDomain, canarying, truststorePath, passwordPath, password, user, mode',
    'sources[0].clusterTrustBundle.password: is the password of a truststorePath, and there is none',
  ]);
});

test('paths of keystores and passwords obey the rules of all paths', () => {
  const keystore = { ...certificate, keystorePath: '../k.p12', passwordPath: 'p/' };
  assert.deepEqual(faultsOf({ podCertificate: keystore }), [
    'sources[0].podCertificate.keystorePath: must not hold ".." as a part, not "../k.p12"',
    'sources[0].podCertificate.passwordPath: must name a file, not "p/"',
  ]);
  assert.deepEqual(
    faultsOf(
      { podCertificate: { ...certificate, keystorePath: 'k.p12', passwordPath: 'password' } },
      { clusterTrustBundle: { ...bundle, truststorePath: 't.p12', passwordPath: 'password' } },
    ),
    [
      'sources[1].clusterTrustBundle.passwordPath: "password" is written by sources[0].podCertificate.passwordPath already',
    ],
  );
});

test('a password has 6 to 128 printable characters of ASCII, and no message repeats one', () => {
  const of = (password: unknown) => faultsOf({ podCertificate: { ...certificate, keystorePath: 'k.p12', password } });
  for (const good of ['secret', 'x'.repeat(128), ' ~!"\\ ']) {
    assert.deepEqual(of(good), [], 'a password is refused');
  }
  const form = 'must be 6 to 128 characters, each a printable one of ASCII, as Java takes no others';
  for (const bad of ['short', 'x'.repeat(129), 'pässword', 'tab\tulator', 'line\nfeed', 'secret\u0000']) {
    assert.deepEqual(of(bad), [`sources[0].podCertificate.password: ${form}`], JSON.stringify(bad));
  }
  for (const wrong of [123456, ['secret'], { secret: 'secret' }, true]) {
    const faults = of(wrong);
    assert.deepEqual(faults, ['sources[0].podCertificate.password: must be a string: put it in quotes']);
  }
});

test('no message about a text that is broken near a password repeats it', () => {
  const secret = 'Zq7Zq7Zq7Zq7';
  const around = (text: string) =>
    `- podCertificate:\n    signerName: example.com/mesh\n    keystorePath: k.p12\n    ${text}\n`;
  const broken = [
    ...[
      '"',
      "'",
      '@',
      '`',
      '%',
      '|',
      '>',
      '{',
      '[',
      '!',
      '&',
      '*',
      '? ',
      '- ',
      '#',
      '"\\q',
      ', ',
      '}',
      ']',
      ': ',
    ].flatMap((sign) => [
      `password: ${sign}${secret}`,
      `password: ${secret}${sign}`,
      `password: ${secret} ${sign}x`,
      `password: ${sign}${secret}${sign}${secret}`,
    ]),
    ...[
      `password:\t${secret}`,
      `password: "${secret}" "${secret}"`,
      `password: {${secret}: 1}`,
      `password: ["${secret}"]`,
    ],
    ...[
      `password: "${secret}\n  ${secret}`,
      `  password: ${secret}`,
      `password: ${secret}\n     a: b`,
      `password: 1${'0'.repeat(40)}`,
    ],
  ];
  for (const text of broken) {
    const verdict = parseDeclaration({ sources: around(text) });
    assert.ok(!verdict.ok, `${text} is accepted`);
    const told = describeFaults(verdict.faults);
    assert.ok(!told.includes('Zq7') && !told.includes('00000'), `${text}: ${told}`);
  }
});

test('sixteen keystores and truststores are the most that a volume may hold', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      podCertificate: {
        ...certificate,
        ...(index === 0 ? { truststorePath: 't.p12' } : {}),
        ...{ keystorePath: `${index}.p12`, password: 'changeit' },
      },
    }));
  assert.deepEqual(faultsOf(...many(15)), []);
  assert.deepEqual(faultsOf(...many(16)), [
    'sources: must hold at most 16 keystorePath and truststorePath together, not 17',
  ]);
});

test('a mode that lets everybody read is refused for keystores and passwords as for keys', () => {
  const of = (fields: object) => faultsOf({ podCertificate: { ...certificate, mode: '0444', ...fields } });
  assert.equal(of({ keystorePath: 'k.p12', password: 'changeit' }).length, 1);
  assert.equal(of({ leafPath: 'leaf.pem', truststorePath: 't.p12', passwordPath: 'password' }).length, 1);
  assert.deepEqual(of({ leafPath: 'leaf.pem', truststorePath: 't.p12', password: 'changeit' }), []);
});

test('a given password shows nowhere: not printed, not serialised, not in the record', () => {
  const secret = 'correct horse battery';
  const sources = sourcesOf({ podCertificate: { ...certificate, keystorePath: 'k.p12', password: secret } });
  const [source] = sources;
  assert.equal(source?.password?.reveal(), secret);
  assert.deepEqual([`${source.password}`, inspect(source.password)], ['[secret]', '[secret]']);
  assert.equal(JSON.stringify({ password: source.password }), '{}');
  const record = makeRecord('/x', { declaration: { sources } });
  const shown = [inspect(record, { depth: 9, showHidden: true }), JSON.stringify(record), `${source?.password}`];
  for (const text of [...shown, encodeRecord(record).toString()]) {
    assert.ok(!text.includes('correct'), text);
  }
});

test('what needs a password, and what needs trust anchors beside a certificate, is told by the paths of a source', () => {
  const source = {
    kind: 'podCertificate',
    index: 0,
    signerName: 'a.b/c',
    keyType: 'ED25519',
    userAnnotations: {},
  } as const;
  for (const [paths, keystores, anchors] of [
    [{ keyPath: 'p' }, false, false],
    [{ keystorePath: 'p' }, true, false],
    [{ truststorePath: 'p' }, true, true],
    [{ keystorePath: 'p', truststorePath: 'q' }, true, true],
    [{ caPath: 'p' }, false, true],
  ] as const) {
    const given: PodCertificateSource = { ...source, ...paths };
    assert.equal(hasKeystores(given), keystores, inspect(paths));
    assert.equal(wantsAnchors(given), anchors, inspect(paths));
  }
});
