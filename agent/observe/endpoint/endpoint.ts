/**
 * The HTTP endpoint as the options want it: with TLS from files or self-signed, and with a token asked for, wherever more
 * than the node itself can reach the address.
 */
import type { Clock } from '../../time/clock.ts';
import type { Logger } from '../log/log.ts';
import { type AuthMode, createAccessCheck, type ReviewClient } from './access.ts';
import { type CertificateSource, watchCertificateFiles } from './certificate-files.ts';
import { createObserveServer, isLoopback, type ObserveServer } from './http.ts';
import { createRoutes, type RouteSources } from './routes.ts';

export interface EndpointOptions {
  readonly address: { readonly host: string; readonly port: number };
  readonly auth: AuthMode;
  /** Absolute paths; both or neither. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly sources: RouteSources;
  /** Asks the API server about tokens. */
  readonly client: ReviewClient;
  /** The wall clock. */
  readonly clock: Clock;
  /** Must not go back. */
  readonly monotonic: Clock;
  readonly log: Logger;
}

/** @throws the error of `listen`, or Error when the certificate's files cannot be used */
export async function openEndpoint(options: EndpointOptions): Promise<ObserveServer> {
  const { address, auth, client, monotonic, log } = options;
  const isPrivate = isLoopback(address.host);
  const certificate = await certificateOf(options, isPrivate);
  const access = createAccessCheck({
    client,
    clock: monotonic,
    onUnknown: (error) => log.warn('the API server cannot be asked who may read metrics and status', { error }),
  });
  try {
    const server = await createObserveServer({
      address,
      routes: createRoutes(options.sources),
      log,
      ...(certificate === undefined ? {} : { certificate }),
      ...(isPrivate && auth === 'auto' ? {} : { access }),
    });
    return {
      address: server.address,
      close: async () => {
        await server.close();
        await certificate?.close();
      },
    };
  } catch (error) {
    await certificate?.close();
    throw error;
  }
}

async function certificateOf(options: EndpointOptions, isPrivate: boolean): Promise<CertificateSource | undefined> {
  const { certFile, keyFile, clock, log } = options;
  const onRejected = (error: unknown): void =>
    log.error('the HTTP endpoint cannot use its new certificate; the earlier one stays', { error });
  if (certFile !== undefined && keyFile !== undefined) {
    return watchCertificateFiles({ certFile, keyFile, onRejected });
  }
  if (isPrivate) {
    return undefined;
  }
  const { createSelfSigned } = await import('./self-signed.ts');
  return createSelfSigned({ clock, nodeName: options.sources.status.nodeName, onFault: onRejected });
}
