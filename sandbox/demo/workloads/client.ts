/**
 * A sample workload: a client that keeps asking a server over mutual TLS with the files projected for it. Each round it asks
 * twice, over a connection made for this one request and over one that lasts for good, so that both a bad file and a
 * dropped connection show. Reports go to standard output, see `report.ts`.
 *
 *     node client.ts --volume DIR --port N [--peer SPIFFE-ID] [--interval-ms N] [--credential-bundle FILE | --key FILE --chain FILE]
 */
import { X509Certificate } from 'node:crypto';
import { connect, createSecureContext, type PeerCertificate, type SecureContext, type TLSSocket } from 'node:tls';
import { messageOf } from '../../base/errors.ts';
import type { WorkloadOptions } from './options.ts';
import { runAsProcess } from './process.ts';
import { firstCertificate, identityOf, type Say, subjectsOf } from './report.ts';
import { followVolume } from './volume.ts';

/** A request that takes longer has failed. */
const requestTimeoutMs = 10_000;
const countersIntervalMs = 500;

/** Runs the client until the signal is aborted. */
function runClient(options: WorkloadOptions, say: Say, signal: AbortSignal): void {
  const counters = { fresh: 0, lasting: 0, failed: 0 };
  let context: SecureContext | undefined;
  let lasting: TLSSocket | undefined;
  let knownPeer = '';

  const open = (secureContext: SecureContext): TLSSocket => {
    const check = (_host: string, certificate: PeerCertificate) => checkPeer(certificate, options.peer);
    const { port } = options;
    const socket = connect({ host: '127.0.0.1', port, secureContext, checkServerIdentity: check });
    // Between two requests nobody listens; the next request finds the connection closed.
    socket.on('error', () => {});
    socket.on('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      if (certificate === undefined || certificate.serialNumber === knownPeer) {
        return;
      }
      knownPeer = certificate.serialNumber;
      say({ type: 'peer', identity: identityOf(certificate) });
    });
    return socket;
  };

  /** @returns true when the connection is still good. */
  const ask = async (kind: 'fresh' | 'lasting', socket: TLSSocket): Promise<boolean> => {
    try {
      await askOnce(socket);
      counters[kind] += 1;
      return true;
    } catch (error) {
      if (signal.aborted) {
        return false;
      }
      counters.failed += 1;
      say({ type: 'failure', message: `${kind} connection: ${messageOf(error)}` });
      return false;
    }
  };

  const askFresh = async (secureContext: SecureContext) => {
    const socket = open(secureContext);
    await ask('fresh', socket);
    socket.destroy();
  };

  const askLasting = async (secureContext: SecureContext) => {
    lasting ??= open(secureContext);
    if (!(await ask('lasting', lasting))) {
      lasting.destroy();
      lasting = undefined;
    }
  };

  // One request of each kind at a time: an answer on the lasting connection could be taken for that to the request before, and a
  // server that is slow is not asked by ever more connections at once.
  const underway = new Set<typeof askFresh>();
  const once = async (request: typeof askFresh, secureContext: SecureContext) => {
    if (!underway.has(request)) {
      underway.add(request);
      await request(secureContext);
      underway.delete(request);
    }
  };

  const round = () => {
    if (context === undefined) {
      return;
    }
    void once(askFresh, context);
    void once(askLasting, context);
  };

  const unfollow = followVolume(options.volume, options.files, {
    changed: (contents) => {
      context = createSecureContext({ ...contents, minVersion: 'TLSv1.3' });
      say({ type: 'own', identity: identityOf(firstCertificate(contents.cert)) });
      say({ type: 'anchors', subjects: subjectsOf(contents.ca) });
    },
    failed: (error) => say({ type: 'failure', message: String(error) }),
  });
  const rounds = setInterval(round, options.intervalMs);
  const counting = setInterval(() => say({ type: 'counters', ...counters }), countersIntervalMs);

  const stop = () => {
    unfollow();
    clearInterval(rounds);
    clearInterval(counting);
    lasting?.destroy();
    say({ type: 'counters', ...counters });
  };
  signal.addEventListener('abort', stop, { once: true });
}

/** The rule for the server's certificate, beyond its chain: it bears the SPIFFE ID that is expected. */
function checkPeer(certificate: PeerCertificate, expected: string | undefined): Error | undefined {
  if (expected === undefined) {
    return undefined;
  }
  const { spiffeId } = identityOf(new X509Certificate(certificate.raw));
  return spiffeId === expected ? undefined : new Error(`the server is ${spiffeId || 'nameless'}, not ${expected}`);
}

/** Sends one request and waits for its answer. @throws Error when the connection ends or the answer takes too long. */
function askOnce(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      clearTimeout(timer);
      socket.off('data', answered);
      socket.off('close', closed);
      socket.off('error', settle);
      if (error === undefined) {
        resolve();
      } else {
        reject(error);
      }
    };
    const answered = () => settle();
    const closed = () => settle(new Error('the connection was closed'));
    const timer = setTimeout(() => settle(new Error('no answer')), requestTimeoutMs);
    if (socket.destroyed) {
      closed();
    }
    socket.on('data', answered);
    socket.on('close', closed);
    socket.on('error', settle);
    socket.write('hello\n');
  });
}

if (import.meta.main) {
  runAsProcess(runClient);
}
