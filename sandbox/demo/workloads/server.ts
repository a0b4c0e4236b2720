/**
 * A sample workload: a server that speaks mutual TLS with the files projected for it, and takes new ones without dropping
 * a connection. It answers each line with the line `ok`. Reports go to standard output, see `report.ts`.
 *
 *     node server.ts --volume DIR [--port N] [--peer SPIFFE-ID] [--credential-bundle FILE | --key FILE --chain FILE]
 */
import { createInterface } from 'node:readline';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { WorkloadOptions } from './options.ts';
import { runAsProcess } from './process.ts';
import { firstCertificate, identityOf, type Say, subjectsOf } from './report.ts';
import { followVolume, type VolumeContents } from './volume.ts';

/** Runs the server until the signal is aborted. */
function runServer(options: WorkloadOptions, say: Say, signal: AbortSignal): void {
  const sockets = new Set<TLSSocket>();
  let server: Server | undefined;
  let knownPeer = '';

  const welcome = (socket: TLSSocket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', (error) => say({ type: 'failure', message: error.message }));
    const certificate = socket.getPeerX509Certificate();
    const peer = certificate === undefined ? undefined : identityOf(certificate);
    if (peer === undefined || (options.peer !== undefined && peer.spiffeId !== options.peer)) {
      say({ type: 'failure', message: `the client is ${peer?.spiffeId || 'nameless'}, not ${options.peer}` });
      socket.destroy();
      return;
    }
    if (peer.serial !== knownPeer) {
      say({ type: 'peer', identity: peer });
    }
    knownPeer = peer.serial;
    const lines = createInterface({ input: socket });
    lines.on('line', () => socket.write('ok\n'));
    // The interface repeats the socket's error, which is told above.
    lines.on('error', () => {});
  };

  const start = (contents: VolumeContents) => {
    const created = createServer({ ...contents, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' });
    created.on('secureConnection', welcome);
    created.on('tlsClientError', (error) => say({ type: 'failure', message: error.message }));
    created.listen(options.port, '127.0.0.1', () => {
      const address = created.address();
      if (typeof address === 'object' && address !== null) {
        say({ type: 'listening', port: address.port });
      }
    });
    return created;
  };

  const unfollow = followVolume(options.volume, options.files, {
    changed: (contents) => {
      // New connections get the new files; those that stand keep what they were made with.
      if (server === undefined) {
        server = start(contents);
      } else {
        server.setSecureContext({ ...contents, minVersion: 'TLSv1.3' });
      }
      say({ type: 'own', identity: identityOf(firstCertificate(contents.cert)) });
      say({ type: 'anchors', subjects: subjectsOf(contents.ca) });
    },
    failed: (error) => say({ type: 'failure', message: String(error) }),
  });

  const stop = () => {
    unfollow();
    server?.close();
    for (const socket of sockets) {
      socket.destroy();
    }
  };
  signal.addEventListener('abort', stop, { once: true });
}

if (import.meta.main) {
  runAsProcess(runServer);
}
