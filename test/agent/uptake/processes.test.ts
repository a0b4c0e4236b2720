/**
 * Signals reach processes of the volume's own pod and no others. The kernel's view of processes is a directory that the test writes; the
 * processes that are signalled are real.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSignaller } from '../../../agent/uptake/processes.ts';
import { eventOf } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';
import { createSetting } from './parts.ts';

const pod = '0b7a4a6e-93a5-4d3c-8f53-1f6a1a3c0d11';
const other = 'ffffffff-93a5-4d3c-8f53-1f6a1a3c0d11';
const group = (uid: string): string => `0::/kubepods/burstable/pod${uid}/ctr\n`;
const hup = { process: 'server', signal: 'SIGHUP' } as const;

interface Shown {
  readonly cgroup?: string;
  readonly name?: string;
  readonly parent?: number;
  readonly state?: string;
  readonly startTime?: string;
}

/** A node whose first process is its own, and on which the agent runs in a pod. */
function createNode(t: TestContext) {
  const proc = makeDirectory(t);
  const told: string[] = [];
  const show = (pid: number | string, { cgroup = group(pod), ...stat }: Shown = {}): void => {
    const { name = 'server', parent = 7, state = 'S', startTime = '4711' } = stat;
    mkdirSync(join(proc, String(pid)), { recursive: true });
    writeFileSync(join(proc, String(pid), 'cgroup'), cgroup);
    const rest = Array.from({ length: 17 }, () => '0').join(' ');
    writeFileSync(join(proc, String(pid), 'stat'), `${pid} (${name}) ${state} ${parent} ${rest} ${startTime} 0 0\n`);
  };
  show('self', { cgroup: group('11111111-2222-3333-4444-555555555555') });
  show(1, { cgroup: '0::/init.scope\n', name: 'systemd' });
  mkdirSync(join(proc, 'irq'));
  const kill = (pid: number, signal: string): void => void told.push(`${signal} ${pid}`);
  const send = createSignaller({ proc, kill });
  return { proc, kill, told, show, send: () => send(pod, hup, new AbortController().signal) };
}

async function sleeper(t: TestContext): Promise<ChildProcess & { readonly pid: number }> {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  await eventOf(child, 'spawn', 'the process to run');
  const { pid } = child;
  assert.ok(pid !== undefined, 'the process runs');
  return Object.assign(child, { pid });
}

test('a real process of the pod gets the signal, and one of another pod of the same name does not', async (t) => {
  const { proc } = createNode(t);
  const [mine, another] = [await sleeper(t), await sleeper(t)];
  for (const [child, uid] of [
    [mine, pod],
    [another, other],
  ] as const) {
    mkdirSync(join(proc, String(child.pid)));
    writeFileSync(join(proc, String(child.pid), 'cgroup'), group(uid));
    writeFileSync(join(proc, String(child.pid), 'stat'), readFileSync(`/proc/${child.pid}/stat`));
  }
  const ended = eventOf(mine, 'exit', 'the process to end');
  const send = createSignaller({ proc });
  const result = await send(pod, { process: 'sleep', signal: 'SIGHUP' }, new AbortController().signal);
  assert.deepEqual(result, { type: 'done', detail: 'SIGHUP to one process named sleep' });
  assert.deepEqual(await ended, [null, 'SIGHUP']);
  assert.equal(another.exitCode ?? another.signalCode, null, 'the other one runs on');
});

test('only processes of this name in this pod are told, and workers are left to their server', async (t) => {
  const { told, show, send } = createNode(t);
  show(100, { name: 'server' });
  show(101, { name: 'server', parent: 100 });
  show(102, { name: 'server', parent: 101 });
  show(103, { name: 'servers' });
  show(104, { name: 'serve' });
  show(105, { name: ') (server' });
  show(106, { name: 'x) S 7 (server) (', parent: 7 });
  show(107, { state: 'Z' });
  show(108, { cgroup: group(other) });
  show(109, { cgroup: `0::/kubepods/burstable/pod${other}/ctr/kubepods/burstable/pod${pod}/ctr\n` });
  show(110, { cgroup: '0::/system.slice/server.service\n' });
  assert.deepEqual(await send(), { type: 'done', detail: 'SIGHUP to one process named server' });
  assert.deepEqual(told, ['SIGHUP 100']);
  show(200);
  assert.deepEqual(await send(), { type: 'done', detail: 'SIGHUP to 2 processes named server' });
});

