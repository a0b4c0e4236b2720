import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { createFollowing } from '../../../agent/issuance/following.ts';
import type { RequestEvent } from '../../../agent/issuance/request-calls.ts';
import type { KubernetesObject } from '../../../agent/kubernetes/objects.ts';
import type { Outcome } from '../../../agent/lifecycle/ports.ts';

function startFollowing() {
  const listeners = new Set<(event: RequestEvent<KubernetesObject>) => void>();
  const lists = { begun: 1, taken: 0 };
  let [reads, subscriptions] = [0, 0];
  const following = createFollowing<KubernetesObject>(
    {
      get: () => undefined,
      lists: () => ({ ...lists }),
      subscribe(listener) {
        subscriptions += 1;
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    ({ metadata }) => {
      reads += 1;
      return metadata.labels?.['answered'] === undefined ? undefined : { type: 'denied', reason: '', message: '' };
    },
  );
  const tell = (name: string, labels = {}, type: 'added' | 'deleted' = 'added'): void => {
    for (const listener of [...listeners]) {
      listener({ type, object: { metadata: { name, namespace: 'shop', labels } } });
    }
  };
  const takeList = (begun: number): void => {
    Object.assign(lists, { begun, taken: begun });
    for (const listener of [...listeners]) {
      listener({ type: 'synced' });
    }
  };
  return { following, listeners, tell, takeList, reads: () => reads, subscriptions: () => subscriptions };
}

test('however many requests are followed, a request costs no work but that of its own followers', () => {
  const { following, listeners, tell, reads, subscriptions } = startFollowing();
  const outcomes: Outcome[] = [];
  const ends = Array.from({ length: 500 }, (_, index) =>
    following.follow(`shop/own-${index}`, (outcome) => outcomes.push(outcome)),
  );
  assert.equal(subscriptions(), 1, 'one subscription serves all');
  for (let index = 0; index < 3_000; index += 1) {
    tell(`stranger-${index}`);
  }
  assert.equal(reads(), 0, 'nobody looks at what nobody follows');
  tell('own-7');
  assert.equal(reads(), 1);
  tell('own-7', { answered: '' });
  assert.deepEqual(outcomes, [{ type: 'denied', reason: '', message: '' }]);
  for (const end of ends) {
    end();
    end();
  }
  assert.equal(listeners.size, 0, 'the subscription ends with the last follower');
});

test('a request that goes after it was made and before it is followed is gone at once', async () => {
  const { following, tell, subscriptions } = startFollowing();
  const outcomes: [string, Outcome][] = [];
  const follow = (name: string) => following.follow(`shop/${name}`, (outcome) => outcomes.push([name, outcome]));
  for (const name of ['removed', 'made-again', 'there', 'followed']) {
    following.expect(`shop/${name}`);
    tell(name);
    following.submitted(`shop/${name}`);
  }
  tell('removed', {}, 'deleted');
  tell('made-again', {}, 'deleted');
  tell('made-again');
  const ends = ['removed', 'made-again', 'there', 'followed'].map(follow);
  assert.deepEqual(outcomes, [], 'never before the call has returned');
  await Promise.resolve();
  assert.deepEqual(outcomes, [['removed', { type: 'gone' }]]);
  tell('followed', {}, 'deleted');
  assert.deepEqual(outcomes.at(-1), ['followed', { type: 'gone' }]);
  for (const end of ends) {
    end();
  }
  follow('removed');
  await Promise.resolve();
  assert.deepEqual([outcomes.length, subscriptions()], [2, 2], 'it is told once, and nobody listens in between');
});

test('two who follow one request are both told, and one of them may leave', () => {
  const { following, tell } = startFollowing();
  const told: string[] = [];
  following.follow('shop/a', () => told.push('first'));
  const leave = following.follow('shop/a', () => told.push('second'));
  following.follow('shop/a', () => told.push('third'));
  leave();
  tell('a', { answered: '' });
  assert.deepEqual(told, ['first', 'third']);
});

test('a request that is read because no list may have kept it is gone when the server says so, or a later list lacks it', async () => {
  const cases = [
    { code: 'NotFound', expected: ['gone', 'list 1', 'list 2'] },
    { code: 'Unavailable', expected: ['list 1', 'gone', 'list 2'] },
  ] as const;
  for (const { code, expected } of cases) {
    const { following, takeList } = startFollowing();
    const told: string[] = [];
    takeList(1);
    const readMissed = () => Promise.reject(new AgentError(code, 'no', { actor: 'nobody' }));
    following.follow('shop/a', ({ type }) => told.push(type), undefined, readMissed);
    await new Promise((resolve) => setImmediate(resolve));
    for (const list of [1, 2]) {
      takeList(list);
      told.push(`list ${list}`);
    }
    assert.deepEqual(told, expected, code);
  }
});
