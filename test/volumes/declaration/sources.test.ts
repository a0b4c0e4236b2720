/** A pod's declaration: what is accepted, and that every fault is named by its path, all in one pass. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { labelKey } from '../../../sandbox/base/names.ts';
import { keyTypes } from '../../../volumes/declaration/key-types.ts';
import { createDeclarationReader, describeFaults, parseDeclaration } from '../../../volumes/declaration/sources.ts';

/** The faults of a declaration as `field: message` lines. */
function faultsOf(attributes: Record<string, string>): readonly string[] {
  const parsed = parseDeclaration(attributes);
  return parsed.ok ? [] : parsed.faults.map((fault) => `${fault.field}: ${fault.message}`);
}

/** The faults of one podCertificate source that is right but for the given fields. */
function certificateFaults(fields: Record<string, unknown>): readonly string[] {
  const source = { signerName: 'example.com/mesh', keyType: 'ED25519', keyPath: 'key.pem', ...fields };
  return faultsOf({ sources: JSON.stringify([{ podCertificate: source }]) });
}

/** The faults of one clusterTrustBundle source with exactly the given fields. */
function bundleFaults(fields: Record<string, unknown>): readonly string[] {
  return faultsOf({ sources: JSON.stringify([{ clusterTrustBundle: fields }]) });
}

test('of thousands of unknown attributes the first ones are named', () => {
  const sources = '[{clusterTrustBundle: {name: roots, path: ca.pem}}]';
  const unknown = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, '']));
  assert.equal(faultsOf({ sources, ...unknown(8) }).length, 8);
  const faults = faultsOf({ sources, ...unknown(20_000) });
  assert.equal(faults.length, 8);
  assert.equal(
    faults.at(-1),
    'volumeAttributes: unknown attribute "k7", known are sources, defaultMode, defaultUser, reload, probe',
  );
});

test('the declaration of the README is read into sources with their positions', () => {
  const parsed = parseDeclaration({
    'csi.storage.k8s.io/pod.name': 'web-0',
    defaultMode: '0440',
    sources: `
      - podCertificate:
          signerName: example.com/mesh
          keyType: ECDSAP256
          maxExpirationSeconds: 7200
          userAnnotations: { example.com/team: payments }
          credentialBundlePath: credentials.pem
          leafPath: certs/leaf.pem
      - clusterTrustBundle:
          signerName: example.com/mesh
          labelSelector:
            matchLabels: { tier: live }
            matchExpressions: [{ key: example.com/zone, operator: In, values: [a, b] }]
          optional: true
          path: trust-anchors.pem
      - clusterTrustBundle: { name: "example.com:mesh:roots", path: roots.pem }`,
  });
  assert.deepEqual(parsed, {
    ok: true,
    declaration: {
      defaultMode: 0o440,
      sources: [
        {
          kind: 'podCertificate',
          index: 0,
          signerName: 'example.com/mesh',
          keyType: 'ECDSAP256',
          maxExpirationSeconds: 7200,
          userAnnotations: { 'example.com/team': 'payments' },
          credentialBundlePath: 'credentials.pem',
          leafPath: 'certs/leaf.pem',
        },
        {
          kind: 'clusterTrustBundle',
          index: 1,
          select: {
            by: 'signer',
            signerName: 'example.com/mesh',
            labelSelector: {
              matchLabels: { tier: 'live' },
              matchExpressions: [{ key: 'example.com/zone', operator: 'In', values: ['a', 'b'] }],
            },
          },
          optional: true,
          path: 'trust-anchors.pem',
        },
        {
          kind: 'clusterTrustBundle',
          index: 2,
          select: { by: 'name', name: 'example.com:mesh:roots' },
          optional: false,
          path: 'roots.pem',
        },
      ],
    },
  });
});

test('every key type of the kubelet is accepted, and an unknown one is answered with the list', () => {
  for (const keyType of keyTypes) {
    assert.deepEqual(certificateFaults({ keyType }), []);
  }
  const list = keyTypes.join(', ');
  assert.deepEqual(certificateFaults({ keyType: 'RSA2048' }), [
    `sources[0].podCertificate.keyType: must be one of ${list}, not "RSA2048"`,
  ]);
  assert.deepEqual(certificateFaults({ keyType: null }), [`sources[0].podCertificate.keyType: must be one of ${list}`]);
});

