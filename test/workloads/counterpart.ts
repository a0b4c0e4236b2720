/**
 * The other side of a workload's connections, in the test's own process: OpenSSL, as Node.js has it. A client that asks what is served, and a
 * server that answers whoever has a certificate of the same anchors.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { eventOf, withinBound } from '../support/bounded.ts';
import type { Owner } from '../support/programs.ts';

/** The name that recipes and pods agree upon: that of the Service called like the pods' account. */
export const peerName = 'server.mtls-example.svc';

/** How a protocol comes to TLS and what it says first; default: TLS at once, and a request of HTTP. */
export interface Protocol {
  readonly beforeTls?: (socket: Socket) => Promise<void>;
  readonly greeting?: Buffer;
}

interface Credentials {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** What is in a volume now. */
export function credentialsIn(volume: string): Credentials {
  const bundle = readFileSync(join(volume, 'credentials.pem'), 'utf8');
  return { key: bundle, cert: bundle, ca: readFileSync(join(volume, 'trust-anchors.pem'), 'utf8') };
}

/**
 * One handshake with the credentials of a volume, up to the server's first answer: it comes only when the server has accepted the client too.
 * @returns the serial number of the server's leaf
 * @throws Error when one of the two refuses the other
 */
export async function handshake(port: number, volume: string, protocol: Protocol = {}): Promise<string> {
  const { beforeTls, greeting = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n') } =
    protocol;
  const plain = connectTcp({ host: '127.0.0.1', port });
  try {
    await eventOf(plain, 'connect', 'the connection');
    await beforeTls?.(plain);
    const socket = connect({ socket: plain, servername: peerName, ...credentialsIn(volume) });
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    socket.once('secureConnect', () => socket.write(greeting));
    socket.once('data', () => resolve(socket.getPeerCertificate().serialNumber));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the server closed the connection')));
    return await withinBound(promise, 'an answer over TLS').finally(() => socket.destroy());
  } finally {
    plain.destroy();
  }
}

/** A server with the credentials of a volume as they are now. */
export async function startPeer(owner: Owner, volume: string): Promise<{ readonly port: number }> {
  const options = { ...credentialsIn(volume), requestCert: true, rejectUnauthorized: true };
  const server = createServer(options, (_request, response) => void response.end('hello\n')).listen(0, '127.0.0.1');
  await eventOf(server, 'listening', 'the peer to listen');
  owner.after(async () => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new Error('a server of TCP has a port');
  }
  return { port: address.port };
}
