import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createAccessCheck, type ReviewClient } from '../../../../agent/observe/endpoint/access.ts';

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
      if (answer instanceof Error) throw answer;
      return answer as T;
    },
  };
  const clock = { now: () => time, at: () => () => undefined };
  const check = createAccessCheck({ client, clock, onUnknown: (error) => faults.push(error) });
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
    for (let count = 0; count < 3; count += 1) assert.equal(await check('t', 'get', '/metrics'), 'unknown');
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

  test('asks once for many who come at once with one token, and about eight tokens at a time', async () => {
    const { check, asked, hold } = open();
    const gate = Promise.withResolvers<void>();
    hold(gate.promise);
    const same = Array.from({ length: 20 }, () => check('t', 'get', '/metrics'));
    const others = Array.from({ length: 20 }, (_, index) => check(`made-up-${index}`, 'get', '/metrics'));
    assert.equal(asked.length, 8);
    gate.resolve();
    assert.deepEqual(new Set(await Promise.all(same)), new Set(['allowed']));
    assert.equal((await Promise.all(others)).filter((verdict) => verdict === 'unknown').length, 13);
  });

  test('remembers a limited number of answers', async () => {
    const { check, asked } = open();
    for (let index = 0; index < 257; index += 1) await check(`t${index}`, 'get', '/metrics');
    const before = asked.length;
    await check('t256', 'get', '/metrics');
    assert.equal(asked.length, before);
    await check('t0', 'get', '/metrics');
    assert.equal(asked.length, before + 2);
  });
});
