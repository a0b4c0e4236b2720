/**
 * The JSON of a volume's state files: versioned, and read with distrust, because a file may come from another version of
 * the agent or from a crash of the machine. DER is base64.
 *
 * Stored names stay as they are: `issued` is a request's `answer` in a pending file, and the current certificate in its own.
 *
 * After a downgrade the files are of a later version. They are read as far as this agent understands them: every field it
 * knows must be there and sound, and fields it does not know are left out. A volume that is refused is not refreshed.
 */

import {
  longestAddress,
  longestChainBytes,
  longestSerialNumber,
  longestSignerText,
  mostCertificates,
  mostPodAddresses,
} from '../base/limits.ts';
import { isSELinuxContext, maxContextLength } from '../base/selinux.ts';
import type {
  CertificateRecord,
  FileOwner,
  IssuedChain,
  PendingRequest,
  Setback,
  TrustMismatch,
  TrustRecord,
  VolumeRecord,
} from '../base/volume.ts';
import { decodeDeclaration } from './declaration-format.ts';
import { der, type Fields, fields, flag, id, keyType, list, part, text, textList, texts, time } from './json-fields.ts';
import { maxTextLengths, maxWays } from './limits.ts';

const version = 1;

const addressBounds = { most: mostPodAddresses, longest: longestAddress };
const uptakeBounds = { most: maxWays, longestKey: maxTextLengths.mark, longest: maxTextLengths.mark };

/** A pending request and the name of the file, in the same directory, that holds its key. */
export interface StoredPending {
  readonly pending: PendingRequest;
  readonly keyFile: string;
}

/** The certificate in a source's files. */
export interface StoredCurrent {
  readonly certificate: CertificateRecord;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[] | undefined;
  /** DER, where they came with it. */
  readonly anchors?: readonly Uint8Array[] | undefined;
  readonly trust?: TrustRecord;
}

export function encodeRecord(record: VolumeRecord): Buffer {
  return encode({ record });
}

export function encodePending({ pending, keyFile }: StoredPending): Buffer {
  const { answer, publicKey, ...rest } = pending;
  const encoded = {
    ...rest,
    ...(publicKey === undefined ? {} : { publicKey: base64(publicKey) }),
    ...(answer === undefined ? {} : { issued: encodeChain(answer) }),
  };
  return encode({ pending: encoded, keyFile });
}

function encodeChain({ certificates, anchors, names: _, ...rest }: IssuedChain): object {
  return {
    ...rest,
    certificates: certificates.map(base64),
    ...(anchors === undefined ? {} : { anchors: anchors.map(base64) }),
  };
}

export function encodeCurrent({ certificate, chain, anchors, trust }: StoredCurrent): Buffer {
  return encode({ issued: certificate, certificates: chain?.map(base64), anchors: anchors?.map(base64), trust });
}

export function encodeSetback(setback: Setback): Buffer {
  return encode({ setback });
}

export function encodeUptake(done: Readonly<Record<string, string>>): Buffer {
  return encode({ uptake: done });
}

function base64(der: Uint8Array): string {
  return Buffer.from(der).toString('base64');
}

export function encode(content: object): Buffer {
  return Buffer.from(`${JSON.stringify({ version, ...content })}\n`);
}

/** @throws TypeError that says what is wrong with the bytes. */
export function decodeRecord(bytes: Uint8Array): VolumeRecord {
  const record = part(document(bytes), 'record');
  const pod = part(record, 'pod');
  return {
    volumeId: text(record, 'volumeId', maxTextLengths.name),
    targetPath: text(record, 'targetPath', maxTextLengths.path),
    volumeName: text(record, 'volumeName', maxTextLengths.name),
    pod: {
      namespace: text(pod, 'namespace', maxTextLengths.name),
      name: text(pod, 'name', maxTextLengths.name),
      uid: text(pod, 'uid', maxTextLengths.name),
      serviceAccountName: text(pod, 'serviceAccountName', maxTextLengths.name),
    },
    declaration: decodeDeclaration(part(record, 'declaration')),
    owner: owner(part(record, 'owner')),
    ...seLinuxContext(record),
  };
}

/** @throws TypeError that says what is wrong with the bytes. */
export function decodePending(bytes: Uint8Array): StoredPending {
  const content = document(bytes);
  const pending = part(content, 'pending');
  const request: PendingRequest = {
    requestName: text(pending, 'requestName', maxTextLengths.name),
    keyType: keyType(pending),
    createdAt: time(pending, 'createdAt'),
    ...(pending['publicKey'] === undefined
      ? {}
      : { publicKey: der(pending['publicKey'], 'publicKey', maxTextLengths.publicKey) }),
    ...(pending['issued'] === undefined ? {} : { answer: chain(part(pending, 'issued')) }),
  };
  return { pending: request, keyFile: text(content, 'keyFile', maxTextLengths.name) };
}

/** @throws TypeError that says what is wrong with the bytes. */
export function decodeCurrent(bytes: Uint8Array): CertificateRecord {
  const current = part(document(bytes), 'issued');
  return {
    requestName: text(current, 'requestName', maxTextLengths.name),
    keyType: keyType(current),
    serialNumber: text(current, 'serialNumber', longestSerialNumber),
    notBefore: time(current, 'notBefore'),
    notAfter: time(current, 'notAfter'),
    beginRefreshAt: time(current, 'beginRefreshAt'),
    refreshAt: time(current, 'refreshAt'),
    ...addresses(current),
  };
}