test('an absent labelSelector and an empty one stay different', () => {
  const read = (text: string) => {
    const parsed = parseDeclaration({ sources: text });
    const source = parsed.ok ? parsed.declaration.sources[0] : undefined;
    return source?.kind === 'clusterTrustBundle' ? source.select : undefined;
  };
  assert.deepEqual(read('[{clusterTrustBundle: {signerName: a.b/c, path: p}}]'), { by: 'signer', signerName: 'a.b/c' });
  assert.deepEqual(read('[{clusterTrustBundle: {signerName: a.b/c, labelSelector: {}, path: p}}]'), {
    by: 'signer',
    signerName: 'a.b/c',
    labelSelector: { matchLabels: {}, matchExpressions: [] },
  });
});

test('all faults of a declaration come in one pass, each with the path of its field', () => {
  const faults = faultsOf({
    colour: 'blue',
    defaultMode: '0999',
    sources: `
      - podCertificate: { signerName: mesh, keyType: DSA, keyPath: /etc/key, nonsense: 1 }
      - clusterTrustBundle: { name: Bad_Name, path: ../up }
      - secret: { name: x }
      - text`,
  });
  assert.deepEqual(
    faults.map((fault) => fault.slice(0, fault.indexOf(':'))),
    [
      'volumeAttributes',
      'sources[0].podCertificate.nonsense',
      'sources[0].podCertificate.signerName',
      'sources[0].podCertificate.keyType',
      'sources[0].podCertificate.keyPath',
      'sources[1].clusterTrustBundle.name',
      'sources[1].clusterTrustBundle.path',
      'sources[2].secret',
      'sources[2]',
      'sources[3]',
      'defaultMode',
    ],
  );
});

test('a signer name must be a domain of two labels, a slash and a path', () => {
  for (const signerName of ['example.com/mesh', 'a.b/c', 'kubernetes.io/kube-apiserver-client', 'a.b/ns.name-1']) {
    assert.deepEqual(certificateFaults({ signerName }), [], signerName);
  }
  const bad = ['mesh', 'com/mesh', 'example.com/', '/mesh', 'example.com/a/b', 'Example.com/mesh', 'example.com/Mesh'];
  const long = [`${'a'.repeat(64)}.com/x`, `${'a.'.repeat(130)}com/x`, `example.com/${'a'.repeat(254)}`];
  for (const signerName of [...bad, ...long, 'exa_mple.com/mesh', 'example..com/mesh', 'a.b/c..d', ' a.b/c']) {
    const [fault = ''] = certificateFaults({ signerName });
    assert.match(fault, /^sources\[0\]\.podCertificate\.signerName: must be a domain and a path/, signerName);
  }
  assert.match(certificateFaults({ signerName: '' })[0] ?? '', /signerName: is required/);
  assert.deepEqual(certificateFaults({ signerName: 7 }), [
    'sources[0].podCertificate.signerName: must be a string: put "7" in quotes',
  ]);
});

test('maxExpirationSeconds lies between an hour and 91 days, and within a day for kubernetes.io signers', () => {
  for (const seconds of [3600, 86_400, 7_862_400]) {
    assert.deepEqual(certificateFaults({ maxExpirationSeconds: seconds }), []);
  }
  for (const seconds of [0, -1, 3599, 7_862_401]) {
    const [fault] = certificateFaults({ maxExpirationSeconds: seconds });
    const range = 'must be from 3600 to 7862400 seconds';
    assert.equal(fault, `sources[0].podCertificate.maxExpirationSeconds: ${range}, not ${seconds}`);
  }
  for (const signerName of ['kubernetes.io/x', 'sub.kubernetes.io/x']) {
    assert.deepEqual(certificateFaults({ signerName, maxExpirationSeconds: 86_400 }), []);
    const [fault = ''] = certificateFaults({ signerName, maxExpirationSeconds: 86_401 });
    assert.match(fault, /from 3600 to 86400 seconds for a kubernetes.io signer/);
  }
  assert.deepEqual(certificateFaults({ signerName: 'notkubernetes.io/x', maxExpirationSeconds: 86_401 }), []);
  for (const value of ['3600', 3600.5, true, {}]) {
    assert.match(certificateFaults({ maxExpirationSeconds: value })[0] ?? '', /must be a whole number without quotes/);
  }
});

