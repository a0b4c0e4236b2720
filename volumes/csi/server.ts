/**
 * The CSI socket: Identity and Node services for one driver, from start to a shutdown that lets calls in flight end.
 *
 * https://github.com/container-storage-interface/spec/blob/master/spec.md#identity-service-rpc
 */
import { Server, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { type Calls, createCalls } from './calls.ts';
import type { Log, VolumeDriver } from './driver.ts';
import { overGrpc } from './grpc-socket.ts';
import { createKeptSocket, type Later } from './kept-socket.ts';
import { createNodeService } from './node.ts';
import { identityService, nodeService } from './protocol.ts';
import type { OnRefused } from './refusals.ts';
import { CallError } from './status.ts';

/**
 * Largest call, in bytes: a declaration with all that the kubelet adds has a quarter of it. A pod may have a megabyte of attributes, sixty
 * thousand of them, which take a third of a second to read.
 */
const maxCallBytes = 256 * 1024;

export interface CsiServerOptions {
  /** Absolute path of the unix socket; its directory is made when it is missing. */
  readonly socketPath: string;
  readonly driverName: string;
  /** The agent's version, for GetPluginInfo. */
  readonly version: string;
  readonly nodeName: string;
  readonly driver: VolumeDriver;
  /** Whether kubelets before 1.37 can ask how volumes are; they then ask for each volume, every minute or two. Default false. */
  readonly volumeCondition?: boolean;
  readonly log: Log;
  /** How long a call may take whose caller sets no deadline, milliseconds. */
  readonly publishTimeoutMs: number;
  /** Takes each call about a volume that is answered with an error, but for those that go on waiting. */
  readonly onRefused?: OnRefused;
  /** Default: the system's timer. */
  readonly later?: Later;
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
  /** Why the kubelet cannot connect; undefined when all is well. */
  problem(): string | undefined;
}

/** What is kept of the grace period for calls to answer after they are told to end. */
const answerMs = 500;

export function createCsiServer(options: CsiServerOptions): CsiServer {
  const opened = Promise.withResolvers<void>();
  // A shutdown before the start rejects it, perhaps with nobody waiting.
  opened.promise.catch(() => undefined);
  const calls = createCalls(options.log, options.publishTimeoutMs, opened.promise, options.onRefused);
  const { socketPath, log, later, driver, nodeName, volumeCondition = false } = options;
  const socket = createKeptSocket({
    name: 'CSI socket',
    socketPath,
    makeServer: () => overGrpc(makeServer()),
    log,
    later,
  });

  function makeServer(): Server {
    // Its channelz stays on, though nobody reads it: without it a forced shutdown leaves calls unanswered.
    const server = new Server({ 'grpc.max_receive_message_length': maxCallBytes });
    server.addService(identityService, createIdentityService(options, calls));
    server.addService(nodeService, createNodeService({ driver, nodeName, volumeCondition, calls }));
    return server;
  }

  return {
    claim: socket.start,
    start: async () => {
      await socket.start();
      opened.resolve();
      log.info('serving CSI', { address: socketPath });
    },
    stop: async (graceMs) => {
      const drained = socket.stop(graceMs, calls.answered());
      opened.reject(new CallError(status.UNAVAILABLE, 'the agent is shutting down'));
      const abort = setTimeout(() => calls.abort(), Math.max(0, graceMs - answerMs));
      await drained;
      clearTimeout(abort);
    },
    problem: socket.problem,
  };
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
