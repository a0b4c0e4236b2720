/**
 * Reads the protobuf form in which kubectl sends the few kinds that it knows by type: reviews, tokens, namespaces,
 * service accounts, roles. Everything is answered in JSON, which such clients accept.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 * https://protobuf.dev/programming-guides/encoding/
 */
import { badRequest, messageOf } from '../base/errors.ts';
import type { Json, JsonObject } from '../base/objects.ts';

export const protobufMediaType = 'application/vnd.kubernetes.protobuf';
/** Every message is preceded by these bytes and wrapped in an envelope that names its kind. */
const magic = Buffer.from('k8s\0');

type Kind = 'text' | 'bytes' | 'bool' | 'int' | 'time' | 'textMap' | 'listMap';
interface Field {
  readonly name: string;
  /** A scalar, or the message the field holds. */
  readonly holds: Kind | Message;
  readonly repeated?: true;
}
type Message = Readonly<Record<number, Field>>;

const one = (name: string, holds: Kind | Message): Field => ({ name, holds });
const many = (name: string, holds: Kind | Message): Field => ({ name, holds, repeated: true });
const texts = (...names: readonly string[]): Message =>
  Object.fromEntries(names.map((name, index) => [index + 1, one(name, 'text')]));

const ownerReference: Message = {
  1: one('kind', 'text'),
  3: one('name', 'text'),
  4: one('uid', 'text'),
  5: one('apiVersion', 'text'),
  6: one('controller', 'bool'),
  7: one('blockOwnerDeletion', 'bool'),
};
const objectMeta: Message = {
  ...texts('name', 'generateName', 'namespace', 'selfLink', 'uid', 'resourceVersion'),
  8: one('creationTimestamp', 'time'),
  11: one('labels', 'textMap'),
  12: one('annotations', 'textMap'),
  13: many('ownerReferences', ownerReference),
  14: many('finalizers', 'text'),
};
const metadata = one('metadata', objectMeta);
const resourceAttributes = texts('namespace', 'verb', 'group', 'version', 'resource', 'subresource', 'name');
const accessSpec: Message = {
  1: one('resourceAttributes', resourceAttributes),
  2: one('nonResourceAttributes', texts('path', 'verb')),
  3: one('user', 'text'),
  4: many('groups', 'text'),
  5: one('extra', 'listMap'),
  6: one('uid', 'text'),
};
const policyRule: Message = {
  1: many('verbs', 'text'),
  2: many('apiGroups', 'text'),
  3: many('resources', 'text'),
  4: many('resourceNames', 'text'),
  5: many('nonResourceURLs', 'text'),
};
const role: Message = { 1: metadata, 2: many('rules', policyRule) };
const roleBinding: Message = {
  1: metadata,
  2: many('subjects', texts('kind', 'apiGroup', 'name', 'namespace')),
  3: one('roleRef', texts('apiGroup', 'kind', 'name')),
};
const signingCondition: Message = {
  1: one('type', 'text'),
  2: one('reason', 'text'),
  3: one('message', 'text'),
  4: one('lastUpdateTime', 'time'),
  5: one('lastTransitionTime', 'time'),
  6: one('status', 'text'),
};
const signingSpec: Message = {
  1: one('request', 'bytes'),
  2: one('username', 'text'),
  3: one('uid', 'text'),
  4: many('groups', 'text'),
  5: many('usages', 'text'),
  6: one('extra', 'listMap'),
  7: one('signerName', 'text'),
  8: one('expirationSeconds', 'int'),
};

const messages: Readonly<Record<string, Message>> = {
  'v1 Namespace': { 1: metadata },
  'v1 ServiceAccount': {
    1: metadata,
    3: many('imagePullSecrets', texts('name')),
    4: one('automountServiceAccountToken', 'bool'),
  },
  'authentication.k8s.io/v1 SelfSubjectReview': { 1: metadata },
  'authentication.k8s.io/v1 TokenReview': {
    1: metadata,
    2: one('spec', { 1: one('token', 'text'), 2: many('audiences', 'text') }),
  },
  'authentication.k8s.io/v1 TokenRequest': {
    1: metadata,
    2: one('spec', {
      1: many('audiences', 'text'),
      3: one('boundObjectRef', texts('kind', 'apiVersion', 'name', 'uid')),
      4: one('expirationSeconds', 'int'),
    }),
  },
  'authorization.k8s.io/v1 SelfSubjectAccessReview': { 1: metadata, 2: one('spec', accessSpec) },
  'authorization.k8s.io/v1 SubjectAccessReview': { 1: metadata, 2: one('spec', accessSpec) },
  'authorization.k8s.io/v1 LocalSubjectAccessReview': { 1: metadata, 2: one('spec', accessSpec) },
  'authorization.k8s.io/v1 SelfSubjectRulesReview': { 1: metadata, 2: one('spec', texts('namespace')) },
  'rbac.authorization.k8s.io/v1 Role': role,
  'rbac.authorization.k8s.io/v1 ClusterRole': role,
  'rbac.authorization.k8s.io/v1 RoleBinding': roleBinding,
  'rbac.authorization.k8s.io/v1 ClusterRoleBinding': roleBinding,
  'certificates.k8s.io/v1 CertificateSigningRequest': {
    1: metadata,
    2: one('spec', signingSpec),
    3: one('status', { 1: many('conditions', signingCondition), 2: one('certificate', 'bytes') }),
  },
};