test("a process ID that is another process' by the time of the signal gets none", async (t) => {
  for (const change of [
    { startTime: '4712' },
    { cgroup: group(other) },
    { name: 'other' },
    { cgroup: group(other), startTime: '4711' },
  ] satisfies Shown[]) {
    const { proc, told, show } = createNode(t);
    show(100, { startTime: '1' });
    show(200, { startTime: '1' });
    // The first signal takes so long that the second process' ID is given to another meanwhile.
    const kill = (pid: number): void => {
      told.push(String(pid));
      show(pid === 100 ? 200 : 100, { startTime: '1', ...change });
    };
    const send = createSignaller({ proc, kill });
    const result = await send(pod, hup, new AbortController().signal);
    assert.equal(told.length, 1, JSON.stringify(change));
    assert.deepEqual(result, { type: 'done', detail: 'SIGHUP to one process named server' });
  }
});

test('the first process of the node, the agent, and what is no process are never told', async (t) => {
  const { told, show, send } = createNode(t);
  show(1, { cgroup: '0::/init.scope\n', name: 'server' });
  show(process.pid);
  for (const name of ['0', '-1', '00100', '1e3', '99999999999']) {
    show(name);
  }
  const result = await send();
  assert.deepEqual(result, { type: 'failed', detail: 'no process named server runs in the pod' });
  assert.deepEqual(told, []);
});

test('an agent without the node’s processes, or with groups of its own, tells nobody and says why', async (t) => {
  const { told, show, send } = createNode(t);
  show(100);
  show(1, { cgroup: group('11111111-2222-3333-4444-555555555555') });
  const blind = await send();
  assert.ok(blind.type === 'refused' && /hostPID/.test(blind.detail), blind.type);
  show(1, { cgroup: '0::/init.scope\n' });
  show('self', { cgroup: '0::/\n' });
  const apart = await send();
  assert.ok(apart.type === 'refused' && /cgroup namespace/.test(apart.detail), apart.type);
  assert.deepEqual(told, []);
});

test('a pod that runs hundreds of that name, and one that the agent may not signal, are told of', async (t) => {
  const many = createNode(t);
  for (let pid = 100; pid < 132; pid += 1) {
    many.show(pid);
  }
  assert.equal((await many.send()).type, 'done');
  assert.equal(many.told.length, 32);
  many.told.length = 0;
  many.show(132);
  const refused = await many.send();
  assert.ok(refused.type === 'refused' && /^33 processes named server/.test(refused.detail), refused.type);
  assert.deepEqual(many.told, []);
  const { proc, show } = createNode(t);
  show(100);
  const kill = (): never => {
    throw Object.assign(new Error('not permitted'), { code: 'EPERM' });
  };
  const denied = await createSignaller({ proc, kill })(pod, hup, new AbortController().signal);
  assert.deepEqual(denied, { type: 'failed', detail: 'SIGHUP to a process named server failed: EPERM' });
});

test('a volume that asks for a signal is told at once where the operator has switched signals off', async (t) => {
  const setting = await createSetting(t, { reload: { signal: hup } });
  await setting.change();
  const detail = "the cluster's operator has not switched signals to pods on (reload-signals)";
  assert.deepEqual(setting.notices, [{ type: 'notReloaded', way: 'signal', attempts: 0, detail }]);
  await setting.change();
  await setting.noticed(2);
  assert.deepEqual(setting.notices[1], { type: 'notReloaded', way: 'signal', attempts: 1, detail });
});

test('a signal is sent once a change, to the pod of the volume', async (t) => {
  const sent: string[] = [];
  const setting = await createSetting(
    t,
    { reload: { signal: hup } },
    {
      signaller: async (uid, { process: name, signal }) => {
        sent.push(`${uid} ${name} ${signal}`);
        return { type: 'done', detail: 'sent' };
      },
    },
  );
  await setting.change();
  assert.deepEqual(sent, []);
  await setting.change();
  await setting.noticed(1);
  assert.deepEqual(sent, [`${setting.volume.record.pod.uid} server SIGHUP`]);
  assert.deepEqual(setting.notices, [{ type: 'reloaded', way: 'signal', attempts: 1, detail: 'sent' }]);
});

test('as many processes of the node as may be are looked at, and with one more nobody is told', async (t) => {
  // The usual number of directories takes longer to make than all other tests of this file.
  const { proc, kill, told, show } = createNode(t);
  const send = createSignaller({ proc, kill, mostSeen: 100 });
  const tell = () => send(pod, hup, new AbortController().signal);
  const pids = Array.from({ length: 101 }, (_, index) => 100_000 + index);
  for (const pid of pids.slice(0, 100)) {
    show(pid, { parent: pid === 100_000 ? 7 : 100_000 });
  }
  assert.deepEqual(await tell(), { type: 'done', detail: 'SIGHUP to one process named server' });
  show(pids[100] ?? '', { parent: 100_000 });
  assert.deepEqual(await tell(), { type: 'failed', detail: 'more than 100 processes run on the node' });
  assert.deepEqual(told, ['SIGHUP 100000']);
});
