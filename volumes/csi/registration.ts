/**
 * Registers the driver with the kubelet: the kubelet watches a directory, connects to every socket in it, asks what
 * plugin it belongs to, and says whether it accepts that. The agent serves that socket itself, puts it back when
 * somebody removes it, and takes it away when it shuts down.
 *
 * https://kubernetes.io/docs/reference/node/kubelet-files/#plugins_registry
 */
import path from 'node:path';
import { Server } from '@grpc/grpc-js';
import { createCalls } from './calls.ts';
import type { Log } from './driver.ts';
import { overGrpc } from './grpc-socket.ts';
import { createKeptSocket, type Later } from './kept-socket.ts';
import { registrationService } from './protocol.ts';

/** What the kubelet thinks of the driver. */
type RegistrationState =
  /** The kubelet has said nothing since the socket was put in place. */
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
  /** The kubelet has registered the driver; also when it does so again, as after a restart of its own. */
  readonly onRegistered?: () => void;
  /** Default: the system's timer. */
  readonly later?: Later;
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
  const socket = createKeptSocket({
    name: 'registration socket',
    socketPath,
    makeServer: () => overGrpc(makeServer()),
    log,
    // The kubelet forgets a plugin whose socket goes, and asks the new one.
    onLost: () => {
      state = { type: 'waiting' };
    },
    later: options.later,
  });

  function makeServer(): Server {
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
          if (status.plugin_registered) {
            state = { type: 'registered' };
            log.info('the kubelet registered the driver', { driver: driverName });
            options.onRegistered?.();
          } else {
            state = { type: 'rejected', error: status.error };
            log.error('the kubelet rejected the driver', { driver: driverName, detail: status.error });
          }
          return {};
        },
      ),
    });
    return server;
  }

  return {
    start: async () => {
      await socket.start();
      log.info('serving the registration socket', { address: socketPath });
    },
    stop: () => socket.stop(1000),
    state: () => state,
  };
}