test('annotation keys need a domain prefix, and values must be strings', () => {
  assert.deepEqual(certificateFaults({ userAnnotations: { 'example.com/Team': '', 'a.b/c.d_e': 'x' } }), []);
  assert.match(
    certificateFaults({ userAnnotations: { team: 'x' } })[0] ?? '',
    /^sources\[0\]\.podCertificate\.userAnnotations: key "team" must have a domain prefix/,
  );
  for (const key of ['podcert.io/node', 'csi.podcert.io/names', 'PodCert.IO/node']) {
    const [fault = ''] = certificateFaults({ userAnnotations: { [key]: 'x' } });
    assert.match(fault, /userAnnotations: key .* must not lie in podcert\.io/, key);
  }
  assert.deepEqual(certificateFaults({ userAnnotations: { 'notpodcert.io/node': 'x' } }), []);
  const [number = ''] = certificateFaults({ userAnnotations: { 'example.com/on': true } });
  assert.match(number, /"example.com\/on" must be strings: put them in quotes/);
  assert.match(certificateFaults({ userAnnotations: ['x'] })[0] ?? '', /userAnnotations: must be a mapping/);
});

test('a key that the API server refuses is told with its reason, and a key is refused only where it refuses it', () => {
  const parts = [
    '',
    'a',
    'example.com',
    'Example.COM',
    'exa mple.com',
    'two words',
    'a..b',
    '-a',
    'a-',
    'a_b',
    'ü',
    '\n',
  ];
  const longest = ['x'.repeat(63), 'x'.repeat(64), `${'a.'.repeat(126)}a`, `${'a.'.repeat(127)}a`, 'ü'.repeat(40)];
  const all = [...parts, ...longest];
  const keys = [...all, ...all.flatMap((one) => all.map((other) => `${one}/${other}`)), 'a/b/c', '//', 'a.b/c/'];
  let refused = 0;
  for (const key of keys.filter((each) => each !== '')) {
    const faults = certificateFaults({ userAnnotations: { [key]: 'x' } });
    const [said] = labelKey(key.toLowerCase());
    if (said === undefined) {
      assert.deepEqual(faults.length, key.includes('/') ? 0 : 1, key);
      continue;
    }
    refused += 1;
    assert.equal(faults.length, 1, key);
    const [reason = ''] = said.split(' (e.g.');
    assert.ok(faults[0]?.includes(reason), `${faults[0]} does not say: ${reason}`);
    assert.doesNotMatch(faults[0] ?? '', /domain prefix, like/, key);
  }
  assert.ok(refused > 100, `${refused} keys were refused`);
  assert.match(
    certificateFaults({ userAnnotations: { 'a/b/c': 'x' } })[0] ?? '',
    /key "a\/b\/c": has more than one slash/,
  );
});

test('a key named __proto__ is an ordinary key', () => {
  const [fault = ''] = faultsOf({
    sources: '[{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k, userAnnotations: {__proto__: x}}}]',
  });
  assert.match(fault, /key "__proto__": name part must consist of/);
  assert.match(faultsOf({ sources: '[{__proto__: {}}]' })[0] ?? '', /unknown field "__proto__"/);
});

test('output paths stay inside the volume and off the names that the agent keeps', () => {
  const accepted = ['a', 'a/b/c.pem', 'a..b', '.hidden', 'x/..y', 'ü.pem', '-rf', 'a b'];
  for (const keyPath of accepted) {
    assert.deepEqual(certificateFaults({ keyPath }), [], keyPath);
  }
  const refused = ['/a', '..', '../a', 'a/../b', 'a/..', '..data', '..agent/x', '..data/x', './..agent/volume.json'];
  const strange = ['a\u0000b', 'a\nb', 'a\u007fb', 'a\u0085b', '.', './', 'a/', 'x'.repeat(256), 'ü'.repeat(128)];
  for (const keyPath of [...refused, ...strange, 'x/'.repeat(1600).concat('y'), '\ud800']) {
    const [fault = 'accepted'] = certificateFaults({ keyPath });
    assert.match(fault, /^sources\[0\]\.podCertificate\.keyPath: must /, JSON.stringify(keyPath));
  }
});

