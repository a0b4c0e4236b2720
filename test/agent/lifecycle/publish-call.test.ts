/** What a publish call is turned into: whose the files are, what is noted, and for how long it waits. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import type { PodIdentity } from '../../../agent/lifecycle/ports.ts';
import { recordOf, settled } from '../../../agent/lifecycle/publish-call.ts';
import type { VolumeStatus } from '../../../agent/lifecycle/volume-status.ts';
import type { PublishRequest } from '../../../volumes/csi/driver.ts';
import { podCertificate, recordWith } from './plain.ts';

const { owner: _owner, ...request } = recordWith([podCertificate(0, 'tls.pem')]);
const identity: PodIdentity = {
  ...{ pod: request.pod, serviceAccountUID: 'sa', nodeName: 'node-a', nodeUID: 'node', ended: false },
  podIPs: ['192.0.2.1'],
};

test('the record of a volume says what the call says, and no more', () => {
  assert.deepEqual(recordOf({ ...request, tokens: () => 'secret' }, identity), { ...request, owner: { kind: 'none' } });
  const seLinuxContext = 'system_u:object_r:container_file_t:s0:c1,c2';
  assert.equal(recordOf({ ...request, seLinuxContext }, identity).seLinuxContext, seLinuxContext);
});

test('the files are the fsGroup’s, as the call has it before the pod’s spec, else the one user’s, else nobody’s', () => {
  const ownerOf = (call: Partial<PublishRequest>, pod: Partial<PodIdentity>) =>
    recordOf({ ...request, ...call }, { ...identity, ...pod }).owner;
  const pod = { fsGroup: 2000, runAsUser: 1000 };
  assert.deepEqual(ownerOf({ mountGroup: 3000 }, pod), { kind: 'group', gid: 3000 });
  assert.deepEqual(ownerOf({ mountGroup: 0 }, pod), { kind: 'group', gid: 0 });
  assert.deepEqual(ownerOf({}, pod), { kind: 'group', gid: 2000 });
  assert.deepEqual(ownerOf({}, { runAsUser: 1000 }), { kind: 'user', uid: 1000 });
  assert.deepEqual(ownerOf({}, { runAsUser: 0 }), { kind: 'user', uid: 0 });
  assert.deepEqual(ownerOf({}, {}), { kind: 'none' });
});

test('a pod without addresses of its own is refused what can only be asked at one, and told which volume it is', () => {
  const declaration = { ...request.declaration, probe: { port: 8443 } };
  const { podIPs: _podIPs, ...onHost } = identity;
  assert.equal(recordOf({ ...request, declaration }, { ...onHost, podIPs: [] }).volumeName, 'mtls');
  assert.throws(
    () => recordOf({ ...request, declaration }, onHost),
    (error) => {
      assert.ok(error instanceof AgentError, `${error}`);
      assert.deepEqual([error.code, error.actor], ['Rejected', 'pod author']);
      assert.match(error.message, /^volume mtls of pod shop\/web: probe: it can only be asked/);
      return true;
    },
  );
});

/** A volume whose status a test sets. */
function createVolume(status: VolumeStatus) {
  const listeners = new Set<() => void>();
  let now = status;
  return {
    listeners,
    become(next: VolumeStatus): void {
      now = next;
      for (const listener of [...listeners]) {
        listener();
      }
    },
    runner: {
      status: () => now,
      onChange(listener: () => void) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
  };
}

const waiting: VolumeStatus = { type: 'waiting', message: 'for the signer' };
const refusedUntil = (retryAt: number): VolumeStatus => ({ type: 'refused', message: 'no', retryAt });
const answerAt = 100_000;

/** Whether a wait is over once everything has come to its end that waits for nothing. */
async function isOver(wait: Promise<unknown>): Promise<boolean> {
  const turn = new Promise<false>((resolve) => setImmediate(() => resolve(false)));
  return Promise.race([wait.then(() => true), turn]);
}

async function answered(wait: Promise<VolumeStatus>): Promise<VolumeStatus> {
  assert.ok(await isOver(wait), 'it still waits');
  return wait;
}

test('a call waits while files are missing, and while what failed is tried again before it has to answer', async () => {
  const { signal } = new AbortController();
  for (const open of [waiting, refusedUntil(answerAt - 1)]) {
    const volume = createVolume(open);
    const wait = settled(volume.runner, answerAt, signal);
    assert.equal(await isOver(wait), false, open.type);
    volume.become(waiting);
    assert.equal(await isOver(wait), false);
    volume.become({ type: 'ready' });
    assert.deepEqual(await answered(wait), { type: 'ready' });
    assert.equal(volume.listeners.size, 0, 'nobody listens any more');
  }
});

test('a call answers at once where the files are there, or no attempt comes before it has to answer', async () => {
  const { signal } = new AbortController();
  for (const status of [{ type: 'ready' } as const, refusedUntil(answerAt)]) {
    const { runner, listeners } = createVolume(status);
    assert.deepEqual(await answered(settled(runner, answerAt, signal)), status);
    assert.equal(listeners.size, 0);
  }
});

test('a call that is to wait no longer answers with what there is, and lets go of its signal', async () => {
  const early = createVolume(waiting);
  assert.deepEqual(await answered(settled(early.runner, answerAt, AbortSignal.abort())), waiting);
  const ending = new AbortController();
  const { signal } = ending;
  const volume = createVolume(waiting);
  const wait = settled(volume.runner, answerAt, signal);
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  ending.abort();
  assert.deepEqual(await answered(wait), waiting);
  assert.deepEqual([getEventListeners(signal, 'abort').length, volume.listeners.size], [0, 0]);
});
