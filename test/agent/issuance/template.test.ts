/** From templates to names: filled in from what the API server says, and from nothing that could say more than a name. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { type AllowFromPod, allowNothing } from '../../../agent/issuance/names-from-pod.ts';
import { namedPodIPs, namesFor, type Template } from '../../../agent/issuance/template.ts';
import type { PodIdentity, RequestedNames } from '../../../agent/lifecycle/ports.ts';

const identity: PodIdentity = {
  pod: { namespace: 'shop', name: 'web-0', uid: '6f1c', serviceAccountName: 'web' },
  serviceAccountUID: 'a1',
  nodeName: 'node-a.example',
  nodeUID: 'n1',
  ended: false,
};
const none: Template = { uris: [], dnsNames: [], ipAddresses: [], organizations: [], allowFromPod: allowNothing };

test('every variable is filled in', () => {
  const text = `spiffe://\${trustDomain}/ns/\${namespace}/sa/\${serviceAccountName}/\${podName}/\${podUID}/\${nodeName}/\${serviceAccountUID}`;
  const { uris } = namesFor({ ...none, uris: [text] }, identity, 'mesh.example');
  assert.deepEqual(uris, ['spiffe://mesh.example/ns/shop/sa/web/web-0/6f1c/node-a.example/a1']);
});

test('a value that is no plain name is refused, whatever it could do in the place where it stands', () => {
  const template = { ...none, uris: [`spiffe://td/ns/\${namespace}`], dnsNames: [`\${podName}.svc`] };
  for (const evil of [
    '../sa/admin',
    'a/b',
    'a?x',
    'a#x',
    'a%2fb',
    'a b',
    'a\nb',
    '',
    '-',
    `\${trustDomain}`,
    'x'.repeat(254),
  ]) {
    const pod = { ...identity.pod, namespace: evil };
    assert.throws(() => namesFor(template, { ...identity, pod }, 'td'), { code: 'Rejected' }, JSON.stringify(evil));
  }
});

test('filled-in text that is no name of its kind is refused, and the operator is told', () => {
  const bad: readonly Template[] = [
    { ...none, dnsNames: [`\${podName}_x.svc`] },
    { ...none, dnsNames: [`UPPER.svc`] },
    { ...none, ipAddresses: ['10.0.0.300'] },
    { ...none, uris: ['no scheme'] },
    { ...none, commonName: 'x'.repeat(65) },
    { ...none, organizations: ['a\u0000b'] },
    { ...none, organizations: [`\${unknown}`] },
  ];
  for (const template of bad) {
    assert.throws(
      () => namesFor(template, identity, 'td'),
      { code: 'Rejected', actor: 'cluster operator' },
      JSON.stringify(template),
    );
  }
});

test('labels and annotations of pod, node and service account are filled in where the rule names them', () => {
  const about = {
    pod: { labels: { 'app.kubernetes.io/name': 'web' }, annotations: { team: 'shop-1' } },
    node: { labels: { 'topology.kubernetes.io/zone': 'zone-a' } },
    serviceAccount: { annotations: { role: 'front' } },
  };
  const template = {
    ...none,
    uris: [
      `spiffe://td/zone/\${node.labels['topology.kubernetes.io/zone']}/role/\${serviceAccount.annotations['role']}`,
    ],
    dnsNames: [`\${pod.labels['app.kubernetes.io/name']}.\${pod.annotations['team']}.svc`],
  };
  const names = namesFor(template, { ...identity, about }, 'td');
  assert.deepEqual(names.uris, ['spiffe://td/zone/zone-a/role/front']);
  assert.deepEqual(names.dnsNames, ['web.shop-1.svc']);
  assert.throws(() => namesFor(template, identity, 'td'), { code: 'Rejected', actor: 'cluster operator' });
  const app = { ...none, dnsNames: [`\${pod.labels['app']}.svc`] };
  assert.throws(() => namesFor(app, { ...identity, about }, 'td'), { code: 'Rejected', actor: 'pod author' });
});

test('a label or a pod name that would be more than one DNS label, or another segment, is refused where it stands', () => {
  const dns = { ...none, dnsNames: [`\${pod.labels['app']}.svc`] };
  const uri = { ...none, uris: [`spiffe://td/ns/\${namespace}/app/\${pod.labels['app']}`] };
  const labelled = (app: string): PodIdentity => ({ ...identity, about: { pod: { labels: { app } } } });
  for (const evil of ['db.payments', '*', 'UPPER', '-a', 'a_b', 'a/b', 'a%2eb', 'a\u0000b', '', 'x'.repeat(64)]) {
    assert.throws(() => namesFor(dns, labelled(evil), 'td'), { code: 'Rejected' }, `DNS ${JSON.stringify(evil)}`);
  }
  for (const evil of [
    '..',
    '.',
    'web/../../ns/bank/sa/admin',
    '../sa/admin',
    'a%2fb',
    'a?b',
    'a#b',
    'a b',
    'a\nb',
    '',
  ]) {
    assert.throws(() => namesFor(uri, labelled(evil), 'td'), { code: 'Rejected' }, `URI ${JSON.stringify(evil)}`);
  }
  const dotted = { ...identity, pod: { ...identity.pod, name: 'a.b' } };
  assert.throws(() => namesFor({ ...none, dnsNames: [`\${podName}.svc`] }, dotted, 'td'), { code: 'Rejected' });
});

test('a text that looks like a variable within a value is no variable', () => {
  const about = { pod: { annotations: { a: `\${trustDomain}` } } };
  const template = { ...none, organizations: [`\${pod.annotations['a']}`] };
  assert.throws(() => namesFor(template, { ...identity, about }, 'td'), { code: 'Rejected' });
});

test('a value with dots stands in a URI, and in a DNS name only where no author of pods chooses it', () => {
  const dotted = { ...identity, pod: { ...identity.pod, name: 'a.b', namespace: 'x' } };
  const uris = [`spiffe://td/\${namespace}/\${podName}`];
  assert.deepEqual(namesFor({ ...none, uris }, dotted, 'td').uris, ['spiffe://td/x/a.b']);
  const dnsNames = [`\${namespace}.\${nodeName}`, `x.\${trustDomain}`];
  assert.deepEqual(namesFor({ ...none, dnsNames }, dotted, 'mesh.example').dnsNames, [
    'x.node-a.example',
    'x.mesh.example',
  ]);
});

test('the addresses of the pod are in a certificate only where the template names them', () => {
  const withAddress = { ...identity, podIPs: ['10.0.0.7'] };
  const addresses = (ipAddresses: readonly string[]) =>
    namesFor({ ...none, ipAddresses }, withAddress, 'td').ipAddresses;
  assert.deepEqual(addresses(['192.0.2.1']), ['192.0.2.1']);
  assert.deepEqual(addresses(['192.0.2.1', `\${podIPs}`]), ['192.0.2.1', '10.0.0.7']);
  assert.deepEqual(namesFor(none, withAddress, 'td'), { uris: [], dnsNames: [], ipAddresses: [], organizations: [] });
});

test('what cannot be filled in says which value it was, and what it should have been', () => {
  const messageOf = (template: Partial<Template>, changes: Partial<PodIdentity> = {}): string => {
    try {
      namesFor({ ...none, ...template }, { ...identity, ...changes }, 'td');
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    return 'accepted';
  };
  const mend = "; the issuers in the agent's configuration say what it should be";
  const pod = { ...identity.pod, name: 'a_.b', namespace: '-' };
  assert.equal(
    messageOf({ dnsNames: [`\${podName}.svc`] }, { pod }),
    `the pod's podName cannot stand in a certificate: it is not one DNS label${mend}`,
  );
  assert.equal(
    messageOf({ uris: [`spiffe://td/\${namespace}`] }, { pod }),
    `the pod's namespace cannot stand in a certificate: it is not a plain name${mend}`,
  );
  assert.equal(
    messageOf({ organizations: [`\${unknown}`] }),
    `the template's variable \${unknown} does not exist${mend}`,
  );
  for (const [template, made, what] of [
    [{ uris: ['x'] }, 'x', 'a URI, or no SPIFFE ID'],
    [{ dnsNames: ['A'] }, 'A', 'a DNS name'],
    [{ ipAddresses: ['1'] }, '1', 'an IP address'],
    [{ commonName: 'x'.repeat(300) }, 'x'.repeat(256), 'a common name or organization'],
  ] as const) {
    assert.equal(messageOf(template), `the template makes ${JSON.stringify(made)}, which is not ${what}${mend}`);
  }
  const absent = "which the operator's rule puts into the certificate";
  for (const [variable, words] of [
    [`serviceAccount.annotations['role']`, 'service account has no annotation role'],
    [`node.labels['zone']`, 'node has no label zone'],
    [`pod.labels['app']`, 'pod has no label app'],
  ] as const) {
    for (const about of [{ pod: {}, node: {}, serviceAccount: {} }, {}]) {
      assert.equal(messageOf({ organizations: [`\${${variable}}`] }, { about }), `the ${words}, ${absent}`);
    }
  }
});

describe('names that a pod asks for itself', () => {
  const asked = (names: Partial<RequestedNames>): RequestedNames => ({
    dnsNames: [],
    uris: [],
    ipAddresses: [],
    ...names,
  });
  const rule: AllowFromPod = {
    dnsNames: ['api.example.com', `*.\${namespace}.svc`, 'web-*.shop.example'],
    uris: [`spiffe://\${trustDomain}/ns/\${namespace}/sa/\${serviceAccountName}/*`],
    ipAddresses: ['10.1.0.0/16', '192.0.2.7', '2001:db8::/32'],
    commonNames: [`\${serviceAccountName}-*`],
  };
  const named = (names: Partial<RequestedNames>, allowFromPod: AllowFromPod = rule) =>
    namesFor({ ...none, allowFromPod }, identity, 'td', asked(names));

  it('are nothing without a rule that allows them', () => {
    for (const names of [
      { dnsNames: ['api.example.com'] },
      { uris: ['spiffe://td/ns/shop/sa/web/a'] },
      { ipAddresses: ['10.1.2.3'] },
      { commonName: 'web-1' },
    ]) {
      assert.throws(() => named(names, allowNothing), { code: 'Rejected', actor: 'pod author' }, JSON.stringify(names));
    }
  });

  it('are added where a pattern fits from end to end', () => {
    const names = {
      dnsNames: ['api.example.com', 'a.shop.svc', 'web-1.shop.example'],
      uris: ['spiffe://td/ns/shop/sa/web/worker-1'],
      ipAddresses: ['10.1.255.1', '192.0.2.7', '2001:db8:1::7'],
      commonName: 'web-blue',
    };
    assert.deepEqual(named(names), { ...names, organizations: [] });
  });

  it('are refused when they are anything else', () => {
    const refused: readonly Partial<RequestedNames>[] = [
      ...['xapi.example.com', 'api.example.com.evil', 'a.b.shop.svc', '.shop.svc', 'a.bank.svc', 'API.example.com'].map(
        (name) => ({ dnsNames: [name] }),
      ),
      ...['*.shop.svc', '*.example.com', 'web-.shop.example', 'a\u0000.shop.svc', 'a shop.svc', 'a%2e.shop.svc'].map(
        (name) => ({ dnsNames: [name] }),
      ),
      ...[
        'spiffe://td/ns/bank/sa/admin',
        'spiffe://td/ns/shop/sa/web',
        'spiffe://td/ns/shop/sa/web/',
        'spiffe://td/ns/shop/sa/web/a/b',
        'spiffe://td/ns/shop/sa/web/..',
        'spiffe://td/ns/shop/sa/web/.',
        'spiffe://td/ns/shop/sa/web/*',
        'spiffe://td/ns/shop/sa/web/%2e%2e',
        'spiffe://td/ns/shop/sa/web/a?b',
        'spiffe://td/ns/shop/sa/web/a#b',
        'spiffe://td/ns/shop/sa/web/a\nb',
        'spiffe://other/ns/shop/sa/web/a',
        'spiffe://user@td/ns/shop/sa/web/a',
        'spiffe://td:443/ns/shop/sa/web/a',
        'SPIFFE://td/ns/shop/sa/web/a',
        'https://td/ns/shop/sa/web/a',
      ].map((uri) => ({ uris: [uri] })),
      ...['10.2.0.1', '192.0.2.8', '::ffff:10.1.2.3', '10.1.2', '010.1.2.3', 'fe80::1%eth0', '2001:db9::1', ''].map(
        (address) => ({ ipAddresses: [address] }),
      ),
      ...['web-', 'web', 'bank-1', 'web-a.b', 'web-*', 'web-a\u0000'].map((commonName) => ({ commonName })),
    ];
    for (const names of refused) {
      assert.throws(() => named(names), { code: 'Rejected', actor: 'pod author' }, JSON.stringify(names));
    }
  });

  it('are refused in a message that names the kind and the beginning of the name, for the author of the pod', () => {
    for (const [names, what] of [
      [{ dnsNames: ['api.example.com', 'x.example.com'] }, 'DNS name "x.example.com"'],
      [{ uris: [`urn:${'x'.repeat(300)}`] }, `URI "urn:${'x'.repeat(252)}"`],
      [{ ipAddresses: ['10.2.0.1'] }, 'IP address "10.2.0.1"'],
      [{ commonName: 'x' }, 'common name "x"'],
    ] as const) {
      assert.throws(() => named(names), {
        message: `the pod asks for the ${what}, which the operator's rule does not let it have (allowFromPod)`,
      });
    }
  });

  it('are plain where they are URIs of any scheme: no segment leads elsewhere or has another meaning', () => {
    const other = { ...rule, uris: ['https://a.example/app/*', 'urn:a/b/*'] };
    assert.deepEqual(named({ uris: ['https://a.example/app/x-1._~'] }, other).uris, ['https://a.example/app/x-1._~']);
    for (const segment of [
      '.',
      '..',
      '',
      'a?b',
      '?b',
      'b?',
      'a#b',
      'a%2fb',
      'ä',
      '*',
      ':b',
      'b:',
      '@b',
      'b@',
      '!b',
      'b!',
      'x'.repeat(5_000),
    ]) {
      const uri = `https://a.example/app/${segment}`;
      assert.throws(() => named({ uris: [uri] }, other), { code: 'Rejected', actor: 'pod author' }, segment);
    }
    assert.throws(() => named({ uris: ['urn:a/b/c'] }, other), { code: 'Rejected' }, 'without an authority');
  });

  it('have what stands before and after a star each for itself, and an end that is the end', () => {
    const other = { ...rule, dnsNames: ['web-*-web.shop', '*-db.shop'] };
    assert.deepEqual(named({ dnsNames: ['web-x-web.shop', 'x-db.shop'] }, other).dnsNames.length, 2);
    for (const name of ['web-web.shop', 'web--web.shop', 'db-x.shop', '-db-x.shop', '-db.shop']) {
      assert.throws(() => named({ dnsNames: [name] }, other), { code: 'Rejected' }, name);
    }
  });

  it('match no pattern that a value with dots would widen', () => {
    const dotted = { ...identity, pod: { ...identity.pod, name: 'a.b' } };
    const template = { ...none, allowFromPod: { ...rule, dnsNames: [`*.\${podName}.svc`] } };
    assert.throws(() => namesFor(template, dotted, 'td', asked({ dnsNames: ['x.a.b.svc'] })), {
      code: 'Rejected',
      message: /podName cannot stand in a certificate/,
    });
  });

  it('cost time in proportion to their length, whatever pattern and name are', () => {
    const piece = `${'a'.repeat(30)}*${'a'.repeat(30)}`;
    const hostile = { ...rule, dnsNames: Array.from({ length: 32 }, () => `${piece}.${piece}.${piece}`) };
    const name = [63, 63, 63].map((length) => 'a'.repeat(length)).join('.');
    assert.deepEqual(named({ dnsNames: [name] }, hostile).dnsNames, [name]);
    assert.throws(() => named({ dnsNames: Array.from({ length: 32 }, () => `${name}.b`) }, hostile), {
      code: 'Rejected',
    });
  });
});

test("the pod's addresses are named as far as it has them, and only where the rule says so", () => {
  const template = { ...none, ipAddresses: ['192.0.2.1', `\${podIPs}`] };
  const ips = (podIPs?: readonly string[]) =>
    namesFor(template, { ...identity, ...(podIPs && { podIPs }) }, 'td').ipAddresses;
  assert.deepEqual(ips(), ['192.0.2.1']);
  assert.deepEqual(ips([]), ['192.0.2.1']);
  assert.deepEqual(ips(['10.0.0.1', 'fd00::1']), ['192.0.2.1', '10.0.0.1', 'fd00::1']);
  assert.equal(namedPodIPs(none, { ...identity, podIPs: ['10.0.0.1'] }), undefined);
  assert.deepEqual(namedPodIPs(template, { ...identity, podIPs: [] }), []);
});
