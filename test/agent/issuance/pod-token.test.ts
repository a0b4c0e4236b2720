/** Which tokens can be those of a pod's own service account. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { maxTokenLength } from '../../../agent/issuance/limits.ts';
import { judgeToken } from '../../../agent/issuance/pod-token.ts';
import { apiServer, pod, type TokenChanges, tokenOf } from './tokens.ts';

const now = Date.UTC(2026, 10, 26);
const account = { name: 'web', uid: 'uid-of-account' };

function judge(token: string, audience = '') {
  return judgeToken(token, pod, audience, now);
}

function payload(claims: unknown): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part(claims)}.c2lnbmF0dXJl`;
}

describe('a token', () => {
  it("of the pod's own account is good, for the API server's own audience and for a named one", () => {
    const good = { type: 'good', expiresAt: now + 600_000 };
    assert.deepEqual(judge(tokenOf(now)), good);
    assert.deepEqual(judge(tokenOf(now), apiServer), good);
    assert.deepEqual(judge(tokenOf(now, { audience: 'signers' }), 'signers'), good);
  });

  const unusable: readonly (readonly [string, TokenChanges, RegExp, string?])[] = [
    ['another pod', { claims: { pod: { name: 'web', uid: 'another' } } }, /bound to another pod$/],
    ['a pod of another name', { claims: { pod: { name: 'web2', uid: pod.uid } } }, /bound to another pod$/],
    ['a pod of another namespace', { claims: { namespace: 'bank' } }, /bound to another pod$/],
    ['another account', { claims: { serviceAccount: { ...account, name: 'root' } } }, /of another service account$/],
    ['another audience', { audience: 'vault' }, /meant for another audience$/, apiServer],
  ];
  for (const [whose, changes, why, audience] of unusable) {
    it(`of ${whose} is of no use`, () => {
      const verdict = judge(tokenOf(now, changes), audience);
      assert.ok(verdict.type === 'unusable', verdict.type);
      assert.match(verdict.why, why);
    });
  }

  it('is meant for one audience or several, and for nobody where it names none', () => {
    const said = { namespace: 'shop', serviceaccount: account, pod: { name: pod.name, uid: pod.uid } };
    const of = (aud: unknown) => payload({ aud, exp: now / 1000 + 600, 'kubernetes.io': said });
    for (const aud of ['signers', ['signers'], ['vault', 'signers']]) {
      assert.equal(judge(of(aud), 'signers').type, 'good', String(aud));
    }
    const why = 'is meant for another audience';
    assert.deepEqual(judge(of([])), { type: 'unusable', why });
    assert.deepEqual(judge(of('signer'), 'sign'), { type: 'unusable', why });
  });

  it('that is bound to no pod is of no use: it would outlive the pod', () => {
    const claims = { aud: [apiServer], exp: now / 1000 + 600 };
    const of = (private_: object) => judge(payload({ ...claims, 'kubernetes.io': { namespace: 'shop', ...private_ } }));
    assert.deepEqual(of({ serviceaccount: account }), { type: 'unusable', why: 'is bound to no pod' });
  });

  it('that has expired, or does so within seconds, has expired', () => {
    assert.deepEqual(judge(tokenOf(now, { lifetimeSeconds: 0 })), { type: 'expired' });
    assert.deepEqual(judge(tokenOf(now, { lifetimeSeconds: 10 })), { type: 'expired' });
    assert.equal(judge(tokenOf(now, { lifetimeSeconds: 11 })).type, 'good');
  });

  it('that is none is of no use, whatever it is, and its text is not told', () => {
    const garbage = [
      '',
      'secret-word',
      'secret-word.secret-word.secret-word',
      'secret-word..',
      `${tokenOf(now)}.secret-word`,
      `${tokenOf(now)}\n`,
      payload(null),
      payload('secret-word'),
      payload({ aud: 'secret-word', exp: 'never' }),
      payload({ aud: [], exp: Number.MAX_VALUE, 'kubernetes.io': [] }),
      `a.${'A'.repeat(maxTokenLength)}.b`,
    ];
    for (const token of garbage) {
      const verdict = judge(token);
      assert.ok(verdict.type === 'unusable', token);
      assert.doesNotMatch(verdict.why, /secret-word/);
    }
  });

  it('is read up to its longest length', () => {
    const [header = '', body = '', signature = ''] = tokenOf(now).split('.');
    const ofLength = (length: number) => {
      const token = `${header}.${body}.${signature}`;
      return token + 'A'.repeat(length - token.length);
    };
    assert.equal(judge(ofLength(maxTokenLength)).type, 'good');
    assert.equal(judge(ofLength(maxTokenLength + 1)).type, 'unusable');
  });
});
