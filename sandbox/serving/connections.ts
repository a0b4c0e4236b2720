/**
 * The server's open connections. They can be closed, or silenced: still open, but nothing comes through any more, as
 * behind a firewall that has forgotten them.
 */
import type { Socket } from 'node:net';

export interface Connections {
  /** Takes note of a new connection. */
  add(socket: Socket): void;
  destroyAll(): void;
  freezeAll(): void;
  /** True for a connection that was turned dead: what still came through is not to be looked at. */
  isFrozen(socket: Socket): boolean;
}

export function trackConnections(): Connections {
  const open = new Set<Socket>();
  const frozen = new WeakSet<Socket>();
  return {
    add: (socket) => {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      // A client may reset its connection at any time; 'close' follows and everything is released there.
      socket.on('error', () => socket.destroy());
    },
    destroyAll: () => {
      for (const socket of open) {
        socket.destroy();
      }
    },
    freezeAll: () => {
      for (const socket of open) {
        frozen.add(socket);
        silence(socket);
      }
    },
    isFrozen: (socket) => frozen.has(socket),
  };
}

/** Nothing written from now on leaves. */
function silence(socket: Socket): void {
  socket.write = () => true;
  socket.end = () => socket;
}
