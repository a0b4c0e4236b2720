/** What becomes of the tokens that the kubelet hands over: which are held, for how long, and what is said of the others. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import { createHandedTokens } from '../../../agent/issuance/handed-tokens.ts';
import { maxHandOverLength, maxPodsWithTokens } from '../../../agent/issuance/limits.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { handOver, pod, tokenOf } from './tokens.ts';

const start = Date.UTC(2026, 10, 26);
const call = { priority: 'first', signal: new AbortController().signal } as const;

const signers = ['example.org/approved'];

function open(audiences: readonly string[] = ['']) {
  const clock = createManualClock(start);
  const tokens = createHandedTokens(clock, (_namespace, signers) => new Set(signers.length > 0 ? audiences : []));
  const bearer = async (audience = '') => (await tokens.bearer(pod, audience, call)).token();
  return { clock, tokens, bearer };
}

/** A wait for a token, and what was told during it. */
function wait({ tokens }: Pick<ReturnType<typeof open>, 'tokens'>, audience = '') {
  const told: string[] = [];
  const abort = new AbortController();
  const state: { settled: 'waiting' | 'ready' | 'failed'; error: unknown } = { settled: 'waiting', error: undefined };
  const settle = async (): Promise<void> => {
    try {
      await tokens.ready(pod, audience, abort.signal, (what) => told.push(what));
      state.settled = 'ready';
    } catch (error) {
      Object.assign(state, { settled: 'failed', error });
    }
  };
  const end = settle();
  return { told, abort, state, end };
}

function errorOf({ error }: { readonly error: unknown }): AgentError {
  assert.ok(error instanceof AgentError, 'the wait has failed');
  return error;
}

