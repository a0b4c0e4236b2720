/** CA certificates for tests, made by OpenSSL, and bundles that hold them. */
import { execFileSync } from 'node:child_process';
import type { ClusterTrustBundle } from '../../../agent/kubernetes/objects.ts';

/** A self-signed CA certificate with a P-256 key, PEM with a line break at its end. */
export function makeAuthority(name: string): string {
  return makeAuthorityOf('ec', name);
}

export function makeAuthorityOf(kindOfKey: 'ec' | 'rsa' | 'ed25519', name: string): string {
  const curve = kindOfKey === 'ec' ? ['-pkeyopt', 'ec_paramgen_curve:P-256'] : [];
  const kind = ['-newkey', kindOfKey, ...curve, '-nodes', '-keyout', '/dev/null', '-days', '1'];
  const extensions = ['-addext', 'basicConstraints=critical,CA:TRUE'];
  const options = ['req', '-x509', ...kind, '-subj', `/CN=${name}`, ...extensions];
  return execFileSync('openssl', options, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

/** The certificate's DER, read by OpenSSL. */
export function derOf(pem: string): Uint8Array {
  return new Uint8Array(execFileSync('openssl', ['x509', '-outform', 'DER'], { input: pem }));
}

export interface BundleOptions {
  readonly signerName?: string;
  readonly labels?: Record<string, string>;
  readonly resourceVersion?: number;
}

export function bundle(name: string, trustBundle: string, options: BundleOptions = {}): ClusterTrustBundle {
  const { signerName, labels = {}, resourceVersion = 1 } = options;
  return {
    metadata: { name, uid: name, labels, resourceVersion: String(resourceVersion) },
    spec: { ...(signerName === undefined ? {} : { signerName }), trustBundle },
  };
}
