/**
 * Registers the driver with the kubelet: the kubelet watches a directory, connects to every socket in it, asks what plugin it
 * belongs to, and says whether it took it. The agent serves that socket itself, puts it back when somebody removes it, and
 * takes it away when it shuts down.
 *
 * https://kubernetes.io/docs/reference/node/kubelet-files/#plugins_registry
 */
import path from 'node:path';
import { Server } from '@grpc/grpc-js';
import { watch } from 'chokidar';
import { createCalls } from './calls.ts';
import type { Log } from './driver.ts';
import { registrationService } from './protocol.ts';
import { shutDown } from './server.ts';
import { type ServedSocket, serveSocket } from './socket.ts';

/** What the kubelet thinks of the driver. */
export type RegistrationState =
  /** Not asked yet, or asked for nothing since the socket was put in place. */
  | { readonly type: 'waiting' }
  | { readonly type: 'registered' }
  | { readonly type: 'rejected'; readonly error: string };

export interface RegistrationOptions {
  /** `<kubelet root>/plugins_registry`. */
  readonly directory: string;
  readonly driverName: string;
  /** The CSI socket as the kubelet finds it on the host. */
  readonly endpoint: string;
  readonly log: Log;
  /** Called on every change. */
  readonly onState?: (state: RegistrationState) => void;
  /** How long to wait before the socket is tried again when it cannot be put back; default 1000 ms. */
  readonly retryMs?: number;
}

export interface Registration {
  /** @throws VolumeError SocketUnusable when another agent serves the registration socket. */
  start(): Promise<void>;
  stop(): Promise<void>;
  state(): RegistrationState;
}

/** Calls of the kubelet's plugin watcher are answered from memory. */
const callTimeoutMs = 1_000;

export function createRegistration(options: RegistrationOptions): Registration {
  const { directory, driverName, log } = options;
  const socketPath = path.join(directory, `${driverName}-reg.sock`);
  const calls = createCalls(log, callTimeoutMs, Promise.resolve());
  let state: RegistrationState = { type: 'waiting' };
  let served: { readonly server: Server; readonly socket: ServedSocket } | undefined;
  let watcher: ReturnType<typeof watch> | undefined;
  let retry: NodeJS.Timeout | undefined;
  let restoring: Promise<void> = Promise.resolve();
  let stopped = false;

  function setState(next: RegistrationState): void {
    state = next;
    options.onState?.(next);
  }

  async function serve(): Promise<void> {
    const server = new Server();
    server.addService(registrationService, {
      GetInfo: calls.handle('GetInfo', async () => ({
        type: 'CSIPlugin',
        name: driverName,
        endpoint: options.endpoint,
        supported_versions: ['1.0.0'],
      })),
      NotifyRegistrationStatus: calls.handle(
        'NotifyRegistrationStatus',
        async (status: { readonly plugin_registered: boolean; readonly error: string }) => {
          if (status.plugin_registered) log.info('the kubelet registered the driver', { driver: driverName });
          else log.error('the kubelet rejected the driver', { driver: driverName, detail: status.error });
          setState(status.plugin_registered ? { type: 'registered' } : { type: 'rejected', error: status.error });
          return {};
        },
      ),
    });
    served = { server, socket: await serveSocket(server, socketPath) };
  }

  /** Puts the socket back if it is gone. One at a time; a failure is tried again. */
  function restore(): void {
    restoring = restoring.then(async () => {
      if (stopped || served?.socket.inPlace()) return;
      clearTimeout(retry);
      served?.server.forceShutdown();
      served = undefined;
      // The kubelet forgets a plugin whose socket goes, and asks the new one.
      setState({ type: 'waiting' });
      try {
        await serve();
        log.warn('the registration socket was removed, and is put back', { address: socketPath });
      } catch (error) {
        log.error('the registration socket cannot be put back', { address: socketPath, error });
        retry = setTimeout(restore, options.retryMs ?? 1000);
      }
    });
  }

  async function startWatching(): Promise<void> {
    watcher = watch(directory, { depth: 0, ignoreInitial: true });
    const opened = watcher;
    opened.on('error', (error) => log.warn('watching the registration directory failed', { path: directory, error }));
    await new Promise<void>((resolve) => opened.once('ready', () => resolve()));
    // Any event: a removal and what follows it may arrive as one change.
    opened.on('all', restore);
    // A removal between serving and watching went unseen.
    restore();
    await restoring;
  }

  return {
    start: async () => {
      await serve();
      await startWatching();
      log.info('serving the registration socket', { address: socketPath });
    },
    stop: async () => {
      stopped = true;
      clearTimeout(retry);
      await watcher?.close();
      await restoring;
      clearTimeout(retry);
      served?.socket.release();
      if (served !== undefined) await shutDown(served.server, 1000);
    },
    state: () => state,
  };
}
