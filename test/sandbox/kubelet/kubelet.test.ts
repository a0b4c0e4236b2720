import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { inspect } from 'node:util';
import { type Kubelet, type KubeletOptions, startKubelet } from '../../../sandbox/kubelet/kubelet.ts';
import type { BoundPod } from '../../../sandbox/kubelet/pod.ts';
import type {
  CsiDriver,
  CsiResult,
  HandOver,
  KubeletApi,
  KubeletNotice,
  PodListener,
  PublishRequest,
  StatusPatch,
} from '../../../sandbox/kubelet/surroundings.ts';
import { withinBound } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';

/** A test that waits for something that never comes fails instead of hanging. */
const limit = { timeout: 60_000 };

const driverName = 'csi.podcert.io';
const nodeName = 'node-1';
let root: string;
let kubelet: Kubelet | undefined;

beforeEach(() => {
  root = makeDirectory();
});
afterEach(async () => {
  await kubelet?.close();
});

let pods = 0;

function pod(more: Partial<NonNullable<BoundPod['spec']>> = {}): BoundPod {
  pods += 1;
  const volumes = [{ name: 'mtls', csi: { driver: driverName, readOnly: true, volumeAttributes: { sources: '[]' } } }];
  return {
    metadata: { name: `pod-${pods}`, namespace: 'demo', uid: `uid-${pods}` },
    spec: { nodeName, serviceAccountName: 'web', containers: [{ name: 'main' }], volumes, ...more },
  };
}

const deleting = (live: BoundPod): BoundPod => ({
  ...live,
  metadata: { ...live.metadata, deletionTimestamp: '2026-03-01T12:00:00Z' },
});

const volumePath = (live: BoundPod, name = 'mtls') =>
  join(root, 'pods', live.metadata.uid ?? '', 'volumes', 'kubernetes.io~csi', name);

/** Lets a test wait for something that is said. */
function log<T>() {
  const entries: T[] = [];
  const waiting = new Set<() => void>();
  return {
    entries,
    say: (entry: T) => {
      entries.push(entry);
      for (const wake of [...waiting]) {
        wake();
      }
    },
    until: async (accept: (entry: T) => boolean): Promise<T> => {
      for (;;) {
        const found = entries.find(accept);
        if (found !== undefined) {
          return found;
        }
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.add(resolve);
        await withinBound(promise, () => `what ${accept} accepts, among ${JSON.stringify(entries)}`);
        waiting.delete(resolve);
      }
    },
  };
}

type Call =
  | { readonly type: 'publish'; readonly request: PublishRequest }
  | { readonly type: 'unpublish'; readonly targetPath: string }
  | { readonly type: 'status'; readonly name: string; readonly status: StatusPatch }
  | { readonly type: 'remove'; readonly name: string }
  | { readonly type: 'warn'; readonly reason: string; readonly message: string };

/** API server, driver and clock as plain objects; the driver answers with `answers` one by one, then with success. */
function surroundings(answers: readonly CsiResult[] = [], handOver: HandOver = { isRepeated: false }) {
  const calls = log<Call>();
  const notices = log<KubeletNotice>();
  const pauses: number[] = [];
  const results = [...answers];
  let listener: PodListener | undefined;
  const api: KubeletApi = {
    handOver: async () => handOver,
    follow: (_node, following) => {
      listener = following;
      return () => {
        listener = undefined;
      };
    },
    patchStatus: async (target, status) => calls.say({ type: 'status', name: target.metadata.name, status }),
    remove: async (target) => calls.say({ type: 'remove', name: target.metadata.name }),
    warn: async (_pod, reason, message) => calls.say({ type: 'warn', reason, message }),
  };
  const driver: CsiDriver = {
    publish: async (request) => {
      const result = results.shift() ?? { type: 'done' };
      if (result.type === 'done') {
        mkdirSync(request.targetPath, { recursive: true });
      }
      calls.say({ type: 'publish', request });
      return result;
    },
    unpublish: async (_volumeId, targetPath) => {
      if (existsSync(targetPath)) {
        rmdirSync(targetPath);
      }
      calls.say({ type: 'unpublish', targetPath });
      return { type: 'done' };
    },
  };
  const start = (more: Partial<KubeletOptions> = {}) => {
    const pause = async (ms: number) => void pauses.push(ms);
    kubelet = startKubelet({
      nodeName,
      root,
      driverName,
      driver,
      api,
      backoff: { firstMs: 500, longestMs: 122_000, pause },
      onNotice: notices.say,
      ...more,
    });
    assert.ok(listener, 'there is no listener');
    return listener;
  };
  return { calls, notices, pauses, api, driver, start };
}

