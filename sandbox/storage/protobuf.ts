/**
 * Reads the protobuf form in which kubectl sends the few kinds that it knows by type: reviews, tokens, namespaces,
 * service accounts, roles. Everything is answered in JSON, which such clients accept.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 * https://protobuf.dev/programming-guides/encoding/
 */
import protobuf from 'protobufjs';
import { badRequest, messageOf } from '../base/errors.ts';
import { isObject, type Json, type JsonObject } from '../base/objects.ts';

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
    const { apiVersion = '', kind = '' } = isObject(typeMeta) ? typeMeta : {};
    const message = messages[`${String(apiVersion)} ${String(kind)}`];
    if (message === undefined) {
      throw new RangeError(`no protobuf form of ${String(kind)} in ${String(apiVersion)} is known here; send JSON`);
    }
    return { apiVersion, kind, ...readMessage(Buffer.from(String(raw ?? ''), 'base64'), message) };
  } catch (error) {
    throw badRequest(`the protobuf message cannot be read: ${messageOf(error)}`);
  }
}

function readMessage(bytes: Buffer, message: Message): JsonObject {
  const type = typeOf(message);
  // The reader for plain bytes: the one for buffers does not see that a text is cut off.
  const reader = new protobuf.Reader(new Uint8Array(bytes));
  return toJson(type.toObject(type.decode(reader), { longs: Number, bytes: String }), message);
}

/** What has been read once is described. */
const types = new Map<Message, protobuf.Type>();

function typeOf(message: Message): protobuf.Type {
  const known = types.get(message);
  if (known !== undefined) {
    return known;
  }
  const type = protobuf.Type.fromJSON('Read', descriptor(message));
  new protobuf.Root().add(type);
  types.set(message, type);
  return type;
}

const time: Message = { 1: one('seconds', 'int') };
const listOfTexts: Message = { 1: many('items', 'text') };
const scalars = { text: 'string', bytes: 'bytes', bool: 'bool', int: 'int64', textMap: 'string' } as const;

/** The message as protobufjs wants it described; the type of a field that holds a message is named after the field. */
function descriptor(message: Message): protobuf.IType {
  const fields: Record<string, protobuf.IField | protobuf.IMapField> = {};
  const nested: Record<string, protobuf.IType> = {};
  const nest = (name: string, within: Message): string => {
    nested[`${name}Type`] = descriptor(within);
    return `${name}Type`;
  };
  const typeName = (name: string, holds: Kind | Message): string => {
    if (typeof holds === 'object') {
      return nest(name, holds);
    }
    if (holds === 'time' || holds === 'listMap') {
      return nest(name, holds === 'time' ? time : listOfTexts);
    }
    return scalars[holds];
  };
  for (const [number, { name, holds, repeated }] of Object.entries(message)) {
    const type = typeName(name, holds);
    const isMap = holds === 'textMap' || holds === 'listMap';
    fields[name] = {
      id: Number(number),
      type,
      ...(isMap ? { keyType: 'string' } : {}),
      ...(repeated ? { rule: 'repeated' } : {}),
    };
  }
  return { fields, nested };
}

function toJson(read: JsonObject, message: Message): JsonObject {
  const values = Object.values(message).map(({ name, holds }): [string, Json | undefined] => {
    const value = read[name];
    return [name, Array.isArray(value) ? value.map((item) => fieldJson(item, holds) ?? '') : fieldJson(value, holds)];
  });
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

/** @returns undefined for empty texts and times, which JSON leaves out */
function fieldJson(value: Json | undefined, holds: Kind | Message): Json | undefined {
  if (typeof holds === 'object') {
    return isObject(value) ? toJson(value, holds) : undefined;
  }
  if (holds === 'time') {
    const seconds = isObject(value) ? value.seconds : undefined;
    return typeof seconds === 'number' ? new Date(seconds * 1000).toISOString().replace('.000Z', 'Z') : undefined;
  }
  if (holds === 'listMap') {
    return isObject(value) ? mapValues(value, (list) => (isObject(list) ? list.items : undefined) ?? []) : undefined;
  }
  return value === '' ? undefined : value;
}

function mapValues(object: JsonObject, change: (value: Json | undefined) => Json): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}
