/** Reads `probe`: where a program of the pod serves the volume's certificate over TLS, so that it can be seen whether it took up a new one. */
import type { Steps } from '../base/steps.ts';
import { parseMapping, readPort } from './attribute.ts';
import { type Fault, quote, readString } from './fields.ts';
import { isDnsSubdomain } from './names.ts';

/** A TLS server of the pod. There is no field for a host: nobody else is looked at. */
export interface Probe {
  readonly port: number;
  /** Sent as the name of the server that is wanted (SNI); absent: none is sent. */
  readonly serverName?: string;
}

/** @returns nothing when the attribute is absent or has faults */
export function* parseProbe(text: string | undefined, faults: Fault[]): Steps<Probe | undefined> {
  const mapping = yield* parseMapping(text, 'probe', ['port', 'serverName'], faults);
  if (mapping === undefined) {
    return undefined;
  }
  const port = readPort(mapping, 'probe', faults);
  const serverName = readString(mapping, 'serverName', 'probe', faults);
  if (serverName !== undefined && !isServerName(serverName)) {
    const message = `must be a DNS name in lower case like "web.shop.svc", not ${quote(serverName)}`;
    faults.push({ field: 'probe.serverName', message });
  }
  return port === undefined ? undefined : { port, ...(serverName === undefined ? {} : { serverName }) };
}

/** What is served is compared with the volume's certificates: there must be one. */
export function checkProbe(
  probe: Probe | undefined,
  sources: readonly { readonly kind: string }[],
  faults: Fault[],
): void {
  if (probe !== undefined && sources.length > 0 && sources.every(({ kind }) => kind !== 'podCertificate')) {
    faults.push({
      field: 'probe',
      message: 'needs a podCertificate source in the volume, whose certificate is served',
    });
  }
}

/** An address in the clothes of a name is none that a server can be asked for. */
export function isServerName(text: string): boolean {
  return isDnsSubdomain(text) && !/^[\d.]+$/.test(text);
}
