/**
 * What lies between the agent and its API server: a gate that lets bytes through, or not. Whoever stands in it is not seen in either
 * direction, as behind a firewall that forgets connections.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { eventOf } from '../../support/bounded.ts';

export interface Gate {
  readonly port: number;
  /** Nobody listens any more, and every connection is cut off. */
  shut(): Promise<void>;
  /** Somebody listens again. */
  open(): Promise<void>;
  /** Connections stay, and new ones are taken; nothing comes through, and what was sent meanwhile never will. */
  freeze(): void;
  /** New connections get through again; frozen ones never do. */
  thaw(): void;
  /** Every connection is cut off; new ones are taken. */
  cut(): void;
}

export async function startGate(t: { after(close: () => Promise<void>): void }, toPort: number): Promise<Gate> {
  const sockets = new Set<Socket>();
  let isFrozen = false;
  let server: Server | undefined;
  let port = 0;

  const pair = (near: Socket): void => {
    const far = isFrozen ? undefined : connect(toPort, '127.0.0.1');
    const both = far === undefined ? [near] : [near, far];
    for (const socket of both) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        sockets.delete(socket);
        for (const other of both) {
          other.destroy();
        }
      });
    }
    if (far !== undefined) {
      near.pipe(far);
      far.pipe(near);
    }
  };
  const cut = (): void => {
    for (const socket of sockets) {
      socket.destroy();
    }
  };
  const open = async (): Promise<void> => {
    server = createServer(pair);
    const listening = eventOf(server, 'listening', 'the gate to listen');
    server.listen(port, '127.0.0.1');
    await listening;
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : port;
  };
  const shut = async (): Promise<void> => {
    const closing = server;
    server = undefined;
    if (closing !== undefined) {
      const closed = eventOf(closing, 'close', 'the gate to be shut');
      closing.close();
      cut();
      await closed;
    }
  };
  t.after(shut);
  await open();
  return {
    port,
    ...{ shut, open, cut },
    freeze() {
      isFrozen = true;
      for (const socket of sockets) {
        socket.unpipe();
        // What comes is read, as by a machine that is there, and forgotten.
        socket.resume();
      }
    },
    thaw() {
      isFrozen = false;
    },
  };
}