test('paths are compared and kept in their normal form', () => {
  const parsed = parseDeclaration({
    sources: '[{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: ./certs//key.pem}}]',
  });
  assert.ok(parsed.ok && parsed.declaration.sources[0]?.kind === 'podCertificate', inspect(parsed));
  assert.equal(parsed.declaration.sources[0].keyPath, 'certs/key.pem');
  assert.deepEqual(certificateFaults({ keyPath: 'a/b', leafPath: 'a//./b' }), [
    'sources[0].podCertificate.leafPath: "a/b" is written by sources[0].podCertificate.keyPath already',
  ]);
});

test('two sources cannot write one path, nor one a file where the other needs a directory', () => {
  const faults = faultsOf({
    sources: `
      - clusterTrustBundle: { name: a, path: certs/ca.pem }
      - clusterTrustBundle: { name: b, path: certs/ca.pem }
      - clusterTrustBundle: { name: c, path: certs }`,
  });
  assert.deepEqual(faults, [
    'sources[1].clusterTrustBundle.path: "certs/ca.pem" is written by sources[0].clusterTrustBundle.path already',
    ...[0, 1].map(
      (index) =>
        `sources[${index}].clusterTrustBundle.path: "certs/ca.pem" needs a directory "certs", ` +
        'which sources[2].clusterTrustBundle.path writes as a file',
    ),
  ]);
});

test('a file reserves no other name than its own, however that ends', () => {
  const paths = ['a', 'b.undefined', 'undefined', 'c/undefined'];
  const sources = paths.map((path) => ({ clusterTrustBundle: { name: 'a', path } }));
  assert.deepEqual(faultsOf({ sources: JSON.stringify(sources) }), []);
});

test('names that a pod asks for are kept as they are written, and their number and length are bounded', () => {
  const parsed = parseDeclaration({
    sources: `
      - podCertificate:
          signerName: a.b/c
          keyType: ED25519
          keyPath: k
          dnsNames: [api.example.com]
          ipAddresses: ['192.0.2.1']
          commonName: api`,
  });
  assert.ok(parsed.ok && parsed.declaration.sources[0]?.kind === 'podCertificate', 'the declaration is good');
  assert.deepEqual(parsed.declaration.sources[0].names, {
    dnsNames: ['api.example.com'],
    uris: [],
    ipAddresses: ['192.0.2.1'],
    commonName: 'api',
  });
  const unnamed = parseDeclaration({
    sources: '[{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k, uris: [spiffe://a/b]}}]',
  });
  assert.ok(unnamed.ok && unnamed.declaration.sources[0]?.kind === 'podCertificate', 'the declaration is good');
  assert.deepEqual(unnamed.declaration.sources[0].names, { dnsNames: [], uris: ['spiffe://a/b'], ipAddresses: [] });
  assert.match(
    certificateFaults({ dnsNames: Array(33).fill('a') })[0] ?? '',
    /dnsNames: must hold at most 32 names, not 33/,
  );
  assert.match(certificateFaults({ uris: [''] })[0] ?? '', /uris: must be a list of strings that are not empty/);
  assert.match(certificateFaults({ ipAddresses: [7] })[0] ?? '', /ipAddresses: must be a list of strings/);
  assert.match(certificateFaults({ dnsNames: 'a' })[0] ?? '', /dnsNames: must be a list/);
  assert.match(certificateFaults({ commonName: 'x'.repeat(2049) })[0] ?? '', /a name of more than 2048 characters/);
});

test('a podCertificate without any output path is refused', () => {
  assert.deepEqual(certificateFaults({ keyPath: '' }), [
    'sources[0].podCertificate: needs at least one of credentialBundlePath, keyPath, certificateChainPath, leafPath, intermediatesPath, keystorePath, or layout',
  ]);
  assert.deepEqual(certificateFaults({ keyPath: 5 }), [
    'sources[0].podCertificate.keyPath: must be a string: put "5" in quotes',
  ]);
});

