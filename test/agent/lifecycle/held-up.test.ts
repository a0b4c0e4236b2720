/** Requests that wait for something that the kubelet brings, and where that goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { begin, step } from '../../../agent/lifecycle/credential.ts';
import type { TokenDesk } from '../../../agent/lifecycle/ports.ts';
import type { CertificateRecord } from '../../../volumes/base/volume.ts';
import { createWorld, hour, podCertificate } from './world.ts';

const now = Date.UTC(2026, 10, 26);
const waitsFor = 'the kubelet hands over a token';
const current: CertificateRecord = {
  ...{ requestName: 'req-1', keyType: 'ED25519', serialNumber: '0A', notBefore: now, notAfter: now + 2 * hour },
  ...{ beginRefreshAt: now + hour, refreshAt: now + hour },
};

test('a request that is held up is told once, and its certificate is warned of as ever', () => {
  const at = (time: number) => ({ now: time, random: 0.5 });
  const { state: fresh } = begin('ED25519', { current, pending: undefined }, at(now));
  const { state: generating } = step(fresh, { type: 'timer' }, at(now + hour));
  const { state: submitting } = step(generating, { type: 'keyMade', requestName: 'req-2' }, at(now + hour));
  const first = step(submitting, { type: 'heldUp', requestName: 'req-2', waitsFor }, at(now + hour));
  assert.deepEqual(first.effects, [
    { type: 'notify', news: { type: 'requestHeldUp', requestName: 'req-2', waitsFor } },
  ]);
  const second = step(first.state, { type: 'heldUp', requestName: 'req-2', waitsFor: 'it still does' }, at(now + hour));
  assert.deepEqual(second.effects, []);
  assert.deepEqual([second.state.name, Reflect.get(second.state, 'waitsFor')], ['submitting', 'it still does']);
  const { effects } = step(second.state, { type: 'timer' }, at(now + 2 * hour));
  assert.deepEqual(effects, [{ type: 'notify', news: { type: 'expired', notAfter: current.notAfter } }]);
  const { state: awaiting } = step(second.state, { type: 'submitted', requestName: 'req-2' }, at(now + hour));
  assert.equal(awaiting.name, 'awaiting');
  assert.deepEqual(
    step(awaiting, { type: 'heldUp', requestName: 'req-2', waitsFor }, at(now + hour)).effects,
    [],
    'it comes too late',
  );
});

test('while a request is held up its key is not in memory, and its pod is told what it waits for', async (t) => {
  const gate = Promise.withResolvers<void>();
  const world = await createWorld(t, {
    prepare: async (_request, _signal, onWait) => {
      onWait(waitsFor);
      await gate.promise;
    },
  });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request, 30_000);
  await world.until(() => world.types().includes('requestHeldUp'));
  assert.ok(world.secrets.length > 0, 'a key was made');
  for (const secret of world.secrets) {
    assert.ok(
      secret.every((byte) => byte === 0),
      'a key is still in memory',
    );
  }
  world.clock.advance(28_000);
  const outcome = await published;
  assert.ok(outcome.type === 'waiting', outcome.type);
  assert.match(
    outcome.message,
    /^sources\[0\]: creating request shop\/\S+ for signer \S+; the kubelet hands over a token$/,
  );
  const [snapshot] = world.manager.credentials();
  assert.equal(snapshot?.lastError, waitsFor);
  gate.resolve();
  const again = world.publish(request);
  await world.answer('issue');
  assert.deepEqual(await again, { type: 'ready' });
  assert.equal(world.types().filter((type) => type === 'requestHeldUp').length, 1);
});

test('an agent that stops ends the wait of a request, and the next one goes on with the same request', async (t) => {
  let waiting = 0;
  let isOpen = false;
  const world = await createWorld(t, {
    prepare: (_request, signal) =>
      new Promise((resolve, reject) => {
        waiting += 1;
        const end = (): void => {
          waiting -= 1;
          reject(new AgentError('Aborted', 'ended', { actor: 'nobody' }));
        };
        if (isOpen) {
          waiting -= 1;
          resolve();
        } else {
          signal.addEventListener('abort', end, { once: true });
        }
      }),
  });
  void world.publish(world.request('mtls', [podCertificate(0, 'tls.pem')]));
  await world.until(() => waiting === 1);
  isOpen = true;
  await world.restart();
  assert.equal(waiting, 0, 'nobody waits any more');
  await world.until(() => world.submitted.length === 1);
  assert.ok(world.types().includes('resumed'), `resumed is not in:\n${world.types()}`);
});

/** A desk that notes what comes over it. */
function openDesk() {
  const notes: string[] = [];
  const desk: TokenDesk = {
    take: ({ name }, signers, tokens) => void notes.push(`take ${name} ${signers} ${tokens?.()}`),
    forget: ({ name }) => void notes.push(`forget ${name}`),
  };
  return { notes, desk };
}

test("a call's tokens are taken before its request is made, and forgotten with the pod's last volume", async (t) => {
  const { notes, desk } = openDesk();
  const world = await createWorld(t, {
    tokens: desk,
    onSubmit: ({ requestName }) => void notes.push(`submit ${requestName.split('-', 1)[0]}`),
  });
  const [one, two] = ['one', 'two'].map((name) => world.request(name, [podCertificate(0, 'tls.pem')]));
  assert.ok(one !== undefined && two !== undefined, 'there are two volumes');
  for (const request of [one, two]) {
    const published = world.publish({ ...request, tokens: () => `of ${request.volumeName}` });
    await world.answer('issue');
    await published;
  }
  await world.publish(one);
  await world.manager.unpublish(one.volumeId, one.targetPath);
  const taken = 'take web example.com/mesh';
  assert.deepEqual(notes, [`${taken} of one`, 'submit one', `${taken} of two`, 'submit two', `${taken} undefined`]);
  await world.manager.unpublish(two.volumeId, two.targetPath);
  assert.equal(notes.at(-1), 'forget web');
});

test('whoever pauses for want of a token tries again when the kubelet has called', async (t) => {
  let error: AgentError | undefined = new AgentError('TokenMissing', 'no token', { actor: 'cluster operator' });
  const { desk } = openDesk();
  const world = await createWorld(t, {
    tokens: desk,
    prepare: async () => {
      if (error !== undefined) {
        throw error;
      }
    },
  });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const refused = await world.publish(request, 5_000);
  assert.equal(refused.type, 'refused');
  error = undefined;
  world.clock.advance(1_000);
  const published = world.publish(request);
  await world.answer('issue');
  assert.deepEqual(await published, { type: 'ready' });
});
