/** From templates to names: filled in from what the API server says, and from nothing that could say more than a name. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Template } from '../../../agent/issuance/issuer-rules.ts';
import { namesFor } from '../../../agent/issuance/template.ts';
import type { PodIdentity } from '../../../agent/lifecycle/ports.ts';

const identity: PodIdentity = {
  pod: { namespace: 'shop', name: 'web-0', uid: '6f1c', serviceAccountName: 'web' },
  serviceAccountUID: 'a1',
  nodeName: 'node-a.example',
  nodeUID: 'n1',
  ended: false,
};
const none: Template = { uris: [], dnsNames: [], ipAddresses: [], organizations: [] };

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
