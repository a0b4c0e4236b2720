/**
 * Tells what the files of a volume are: private keys, chains that begin with a leaf, certificates of authorities. It
 * goes by their contents, since the pod's author chooses the paths.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { pemBlocks } from './pem-blocks.ts';
import type { VolumeFile } from './volume-files.ts';

type ReadFile = VolumeFile & { readonly type: 'read' };

export interface KeyFile {
  readonly file: ReadFile;
  readonly key: KeyObject;
}

export interface Chain {
  readonly path: string;
  readonly leaf: X509Certificate;
  /** What follows the leaf in its file. */
  readonly above: readonly X509Certificate[];
}

export interface Contents {
  readonly keys: readonly KeyFile[];
  readonly chains: readonly Chain[];
  /** Authorities that are signed by others. */
  readonly intermediates: readonly X509Certificate[];
  /** Files with at least one self-signed authority: trust anchors. */
  readonly anchors: readonly X509Certificate[];
  /** Files in which something cannot be understood. */
  readonly faults: readonly { readonly path: string; readonly reason: string }[];
}

export function readContents(files: readonly VolumeFile[]): Contents {
  const keys: KeyFile[] = [];
  const chains: Chain[] = [];
  const intermediates: X509Certificate[] = [];
  const anchors: X509Certificate[] = [];
  const faults: { path: string; reason: string }[] = [];
  for (const file of files) {
    if (file.type === 'unreadable') {
      faults.push({ path: file.path, reason: `cannot be read: ${file.reason}` });
      continue;
    }
    const parts = readFile(file, (reason) => faults.push({ path: file.path, reason }));
    keys.push(...parts.keys.map((key) => ({ file, key })));
    const [first, ...above] = parts.certificates;
    if (first === undefined) {
      continue;
    }
    if (!first.ca) {
      chains.push({ path: file.path, leaf: first, above });
    } else if (parts.certificates.some(isSelfSigned)) {
      anchors.push(...parts.certificates);
    } else {
      intermediates.push(...parts.certificates);
    }
  }
  return { keys, chains, intermediates, anchors, faults };
}

function readFile({ bytes }: ReadFile, fault: (reason: string) => void) {
  const keys: KeyObject[] = [];
  const certificates: X509Certificate[] = [];
  for (const [index, block] of pemBlocks(bytes).entries()) {
    const what = `block ${index + 1} (${block.label})`;
    try {
      if (block.label === 'CERTIFICATE') {
        certificates.push(new X509Certificate(block.bytes));
      } else if (block.label.endsWith('PRIVATE KEY')) {
        keys.push(createPrivateKey(block.bytes));
      }
    } catch {
      // OpenSSL's message is about its own internals, and may quote what it read.
      fault(`${what} cannot be understood`);
    }
  }
  return { keys, certificates };
}

/** True for an authority that has signed its own certificate. */
export function isSelfSigned(certificate: X509Certificate): boolean {
  return isIssuedBy(certificate, certificate);
}

/** Name and signature agree. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    // A key or signature of a kind that OpenSSL does not know proves nothing.
    return false;
  }
}
