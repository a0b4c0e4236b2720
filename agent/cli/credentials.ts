/**
 * Tells what the files of a volume are: private keys, chains that begin with a leaf, certificates of authorities. It
 * goes by their contents, since the pod's author chooses the paths; what is none of these is told too.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { singleLine } from '../base/redact.ts';
import { placeIn, readBundleMap } from './bundle-map.ts';
import { createOpener, type Opening, type Password, passwordIn } from './keystores.ts';
import { type PemBlock, pemBlocks } from './pem-blocks.ts';
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

export interface Keystore {
  readonly path: string;
  /** How it was opened, and how many keys and certificates are in it. */
  readonly opening:
    | Exclude<Opening, { readonly type: 'opened' }>
    | { readonly type: 'opened'; readonly passwordName: string; readonly keys: number; readonly certificates: number };
}

export interface Contents {
  readonly keys: readonly KeyFile[];
  readonly chains: readonly Chain[];
  /** Files of authorities that are signed by others. */
  readonly intermediates: readonly AuthorityFile[];
  /** Files with at least one self-signed authority: trust anchors. */
  readonly anchors: readonly AuthorityFile[];
  /** PKCS#12 files. The keys and certificates of those that could be opened are among the others. */
  readonly keystores: readonly Keystore[];
  /** Files of one line beside keystores, which may be their passwords. */
  readonly passwordFiles: readonly string[];
  /** Every file that was found. */
  readonly seen: readonly string[];
  /** Files that hold nothing at all, as that of an optional trust bundle that does not exist. */
  readonly empty: readonly string[];
  /** Files that cannot be read, or in which something is nothing that belongs here. */
  readonly faults: readonly { readonly path: string; readonly reason: string }[];
}

export interface AuthorityFile {
  readonly path: string;
  readonly certificates: readonly X509Certificate[];
}

/** Keys, certificates and whatever else is in a block of PEM, of all files together: a certificate takes 6 KiB of memory. */
const mostParts = 8_192;
const tooMany = `of the volume no more than ${mostParts} keys and certificates are read, and it has more`;

/** What may still be read. */
interface Room {
  parts: number;
}

/** @param known passwords that are in no file of the volume's */
export function readContents(files: readonly VolumeFile[], known: readonly Password[] = []): Contents {
  const keys: KeyFile[] = [];
  const chains: Chain[] = [];
  const intermediates: AuthorityFile[] = [];
  const anchors: AuthorityFile[] = [];
  const empty: string[] = [];
  const faults: { path: string; reason: string }[] = [];
  const keystores: Keystore[] = [];
  const lines = files.flatMap((file) => {
    const bytes = file.type === 'read' ? passwordIn(file.bytes) : undefined;
    return bytes === undefined ? [] : [{ name: file.path, bytes }];
  });
  const open = createOpener([...lines, ...known]);
  const opened = new Map(
    files.flatMap((file) => (file.type === 'read' ? [[file.path, open(file.bytes)] as const] : [])),
  );
  const passwordFiles = [...opened.values()].some((opening) => opening !== undefined)
    ? lines.map(({ name }) => name)
    : [];
  const room: Room = { parts: mostParts };
  for (const file of files) {
    if (file.type === 'unreadable') {
      faults.push({ path: file.path, reason: `cannot be read: ${file.reason}` });
      continue;
    }
    const { path } = file;
    if (file.bytes.toString('latin1').trim() === '') {
      empty.push(path);
      continue;
    }
    const fault = (reason: string) => faults.push({ path, reason });
    if (passwordFiles.includes(path) || takeMap(file, anchors, room, fault)) {
      continue;
    }
    const opening = opened.get(path);
    if (opening !== undefined) {
      keystores.push({ path, opening: outcomeOf(opening) });
    }
    const parts = opening === undefined ? readFile(file, room, fault) : readKeystore(opening, room, fault);
    keys.push(...parts.keys.map((key) => ({ file, key })));
    const [first, ...above] = parts.certificates;
    if (first === undefined) {
      continue;
    }
    if (!first.ca) {
      chains.push({ path, leaf: first, above });
    } else if (parts.certificates.some(isSelfSigned)) {
      anchors.push({ path, certificates: parts.certificates });
    } else {
      intermediates.push({ path, certificates: parts.certificates });
    }
  }
  return {
    keys,
    chains,
    intermediates,
    anchors,
    keystores,
    passwordFiles,
    seen: files.map(({ path }) => path),
    empty,
    faults,
  };
}