const envelope: Message = { 1: one('typeMeta', texts('apiVersion', 'kind')), 2: one('raw', 'bytes') };

/** @returns the object as JSON, with apiVersion and kind @throws ApiError 400 for what cannot be read */
export function parseProtobuf(bytes: Buffer): JsonObject {
  if (!bytes.subarray(0, magic.length).equals(magic)) {
    throw badRequest('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]');
  }
  try {
    const { typeMeta, raw } = readMessage(bytes.subarray(magic.length), envelope);
    const { apiVersion = '', kind = '' } = typeMeta as JsonObject;
    const message = messages[`${String(apiVersion)} ${String(kind)}`];
    if (message === undefined) {
      throw new RangeError(`no protobuf form of ${String(kind)} in ${String(apiVersion)} is known here; send JSON`);
    }
    return { apiVersion, kind, ...readMessage(Buffer.from(String(raw ?? ''), 'base64'), message) };
  } catch (error) {
    throw badRequest(`the protobuf message cannot be read: ${messageOf(error)}`);
  }
}

interface Reader {
  readonly bytes: Buffer;
  at: number;
}

function readMessage(bytes: Buffer, message: Message): JsonObject {
  const reader: Reader = { bytes, at: 0 };
  const object: JsonObject = {};
  while (reader.at < bytes.length) {
    const tag = Number(readVarint(reader));
    const content = readContent(reader, tag & 7);
    const field = message[tag >>> 3];
    if (field !== undefined) {
      store(object, field, content);
    }
  }
  return object;
}

function readVarint(reader: Reader): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reader.bytes.at(reader.at);
    if (byte === undefined || reader.at >= reader.bytes.length) {
      throw new RangeError('it ends within a number');
    }
    reader.at += 1;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) {
      return BigInt.asIntN(64, value);
    }
  }
  throw new RangeError('a number is too long');
}

/** The content of a field by its wire type: a number, or bytes. */
function readContent(reader: Reader, wireType: number): bigint | Buffer {
  if (wireType === 0) {
    return readVarint(reader);
  }
  const length = wireType === 2 ? Number(readVarint(reader)) : wireType === 1 ? 8 : wireType === 5 ? 4 : -1;
  if (length < 0 || reader.at + length > reader.bytes.length) {
    throw new RangeError('it ends within a field');
  }
  reader.at += length;
  return reader.bytes.subarray(reader.at - length, reader.at);
}

function store(object: JsonObject, field: Field, content: bigint | Buffer): void {
  const { name, holds, repeated } = field;
  if (holds === 'textMap' || holds === 'listMap') {
    const entry = readMessage(bufferOf(content), {
      1: one('key', 'text'),
      2: one('value', holds === 'textMap' ? 'text' : { 1: many('items', 'text') }),
    });
    const { key = '', value } = entry;
    const known = object[name] as JsonObject | undefined;
    object[name] = { ...known, [String(key)]: holds === 'textMap' ? (value ?? '') : itemsOf(value) };
    return;
  }
  const value = fieldValue(holds, content);
  if (repeated) {
    object[name] = [...((object[name] as Json[] | undefined) ?? []), value ?? ''];
  } else if (value !== undefined) {
    object[name] = value;
  }
}

function itemsOf(value: Json | undefined): Json {
  return ((value as JsonObject | undefined)?.items ?? []) as Json;
}

function bufferOf(content: bigint | Buffer): Buffer {
  if (typeof content === 'bigint') {
    throw new RangeError('a number stands where bytes are expected');
  }
  return content;
}

/** Empty texts and times are what JSON leaves out. */
function fieldValue(holds: Exclude<Kind, 'textMap' | 'listMap'> | Message, content: bigint | Buffer): Json | undefined {
  if (typeof holds === 'object') {
    return readMessage(bufferOf(content), holds);
  }
  switch (holds) {
    case 'text':
      return bufferOf(content).toString('utf8') || undefined;
    case 'bytes':
      return bufferOf(content).toString('base64') || undefined;
    case 'bool':
      return content !== 0n;
    case 'int':
      return Number(content);
    case 'time': {
      const { seconds } = readMessage(bufferOf(content), { 1: one('seconds', 'int') });
      return typeof seconds === 'number' ? new Date(seconds * 1000).toISOString().replace('.000Z', 'Z') : undefined;
    }
    default:
      return holds satisfies never;
  }
}