/** @throws TypeError that says what is wrong with the bytes. */
export function decodeSetback(bytes: Uint8Array): Setback {
  const setback = part(document(bytes), 'setback');
  const kind = (['denied', 'failed', 'unusable'] as const).find((known) => known === setback['kind']);
  if (kind === undefined) {
    throw new TypeError('kind is of no known kind');
  }
  return {
    kind,
    reason: text(setback, 'reason', longestSignerText),
    message: text(setback, 'message', longestSignerText),
    failures: Math.max(1, id(setback, 'failures')),
    at: time(setback, 'at'),
    until: time(setback, 'until'),
  };
}

/** @throws TypeError that says what is wrong with the bytes. */
export function decodeUptake(bytes: Uint8Array): Readonly<Record<string, string>> {
  return texts(document(bytes), 'uptake', uptakeBounds);
}

/** The certificate's chain, where an agent has stored it. @throws TypeError that says what is wrong with the bytes. */
export function decodeCurrentChain(bytes: Uint8Array): readonly Uint8Array[] | undefined {
  const content = document(bytes);
  return content['certificates'] === undefined ? undefined : certificatesIn(content);
}

/** The anchors that came with it, where an agent has stored them. @throws TypeError that says what is wrong with the bytes. */
export function decodeCurrentAnchors(bytes: Uint8Array): readonly Uint8Array[] | undefined {
  return anchorsIn(document(bytes));
}

/** @throws TypeError that says what is wrong with the bytes. */
export function decodeTrust(bytes: Uint8Array): TrustRecord | undefined {
  const content = document(bytes);
  if (content['trust'] === undefined) {
    return undefined;
  }
  const trust = part(content, 'trust');
  return {
    earlyRefreshes: id(trust, 'earlyRefreshes'),
    isTold: flag(trust, 'isTold'),
    ...(trust['mismatch'] === undefined ? {} : { mismatch: mismatchIn(part(trust, 'mismatch')) }),
  };
}

function mismatchIn(mismatch: Fields): TrustMismatch {
  return {
    since: time(mismatch, 'since'),
    ...(mismatch['tellAt'] === undefined ? {} : { tellAt: time(mismatch, 'tellAt') }),
    refreshAt: time(mismatch, 'refreshAt'),
  };
}

/** @throws TypeError */
export function document(bytes: Uint8Array): Fields {
  const content = fields(parseJson(bytes), 'the file');
  const found = content['version'];
  if (typeof found !== 'number' || !Number.isInteger(found) || found < version) {
    const told =
      typeof found === 'object' && found !== null ? 'no number' : String(found).slice(0, maxTextLengths.mark);
    throw new TypeError(`version is ${told}, and this agent reads ${version} and later`);
  }
  return content;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw new TypeError('it is not JSON');
  }
}

function chain(answer: Fields): IssuedChain {
  const anchors = anchorsIn(answer);
  return {
    certificates: certificatesIn(answer),
    serialNumber: text(answer, 'serialNumber', longestSerialNumber),
    notBefore: time(answer, 'notBefore'),
    notAfter: time(answer, 'notAfter'),
    beginRefreshAt: time(answer, 'beginRefreshAt'),
    ...(anchors === undefined ? {} : { anchors }),
    ...addresses(answer),
  };
}

function anchorsIn(parent: Fields): readonly Uint8Array[] | undefined {
  return parent['anchors'] === undefined ? undefined : ders(parent, 'anchors');
}

function addresses(value: Fields): { readonly podIPs?: readonly string[] } {
  return value['podIPs'] === undefined ? {} : { podIPs: textList(value, 'podIPs', addressBounds) };
}

function certificatesIn(parent: Fields): readonly Uint8Array[] {
  const certificates = ders(parent, 'certificates');
  if (certificates.length === 0) {
    throw new TypeError('certificates is empty');
  }
  return certificates;
}

/** Certificates that came as PEM: what frames them there is longer than what base64 may be filled up with here. */
function ders(parent: Fields, name: string): readonly Uint8Array[] {
  const entries = list(parent, name, mostCertificates);
  let left = longestChainBytes;
  return entries.map((entry) => {
    const read = der(entry, name, left);
    left -= String(entry).length;
    return read;
  });
}

/** It becomes an option of a mount: it is checked again, not believed. */
function seLinuxContext(record: Fields): { readonly seLinuxContext?: string } {
  if (record['seLinuxContext'] === undefined) {
    return {};
  }
  const context = text(record, 'seLinuxContext', maxContextLength);
  if (!isSELinuxContext(context)) {
    throw new TypeError('seLinuxContext is not an SELinux context');
  }
  return { seLinuxContext: context };
}

function owner(value: Fields): FileOwner {
  switch (value['kind']) {
    case 'group':
      return { kind: 'group', gid: id(value, 'gid') };
    case 'user':
      return { kind: 'user', uid: id(value, 'uid') };
    case 'none':
      return { kind: 'none' };
    default:
      throw new TypeError('owner is of no known kind');
  }
}
