/** What tests of the services share: clients, in processes of their own where they are ended in the midst of a call, requests, and a log that remembers. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import type { Log, LogFields, PublishOutcome, PublishRequest, VolumeDriver } from '../../../volumes/csi/driver.ts';
import type { Later } from '../../../volumes/csi/kept-socket.ts';
import { withinBound } from '../../support/bounded.ts';
import { podUID } from '../support.ts';
import { type Answer, oneCall } from './one-call.ts';

/** Starts a client process for one call: one that can be ended in the midst of it. */
export function startCall(
  t: TestContext,
  socket: string,
  service: string,
  method: string,
  request = {},
  deadlineMs = 5000,
) {
  const program = path.join(import.meta.dirname, 'client.ts');
  const child = spawn(process.execPath, [
    program,
    socket,
    service,
    method,
    JSON.stringify(request),
    String(deadlineMs),
  ]);
  t.after(() => child.kill('SIGKILL'));
  child.stderr.pipe(process.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<Answer> => {
    const { value } = await withinBound(lines.next(), `the answer to ${method}`);
    return JSON.parse(value ?? '{"details":"no answer"}');
  };
  return { child, answer: answer(), exit: once(child, 'exit') };
}

/** How long a call may take, milliseconds. */
export const callMs = 30_000;

/** Makes one call, over a connection of its own. */
export function call(socket: string, service: string, method: string, request = {}): Promise<Answer> {
  return withinBound(oneCall(socket, service, method, request, callMs), `the answer to ${method}`);
}

export const targetPath = `/var/lib/kubelet/pods/${podUID}/volumes/kubernetes.io~csi/mtls/mount`;

/** A publish call as a kubelet makes it. */
export function publishRequest(more: object = {}, context: Record<string, string> = {}) {
  return {
    volume_id: 'csi-0123456789abcdef',
    target_path: targetPath,
    volume_capability: { mount: { fs_type: '', volume_mount_group: '' }, access_mode: { mode: 1 } },
    readonly: true,
    secrets: {},
    volume_context: {
      'csi.storage.k8s.io/pod.name': 'web-0',
      'csi.storage.k8s.io/pod.namespace': 'shop',
      'csi.storage.k8s.io/pod.uid': podUID,
      'csi.storage.k8s.io/serviceAccount.name': 'web',
      'csi.storage.k8s.io/ephemeral': 'true',
      sources: '[{clusterTrustBundle: {name: roots, path: ca.pem}}]',
      ...context,
    },
    ...more,
  };
}

/** A driver that answers what it is told to, and remembers what it was asked. */
export function makeDriver(
  outcome: () => Promise<PublishOutcome> = async () => ({ type: 'ready' }),
  health: VolumeDriver['health'] = () => [],
) {
  const published: { readonly request: PublishRequest; readonly deadline: number; readonly signal: AbortSignal }[] = [];
  const unpublished: string[] = [];
  /** Target paths of volumes that are there already. */
  const held = new Set<string>();
  const driver: VolumeDriver = {
    publish: (request, deadline, signal) => {
      published.push({ request, deadline, signal });
      return outcome();
    },
    unpublish: async (volumeId, target) => {
      unpublished.push(`${volumeId} ${target}`);
    },
    holds: (target) => held.has(target),
    health: (volumeId, target) => health(volumeId, target),
    ready: () => published.length > 0,
  };
  return { driver, published, unpublished, held };
}

/** A log that keeps its lines, and that can be waited for. */
export function makeLog() {
  const lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];
  const waiting = new Set<() => void>();
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}) => {
      lines.push({ level, message, fields });
      for (const look of waiting) {
        look();
      }
    };
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };

  /** Waits until `count` lines of the log hold the text. */
  async function logged(part: string, count = 1): Promise<void> {
    const found = () => lines.filter(({ message }) => message.includes(part)).length >= count;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => found() && resolve();
    const seen = () => lines.map(({ message }) => message).join('; ');
    waiting.add(look);
    look();
    try {
      await withinBound(promise, () => `"${part}" to be logged ${count} times, among: ${seen()}`);
    } finally {
      waiting.delete(look);
    }
  }

  return { log, lines, logged };
}

/** Timers that run when the test says so. */
export function makeTimers() {
  const waiting = new Set<{ readonly delayMs: number; readonly callback: () => void }>();
  let armed = Promise.withResolvers<void>();
  const later: Later = (delayMs, callback) => {
    const timer = { delayMs, callback };
    waiting.add(timer);
    armed.resolve();
    armed = Promise.withResolvers<void>();
    return () => waiting.delete(timer);
  };
  /** Runs the timer that waits for so long, as soon as there is one. */
  async function due(delayMs: number): Promise<void> {
    const find = () => [...waiting].find((timer) => timer.delayMs === delayMs);
    let found = find();
    while (found === undefined) {
      await withinBound(armed.promise, `a timer of ${delayMs} ms`);
      found = find();
    }
    waiting.delete(found);
    found.callback();
  }
  return { later, due, count: () => waiting.size };
}

/** Loses a socket with its directory, which is made anew, and then twice more without. */
export async function loseThrice(
  socketPath: string,
  logged: (words: string, count: number) => Promise<unknown>,
): Promise<void> {
  const directory = path.dirname(socketPath);
  fs.rmSync(directory, { recursive: true });
  fs.mkdirSync(directory);
  await logged('is put back', 1);
  for (const round of [2, 3]) {
    fs.unlinkSync(socketPath);
    await logged('is put back', round);
  }
}