function outcomeOf(opening: Opening): Keystore['opening'] {
  if (opening.type !== 'opened') {
    return opening;
  }
  const { passwordName, contents } = opening;
  return { type: 'opened', passwordName, keys: contents.keys.length, certificates: contents.certificates.length };
}

function readKeystore(opening: Opening, room: Room, fault: (reason: string) => void) {
  const keys: KeyObject[] = [];
  const certificates: X509Certificate[] = [];
  if (opening.type === 'opened') {
    try {
      if (!hasTaken(room, opening.contents.certificates.length + opening.contents.keys.length)) {
        fault(tooMany);
        return { keys, certificates };
      }
      certificates.push(...opening.contents.certificates.map((der) => new X509Certificate(der)));
      keys.push(...opening.contents.keys.map((key) => createPrivateKey({ key, format: 'der', type: 'pkcs8' })));
    } catch {
      fault('a key or certificate in it cannot be understood');
    } finally {
      for (const key of opening.contents.keys) {
        key.fill(0);
      }
    }
  }
  return { keys, certificates };
}

/** @returns false, with nothing taken, where so many are no longer read */
function hasTaken(room: Room, parts: number): boolean {
  if (parts > room.parts) {
    return false;
  }
  room.parts -= parts;
  return true;
}

/** Takes the anchors of a bundle map, trust domain by trust domain. @returns false for another file */
function takeMap(
  { path, bytes }: ReadFile,
  anchors: AuthorityFile[],
  room: Room,
  fault: (reason: string) => void,
): boolean {
  try {
    const map = readBundleMap(bytes, room.parts);
    const files = [...(map ?? [])].map(([name, certificates]) => ({ path: placeIn(path, name), certificates }));
    room.parts -= files.reduce((sum, { certificates }) => sum + certificates.length, 0);
    anchors.push(...files);
    return map !== undefined;
  } catch (error) {
    fault(
      error instanceof RangeError ? error.message : 'it is a SPIFFE bundle map with an entry that cannot be understood',
    );
    return true;
  }
}

function readFile({ bytes }: ReadFile, room: Room, fault: (reason: string) => void) {
  const keys: KeyObject[] = [];
  const certificates: X509Certificate[] = [];
  const { blocks, unfinished, isCut } = pemBlocks(bytes, room.parts);
  room.parts -= blocks.length + unfinished;
  for (const [index, block] of blocks.entries()) {
    const what = `block ${index + 1} (${singleLine(block.label, 64)})`;
    try {
      if (block.label === 'CERTIFICATE') {
        certificates.push(new X509Certificate(block.bytes));
      } else if (isEncrypted(block)) {
        fault(`${what} is a private key under a password: programs that are not told it cannot use it`);
      } else if (block.label.endsWith('PRIVATE KEY')) {
        keys.push(createPrivateKey(block.bytes));
      } else if (block.label !== 'EC PARAMETERS') {
        fault(`${what} is neither a private key nor a certificate`);
      }
    } catch {
      // OpenSSL's message is about its own internals, and may quote what it read.
      fault(`${what} cannot be understood`);
    }
  }
  if (isCut) {
    fault(tooMany);
  }
  if (unfinished > 0) {
    fault(`${unfinished === 1 ? 'a PEM block is' : `${unfinished} PEM blocks are`} begun and not ended`);
  } else if (blocks.length === 0 && !isCut) {
    fault('it holds neither a private key nor a certificate in PEM');
  }
  return { keys, certificates };
}

/** PKCS#8 says it in the label (RFC 7468 section 11), older forms in a header (RFC 1421 section 4.6.1.1). */
function isEncrypted({ label, bytes }: PemBlock): boolean {
  return (
    label === 'ENCRYPTED PRIVATE KEY' || (label.endsWith('PRIVATE KEY') && bytes.includes('Proc-Type: 4,ENCRYPTED'))
  );
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