test('a trust bundle is chosen by name or by signer, never both and never neither', () => {
  const path = 'p';
  assert.deepEqual(bundleFaults({ path, name: 'a', signerName: 'a.b/c' }), [
    'sources[0].clusterTrustBundle: has both name and signerName, keep one',
  ]);
  assert.deepEqual(bundleFaults({ path }), ['sources[0].clusterTrustBundle: needs either name or signerName']);
  assert.deepEqual(bundleFaults({ path, name: 'a', labelSelector: {} }), [
    'sources[0].clusterTrustBundle.labelSelector: goes with signerName, leave it out beside name',
  ]);
  assert.match(bundleFaults({ path, name: 7 })[0] ?? '', /name: must be a string/);
  assert.match(bundleFaults({ path, signerName: 'x' })[0] ?? '', /signerName: must be a domain/);
  assert.match(bundleFaults({ name: 'a' })[0] ?? '', /path: is required/);
  assert.deepEqual(bundleFaults({ name: 'a', path: [1] }), [
    'sources[0].clusterTrustBundle.path: must be a string: put "a list" in quotes',
  ]);
});

test('bundle names follow their signer, with colons', () => {
  for (const name of ['roots', 'my.roots', 'example.com:mesh:roots']) {
    assert.deepEqual(bundleFaults({ name, path: 'p' }), [], name);
  }
  for (const name of ['Roots', ':', 'mesh:roots', 'example.com:mesh:', 'example.com/mesh:roots', 'a:b:c:d', '-x']) {
    assert.match(bundleFaults({ name, path: 'p' })[0] ?? '', /name: must be the name of a ClusterTrustBundle/, name);
  }
});

test('optional is true or false and nothing like it', () => {
  for (const optional of ['yes', 'true', 1]) {
    assert.match(bundleFaults({ name: 'a', path: 'p', optional })[0] ?? '', /optional: must be true or false, not/);
  }
});

test('a selector has so many labels, requirements and values in all, and no more', () => {
  const selector = (values: number) => ({
    matchLabels: { a: 'x', b: 'x' },
    matchExpressions: [
      { key: 'c', operator: 'Exists' },
      { key: 'd', operator: 'In', values: Array.from({ length: values }, (_, index) => `v${index}`) },
    ],
  });
  const faults = (labelSelector: unknown) => bundleFaults({ signerName: 'a.b/c', path: 'p', labelSelector });
  assert.deepEqual(faults(selector(252)), []);
  assert.deepEqual(faults(selector(253)), [
    'sources[0].clusterTrustBundle.labelSelector: must hold at most 256 labels, requirements and values in all, not 257',
  ]);
});

test('label selectors are checked down to their keys, operators and values', () => {
  const faults = (labelSelector: unknown) =>
    bundleFaults({ signerName: 'a.b/c', path: 'p', labelSelector }).map((fault) =>
      fault.replace('sources[0].clusterTrustBundle.labelSelector', '@'),
    );
  assert.deepEqual(faults({ matchExpressions: [{ key: 'a', operator: 'Exists' }] }), []);
  assert.match(faults([])[0] ?? '', /^@: must be a mapping/);
  assert.match(faults({ matchLabels: { 'a/b/c': 'x' } })[0] ?? '', /^@.matchLabels: must be a name like/);
  assert.match(faults({ matchLabels: { a: '-x' } })[0] ?? '', /^@.matchLabels: value "-x" must be/);
  assert.match(faults({ matchExpressions: {} })[0] ?? '', /^@.matchExpressions: must be a list/);
  assert.match(faults({ matchExpressions: ['a'] })[0] ?? '', /^@.matchExpressions\[0\]: must be a mapping/);
  assert.deepEqual(faults({ matchExpressions: [{ key: '', operator: 'Is', values: ['+', 4] }] }), [
    '@.matchExpressions[0].key: must be a name like "app" or "example.com/app", not "": name part must be non-empty',
    '@.matchExpressions[0].values[0]: value "+" must be at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends',
    '@.matchExpressions[0].values[1]: must be a string: put "4" in quotes',
    '@.matchExpressions[0].operator: must be one of In, NotIn, Exists, DoesNotExist, not "Is"',
  ]);
  assert.deepEqual(faults({ matchExpressions: [{ key: 'a' }] }), [
    '@.matchExpressions[0].operator: must be one of In, NotIn, Exists, DoesNotExist, not ""',
  ]);
  for (const [operator, values, fault] of [
    ['In', undefined, 'needs at least one value with In'],
    ['In', ['x'], undefined],
    ['NotIn', [], 'needs at least one value with NotIn'],
    ['NotIn', ['x', ''], undefined],
    ['Exists', ['x'], 'must be absent with Exists'],
    ['Exists', [], undefined],
    ['DoesNotExist', ['x'], 'must be absent with DoesNotExist'],
    ['DoesNotExist', undefined, undefined],
  ] as const) {
    const expected = fault === undefined ? [] : [`@.matchExpressions[0].values: ${fault}`];
    assert.deepEqual(faults({ matchExpressions: [{ key: 'a', operator, values }] }), expected, operator);
  }
});

