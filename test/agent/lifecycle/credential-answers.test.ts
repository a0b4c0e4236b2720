/** What the work on one credential makes of an answer: whether it is good, and what it was asked for with. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError, type ErrorCode } from '../../../agent/base/errors.ts';
import type { CredentialEvent } from '../../../agent/lifecycle/credential-state.ts';
import { createCredentialWork } from '../../../agent/lifecycle/credential-work.ts';
import type { Outcome } from '../../../agent/lifecycle/ports.ts';
import { identity, source, working } from './credential-scene.ts';
import { answer, begins, current, hour, lifeOf, minute, second } from './life.ts';

const submitted: CredentialEvent = { type: 'submitted', requestName: 'req-0-key-1' };
const codeOf = (event: CredentialEvent): ErrorCode | undefined => ('error' in event ? event.error.code : undefined);
const issued: Outcome & { readonly type: 'issued' } = {
  ...{ type: 'issued', certificateChain: 'a chain', notBefore: begins, notAfter: begins + hour },
  beginRefreshAt: begins,
};

test('an answer is checked against the stored key, and for its anchors where the source wants them', async () => {
  for (const wantsAnchors of [false, true]) {
    const asked = wantsAnchors ? { ...source, caPath: 'ca.pem' } : source;
    const scene = working(undefined, undefined, asked);
    await scene.work.makeKey('ED25519');
    assert.deepEqual(scene.work.judge(issued), { type: 'accepted', answer });
    assert.deepEqual(scene.verified, [[issued, Buffer.from('public key-1'), begins, wantsAnchors]]);
    assert.equal(scene.inMemory.size, 0);
    const error = new AgentError('InvalidChain', 'another key', { actor: 'signer' });
    scene.onVerify = () => {
      throw error;
    };
    assert.deepEqual(scene.work.judge(issued), { type: 'unusable', error });
    assert.equal(scene.inMemory.size, 0);
    scene.pending = undefined;
    assert.equal(codeOf(scene.work.judge(issued)), 'Internal', 'without a key nothing is checked');
  }
});

test('an answer that begins more than five minutes later by both clocks is doubtful, and that is the signer’s affair', async () => {
  const shown = (event: CredentialEvent) =>
    'doubt' in event ? [event.doubt?.code, event.doubt?.actor, event.doubt?.message] : undefined;
  const says = (here: string, server: string): unknown => [
    ...['InvalidChain', 'signer'],
    `the certificate chain cannot be used yet: its leaf is valid from 2026-11-21T00:00:00Z on, and it is ${here} here and ${server} at the API server`,
  ];
  for (const [behindMs, serverBehindMs, doubt] of [
    [5 * minute, 5 * minute, undefined],
    [5 * minute + second, 5 * minute + second, says('2026-11-20T23:54:59Z', '2026-11-20T23:54:59Z')],
    [2 * hour, 5 * minute, undefined],
    [5 * minute, 2 * hour, undefined],
    [2 * hour, hour, says('2026-11-20T22:00:00Z', '2026-11-20T23:00:00Z')],
    [2 * hour, undefined, undefined],
  ] as const) {
    const serverTime = serverBehindMs === undefined ? serverBehindMs : begins - serverBehindMs;
    const scene = working({}, { serverTime: () => serverTime });
    await scene.work.makeKey('ED25519');
    scene.clock.advance(-behindMs);
    const event = scene.work.judge(issued);
    assert.ok(event.type === 'accepted', event.type);
    assert.deepEqual(event.answer, answer);
    assert.deepEqual(shown(event), doubt, `${behindMs} and ${serverBehindMs}`);
  }
});

test('a refusal comes with the key type that it suggests, if it does, and whether that is followed', async () => {
  const asked: unknown[] = [];
  for (const suggested of [undefined, 'ECDSAP256'] as const) {
    const scene = working(undefined, {
      suggestedKeyType(...what) {
        asked.push(what);
        return suggested;
      },
      followSuggestedKeyType: () => suggested !== undefined,
    });
    const refusal = { reason: 'Policy', message: 'no', followSuggestion: suggested !== undefined };
    for (const type of ['denied', 'failed'] as const) {
      assert.deepEqual(scene.work.judge({ type, reason: 'Policy', message: 'no' }), {
        ...{ type: 'refused', kind: type, ...refusal },
        ...(suggested === undefined ? {} : { suggested }),
      });
    }
  }
  assert.deepEqual(asked, Array(4).fill(['Policy', 'no', 'ED25519']));
  assert.deepEqual(working().work.judge({ type: 'gone' }), { type: 'deleted' });
});

test('a certificate is noted with the addresses that it was surely asked for with, where it is to name any', async () => {
  const podIPs = ['10.0.0.7'];
  for (const [names, has, times, expected] of [
    [true, podIPs, 1, podIPs],
    [true, [], 1, []],
    [true, podIPs, 2, []],
    [true, undefined, 1, undefined],
    [true, undefined, 2, undefined],
    [false, podIPs, 1, undefined],
    [undefined, podIPs, 1, undefined],
  ] as const) {
    const scene = working(
      names === undefined ? {} : { namesAddresses: (...of) => names && String(of) === 'shop,example.com/mesh' },
    );
    scene.onIdentify = () => (has === undefined ? identity : { ...identity, podIPs: has });
    await scene.work.makeKey('ED25519');
    for (let time = 0; time < times; time += 1) {
      await scene.work.submit('req-0-key-1', 'first');
    }
    const event = scene.work.judge(issued);
    assert.ok(event.type === 'accepted', event.type);
    assert.deepEqual(event.answer, expected === undefined ? answer : { ...answer, podIPs: expected });
  }
});

test('of a request of an earlier run, and of one that nobody made, no addresses are sure', async () => {
  const scene = working({ namesAddresses: () => true });
  scene.onIdentify = () => ({ ...identity, podIPs: ['10.0.0.7'] });
  await scene.work.makeKey('ED25519');
  assert.deepEqual(scene.work.judge(issued), { type: 'accepted', answer }, 'nothing was asked for');
  const next = createCredentialWork(
    {
      ...{ volume: scene.volume, source, signal: scene.stopping.signal, state: () => scene.state },
      ...{ heldUp: () => undefined, podEnded: () => undefined },
    },
    scene.dependencies,
  );
  await next.submit('req-0-key-1', 'first');
  assert.deepEqual(next.judge(issued), { type: 'accepted', answer: { ...answer, podIPs: [] } });
});

test('for a certificate that lacks addresses the pod is looked up anew, and until its refresh none is asked for without them', async () => {
  const scene = working();
  await scene.work.makeKey('ED25519');
  scene.state = lifeOf({ current: { ...current, podIPs: [] } }).state();
  const asking = async (podIPs: readonly string[] | undefined): Promise<CredentialEvent> => {
    scene.onIdentify = () => (podIPs === undefined ? identity : { ...identity, podIPs });
    return await scene.work.submit('req-0-key-1', 'refresh');
  };
  const event = await asking([]);
  assert.deepEqual([event.type, codeOf(event)], ['submitFailed', 'Unavailable']);
  assert.ok(event.type === 'submitFailed' && event.error.actor === 'nobody', 'it passes');
  assert.equal(scene.identified[0]?.withAddresses, true);
  assert.deepEqual(await asking(['10.0.0.7']), submitted);
  assert.deepEqual(await asking(undefined), submitted, 'it has none of its own');
  scene.clock.advance(current.refreshAt - begins - 1);
  assert.equal(codeOf(await asking([])), 'Unavailable');
  scene.clock.advance(1);
  assert.deepEqual(await asking([]), submitted, 'now it is due');
  scene.state = lifeOf({ current: { ...current, podIPs: ['10.0.0.6'] } }).state();
  scene.clock.advance(-hour);
  assert.deepEqual(await asking([]), submitted, 'it has named some');
});
