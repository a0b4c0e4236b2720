import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { isAllowed, readAllowList, withAllowList } from '../../../agent/issuance/allow-list.ts';
import type { CertificateOrder, Issuer, PrivateKey } from '../../../agent/lifecycle/ports.ts';

const rules = [
  { namespaces: ['shop', 'team-*'], signers: ['example.com/mesh', 'internal.example.com/*'] },
  { namespaces: ['*'], signers: ['public.example.com/web'] },
];

describe('an allow-list', () => {
  test('lets a namespace ask what one rule names together with it', () => {
    const allowed = [
      ['shop', 'example.com/mesh'],
      ['team-a', 'example.com/mesh'],
      ['team-a', 'internal.example.com/anything'],
      ['anywhere', 'public.example.com/web'],
    ] as const;
    for (const [namespace, signer] of allowed) {
      assert.equal(isAllowed(rules, namespace, signer), true, signer);
    }
  });

  test('refuses what only two rules together would allow, and names that merely begin or end alike', () => {
    const refused = [
      ['anywhere', 'example.com/mesh'],
      ['shop', 'example.com/mesh2'],
      ['shop', 'example.com/mes'],
      ['shop', 'internal.example.com.evil.org/x'],
      ['shop', 'evil.internal.example.com/x'],
      ['shop2', 'example.com/mesh'],
      ['team', 'example.com/mesh'],
      ['', 'example.com/mesh'],
    ] as const;
    for (const [namespace, signer] of refused) {
      assert.equal(isAllowed(rules, namespace, signer), false, signer);
    }
  });

  test('that is empty allows nothing, and one of two stars everything', () => {
    assert.equal(isAllowed([], 'shop', 'example.com/mesh'), false);
    assert.equal(isAllowed([{ namespaces: ['*'], signers: ['*'] }], 'shop', 'example.com/mesh'), true);
  });

  test('is read from YAML values as they are written', () => {
    assert.deepEqual(readAllowList(rules), { ok: true, value: rules });
    assert.deepEqual(readAllowList([]), { ok: true, value: [] });
  });

  test('says where it is at fault', () => {
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [undefined, /^must be a list/],
      [{ namespaces: ['a'], signers: ['*'] }, /^must be a list/],
      [[...rules, 'shop'], /^\[2\] must be/],
      [[null], /^\[0\] must be/],
      [[['shop', 'example.com/mesh']], /^\[0\] must be/],
      [[{ namespaces: ['a'] }], /^\[0\]\.signers must be/],
      [[{ signers: ['*'] }], /^\[0\]\.namespaces must be/],
      [[{ namespaces: [], signers: ['*'] }], /^\[0\]\.namespaces/],
      [[{ namespaces: ['*a'], signers: ['*'] }], /^\[0\]\.namespaces/],
      [[{ namespaces: ['A'], signers: ['*'] }], /^\[0\]\.namespaces/],
      [[{ namespaces: [7], signers: ['*'] }], /^\[0\]\.namespaces/],
      [[{ namespaces: ['shop', '*a'], signers: ['*'] }], /^\[0\]\.namespaces/],
      [[{ namespaces: ['shop'], signers: ['example.com/mesh', 'mesh'] }], /^\[0\]\.signers/],
      [[{ namespaces: 'shop', signers: ['*'] }], /^\[0\]\.namespaces/],
      // Would also match example.com.evil.org/x.
      [[{ namespaces: ['a'], signers: ['example.com*'] }], /^\[0\]\.signers/],
      [[{ namespaces: ['a'], signers: ['*/mesh'] }], /^\[0\]\.signers/],
      [[{ namespaces: ['a'], signers: ['example.com/mesh/x'] }], /^\[0\]\.signers/],
      [[{ namespaces: ['a'], signers: ['*'], signer: 'x' }], /^\[0\]\.signer is not known/],
    ];
    for (const [written, fault] of cases) {
      const reading = readAllowList(written);
      assert.ok(!reading.ok, JSON.stringify(written));
      assert.match(reading.fault, fault);
    }
  });
});

describe('an issuer with an allow-list', () => {
  const order = (namespace: string, signerName: string): CertificateOrder => ({
    requestName: 'req-1',
    identity: {
      pod: { namespace, name: 'web', uid: 'u', serviceAccountName: 'default' },
      serviceAccountUID: 's',
      nodeName: 'n',
      nodeUID: 'nu',
      ended: false,
    },
    signerName,
    userAnnotations: {},
    priority: 'refresh',
  });
  const unused = (): never => assert.fail('not asked for');
  const key: PrivateKey = {
    keyType: 'ED25519',
    pkcs8: new Uint8Array(),
    spki: new Uint8Array(),
    proofOfPossession: unused,
    stubRequest: unused,
    signedRequest: unused,
    destroy: unused,
  };
  const { signal } = new AbortController();

  test('makes no request that the list refuses, and says who can change that', async () => {
    const submitted: string[] = [];
    const issuer: Issuer = {
      requestName: () => 'req-1',
      submit: async ({ signerName }) => void submitted.push(signerName),
      follow: unused,
      verify: unused,
    };
    let current: typeof rules = [];
    const limited = withAllowList(issuer, () => current);
    await assert.rejects(limited.submit(order('shop', 'example.com/mesh'), key, signal), (error) => {
      assert.ok(error instanceof AgentError, `${error} is no AgentError`);
      assert.equal(error.code, 'SignerNotAllowed');
      assert.equal(error.actor, 'cluster operator');
      assert.match(error.message, /namespace shop may not ask signer example\.com\/mesh/);
      return true;
    });
    assert.deepEqual(submitted, []);
    // The list as it is now counts, for requests of volumes that exist already too.
    current = rules;
    await limited.submit(order('shop', 'example.com/mesh'), key, signal);
    assert.deepEqual(submitted, ['example.com/mesh']);
    assert.equal(
      limited.requestName(
        { pod: order('shop', 'x').identity.pod, volumeName: 'v', sourceIndex: 0, signerName: 'x' },
        new Uint8Array(),
      ),
      'req-1',
    );
  });

  test('neither prepares nor begins ahead what the list refuses, and leaves the rest to the issuer behind it', async () => {
    const asked: string[] = [];
    const plain: Issuer = { requestName: unused, submit: unused, follow: unused, verify: unused };
    const issuer: Issuer = {
      ...plain,
      prepare: async ({ signerName }) => void asked.push(signerName),
      beginsAhead: (_namespace, signerName) => signerName.startsWith('internal.example.com/'),
    };
    const limited = withAllowList(issuer, () => rules);
    const requestOf = (namespace: string, signerName: string) => ({
      pod: order(namespace, signerName).identity.pod,
      requestName: 'req-1',
      signerName,
      volumeName: 'v',
      sourceIndex: 0,
    });
    for (const each of [limited, withAllowList(plain, () => rules)]) {
      await assert.rejects(
        async () => each.prepare?.(requestOf('other', 'example.com/mesh'), signal, () => undefined),
        {
          code: 'SignerNotAllowed',
        },
      );
      await each.prepare?.(requestOf('shop', 'example.com/mesh'), signal, () => undefined);
    }
    assert.deepEqual(asked, ['example.com/mesh']);
    assert.equal(limited.beginsAhead?.('shop', 'internal.example.com/a'), true);
    assert.equal(limited.beginsAhead?.('shop', 'example.com/mesh'), false, 'the issuer says no');
    assert.equal(limited.beginsAhead?.('other', 'internal.example.com/a'), false, 'the list says no');
    assert.equal(withAllowList(plain, () => rules).beginsAhead?.('shop', 'example.com/mesh'), false, 'it cannot');
  });
});