/** Lets everything run that waits for nothing but its turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('a token that was handed over', () => {
  it('is given to a call, the newest of them', async () => {
    const { tokens, bearer, clock } = open();
    tokens.take(pod, signers, handOver(start, { '': tokenOf(start) }));
    clock.advance(60_000);
    const second = tokenOf(clock.now());
    tokens.take(pod, signers, handOver(clock.now(), { '': second }));
    assert.equal(await bearer(), second);
  });

  it('is held for the audiences of the rules only', async () => {
    const { tokens, bearer } = open(['signers']);
    const handed = { '': tokenOf(start), signers: tokenOf(start, { audience: 'signers' }) };
    tokens.take(pod, signers, handOver(start, handed));
    assert.equal(await bearer('signers'), handed.signers);
    await assert.rejects(bearer(''), { code: 'TokenMissing' });
  });

  it('may come with 128 Ki characters, and with none more', async () => {
    const { tokens, bearer } = open();
    const token = tokenOf(start);
    const handed = handOver(start, { '': token })();
    tokens.take(pod, signers, () => handed.padEnd(131_072, ' '));
    assert.equal(await bearer(), token);
    tokens.take(pod, signers, () => handed.padEnd(131_073, ' '));
    await assert.rejects(bearer(), /is not in the form of tokenRequests/);
  });

  it('is not even looked at where no rule wants one', () => {
    const { tokens, clock } = open([]);
    tokens.take(pod, signers, () => assert.fail('nobody wants it'));
    assert.equal(clock.alarms(), 0);
  });

  it("is not looked at for a volume that needs none, which leaves those of the pod's other volumes", async () => {
    const { tokens, bearer } = open();
    const token = tokenOf(start);
    tokens.take(pod, signers, handOver(start, { '': token }));
    tokens.take(pod, [], () => assert.fail('this volume needs none'));
    assert.equal(await bearer(), token);
  });

  it('stays beside those for other audiences that another volume of the pod needs', async () => {
    const clock = createManualClock(start);
    const tokens = createHandedTokens(clock, (_namespace, [audience = '']) => new Set([audience]));
    const handed = { one: tokenOf(start, { audience: 'one' }), two: tokenOf(start, { audience: 'two' }) };
    tokens.take(pod, ['one'], handOver(start, handed));
    tokens.take(pod, ['two'], handOver(start, handed));
    for (const audience of ['one', 'two'] as const) {
      assert.equal((await tokens.bearer(pod, audience, call)).token(), handed[audience]);
    }
  });

  it('is used until it expires, by what it says and by what stands beside it, and is then forgotten', async () => {
    for (const [inToken, beside] of [
      [600, 3600],
      [3600, 600],
    ] as const) {
      const { tokens, bearer, clock } = open();
      tokens.take(pod, signers, handOver(start, { '': tokenOf(start, { lifetimeSeconds: inToken }) }, beside));
      clock.advance(599_000);
      await bearer();
      clock.advance(2_000);
      await assert.rejects(bearer(), { code: 'TokenMissing', actor: 'nobody', message: /has just expired/ });
      clock.advance(3_600_000);
      assert.equal(clock.alarms(), 0, 'nothing is held that would have to be forgotten');
    }
  });

  it('is forgotten with the last volume of its pod, and with the end of the agent', async () => {
    const { tokens, bearer } = open();
    tokens.take(pod, signers, handOver(start, { '': tokenOf(start) }));
    tokens.forget(pod);
    await assert.rejects(bearer(), { code: 'TokenMissing' });
    tokens.take(pod, signers, handOver(start, { '': tokenOf(start) }));
    tokens.stop();
    await assert.rejects(bearer(), { code: 'TokenMissing' });
  });

  it('makes room for those of other pods when there are too many', async () => {
    const { tokens, bearer } = open();
    const others = (count: number) => {
      for (let index = 0; index < count; index += 1) {
        tokens.take({ ...pod, uid: `other-${index}` }, signers, undefined);
      }
    };
    tokens.take(pod, signers, handOver(start, { '': tokenOf(start) }));
    others(maxPodsWithTokens - 1);
    await bearer();
    tokens.take({ ...pod, uid: 'one too many' }, signers, undefined);
    await assert.rejects(bearer(), { code: 'TokenMissing' });
  });

  it('is shown by nothing that prints what holds it', async () => {
    const { tokens } = open();
    const token = tokenOf(start);
    tokens.take(pod, signers, handOver(start, { '': token }));
    const bearer = await tokens.bearer(pod, '', call);
    const shown = inspect([tokens, bearer], { depth: 9, showHidden: true }) + JSON.stringify([tokens, bearer]);
    assert.ok(!shown.includes(token), 'the token is not shown');
  });
});

describe('what was handed over is forgotten when its time is over', () => {
  const other = { ...pod, uid: 'uid-of-another' };

  it('by one alarm for all pods, each at its own time, whichever came first', async () => {
    for (const order of [
      [pod, other],
      [other, pod],
    ]) {
      const { tokens, bearer, clock } = open();
      for (const one of order) {
        tokens.take(one, signers, one === pod ? handOver(start, { '': tokenOf(start) }) : undefined);
        assert.equal(clock.alarms(), 1);
      }
      const ofOther = () => tokens.bearer(other, '', call);
      // That a hand-over held none is known for five minutes, a token until it expires.
      clock.advance(5 * 60_000 - 1);
      await assert.rejects(ofOther(), /handed over none with its last call/);
      clock.advance(1);
      await assert.rejects(ofOther(), /has just expired/);
      await bearer();
      assert.equal(clock.alarms(), 1);
      clock.advance(5 * 60_000);
      await assert.rejects(bearer(), /has just expired/);
      assert.equal(clock.alarms(), 0);
      const { told } = wait({ tokens });
      assert.match(told.join(), /it has handed over none since the agent started/);
    }
  });

  it('for each audience by itself, with what has become of its token', async () => {
    const { tokens, bearer, clock } = open(['short', 'long', 'none']);
    const short = tokenOf(start, { audience: 'short' });
    const long = tokenOf(start, { audience: 'long', lifetimeSeconds: 3600 });
    tokens.take(pod, signers, handOver(start, { short, long }, 3600));
    clock.advance(600_000 - 1);
    await bearer('short');
    clock.advance(1);
    await assert.rejects(bearer('short'), /has just expired/);
    await bearer('long');
    await assert.rejects(bearer('none'), /handed over none with its last call/);
    assert.match(wait({ tokens }, 'short').told.join(), /with its next call: the last one has expired$/);
    clock.advance(3_000_000);
    assert.match(wait({ tokens }, 'none').told.join(), /it has handed over none since the agent started/);
  });

  it('and is not held at all where it had expired before it came, by either of its times', async () => {
    for (const [inToken, beside] of [
      [0, 600],
      [600, 0],
      [600, -1],
    ] as const) {
      const { tokens } = open();
      tokens.take(pod, signers, handOver(start, { '': tokenOf(start, { lifetimeSeconds: inToken }) }, beside));
      const { told } = wait({ tokens });
      assert.match(told.join(), /with its next call: the one of its last call has expired$/);
    }
  });
});

describe('what cannot be used', () => {
  const cases: readonly (readonly [string, (() => string) | undefined, RegExp])[] = [
    ['nothing', undefined, /handed over none with its last call; .*empty audience in tokenRequests.*requiresRepublish/],
    ['another audience', handOver(start, { vault: tokenOf(start) }), /handed over none with its last call/],
    ['garbage', () => 'secret-word', /is not in the form of tokenRequests/],
    ['a list', () => '["secret-word"]', /handed over none|not in the form/],
    ['a token that is none', handOver(start, { '': 'secret-word' }), /that the kubelet handed over is no token/],
    [
      "another pod's token",
      handOver(start, { '': tokenOf(start, { claims: { pod: { name: 'web', uid: 'other' } } }) }),
      /is bound to another pod/,
    ],
    ['more than a kubelet sends', () => `{"":${'"'.padEnd(maxHandOverLength, 'a')}"}`, /not in the form/],
  ];
  for (const [what, handed, words] of cases) {
    it(`is told with the account and who can mend it: ${what}`, async () => {
      const world = open();
      world.tokens.take(pod, signers, handed);
      const { state, end, told } = wait(world);
      await end;
      const { message, code, actor } = errorOf(state);
      assert.match(message, words);
      assert.match(message, /service account shop\/web/);
      assert.doesNotMatch(message, /secret-word/);
      assert.deepEqual([code, actor], ['TokenMissing', 'cluster operator']);
      assert.deepEqual(told, []);
    });
  }
});

describe('a wait for the kubelet', () => {
  it('is told once and ends with the hand-over', async () => {
    const world = open();
    const { told, state, end } = wait(world);
    await turn();
    assert.deepEqual(told, [
      'the kubelet hands over a token of service account shop/web with its next call: it has handed over none since the agent started or the rule was made',
    ]);
    assert.equal(state.settled, 'waiting');
    world.tokens.take({ ...pod, uid: 'another' }, signers, undefined);
    await turn();
    assert.equal(state.settled, 'waiting', "another pod's hand-over is none of its business");
    world.tokens.take(pod, signers, handOver(start, { '': tokenOf(start) }));
    await end;
    assert.equal(state.settled, 'ready');
    assert.equal(told.length, 1);
  });

  it('comes after a token has expired, and goes on when an expired one is handed over', async () => {
    const world = open();
    world.tokens.take(pod, signers, handOver(start, { '': tokenOf(start) }));
    world.clock.advance(700_000);
    const { state, end } = wait(world);
    world.tokens.take(pod, signers, handOver(start, { '': tokenOf(start) }));
    await turn();
    assert.equal(state.settled, 'waiting');
    world.tokens.take(pod, signers, handOver(world.clock.now(), { '': tokenOf(world.clock.now()) }));
    await end;
    assert.equal(state.settled, 'ready');
  });

  it('ends when nothing comes for long, with what the CSIDriver object has to say', async () => {
    const world = open(['signers']);
    const { state, end } = wait(world, 'signers');
    world.clock.advance(5 * 60_000 - 1);
    await turn();
    assert.equal(state.settled, 'waiting');
    world.clock.advance(1);
    await end;
    assert.match(errorOf(state).message, /has to list audience signers in tokenRequests and to say requiresRepublish/);
  });

  it('ends with its caller, and leaves nothing behind', async () => {
    const world = open();
    const ended = wait(world);
    ended.abort.abort();
    await ended.end;
    const { code, actor } = errorOf(ended.state);
    assert.deepEqual([code, actor], ['Aborted', 'nobody']);
    assert.equal(world.clock.alarms(), 0);
    const served = wait(world);
    world.tokens.take(pod, signers, handOver(start, { '': tokenOf(start) }));
    await served.end;
    assert.deepEqual(getEventListeners(served.abort.signal, 'abort'), []);
    world.tokens.stop();
    assert.equal(world.clock.alarms(), 0);
    await assert.rejects(
      world.tokens.ready(pod, '', AbortSignal.abort(), () => undefined),
      { code: 'Aborted' },
    );
    assert.equal(world.clock.alarms(), 0);
  });
});