const error = (message: string, final: boolean): CsiResult => ({ type: 'error', final, message });
const is = (type: Call['type'] | KubeletNotice['type']) => (entry: Call | KubeletNotice) => entry.type === type;

test('a volume is published as a kubelet does it, then the pod runs', limit, async () => {
  const { calls, notices, start } = surroundings();
  const live = pod({ securityContext: { fsGroup: 2000 } });
  start().changed(live);
  await notices.until(is('running'));
  const [publish, status] = calls.entries;
  const uid = live.metadata.uid ?? '';
  assert.deepEqual(publish, {
    type: 'publish',
    request: {
      volumeId: `csi-${createHash('sha256').update(`${uid}mtls`).digest('hex')}`,
      targetPath: join(root, 'pods', uid, 'volumes/kubernetes.io~csi/mtls/mount'),
      readOnly: true,
      volumeContext: {
        sources: '[]',
        'csi.storage.k8s.io/pod.name': live.metadata.name,
        'csi.storage.k8s.io/pod.namespace': 'demo',
        'csi.storage.k8s.io/pod.uid': uid,
        'csi.storage.k8s.io/serviceAccount.name': 'web',
        'csi.storage.k8s.io/ephemeral': 'true',
      },
      fsGroup: 2000,
    },
  });
  assert.ok(status?.type === 'status', inspect(status));
  assert.equal(status.status['phase'], 'Running');
  const data = JSON.parse(readFileSync(join(volumePath(live), 'vol_data.json'), 'utf8'));
  assert.equal(data.driverName, driverName);
  assert.equal(data.specVolID, 'mtls');
  assert.equal(data.volumeLifecycleMode, 'Ephemeral');
});

test('tokens are handed over where the CSIDriver object wants them', limit, async () => {
  const name = 'csi.storage.k8s.io/serviceAccount.tokens';
  const published = async (tokens: HandOver['tokens']): Promise<PublishRequest> => {
    const { calls, notices, start } = surroundings([], { isRepeated: false, ...(tokens && { tokens }) });
    start().changed(pod());
    await notices.until(is('running'));
    const call = calls.entries.find((each) => each.type === 'publish');
    assert.ok(call?.type === 'publish', 'the volume is published');
    await kubelet?.close();
    return call.request;
  };
  const open = await published({ text: '{}', inSecrets: false });
  assert.deepEqual([open.volumeContext[name], open.secrets], ['{}', undefined]);
  const hidden = await published({ text: '{}', inSecrets: true });
  assert.deepEqual([hidden.volumeContext[name], hidden.secrets], [undefined, { [name]: '{}' }]);
  const none = await published(undefined);
  assert.deepEqual([none.volumeContext[name], none.secrets], [undefined, undefined]);
});

test(
  'a volume is published again and again while its pod runs, where the CSIDriver object wants that',
  limit,
  async () => {
    const { calls, notices, start } = surroundings([], { isRepeated: true });
    const listener = start({ syncMs: 1 });
    const live = pod();
    listener.changed(live);
    await notices.until(is('running'));
    const publishes = () => calls.entries.filter(is('publish')).length;
    await calls.until(() => publishes() >= 4);
    listener.deleted(live);
    await notices.until(is('stopped'));
    const once = surroundings([], { isRepeated: false });
    once.start({ syncMs: 1 }).changed(pod());
    await once.notices.until(is('running'));
    await once.calls.until(is('status'));
    assert.equal(once.calls.entries.filter(is('publish')).length, 1);
  },
);

