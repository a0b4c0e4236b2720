/**
 * The JSON of a volume's state files: versioned, and read with distrust, because a file may come from another version of
 * the agent or from a crash of the machine. DER is base64.
 */

import type { FileOwner, IssuedChain, IssuedStatus, PendingRequest, VolumeRecord } from '../base/volume.ts';
import { keyTypes } from '../declaration/key-types.ts';
import { checkPath } from '../declaration/paths.ts';
import type { Source, VolumeDeclaration } from '../declaration/types.ts';

const version = 1;

/** A pending request and the name of the file, in the same directory, that holds its key. */
export interface StoredPending {
  readonly pending: PendingRequest;
  readonly keyFile: string;
}

export function encodeRecord(record: VolumeRecord): Buffer {
  return encode({ record });
}

export function encodePending({ pending, keyFile }: StoredPending): Buffer {
  const { issued, publicKey, ...rest } = pending;
  const encoded = {
    ...rest,
    ...(publicKey === undefined ? {} : { publicKey: base64(publicKey) }),
    ...(issued === undefined ? {} : { issued: { ...issued, certificates: issued.certificates.map(base64) } }),
  };
  return encode({ pending: encoded, keyFile });
}

export function encodeIssued(issued: IssuedStatus): Buffer {
  return encode({ issued });
}

function base64(der: Uint8Array): string {
  return Buffer.from(der).toString('base64');
}

function encode(content: object): Buffer {
  return Buffer.from(`${JSON.stringify({ version, ...content })}\n`);
}

/** @throws TypeError that says what is wrong with the bytes. */
export function decodeRecord(bytes: Uint8Array): VolumeRecord {
  const record = part(document(bytes), 'record');
  const pod = part(record, 'pod');
  return {
    volumeId: text(record, 'volumeId'),
    targetPath: text(record, 'targetPath'),
    volumeName: text(record, 'volumeName'),
    pod: {
      namespace: text(pod, 'namespace'),
      name: text(pod, 'name'),
      uid: text(pod, 'uid'),
      serviceAccountName: text(pod, 'serviceAccountName'),
    },
    declaration: declaration(part(record, 'declaration')),
    owner: owner(part(record, 'owner')),
  };
}

/** @throws TypeError that says what is wrong with the bytes. */
export function decodePending(bytes: Uint8Array): StoredPending {
  const content = document(bytes);
  const pending = part(content, 'pending');
  const request: PendingRequest = {
    requestName: text(pending, 'requestName'),
    keyType: keyType(pending),
    createdAt: time(pending, 'createdAt'),
    ...(pending['publicKey'] === undefined ? {} : { publicKey: der(pending['publicKey'], 'publicKey') }),
    ...(pending['issued'] === undefined ? {} : { issued: chain(part(pending, 'issued')) }),
  };
  return { pending: request, keyFile: text(content, 'keyFile') };
}

/** @throws TypeError that says what is wrong with the bytes. */
export function decodeIssued(bytes: Uint8Array): IssuedStatus {
  const issued = part(document(bytes), 'issued');
  return {
    requestName: text(issued, 'requestName'),
    keyType: keyType(issued),
    serialNumber: text(issued, 'serialNumber'),
    notBefore: time(issued, 'notBefore'),
    notAfter: time(issued, 'notAfter'),
    beginRefreshAt: time(issued, 'beginRefreshAt'),
    refreshAt: time(issued, 'refreshAt'),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function document(bytes: Uint8Array): Fields {
  const content = fields(parseJson(bytes), 'the file');
  if (content['version'] !== version) {
    throw new TypeError(`version is ${String(content['version'])}, and this agent reads ${version}`);
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

function fields(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${name} is not an object`);
  }
  return value as Fields;
}

function part(parent: Fields, name: string): Fields {
  return fields(parent[name], name);
}

function text(parent: Fields, name: string): string {
  const value = parent[name];
  if (typeof value !== 'string') throw new TypeError(`${name} is not a string`);
  return value;
}

function time(parent: Fields, name: string): number {
  const value = parent[name];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError(`${name} is not a number`);
  return value;
}

function id(parent: Fields, name: string): number {
  const value = time(parent, name);
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_fffe) throw new TypeError(`${name} is not a numeric id`);
  return value;
}

function list(parent: Fields, name: string): readonly unknown[] {
  const value = parent[name];
  if (!Array.isArray(value)) throw new TypeError(`${name} is not a list`);
  return value;
}

function keyType(parent: Fields) {
  const found = keyTypes.find((known) => known === parent['keyType']);
  if (found === undefined) throw new TypeError('keyType is not a key type');
  return found;
}

function der(value: unknown, name: string): Uint8Array {
  if (typeof value !== 'string' || value === '') throw new TypeError(`${name} holds something else than base64`);
  return new Uint8Array(Buffer.from(value, 'base64'));
}

function chain(issued: Fields): IssuedChain {
  const certificates = list(issued, 'certificates').map((entry) => der(entry, 'certificates'));
  if (certificates.length === 0) throw new TypeError('certificates is empty');
  return {
    certificates,
    serialNumber: text(issued, 'serialNumber'),
    notBefore: time(issued, 'notBefore'),
    notAfter: time(issued, 'notAfter'),
    beginRefreshAt: time(issued, 'beginRefreshAt'),
  };
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

/** The declaration was checked by `parseDeclaration` before it was stored; this checks that it is still its shape. */
function declaration(value: Fields): VolumeDeclaration {
  const sources = list(value, 'sources').map((entry, index) => source(fields(entry, `sources[${index}]`), index));
  if (value['defaultMode'] === undefined) return { sources };
  const defaultMode = id(value, 'defaultMode');
  if (defaultMode > 0o777) throw new TypeError('defaultMode is not a file mode');
  return { sources, defaultMode };
}

function source(value: Fields, index: number): Source {
  if (value['index'] !== index) throw new TypeError(`sources[${index}] has another index`);
  for (const [name, entry] of Object.entries(value)) {
    if ((name === 'path' || name.endsWith('Path')) && !isStoredPath(entry)) {
      throw new TypeError(`sources[${index}].${name} is not a path in the volume`);
    }
  }
  switch (value['kind']) {
    case 'podCertificate':
      text(value, 'signerName');
      keyType(value);
      part(value, 'userAnnotations');
      break;
    case 'clusterTrustBundle':
      text(value, 'path');
      text(part(value, 'select'), 'by');
      break;
    default:
      throw new TypeError(`sources[${index}] is of no known kind`);
  }
  return value as unknown as Source;
}

/** A stored path is used to write files as root: it is checked again, not believed. */
function isStoredPath(value: unknown): boolean {
  return typeof value === 'string' && checkPath(value).ok;
}
