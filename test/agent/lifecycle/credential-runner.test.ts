/** How one credential runs: what its effects come to, when it is woken, and what a fault or an end leaves behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { asking, running } from './credential-running.ts';
import { identity, record } from './credential-scene.ts';
import { answer, begins, current, hour, minute, refreshAfter, second } from './life.ts';

const gone = (): never => {
  throw new AgentError('PodGone', 'no such pod', { actor: 'nobody' });
};
const follow = 'follow shop/req-0-key-1 of example.com/mesh';
const project = 'project 0A of req-0-key-1';
const mended = { type: 'failed', reason: 'Hsm', message: 'away' } as const;

test('a credential makes its key and its request, waits, has the answer projected, and sleeps until its refresh', async () => {
  const scene = running();
  assert.equal(scene.clock.alarms(), 0, 'a key comes by itself');
  await scene.settle();
  assert.deepEqual(
    scene.submitted.map(({ key }) => key),
    ['key-1'],
  );
  assert.deepEqual(scene.did, [follow]);
  assert.equal(scene.clock.alarms(), 1);
  await scene.answers('issue');
  assert.deepEqual(scene.did, [follow, project]);
  scene.runner.written();
  const state = scene.runner.state();
  assert.ok(state.name === 'fresh' && state.current.requestName === 'req-0-key-1', state.name);
  assert.deepEqual(scene.savedSetbacks, [undefined]);
  assert.equal(scene.clock.alarms(), 1);
  assert.equal(scene.changes, 5, 'it was told of each step');
  assert.deepEqual(
    scene.reported.map(({ type }) => type),
    ['keyMade', 'requested', 'answered', 'projected'],
  );
  const subject = { volume: record, source: 0, signerName: 'example.com/mesh', keyType: 'ED25519' };
  assert.deepEqual(scene.reported[0], { type: 'keyMade', requestName: 'req-0-key-1', tookMs: 0, ...subject });
  scene.clock.advance(refreshAfter - 1);
  assert.equal(scene.runner.state().name, 'fresh');
  scene.clock.advance(1);
  assert.equal(scene.runner.state().name, 'generating');
  assert.deepEqual(scene.faults, []);
});

test('an earlier run’s certificate counts where its files are there, and is asked for anew where they are not', () => {
  assert.equal(running({ kept: { current } }).runner.state().name, 'fresh');
  assert.equal(running({ kept: { current }, isProjected: false }).runner.state().name, 'generating');
  assert.equal(running({ isProjected: true }).runner.state().name, 'generating');
});

test('what happens while an effect is carried out comes after it, and nothing is told in between', async () => {
  const scene = await asking();
  scene.onProject = () => {
    scene.runner.written();
    assert.equal(scene.runner.state().name, 'projecting', 'one step comes after the other');
  };
  const before = scene.changes;
  await scene.answers('issue');
  assert.equal(scene.runner.state().name, 'fresh');
  assert.equal(scene.changes, before + 1);
});

test('a fault of the agent is told, and the credential goes on from the state it is in', async () => {
  const scene = await asking();
  const fault = new Error('a fault');
  scene.onProject = () => {
    throw fault;
  };
  const before = scene.changes;
  await scene.answers('issue');
  assert.deepEqual(scene.faults, [fault]);
  assert.equal(scene.changes, before + 1);
  assert.equal(scene.runner.state().name, 'projecting');
  assert.equal(scene.clock.alarms(), 1);
  scene.runner.written();
  assert.equal(scene.runner.state().name, 'fresh');
});

test('what fails costs nothing else that a step asks for', async () => {
  const scene = await asking();
  const fault = new Error('input/output error');
  scene.onDiscard = () => {
    throw fault;
  };
  await scene.answers(mended);
  assert.deepEqual(scene.faults, [fault]);
  assert.deepEqual(
    [scene.savedSetbacks.at(-1)?.message, scene.reported.at(-1)?.type],
    ['away', 'failed'],
    'the refusal is kept for a restart, and told',
  );
  assert.equal(scene.clock.alarms(), 1, 'another attempt is due');
});

test('a step that fails is told, and the next event finds the state as it was', async () => {
  const scene = await asking();
  const fault = new Error('no such number');
  const drawn = scene.random;
  scene.random = () => {
    throw fault;
  };
  await scene.answers(mended);
  assert.deepEqual([scene.faults, scene.runner.state().name, scene.clock.alarms()], [[fault], 'awaiting', 1]);
  scene.random = drawn;
  scene.runner.end('gone');
  assert.equal(scene.runner.state().name, 'ended');
});

test('what only a restart asks for costs nothing else where it cannot be kept', async () => {
  const fault = new Error('no space');
  const scene = await asking();
  scene.onSaveRecord = () => {
    throw fault;
  };
  await scene.answers(mended);
  assert.deepEqual(scene.faults, [fault]);
  assert.equal(scene.reported.at(-1)?.type, 'failed', 'what comes after it is done');
  const resting = running({ kept: { current } });
  resting.onSaveRecord = scene.onSaveRecord;
  resting.runner.judged('mismatch', 2);
  assert.deepEqual(resting.faults, [fault]);
  const state = resting.runner.state();
  assert.ok(state.name === 'fresh' && state.trust.verdict === 'mismatch' && state.trust.anchors === 2, state.name);
});

test('a refusal and a mismatch are kept in the volume', async () => {
  const scene = await asking();
  await scene.answers(mended);
  assert.deepEqual(
    scene.savedSetbacks.map((setback) => setback?.message),
    ['away'],
  );
  const resting = running({ kept: { current } });
  resting.runner.judged('mismatch', 2);
  assert.deepEqual(
    resting.savedTrusts.map(({ mismatch }) => mismatch?.since),
    [begins],
  );
});

test('a notice of a refusal is about the key type that was refused, not the one that comes next', async () => {
  const scene = await asking({ suggested: 'ECDSAP256' });
  await scene.answers(mended);
  assert.deepEqual(
    scene.reported.slice(2).map((notice) => [notice.type, 'keyType' in notice && notice.keyType]),
    [
      ['failed', 'ED25519'],
      ['keyTypeSuggested', 'ED25519'],
      ['keyMade', 'ECDSAP256'],
      ['requested', 'ECDSAP256'],
    ],
  );
  assert.deepEqual(
    scene.generated.map(({ keyType }) => keyType),
    ['ED25519', 'ECDSAP256'],
  );
});

test('a pause can be cut short, and says until then when the next attempt comes', async () => {
  const scene = await asking();
  assert.equal(scene.runner.retryAt(), undefined);
  await scene.answers(mended);
  assert.equal(scene.runner.retryAt(), begins + 10 * second);
  scene.clock.advance(second);
  scene.runner.wake();
  assert.equal(scene.runner.state().name, 'generating');
});

test('what a request waits for is known, whether before it is made or after', async () => {
  const waiting = running({
    issuer: {
      async prepare(_request, _signal, onWait) {
        onWait('a token');
        await new Promise(() => undefined);
      },
    },
  });
  await waiting.settle();
  assert.equal(Reflect.get(waiting.runner.state(), 'waitsFor'), 'a token');
  const scene = await asking();
  const hurdle = { turn: 'approver', text: 'no approval' } as const;
  scene.hindering?.(hurdle);
  assert.equal(Reflect.get(scene.runner.state(), 'hurdle'), hurdle);
});

test('a key that does not fit is told with what becomes of it, and is discarded', async () => {
  const scene = await asking();
  await scene.answers('issue');
  scene.runner.keyUnfit('cannot be read');
  assert.ok(scene.did.includes('discard'), 'it is kept');
  const told = scene.reported.at(-1);
  assert.ok(told?.type === 'attemptFailed', told?.type);
  const { code, actor, message } = told.error;
  assert.deepEqual(
    [code, actor, message],
    ['Internal', 'nobody', 'the stored private key cannot be read; another is made'],
  );
});

test('a pod that is found to be gone ends all its credentials; one that counts as ended is looked for again', async () => {
  const scene = running();
  scene.onIdentify = gone;
  await scene.settle();
  assert.deepEqual(scene.did.slice(0, 1), ['the pod is gone']);
  assert.equal(scene.runner.state().name, 'ended');
  assert.equal(scene.runner.retryAt(), begins + 10 * second);
  const later = (): Promise<void> => {
    scene.clock.advance(minute);
    return scene.settle();
  };
  await later();
  assert.equal(scene.identified.at(-1)?.call.priority, 'refresh');
  assert.ok(!scene.did.includes('the pod lives'), 'it was found');
  scene.onIdentify = () => {
    throw new AgentError('Unavailable', 'no answer', { actor: 'nobody' });
  };
  await later();
  assert.deepEqual([scene.faults, scene.did.includes('the pod lives')], [[], false], 'no answer says nothing');
  const fault = new Error('a fault');
  scene.onIdentify = () => {
    throw fault;
  };
  await later();
  assert.deepEqual(scene.faults, [fault]);
  scene.onIdentify = () => identity;
  scene.clock.advance(5 * minute);
  await scene.settle();
  assert.equal(scene.did.at(-1), 'the pod lives');
  scene.runner.revive();
  assert.equal(scene.runner.state().name, 'generating');
  scene.runner.end('finished');
  assert.equal(scene.runner.state().name, 'ended');
});

test('addresses are waited for by a certificate that was to name some, once, until it is renewed or goes', async () => {
  const lacking = { ...current, podIPs: [] };
  const scene = running({ kept: { current: lacking } });
  assert.equal(scene.awaiting.size, 1);
  const [listener] = scene.awaiting;
  scene.runner.judged('leads', 1);
  assert.deepEqual([...scene.awaiting], [listener], 'it asks once');
  scene.awaiting.clear();
  listener?.();
  assert.equal(scene.runner.state().name, 'generating');
  assert.equal(scene.awaiting.size, 0);
  await scene.settle();
  await scene.answers('issue', { ...answer, podIPs: [] });
  scene.runner.written();
  assert.equal(scene.awaiting.size, 1, 'the next one lacks them too');
  scene.clock.advance(13 * hour);
  assert.equal(scene.awaiting.size, 0, 'it is being renewed');
  const stopped = running({ kept: { current: lacking } });
  stopped.runner.stop();
  assert.equal(stopped.awaiting.size, 0);
  assert.equal(running({ kept: { current } }).awaiting.size, 0, 'it was to name none');
});

test('a credential that has stopped does nothing more, whatever comes, and leaves no alarm', async () => {
  const scene = await asking();
  const before = scene.runner.state();
  scene.runner.stop();
  assert.equal(scene.clock.alarms(), 0);
  assert.deepEqual(scene.did, [follow, 'unfollow'], 'the next run goes on with the same request');
  assert.ok(scene.submitted[0]?.signal.aborted, 'its calls go on');
  const { changes } = scene;
  await scene.answers('issue');
  assert.equal(scene.runner.state(), before);
  assert.equal(scene.changes, changes);
});

test('a credential that is stopped while an effect is carried out goes on with nothing that waits', async () => {
  const scene = await asking();
  scene.onProject = () => {
    scene.runner.written();
    scene.runner.stop();
  };
  await scene.answers('issue');
  assert.equal(scene.runner.state().name, 'projecting');
  assert.equal(scene.clock.alarms(), 0);
  const lacking = running({ kept: { current: { ...current, podIPs: [] } } });
  lacking.onSaveRecord = () => lacking.runner.stop();
  lacking.runner.judged('mismatch', 1);
  assert.equal(lacking.awaiting.size, 0);
  assert.equal(lacking.clock.alarms(), 0);
});
