/**
 * Opens TLS to a program of a pod, takes the certificate that it shows, and hangs up. Nobody is trusted by that, so nothing is verified, and
 * nothing is sent beyond the handshake. Runs in a thread of its own (`handshake-program.ts`): how long a handshake keeps a processor
 * busy is in the hand of the program that is looked at.
 */
import tls from 'node:tls';

export interface Target {
  readonly ip: string;
  readonly port: number;
  readonly serverName?: string;
}

/** What was seen, or the system's or the library's word for why nothing was. */
export type Sight =
  | {
      readonly type: 'leaf';
      /** DER. */
      readonly der: Uint8Array;
      /** Upper-case hexadecimal, cut to what is shown. */
      readonly serialNumber: string;
      /** Milliseconds since the epoch. */
      readonly notAfter: number;
    }
  | { readonly type: 'nothing'; readonly why: string };

const shownSerialLength = 64;
/** For a parting that programs do not log as an error; well within a pod's turn. */
const partingMs = 250;

/** Never rejects. */
export function handshake({ ip, port, serverName }: Target, timeoutMs: number, signal: AbortSignal): Promise<Sight> {
  return new Promise((resolve) => {
    const socket = tls.connect({
      host: ip,
      port,
      ca: [],
      rejectUnauthorized: false,
      ...(serverName === undefined ? {} : { servername: serverName }),
    });
    let sight: Sight = { type: 'nothing', why: 'the connection was closed' };
    const finish = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve(sight);
      socket.destroy();
    };
    signal.addEventListener('abort', finish, { once: true });
    const fail = (why: string): void => {
      if (sight.type === 'nothing') {
        sight = sightOf(socket) ?? { type: 'nothing', why };
      }
      finish();
    };
    let timer = setTimeout(() => fail(`no answer within ${timeoutMs / 1_000} s`), timeoutMs);
    socket.on('secureConnect', () => {
      sight = sightOf(socket) ?? { type: 'nothing', why: 'no certificate' };
      clearTimeout(timer);
      timer = setTimeout(finish, partingMs);
      socket.resume().end();
    });
    // Up to TLS 1.2 a server that wants to see a certificate shows its own before it refuses.
    socket.on('error', (error) => fail(codeOf(error)));
    socket.on('close', finish);
  });
}

function sightOf(socket: tls.TLSSocket): Sight | undefined {
  const certificate = socket.getPeerX509Certificate();
  return (
    certificate && {
      type: 'leaf',
      der: Uint8Array.from(certificate.raw),
      serialNumber: certificate.serialNumber.slice(0, shownSerialLength),
      notAfter: certificate.validToDate.getTime(),
    }
  );
}

/** Its message may quote what the pod has sent. */
function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : 'no TLS';
}
