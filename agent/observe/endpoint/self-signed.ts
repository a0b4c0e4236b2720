/**
 * The certificate that the agent makes for its HTTP endpoint where none is given. It keeps tokens from being read on
 * the way, and proves nothing about who answers. Its key never leaves the process. The library is loaded only here.
 *
 * https://www.rfc-editor.org/rfc/rfc5280
 */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { Clock } from '../../time/clock.ts';
import type { CertificateSource, ServerCertificate } from './certificate-files.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;
const lifetimeMs = 90 * dayMs;
const renewAfterMs = 60 * dayMs;
/** A client whose clock is a little behind takes it too. */
const leewayMs = 3_600_000;

/**
 * Makes a certificate, and a new one well before it expires.
 * @param options.clock the wall clock
 * @param options.nodeName the name in the certificate
 * @param options.onFault a new certificate could not be made; the earlier one stays
 */
export async function createSelfSigned(options: {
  readonly clock: Clock;
  readonly nodeName: string;
  readonly onFault: (error: unknown) => void;
}): Promise<CertificateSource> {
  const { clock, nodeName, onFault } = options;
  let listener: ((certificate: ServerCertificate) => void) | undefined;
  let cancel: (() => void) | undefined;
  let closed = false;

  const plan = (): void => {
    if (!closed) {
      cancel = clock.at(clock.now() + renewAfterMs, () => void renew().catch(onFault).finally(plan));
    }
  };
  const renew = async (): Promise<void> => {
    const next = await make(nodeName, clock.now());
    if (!closed) {
      listener?.(next);
    }
  };
  const current = await make(nodeName, clock.now());
  plan();
  return {
    current,
    onChange: (given) => {
      listener = given;
    },
    close: async () => {
      closed = true;
      cancel?.();
    },
  };
}

async function make(nodeName: string, now: number): Promise<ServerCertificate> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: `4${randomBytes(16).toString('hex').slice(1)}`,
    name: [{ CN: ['pod-certificate-agent'] }],
    notBefore: new Date(now - leewayMs),
    notAfter: new Date(now + lifetimeMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([{ type: 'dns', value: nodeName }]),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64')}\n-----END PRIVATE KEY-----\n`;
  return { cert: certificate.toString('pem'), key };
}
