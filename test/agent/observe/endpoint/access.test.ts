import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createAccessCheck, type ReviewClient } from '../../../../agent/observe/endpoint/access.ts';
import { createReviewBudget } from '../../../../agent/observe/endpoint/review-budget.ts';

const good = { status: { authenticated: true, user: { username: 'prometheus', uid: 'u', groups: ['g'], extra: {} } } };

interface Asked {
  readonly path: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** An access check whose API server answers as told, and a clock that is moved by hand. */
function open(answers: { identity?: unknown; access?: unknown } = {}) {
  const asked: Asked[] = [];
  const faults: unknown[] = [];
  let time = 0;
  let gate: Promise<void> = Promise.resolve();
  const given = { identity: good as unknown, access: { status: { allowed: true } } as unknown, ...answers };
  const client: ReviewClient = {
    request: async <T>({ path, body }: { readonly path: string; readonly body: unknown }): Promise<T> => {
      asked.push({ path, spec: (body as { readonly spec: Asked['spec'] }).spec });
      await gate;
      const answer = path.endsWith('tokenreviews') ? given.identity : given.access;
      if (answer instanceof Error) {
        throw answer;
      }
      return answer as T;
    },
  };
  const clock = { now: () => time, at: () => () => undefined };
  const access = createAccessCheck({ client, clock, onUnknown: (error) => faults.push(error) });
  const check = (token: string, verb = 'get', path = '/metrics', peer = '10.0.0.1') => access(token, verb, path, peer);
  return {
    check,
    asked,
    faults,
    given,
    pass: (ms: number) => {
      time += ms;
    },
    hold: (until: Promise<void>) => {
      gate = until;
    },
  };
}

describe('the access check', () => {
  test('asks whose the token is, and whether they may do this to this path', async () => {
    const { check, asked } = open();
    assert.equal(await check('secret', 'get', '/metrics'), 'allowed');
    assert.deepEqual(asked, [
      { path: '/apis/authentication.k8s.io/v1/tokenreviews', spec: { token: 'secret' } },
      {
        path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
        spec: {
          ...{ user: 'prometheus', uid: 'u', groups: ['g'], extra: {} },
          nonResourceAttributes: { path: '/metrics', verb: 'get' },
        },
      },
    ]);
  });

  test('knows nobody whom the API server does not name, and allows nothing that it does not allow', async () => {
    for (const identity of [{}, { status: { authenticated: true } }, { status: { user: good.status.user } }]) {
      assert.equal(await open({ identity }).check('t', 'get', '/metrics'), 'unauthenticated');
    }
    for (const access of [{}, { status: {} }, { status: { allowed: true, denied: true } }]) {
      assert.equal(await open({ access }).check('t', 'get', '/metrics'), 'forbidden');
    }
  });

  test('believes a yes for a minute and a no for ten seconds, for this token, verb and path only', async () => {
    const { check, asked, given, pass } = open();
    await check('t', 'get', '/metrics');
    pass(59_999);
    assert.equal(await check('t', 'get', '/metrics'), 'allowed');
    assert.equal(asked.length, 2);
    for (const other of [
      ['u', 'get', '/metrics'],
      ['t', 'head', '/metrics'],
      ['t', 'get', '/statusz'],
    ] as const) {
      await check(other[0], other[1], other[2]);
    }
    assert.equal(asked.length, 8);
    given.access = { status: { allowed: false } };
    pass(1);
    assert.equal(await check('t', 'get', '/metrics'), 'forbidden');
    given.access = { status: { allowed: true } };
    pass(9_999);
    assert.equal(await check('t', 'get', '/metrics'), 'forbidden');
    pass(1);
    assert.equal(await check('t', 'get', '/metrics'), 'allowed');
  });

  test('lets nobody in while the API server is away, says so once, and asks again each time', async () => {
    const { check, asked, faults, given } = open({ identity: new Error('away') });
    for (let count = 0; count < 3; count += 1) {
      assert.equal(await check('t', 'get', '/metrics'), 'unknown');
    }
    assert.equal(asked.length, 3);
    assert.equal(faults.length, 1);
    given.identity = good;
    given.access = new Error('forbidden to ask');
    assert.equal(await check('t', 'get', '/metrics'), 'unknown');
    given.access = { status: { allowed: true } };
    assert.equal(await check('t', 'get', '/metrics'), 'allowed');
    given.identity = new Error('away again');
    assert.equal(await check('other', 'get', '/metrics'), 'unknown');
    assert.equal(faults.length, 2);
  });

  test('asks once for many who come at once with one token', async () => {
    const { check, asked, hold } = open();
    const gate = Promise.withResolvers<void>();
    hold(gate.promise);
    const same = Array.from({ length: 20 }, () => check('t'));
    assert.equal(asked.length, 1);
    gate.resolve();
    assert.deepEqual(new Set(await Promise.all(same)), new Set(['allowed']));
    assert.equal(asked.length, 2);
  });

  test('asks about unknown tokens of one peer two at a time, and of all peers six', async () => {
    const { check, asked, hold } = open();
    const gate = Promise.withResolvers<void>();
    hold(gate.promise);
    const crowd = ['a', 'b', 'c', 'd', 'e'].flatMap((peer) =>
      Array.from({ length: 3 }, (_, index) => check(`made-up-${peer}-${index}`, 'get', '/metrics', peer)),
    );
    assert.equal(asked.length, 6);
    gate.resolve();
    assert.equal((await Promise.all(crowd)).filter((verdict) => verdict === 'busy').length, 9);
  });

  test('asks about a token that was good although strangers use up all that is left for them', async () => {
    const { check, asked, given, pass } = open();
    assert.equal(await check('scraper', 'get', '/metrics', 'prometheus'), 'allowed');
    pass(60_000);
    given.identity = {};
    for (let count = 0; count < 500; count += 1) {
      await check(`made-up-${count}`, 'get', '/metrics', `peer-${count}`);
    }
    given.identity = good;
    assert.equal(await check('stranger', 'get', '/metrics', 'another'), 'busy');
    const before = asked.length;
    assert.equal(await check('scraper', 'get', '/metrics', 'prometheus'), 'allowed');
    assert.equal(asked.length, before + 2);
    // A service account's token is renewed every hour: its holder is still let in.
    assert.equal(await check('scraper, renewed'.replace(/\W+/g, '-'), 'get', '/metrics', 'prometheus'), 'allowed');
  });

  test('sends no more than one review a second for all the tokens that strangers make up', async () => {
    const { check, asked, pass } = open({ identity: {} });
    for (let second = 0; second < 60; second += 1) {
      for (let count = 0; count < 20; count += 1) {
        await check(`made-up-${second}-${count}`, 'get', '/metrics', `peer-${count}`);
      }
      pass(1_000);
    }
    assert.ok(asked.length <= 80, `${asked.length} reviews in a minute`);
  });

  test('lets one peer spend its own share only', async () => {
    const { check, asked, pass } = open({ identity: {} });
    for (let count = 0; count < 100; count += 1) {
      await check(`made-up-${count}`, 'get', '/metrics', 'loud');
    }
    assert.equal(asked.length, 8);
    assert.equal(await check('mine', 'get', '/metrics', 'quiet'), 'unauthenticated');
    pass(5_000);
    assert.equal(await check('another', 'get', '/metrics', 'loud'), 'unauthenticated');
    assert.equal(await check('one-more', 'get', '/metrics', 'loud'), 'busy');
  });

  test('keeps a yes although any number of tokens got a no', async () => {
    const { check, asked, given, pass } = open();
    assert.equal(await check('scraper'), 'allowed');
    given.identity = {};
    for (let count = 0; count < 300; count += 1) {
      // Slowly enough to be asked about, and soon enough for the yes to be still good.
      pass(190);
      await check(`made-up-${count}`, 'get', '/metrics', `peer-${count}`);
    }
    const before = asked.length;
    assert.equal(await check('scraper'), 'allowed');
    assert.equal(asked.length, before);
  });

  test('remembers the answers to 256 tokens that are let in and to 256 that are not, and no more', async () => {
    for (const identity of [good, {}]) {
      const { check, asked, given, pass } = open();
      // Peers that have shown a good token spend their own share only, eight at once.
      for (let peer = 0; peer < 33; peer += 1) {
        pass(1_000);
        assert.equal(await check(`own-${peer}`, 'get', '/metrics', `peer-${peer}`), 'allowed');
      }
      pass(60_000);
      given.identity = identity;
      const ask = (index: number) => check(`token-${index}`, 'get', '/metrics', `peer-${Math.floor(index / 8)}`);
      for (let index = 0; index < 256; index += 1) {
        assert.notEqual(await ask(index), 'busy');
      }
      const before = asked.length;
      await ask(0);
      assert.equal(asked.length, before, 'the first of 256 is remembered');
      await ask(256);
      const after = asked.length;
      await check('token-0', 'get', '/metrics', 'another');
      assert.ok(asked.length > after, 'of 257 the first is not');
    }
  });

  test('asks nobody about what cannot be a token', async () => {
    const { check, asked } = open();
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const shapeless = [
      ...['', 'a,b', 'a"b', 'ü', 'a=b', '=', 'x'.repeat(2_049)],
      ...['eyJ', 'eyJ.eyJ.x', `${part({ alg: 'RS256' })}.${part({})}`, `${part({ alg: 'RS256' })}.${part({})}.`],
      ...[`${part({ typ: 'JWT' })}.${part({})}.c2ln`, `${part({ alg: 'RS256' })}.${part({ sub: 'x' })}.c2ln.more`],
    ];
    for (const token of shapeless) {
      assert.equal(await check(token), 'unauthenticated', token);
    }
    assert.equal(asked.length, 0);
    for (const token of [
      `${part({ alg: 'RS256' })}.${part({ sub: 'x' })}.c2ln`,
      'abcdef.0123456789abcdef',
      'b64/+==',
      'x'.repeat(2_048),
    ]) {
      assert.equal(await check(token), 'allowed', token);
    }
  });
});

describe('the budget for reviews', () => {
  const start = () => createReviewBudget({ now: () => 0, at: () => () => undefined });
  const ask = () => Promise.resolve();

  test('counts the reviews of 1024 peers, and with one more forgets the one counted longest ago', async () => {
    for (const [others, isForgotten] of [
      [1_023, false],
      [1_024, true],
    ] as const) {
      const budget = start();
      // It needs its own share only.
      budget.trust('loud');
      for (let count = 0; count < 8; count += 1) {
        const review = budget.spend('loud', ask);
        assert.ok(review !== undefined, `review ${count} of its share`);
        await review;
      }
      assert.equal(budget.spend('loud', ask), undefined, 'its share is used up');
      for (let other = 0; other < others; other += 1) {
        await budget.spend(`peer-${other}`, ask);
      }
      assert.equal(budget.spend('loud', ask) !== undefined, isForgotten, `beside ${others} others`);
    }
  });

  test('knows 1024 peers that have shown a good token, and with one more forgets the one that did so longest ago', async () => {
    for (const [others, isForgotten] of [
      [1_023, false],
      [1_024, true],
    ] as const) {
      const budget = start();
      budget.trust('scraper');
      for (let other = 0; other < others; other += 1) {
        budget.trust(`peer-${other}`);
      }
      for (let stranger = 0; stranger < 20; stranger += 1) {
        await budget.spend(`stranger-${stranger}`, ask);
      }
      assert.equal(budget.spend('stranger', ask), undefined, 'nothing is left for strangers');
      assert.equal(budget.spend('scraper', ask) === undefined, isForgotten, `beside ${others} others`);
    }
  });
});