test('a source is exactly one of the two kinds', () => {
  const both =
    '[{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k}, clusterTrustBundle: {name: a, path: p}}]';
  for (const text of [both, '[{}]', '[{podCertificate: null}]']) {
    assert.deepEqual(faultsOf({ sources: text }), [
      'sources[0]: must be exactly one of podCertificate and clusterTrustBundle',
    ]);
  }
  assert.match(faultsOf({ sources: '[{podCertificate: 3}]' })[0] ?? '', /podCertificate: must be a mapping/);
  assert.match(faultsOf({ sources: '[{clusterTrustBundle: 3}]' })[0] ?? '', /clusterTrustBundle: must be a mapping/);
});

test('what is not a list of sources says so', () => {
  assert.deepEqual(faultsOf({}), ['sources: is required: YAML text with a list of sources']);
  assert.equal(faultsOf({ probe: 'port: 1' }).length, 1, 'what the probe would need is not known');
  for (const text of ['', 'a: b', '7', 'null']) {
    assert.match(faultsOf({ sources: text })[0] ?? '', /^sources: must be a YAML list/);
  }
  assert.deepEqual(faultsOf({ sources: '[]' }), ['sources: must hold at least one source']);
  const many = JSON.stringify(Array(257).fill({}));
  assert.deepEqual(faultsOf({ sources: many }), ['sources: must hold at most 256 sources, not 257']);
});

test('defaultMode is octal with a leading zero or decimal, at most 0777', () => {
  const mode = (defaultMode: string) => {
    const parsed = parseDeclaration({ defaultMode, sources: '[{clusterTrustBundle: {name: a, path: p}}]' });
    return parsed.ok ? parsed.declaration.defaultMode : parsed.faults.map((fault) => fault.field);
  };
  assert.equal(mode('0440'), 0o440);
  assert.equal(mode(' 0440\n'), 0o440, 'as a block of YAML has it');
  assert.equal(mode('288'), 0o440);
  assert.equal(mode('0'), 0);
  assert.equal(mode('0777'), 0o777);
  for (const wrong of ['', '0o440', '1777', '512', '01000', '-1', '0480', 'rw', '1e2']) {
    assert.deepEqual(mode(wrong), ['defaultMode'], wrong);
  }
});

test('a defaultMode that lets everybody read a private key is refused, and one for certificates alone is not', () => {
  const withKey = (path: string) => `[{podCertificate: {signerName: a.b/c, keyType: ED25519, ${path}: f}}]`;
  for (const path of ['keyPath', 'credentialBundlePath']) {
    for (const defaultMode of ['0644', '484', '0441']) {
      const [fault = ''] = faultsOf({ defaultMode, sources: withKey(path) });
      assert.match(fault, /^defaultMode: 0\d+ would let everybody read the private key of sources\[0\], write "0440"/);
    }
    assert.deepEqual(faultsOf({ defaultMode: '0440', sources: withKey(path) }), []);
  }
  assert.deepEqual(faultsOf({ defaultMode: '0644', sources: withKey('certificateChainPath') }), []);
  const twoKeys = [withKey('keyPath'), withKey('keyPath').replace(' f}', ' g}')].join('').replace('][', ', ');
  assert.match(
    faultsOf({ defaultMode: '0644', sources: twoKeys })[0] ?? '',
    /key of sources\[0\], sources\[1\], write/,
  );
  // Trust anchors are no secret, and so the password of a file with nothing else is none.
  const truststore = '[{clusterTrustBundle: {name: a, path: p, truststorePath: t, passwordPath: w}}]';
  assert.deepEqual(faultsOf({ defaultMode: '0644', sources: truststore }), []);
});