test('containers start when all volumes are there, and stop before they go', limit, async () => {
  const { calls, notices, start } = surroundings();
  const steps: string[] = [];
  const csi = { driver: driverName, readOnly: true };
  const live = pod({ volumes: [{ name: 'a', csi }, { name: 'b', csi }, { name: 'other' }] });
  const listener = start({
    startContainers: async (_pod, mounts) => {
      assert.equal(calls.entries.filter(is('publish')).length, 2);
      assert.deepEqual([...mounts.keys()], ['a', 'b']);
      assert.equal(mounts.get('a'), join(volumePath(live, 'a'), 'mount'));
      steps.push('started');
      return {
        stop: async () => {
          assert.equal(calls.entries.filter(is('unpublish')).length, 0);
          steps.push('stopped');
        },
      };
    },
  });
  listener.changed(live);
  await notices.until(is('running'));
  listener.changed(deleting(live));
  await calls.until(is('remove'));
  assert.deepEqual(steps, ['started', 'stopped']);
  assert.equal(calls.entries.filter(is('unpublish')).length, 2);
  assert.deepEqual(readdirSync(join(root, 'pods')), []);
});

test('a failing publish is retried with doubling pauses and told to the pod', limit, async () => {
  const failures = Array.from({ length: 10 }, () => error('rpc error: code = Aborted desc = waiting', false));
  const { calls, notices, pauses, start } = surroundings(failures);
  start().changed(pod());
  await notices.until(is('running'));
  assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 122000, 122000]);
  const warning = calls.entries.find(is('warn'));
  assert.deepEqual(warning, {
    type: 'warn',
    reason: 'FailedMount',
    message: 'MountVolume.SetUp failed for volume "mtls" : rpc error: code = Aborted desc = waiting',
  });
});

test(
  'after a final error on a first publish the directory goes, after one that may have happened it stays',
  limit,
  async () => {
    for (const final of [true, false]) {
      const { calls, start } = surroundings([error('no', final)]);
      const live = pod();
      const held = Promise.withResolvers<void>();
      const pause = async (_ms: number, signal: AbortSignal) => {
        signal.addEventListener('abort', () => held.resolve(), { once: true });
        await held.promise;
      };
      const listener = start({ backoff: { firstMs: 1, longestMs: 1, pause } });
      listener.changed(live);
      await calls.until(is('warn'));
      assert.equal(existsSync(volumePath(live)), !final);
      listener.changed(deleting(live));
      held.resolve();
      await calls.until(is('remove'));
      // Nothing to unpublish where nothing can have happened.
      assert.equal(calls.entries.filter(is('unpublish')).length, final ? 0 : 1);
      assert.equal(existsSync(volumePath(live)), false);
      await kubelet?.close();
    }
  },
);

test('files that a driver leaves in the target after a final error are not removed', limit, async () => {
  const { calls, driver, start } = surroundings([error('no', true)]);
  const live = pod();
  const publish: CsiDriver['publish'] = (request, signal) => {
    mkdirSync(request.targetPath, { recursive: true });
    writeFileSync(join(request.targetPath, 'left'), '');
    return driver.publish(request, signal);
  };
  start({ driver: { ...driver, publish } }).changed(live);
  await calls.until(is('warn'));
  assert.equal(
    existsSync(join(volumePath(live), 'mount', 'left')),
    true,
    `${join(volumePath(live), 'mount', 'left')} is missing`,
  );
});

test('a pod that has ended is unpublished and stays until it is deleted', limit, async () => {
  const { calls, notices, start } = surroundings();
  const live = pod();
  const listener = start();
  listener.changed(live);
  await notices.until(is('running'));
  listener.changed({ ...live, status: { phase: 'Succeeded' } });
  await notices.until(is('stopped'));
  assert.equal(calls.entries.filter(is('unpublish')).length, 1);
  assert.equal(calls.entries.some(is('remove')), false);
  listener.changed(deleting(live));
  await calls.until(is('remove'));
});

