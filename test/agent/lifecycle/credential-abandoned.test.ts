/**
 * When one credential says that its request is of no more use: once its answer is kept in the volume, or is a refusal, or
 * nobody waits for one any more; and never before, since nobody else has the answer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asking, type Running, running } from './credential-running.ts';
import { answer, begins, hour, minute } from './life.ts';

const abandon = 'abandon shop/req-0-key-1 of example.com/mesh';
const abandoned = ({ did }: Running): readonly string[] => did.filter((each) => each.startsWith('abandon'));
const denied = { type: 'denied', reason: 'Policy', message: 'no' } as const;
/** Not valid for another minute. */
const early = { ...answer, notBefore: begins + minute };

test('an answered request goes once its answer is in the volume, and once only', async () => {
  const scene = await asking();
  await scene.answers('issue');
  scene.runner.kept('req-0-key-0');
  assert.deepEqual(abandoned(scene), [], 'its answer is nowhere else');
  scene.runner.kept('req-0-key-1');
  scene.runner.kept('req-0-key-1');
  assert.deepEqual(abandoned(scene), [abandon]);
});

test('a refused request goes after its key, and one that is gone already does not', async () => {
  const scene = await asking();
  await scene.answers(denied);
  assert.deepEqual(scene.did.slice(1), ['discard', abandon]);
  const deleted = await asking();
  await deleted.answers({ type: 'gone' });
  assert.deepEqual(deleted.did.slice(1), ['discard']);
});

test('a request whose answer is kept until it is valid goes once that is done, and not where it fails', async () => {
  const scene = await asking();
  const gate = Promise.withResolvers<void>();
  scene.onSaveAnswer = () => gate.promise;
  await scene.answers('issue', early);
  assert.deepEqual(abandoned(scene), [], 'it is not kept yet');
  gate.resolve();
  await scene.settle();
  assert.deepEqual(scene.did.slice(1), ['save answer 0A', abandon]);
  const full = await asking();
  const fault = new Error('no space');
  full.onSaveAnswer = () => {
    throw fault;
  };
  await full.answers('issue', early);
  assert.deepEqual([full.faults, abandoned(full)], [[fault], []]);
});

test('an answer that is kept late says nothing of the request after it', async () => {
  const scene = await asking();
  const gate = Promise.withResolvers<void>();
  scene.onSaveAnswer = () => gate.promise;
  await scene.answers('issue', early);
  scene.runner.end('gone');
  assert.deepEqual(abandoned(scene), [abandon]);
  scene.runner.revive();
  await scene.settle();
  await scene.answers('issue');
  gate.resolve();
  await scene.settle();
  assert.deepEqual(abandoned(scene), [abandon], 'the answer to the second is nowhere else');
});

test('a request that nobody answers, or whose pod ends, goes when nobody waits for it any more', async () => {
  const scene = await asking();
  scene.clock.advance(20 * minute);
  assert.deepEqual(scene.did.slice(1), ['unfollow', abandon, 'discard']);
  scene.runner.end('gone');
  assert.deepEqual(abandoned(scene), [abandon], 'it went before');
  const ended = await asking();
  await ended.answers('issue');
  ended.runner.end('gone');
  assert.deepEqual(abandoned(ended), [abandon]);
});

test('a request goes with its volume, and stays for the next run of the agent', async () => {
  const waiting = await asking();
  waiting.runner.stop(true);
  assert.deepEqual(waiting.did.slice(1), ['unfollow', abandon]);
  const answered = await asking();
  await answered.answers('issue');
  answered.runner.stop(true);
  assert.deepEqual(abandoned(answered), [abandon]);
  for (const isAnswered of [false, true]) {
    const staying = await asking();
    if (isAnswered) {
      await staying.answers('issue');
    }
    staying.runner.stop();
    assert.deepEqual(abandoned(staying), []);
  }
});

test('a request whose answer an earlier run kept goes, and one that is still waited for does not', async () => {
  const undecided = { requestName: 'req-0-key-1', keyType: 'ED25519', createdAt: begins } as const;
  assert.deepEqual(abandoned(running({ kept: { pending: { ...undecided, answer } } })), [abandon]);
  assert.deepEqual(abandoned(running({ kept: { pending: undecided } })), []);
  assert.deepEqual(abandoned(running()), []);
});

test('where whoever made the API sees to its requests, nobody is told', async () => {
  const scene = running({ issuer: {} });
  Reflect.deleteProperty(scene.issuer, 'abandon');
  await scene.settle();
  await scene.answers('issue');
  scene.runner.kept('req-0-key-1');
  scene.runner.written();
  scene.clock.advance(hour);
  assert.deepEqual(scene.faults, []);
});
