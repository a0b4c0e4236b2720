/**
 * Serves a unix socket that only the agent's user may connect to, and that is not taken from a process that still serves it.
 */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { systemCode, toVolumeError, VolumeError } from '../base/errors.ts';
import { isSame, lstat } from '../files/hold.ts';
import { removeTree } from '../files/remove.ts';

/** `sun_path` holds 108 bytes and ends with a NUL. */
const maxSocketPathBytes = 107;

/** What answers on a socket. */
export interface SocketServer {
  /** Begins to listen at a path. */
  listen(path: string): Promise<void>;
  /** Takes no more connections and lets calls under way end. @param over is called when they have */
  close(over: () => void): void;
  /** Ends at once whatever is left. */
  cut(): void;
}

/** A socket in its place. */
export interface ServedSocket {
  /** False once the socket was removed or another one lies at its path. */
  inPlace(): boolean;
  /** Removes the socket from its path, if it is still this one. Connections live on. */
  release(): void;
}

/**
 * Binds the server to the path. A socket that nobody serves any more is replaced. On failure the server is shut down.
 * @param takesOver whether a socket that another process serves is replaced, too
 * @throws VolumeError SocketUnusable when another process serves it, or something that is not a socket lies there.
 */
export async function serveSocket(server: SocketServer, socketPath: string, takesOver = false): Promise<ServedSocket> {
  try {
    fs.mkdirSync(path.dirname(socketPath), { recursive: true, mode: 0o750 });
    await removeStale(socketPath, takesOver);
    return await bind(server, socketPath);
  } catch (error) {
    // It may listen already, where nobody can find it.
    server.cut();
    throw toVolumeError(error, `serving ${socketPath}`);
  }
}

/**
 * Binds inside a directory that nobody else can enter, sets the socket's mode, and only then links it to its path. Linking, not
 * renaming: of two agents that start at once the second one fails. The kubelet's plugin watcher skips hidden directories.
 */
async function bind(server: SocketServer, socketPath: string): Promise<ServedSocket> {
  // Beside the socket: what is mounted into the agent's container may be this one directory.
  const hidden = fs.mkdtempSync(path.join(path.dirname(socketPath), '.bind-'));
  const bound = path.join(hidden, 's');
  let own: fs.Stats;
  try {
    const longest = Math.max(Buffer.byteLength(bound), Buffer.byteLength(socketPath));
    if (longest > maxSocketPathBytes) {
      const message = `${socketPath} is ${longest - maxSocketPathBytes} bytes too long for a unix socket`;
      throw new VolumeError('SocketUnusable', message);
    }
    await server.listen(bound);
    fs.chmodSync(bound, 0o600);
    own = fs.lstatSync(bound);
    link(bound, socketPath);
  } finally {
    removeTree(hidden);
  }
  const inPlace = () => {
    try {
      return isSame(own, lstat(socketPath));
    } catch {
      // Such as where its directory is a file by now. What cannot be looked at cannot be reached either.
      return false;
    }
  };
  return {
    inPlace,
    release: () => {
      if (inPlace()) {
        fs.rmSync(socketPath, { force: true });
      }
    },
  };
}

function link(bound: string, socketPath: string): void {
  try {
    fs.linkSync(bound, socketPath);
  } catch (error) {
    throw systemCode(error) === 'EEXIST' ? inUse(socketPath) : error;
  }
}

async function removeStale(socketPath: string, takesOver: boolean): Promise<void> {
  const before = lstat(socketPath);
  if (before === undefined) {
    return;
  }
  if (!before.isSocket()) {
    throw new VolumeError('SocketUnusable', `${socketPath} is there and is not a socket; remove it`);
  }
  if (!takesOver && (await isServed(socketPath))) {
    throw inUse(socketPath);
  }
  // Only the socket that was looked at: another agent may have put its own there meanwhile.
  if (isSame(before, lstat(socketPath))) {
    fs.rmSync(socketPath, { force: true });
  }
}

/** The kernel answers at once: where nobody has time to take a connection, it is the queue that takes it, or is full. */
function isServed(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = net.connect(socketPath);
    const answer = (served: boolean) => {
      connection.destroy();
      resolve(served);
    };
    connection.once('connect', () => answer(true));
    connection.once('error', (error) => {
      const code = systemCode(error);
      answer(code !== 'ECONNREFUSED' && code !== 'ENOENT');
    });
  });
}

function inUse(socketPath: string): VolumeError {
  return new VolumeError('SocketUnusable', `another process serves ${socketPath}; one agent per node and driver name`);
}
