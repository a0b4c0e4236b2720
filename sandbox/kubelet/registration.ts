/**
 * The kubelet's plugin watcher, for one CSI driver: sockets that appear in a directory are asked what they are, and told
 * whether they are registered; a socket that disappears takes its plugin with it.
 *
 * https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/#device-plugin-registration
 */
import { watch } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeService, registrationService } from '../../volumes/csi/protocol.ts';
import { messageOf } from '../base/errors.ts';
import type { CsiNodeBook } from './csi-node.ts';
import { callUnary } from './grpc.ts';

export interface PluginWatcherOptions {
  /** `<kubelet root>/plugins_registry`; it exists. */
  readonly directory: string;
  readonly driverName: string;
  /** How long until a plugin that could not be registered is asked again. Default 1000. */
  readonly retryMs?: number;
  /** Where the driver is written down; absent: nowhere. */
  readonly book?: CsiNodeBook | undefined;
  /** Told when the driver is registered (its endpoint) and when it is no more (undefined). */
  readonly onChange?: (endpoint: string | undefined) => void;
}

export interface PluginWatcher {
  /** The driver's CSI socket while it is registered. */
  endpoint(): string | undefined;
  close(): void;
}

interface PluginInfo {
  readonly type?: string;
  readonly name?: string;
  readonly endpoint?: string;
  readonly supported_versions?: readonly string[];
}

const callDeadlineMs = 10_000;

export function watchPlugins(options: PluginWatcherOptions): PluginWatcher {
  const { directory, driverName, retryMs = 1000, book, onChange = () => {} } = options;
  const closing = new AbortController();
  /** Socket that registered the driver; a socket made anew registers anew. */
  let registered: { readonly socket: string; readonly endpoint: string } | undefined;
  let working = false;
  let again = false;
  let timer: NodeJS.Timeout | undefined;

  const change = (to: typeof registered) => {
    const from = registered?.endpoint;
    registered = to;
    if (from !== to?.endpoint) {
      onChange(to?.endpoint);
    }
  };

  /** @returns the endpoint; undefined for a plugin of another kind or name. @throws Error when it does not answer. */
  const register = async (socket: string): Promise<string | undefined> => {
    const callOptions = { socket, deadlineMs: callDeadlineMs, signal: closing.signal };
    const answer = await callUnary(registrationService, 'GetInfo', {}, callOptions);
    if (answer.type === 'error') {
      throw new Error(answer.message);
    }
    const info: PluginInfo = answer.reply;
    if (info.type !== 'CSIPlugin' || info.name !== driverName || !info.endpoint) {
      return undefined;
    }
    const error =
      info.supported_versions?.includes('1.0.0') === true
        ? await writeDown(info.endpoint)
        : `unsupported versions ${info.supported_versions?.join()}`;
    const verdict = { plugin_registered: error === '', error };
    await callUnary(registrationService, 'NotifyRegistrationStatus', verdict, callOptions);
    if (error !== '') {
      throw new Error(error);
    }
    return info.endpoint;
  };

  /** Asks the driver what it calls the node, and writes both down. @returns what is wrong; nothing when it is done. */
  const writeDown = async (socket: string): Promise<string> => {
    if (book === undefined) {
      return '';
    }
    const callOptions = { socket, deadlineMs: callDeadlineMs, signal: closing.signal };
    const answer = await callUnary(nodeService, 'NodeGetInfo', {}, callOptions);
    if (answer.type === 'error') {
      return `error getting node info: ${answer.message}`;
    }
    const { node_id: nodeId = '' }: { readonly node_id?: string } = answer.reply;
    return await book.install(driverName, nodeId).then(
      () => '',
      (error: unknown) => `error updating CSINode object: ${messageOf(error)}`,
    );
  };

  /** One look at the directory. @returns false when a plugin has to be asked again. */
  const look = async (): Promise<boolean> => {
    let complete = true;
    const sockets = await socketsIn(directory);
    if (registered !== undefined && !sockets.has(registered.socket)) {
      change(undefined);
      await book?.uninstall(driverName).catch(() => {});
    }
    for (const [socket, path] of sockets) {
      if (registered !== undefined) {
        break;
      }
      try {
        const endpoint = await register(path);
        if (endpoint !== undefined) {
          change({ socket, endpoint });
        }
      } catch {
        complete = false;
      }
    }
    return complete;
  };

  const reconcile = async () => {
    again = working;
    if (working || closing.signal.aborted) {
      return;
    }
    working = true;
    clearTimeout(timer);
    const complete = await look().catch(() => false);
    working = false;
    if (closing.signal.aborted) {
      return;
    }
    if (again) {
      void reconcile();
    } else if (!complete) {
      timer = setTimeout(() => void reconcile(), retryMs);
    }
  };

  const watcher = watch(directory, () => void reconcile());
  watcher.on('error', () => void reconcile());
  void reconcile();
  return {
    endpoint: () => registered?.endpoint,
    close: () => {
      closing.abort();
      clearTimeout(timer);
      watcher.close();
    },
  };
}

/** Sockets in a directory: path by path, inode and birth, since the next socket may get the number of the one that went. */
async function socketsIn(directory: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const info = await stat(path).catch(() => undefined);
    if (info?.isSocket()) {
      found.set(`${path} ${info.ino} ${info.birthtimeMs}`, path);
    }
  }
  return found;
}