test('faults as one message are one line, and many are cut', () => {
  const fault = { field: 'f', message: 'm' };
  assert.equal(describeFaults([fault, fault]), 'f: m; f: m');
  const parts = describeFaults(Array(50).fill(fault)).split('; ');
  assert.equal(parts.length, 21);
  assert.equal(parts.at(-1), 'and 30 more');
});

test('150 sources and more fit into one volume', () => {
  const sources = Array.from({ length: 256 }, (_, index) => ({
    clusterTrustBundle: { name: `n${index}`, path: `p/${index}` },
  }));
  assert.deepEqual(faultsOf({ sources: JSON.stringify(sources) }), []);
});

test('a defaultMode that may be octal or decimal is refused, with both ways to write it', () => {
  const [fault = ''] = faultsOf({
    sources: JSON.stringify([{ clusterTrustBundle: { name: 'a', path: 'p' } }]),
    defaultMode: '400',
  });
  assert.equal(
    fault,
    'defaultMode: "400" may be octal or decimal: write "0400" if it is octal, "0620" if the number is decimal',
  );
  assert.match(
    faultsOf({ sources: JSON.stringify([{ clusterTrustBundle: { name: 'a', path: 'p' } }]), defaultMode: '511' })[0] ??
      '',
    /write "0511" if it is octal, "0777" if the number is decimal$/,
  );
});

test('a label selector that is no mapping does not pass for an absent one', () => {
  for (const labelSelector of ['', 'x', 0, []]) {
    const faults = bundleFaults({ path: 'p', signerName: 'a.b/c', labelSelector });
    assert.match(faults[0] ?? '', /labelSelector: must be a mapping/, JSON.stringify(labelSelector));
  }
  assert.deepEqual(bundleFaults({ path: 'p', signerName: 'a.b/c', labelSelector: null }), []);
});

test('paths have at most 16 parts, and no characters that are not seen', () => {
  const parts = (count: number) => Array(count).fill('d').join('/');
  assert.deepEqual(certificateFaults({ keyPath: parts(16) }), []);
  assert.match(certificateFaults({ keyPath: parts(17) })[0] ?? '', /must have at most 16 parts/);
  for (const code of [0x202e, 0x200b, 0x200f, 0x2066, 0x2069, 0xfeff, 0xad, 0x2028, 0xe000, 0x85]) {
    const [fault = ''] = certificateFaults({ keyPath: `a${String.fromCodePoint(code)}b` });
    assert.match(fault, /control characters or invisible ones/, code.toString(16));
  }
});

test('a verdict is remembered, whatever else the kubelet says with the call', () => {
  const read = createDeclarationReader();
  const own = { sources: JSON.stringify([{ clusterTrustBundle: { name: 'a', path: 'p' } }]) };
  const first = read({ ...own, 'csi.storage.k8s.io/pod.uid': 'a' });
  assert.equal(read({ ...own, 'csi.storage.k8s.io/pod.uid': 'b' }), first);
  assert.notEqual(read({ ...own, defaultMode: '0400' }), first);
  for (let index = 0; index < 200; index += 1) {
    read({ sources: String(index) });
  }
  assert.notEqual(read(own), first, 'the memory is bounded');
});

test('user and mode of a source, and defaultUser of a volume, are read', () => {
  const sources = [
    { podCertificate: { signerName: 'a.b/c', keyType: 'ED25519', keyPath: 'k', user: 70, mode: '0600' } },
    { clusterTrustBundle: { name: 'a', path: 'p', user: 0, mode: 288 } },
  ];
  const parsed = parseDeclaration({ sources: JSON.stringify(sources), defaultUser: '2147483647' });
  const declaration = parsed.ok ? parsed.declaration : undefined;
  assert.equal(declaration?.defaultUser, 2_147_483_647);
  assert.deepEqual(
    declaration?.sources.map(({ user, mode }) => [user, mode]),
    [
      [70, 0o600],
      [0, 0o440],
    ],
  );
  const plain = parseDeclaration({ sources: JSON.stringify(sources) });
  assert.deepEqual(plain.ok && Object.keys(plain.declaration), ['sources'], 'what is not said is not there');
});