test('a pod that vanishes is unpublished, and nothing is said to the API server about it', limit, async () => {
  const { calls, notices, start } = surroundings();
  const live = pod();
  const listener = start();
  listener.changed(live);
  await notices.until(is('running'));
  listener.deleted(live);
  await notices.until(is('stopped'));
  await kubelet?.close();
  assert.equal(calls.entries.filter(is('unpublish')).length, 1);
  assert.equal(calls.entries.some(is('remove')), false);
});

test('a kubelet that starts again publishes live volumes anew and keeps them whatever the answer', limit, async () => {
  const before = surroundings();
  const live = pod();
  before.start().changed(live);
  await before.notices.until(is('running'));
  await kubelet?.close();
  assert.equal(existsSync(volumePath(live)), true, `${volumePath(live)} is missing`);
  assert.equal(before.calls.entries.some(is('unpublish')), false);

  const after = surroundings([error('no', true)]);
  after.start().changed(live);
  await after.notices.until(is('running'));
  assert.equal(after.calls.entries.filter(is('publish')).length, 2);
  assert.equal(existsSync(join(volumePath(live), 'mount')), true, `${join(volumePath(live), 'mount')} is missing`);
});

test('a kubelet that starts again unpublishes the volumes of its driver whose pods are gone', limit, async () => {
  const before = surroundings();
  const [kept, gone] = [pod(), pod()];
  const listener = before.start();
  listener.changed(kept);
  listener.changed(gone);
  await before.notices.until((notice) => notice.type === 'running' && notice.pod === kept);
  await before.notices.until((notice) => notice.type === 'running' && notice.pod === gone);
  await kubelet?.close();
  const foreign = volumePath({ metadata: { name: 'foreign', uid: 'foreign' } });
  mkdirSync(foreign, { recursive: true });
  writeFileSync(join(foreign, 'vol_data.json'), JSON.stringify({ driverName: 'other.example.com' }));
  const torn = volumePath({ metadata: { name: 'torn', uid: 'torn' } });
  mkdirSync(torn, { recursive: true });
  writeFileSync(join(torn, 'vol_data.json'), '{"driver');

  const after = surroundings();
  const again = after.start();
  again.changed(kept);
  again.synced();
  const call = await after.calls.until(is('unpublish'));
  assert.ok(call.type === 'unpublish', inspect(call));
  assert.equal(dirname(call.targetPath), volumePath(gone));
  await kubelet?.close();
  assert.equal(after.calls.entries.filter(is('unpublish')).length, 1);
  assert.equal(existsSync(volumePath(gone)), false);
  for (const path of [volumePath(kept), foreign, torn]) {
    assert.equal(existsSync(path), true, `${path} is missing`);
  }
});

test('containers that cannot start are retried and told', limit, async () => {
  const { calls, notices, start } = surroundings();
  let attempts = 0;
  const startContainers = async () => {
    attempts += 1;
    if (attempts === 1) {
      throw new Error('no such image');
    }
    return { stop: async () => {} };
  };
  start({ startContainers }).changed(pod());
  await notices.until(is('running'));
  assert.deepEqual(calls.entries.find(is('warn')), { type: 'warn', reason: 'Failed', message: 'Error: no such image' });
});

test('stopping ends a call that is under way and leaves the volume', limit, async () => {
  const { calls, driver, start } = surroundings();
  const asked = Promise.withResolvers<void>();
  const publish: CsiDriver['publish'] = (_request, signal) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(error('cancelled', false)));
      asked.resolve();
    });
  const live = pod();
  start({ driver: { ...driver, publish } }).changed(live);
  await withinBound(asked.promise, 'the driver to be asked');
  await kubelet?.close();
  assert.deepEqual(calls.entries, []);
  assert.equal(existsSync(volumePath(live)), true, `${volumePath(live)} is missing`);
});
