import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFollowing } from '../../../agent/issuance/following.ts';
import type { RequestEvent } from '../../../agent/issuance/request-calls.ts';
import type { KubernetesObject } from '../../../agent/kubernetes/objects.ts';
import type { Outcome } from '../../../agent/lifecycle/ports.ts';

function startFollowing() {
  const listeners = new Set<(event: RequestEvent<KubernetesObject>) => void>();
  let reads = 0;
  const following = createFollowing<KubernetesObject>(
    {
      get: () => undefined,
      lists: () => ({ begun: 1, taken: 0 }),
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    ({ metadata }) => {
      reads += 1;
      return metadata.labels?.['answered'] === undefined ? undefined : { type: 'denied', reason: '', message: '' };
    },
  );
  const tell = (name: string, labels = {}): void => {
    for (const listener of [...listeners]) {
      listener({ type: 'added', object: { metadata: { name, namespace: 'shop', labels } } });
    }
  };
  return { following, listeners, tell, reads: () => reads };
}

test('however many requests are followed, a request costs no work but that of its own followers', () => {
  const { following, listeners, tell, reads } = startFollowing();
  const outcomes: Outcome[] = [];
  const ends = Array.from({ length: 500 }, (_, index) =>
    following.follow(`shop/own-${index}`, (outcome) => outcomes.push(outcome)),
  );
  assert.equal(listeners.size, 1, 'one subscription serves all');
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