test('a user is a number that Kubernetes takes for a user ID, everything else is named by its field', () => {
  const user = 'sources[0].clusterTrustBundle.user: must be';
  for (const [wrong, message] of [
    [-1, `${user} a user ID from 0 to 2147483647, not -1`],
    [2 ** 31, `${user} a user ID from 0 to 2147483647, not 2147483648`],
    [1.5, `${user} a whole number without quotes, not "1.5"`],
    ['70', `${user} a whole number without quotes, not "70"`],
    ['root', `${user} a whole number without quotes, not "root"`],
    [{}, `${user} a whole number without quotes, not "a mapping"`],
  ] as const) {
    assert.deepEqual(bundleFaults({ name: 'a', path: 'p', user: wrong }), [message]);
  }
  for (const user of [0, 2 ** 31 - 1]) {
    assert.deepEqual(bundleFaults({ name: 'a', path: 'p', user }), []);
  }
  const sources = JSON.stringify([{ clusterTrustBundle: { name: 'a', path: 'p' } }]);
  assert.deepEqual(faultsOf({ sources, defaultUser: ' 70\n' }), [], 'as a block of YAML has it');
  for (const wrong of ['', '-1', '0x1', '1e3', 'root', '2147483648', '99999999999', '007', '1.0']) {
    assert.deepEqual(
      faultsOf({ sources, defaultUser: wrong }),
      [`defaultUser: must be a user ID from 0 to 2147483647, not ${JSON.stringify(wrong)}`],
      wrong,
    );
  }
});

test('a mode of a source that may be octal or decimal is refused, with both ways to write it', () => {
  const mode = (text: string) => faultsOf({ sources: `[{clusterTrustBundle: {name: a, path: p, mode: ${text}}}]` });
  for (const clear of ['"0600"', "'0044'", '384', '"384"', '0o600', '0', '"0"', 'null']) {
    assert.deepEqual(mode(clear), [], clear);
  }
  // To YAML 1.2 an unquoted 0600 is six hundred; to Kubernetes' own reader it is octal.
  assert.deepEqual(mode('0600'), [
    'sources[0].clusterTrustBundle.mode: "600" may be octal or decimal: write "0600" if it is octal',
  ]);
  assert.match(mode('0044')[0] ?? '', /"44" may be octal or decimal: write "0044" if it is octal, "0054" if/);
  for (const wrong of ['"1777"', '580', '-1', '1.5', '[]', '["0440"]', 'true', '"rw"', '9999']) {
    assert.match(
      mode(wrong)[0] ?? '',
      /^sources\[0\]\.clusterTrustBundle\.mode: must be a file mode like "0440"/,
      wrong,
    );
  }
});

test('a mode that lets everybody read a private key is refused, and one for certificates alone is not', () => {
  for (const mode of ['0644', '0601', '0607']) {
    const [fault = ''] = certificateFaults({ mode });
    assert.match(
      fault,
      /^sources\[0\]\.podCertificate\.mode: 06\d+ would let everybody read the private key, write "0440"/,
    );
  }
  assert.deepEqual(certificateFaults({ mode: '0640' }), []);
  assert.deepEqual(certificateFaults({ mode: '0644', keyPath: '', certificateChainPath: 'chain.pem' }), []);
});

test('roots are kept or dropped, and nothing else is understood', () => {
  const read = (roots: unknown) => {
    const source = { signerName: 'example.com/mesh', keyType: 'ED25519', keyPath: 'key.pem', roots };
    const parsed = parseDeclaration({ sources: JSON.stringify([{ podCertificate: source }]) });
    const [first] = parsed.ok ? parsed.declaration.sources : [];
    return parsed.ok ? first?.kind === 'podCertificate' && first.roots : parsed.faults.map(({ message }) => message);
  };
  assert.equal(read('drop'), 'drop');
  for (const kept of ['keep', '', null, undefined]) {
    assert.equal(read(kept), undefined, String(kept));
  }
  assert.deepEqual(read('Drop'), ['must be keep or drop, not "Drop"']);
  assert.deepEqual(read(true), ['must be a string: put "true" in quotes']);
});
