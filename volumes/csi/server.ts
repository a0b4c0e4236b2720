/**
 * The CSI socket: Identity and Node services for one driver, from start to a shutdown that lets calls in flight end.
 *
 * https://github.com/container-storage-interface/spec/blob/master/spec.md#identity-service-rpc
 */
import { Server, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { type Calls, createCalls } from './calls.ts';
import type { Log, VolumeDriver } from './driver.ts';
import { createNodeService } from './node.ts';
import { identityService, nodeService } from './protocol.ts';
import { type ServedSocket, serveSocket } from './socket.ts';
import { CallError } from './status.ts';

export interface CsiServerOptions {
  /** Absolute path of the unix socket; its directory is made when it is missing. */
  readonly socketPath: string;
  readonly driverName: string;
  /** The agent's version, for GetPluginInfo. */
  readonly version: string;
  readonly nodeName: string;
  readonly driver: VolumeDriver;
  readonly log: Log;
  /** How long a call may take whose caller sets no deadline, milliseconds. */
  readonly publishTimeoutMs: number;
}

export interface CsiServer {
  /**
   * Takes the socket; calls that come now wait for `start`. Whoever holds the socket is the one agent of this node, so this comes
   * before volumes of an earlier run are touched. @throws VolumeError SocketUnusable when another agent serves the socket.
   */
  claim(): Promise<void>;
  /** Takes the socket unless it is taken, and answers calls. @throws VolumeError SocketUnusable, as `claim` */
  start(): Promise<void>;
  /**
   * Removes the socket, so that no new connection comes, and waits for calls in flight; shortly before `graceMs` are over it tells
   * them to end, and at `graceMs` it ends them. Idempotent.
   */
  stop(graceMs: number): Promise<void>;
}

/** What is kept of the grace period for calls to answer after they are told to end. */
const answerMs = 500;

export function createCsiServer(options: CsiServerOptions): CsiServer {
  const opened = Promise.withResolvers<void>();
  // A shutdown before the start rejects it, perhaps with nobody waiting.
  opened.promise.catch(() => undefined);
  const calls = createCalls(options.log, options.publishTimeoutMs, opened.promise);
  const server = new Server();
  server.addService(identityService, createIdentityService(options, calls));
  server.addService(nodeService, createNodeService(options.driver, options.nodeName, calls));
  let socket: ServedSocket | undefined;

  async function claim(): Promise<void> {
    socket ??= await serveSocket(server, options.socketPath);
  }

  return {
    claim,
    start: async () => {
      await claim();
      opened.resolve();
      options.log.info('serving CSI', { address: options.socketPath });
    },
    stop: async (graceMs) => {
      socket?.release();
      opened.reject(new CallError(status.UNAVAILABLE, 'the agent is shutting down'));
      const abort = setTimeout(() => calls.abort(), Math.max(0, graceMs - answerMs));
      await shutDown(server, graceMs);
      clearTimeout(abort);
    },
  };
}

/** Ends a server: gracefully while `graceMs` last, then at once. */
export function shutDown(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
}

function createIdentityService(options: CsiServerOptions, calls: Calls): UntypedServiceImplementation {
  return {
    GetPluginInfo: calls.handle('GetPluginInfo', async () => ({
      name: options.driverName,
      vendor_version: options.version,
    })),
    GetPluginCapabilities: calls.handle('GetPluginCapabilities', async () => ({})),
    Probe: calls.handle('Probe', async () => ({ ready: { value: options.driver.ready() } })),
  };
}
