/**
 * A socket that is served from start to stop, and put back when it, or the whole directory it lies in, is removed
 * meanwhile: otherwise the agent would go on running and no kubelet could reach it.
 *
 * A loss is noticed in two ways. A watch of the directory notices it at once; the watch belongs to the directory and
 * not to its name, so it is opened anew whenever the socket has been put back. And every few seconds the socket is
 * looked for, since a watch can be lost.
 */
import fs from 'node:fs';
import path from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { Log } from './driver.ts';
import { type ServedSocket, type SocketServer, serveSocket } from './socket.ts';

/** Calls back once after so many milliseconds. @returns cancels. */
export type Later = (delayMs: number, callback: () => void) => () => void;

export interface KeptSocketOptions {
  /** What the log calls it, such as `CSI socket`. */
  readonly name: string;
  /** Absolute path of the socket; its directory is made when it is missing. */
  readonly socketPath: string;
  /** Makes what serves the socket: a server of its own each time the socket is put in place. */
  readonly makeServer: () => SocketServer;
  /** Whether a socket that is served already is replaced at the start. Later it belongs to whoever put it there. Default false. */
  readonly takesOver?: boolean;
  readonly log: Log;
  /** Called when the socket is found gone, before it is put back. */
  readonly onLost?: () => void;
  /** Default: the system's timer. */
  readonly later?: Later | undefined;
}

export interface KeptSocket {
  /** Puts the socket in place unless it is. @throws VolumeError SocketUnusable when another agent serves it. */
  start(): Promise<void>;
  /**
   * Removes the socket, so that no new connection comes, and lets calls end for `graceMs`. Idempotent.
   * @param answered when all calls are answered; what is left then is cut off soon
   */
  stop(graceMs: number, answered?: Promise<void>): Promise<void>;
  /** Why nobody can connect; undefined when all is well. */
  problem(): string | undefined;
}

/** How often the socket is looked for, whatever the watch says. */
const lookMs = 10_000;
/** How long to wait before the socket is tried again when it cannot be put back. */
const retryMs = 1_000;

const systemLater: Later = (delayMs, callback) => {
  const timer = setTimeout(callback, delayMs);
  return () => clearTimeout(timer);
};

export function createKeptSocket(options: KeptSocketOptions): KeptSocket {
  const { name, socketPath, log, later = systemLater } = options;
  /** Every server with calls under way: an earlier one ends its calls after its socket is gone. */
  const servers = new Set<SocketServer>();
  const watch = createDirectoryWatch(path.dirname(socketPath), log, look);
  let served: { readonly server: SocketServer; readonly socket: ServedSocket } | undefined;
  let failure: string | undefined;
  let looking: Promise<void> = Promise.resolve();
  let cancelLook = (): void => {};
  let stopped = false;

  /** Puts the socket in place, one attempt at a time. */
  async function serve(takesOver = false): Promise<void> {
    const server = options.makeServer();
    served = { server, socket: await serveSocket(server, socketPath, takesOver) };
    servers.add(server);
    failure = undefined;
    if (stopped) {
      // The stop found nothing to remove.
      served.socket.release();
    } else {
      watch.ensure();
    }
  }

  /** Looks after the socket, one look at a time, and arranges the next look. */
  function look(): void {
    looking = looking.then(async () => {
      if (stopped) {
        return;
      }
      cancelLook();
      await keep();
      if (!stopped) {
        cancelLook = later(failure === undefined ? lookMs : retryMs, look);
      }
    });
  }

  async function keep(): Promise<void> {
    if (served?.socket.inPlace()) {
      watch.ensure();
      return;
    }
    if (served !== undefined) {
      retire(served.server);
      served = undefined;
      options.onLost?.();
    }
    // The directory may be another one by now, perhaps with the inode number of the old one. And an attempt changes it:
    // after one that failed only time leads to another.
    watch.close();
    try {
      await serve();
      log.warn(`the ${name} was removed, and is put back`, { address: socketPath });
    } catch (error) {
      failure = messageOf(error);
      log.error(`the ${name} cannot be put back`, { address: socketPath, error });
    }
  }

  function retire(server: SocketServer): void {
    server.close(() => servers.delete(server));
  }

  async function start(): Promise<void> {
    // Behind a look that is putting the socket back, which would be taken for another agent.
    const started = looking.then(() => (served === undefined && !stopped ? serve(options.takesOver) : undefined));
    looking = started.catch(() => undefined);
    await started;
    // A removal between serving and watching went unseen.
    look();
    await looking;
  }

  return {
    start,
    stop: async (graceMs, answered) => {
      stopped = true;
      cancelLook();
      watch.close();
      served?.socket.release();
      await looking;
      await Promise.all([...servers].map((server) => shutDown(server, graceMs, answered)));
    },
    problem() {
      if (failure !== undefined) {
        return failure;
      }
      return served?.socket.inPlace() ? undefined : `the ${name} is not at ${socketPath}`;
    },
  };
}

/** How long answers may take to leave once all calls have one, milliseconds. */
const leavingMs = 500;

/**
 * Ends a server: gracefully while `graceMs` last, then at once. The library's word that all is over may never come, when
 * connections came and went in that moment; then the end of the calls is the end of the server.
 */
async function shutDown(server: SocketServer, graceMs: number, answered?: Promise<void>): Promise<void> {
  const over = Promise.withResolvers<void>();
  const grace = setTimeout(over.resolve, graceMs);
  // It may come when all is over, and holds up nobody then.
  void answered?.then(() => setTimeout(over.resolve, leavingMs).unref());
  server.close(() => over.resolve());
  await over.promise;
  clearTimeout(grace);
  server.cut();
}

/** Watches the directory that lies at a path when the watch is opened. */
function createDirectoryWatch(directory: string, log: Log, onChange: () => void) {
  let watcher: fs.FSWatcher | undefined;
  let isReported = false;

  function close(): void {
    watcher?.close();
    watcher = undefined;
  }

  function fail(error: unknown): void {
    close();
    if (isReported) {
      return;
    }
    isReported = true;
    log.warn('a directory cannot be watched; it is looked at every few seconds', { path: directory, error });
  }

  /** Opens the watch unless it is open. */
  function ensure(): void {
    if (watcher !== undefined) {
      return;
    }
    try {
      watcher = fs.watch(directory, onChange);
      watcher.on('error', fail);
    } catch (error) {
      fail(error);
    }
  }

  return { ensure, close };
}
