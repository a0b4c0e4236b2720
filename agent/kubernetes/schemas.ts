/**
 * Reads what comes off the wire, once and field by field, into the types of `objects.ts`: a reply may come from a proxy
 * or from another version of Kubernetes. Fields that the agent does not know are left out, a field that is null counts
 * as absent (Go writes nil slices and maps so), and a known field of the wrong type makes the object unreadable, unless nothing
 * else in it depends on that field: then it counts as absent, too.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
import * as v from 'valibot';
import { AgentError } from '../base/errors.ts';
import type { Shape } from './json-sieve.ts';
import {
  type CertificateRequest,
  type CertificateSigningRequest,
  type ClusterTrustBundle,
  type KubernetesObject,
  keyOf,
  type NodeRequest,
  type Pod,
  type PodCertificateRequest,
  type Status,
} from './objects.ts';
import { mirrorAnnotation } from './pod-objects.ts';

/** @throws AgentError Unavailable, naming the field that cannot be read */
export interface Decoder<T> {
  (value: unknown): T;
  /** What it reads; absent: all there is. */
  readonly shape?: Shape;
}

type Entries = v.ObjectEntries;

const text = v.string();
const maybeText = v.exactOptional(text);
const integer = v.pipe(v.number(), v.integer());
const maybeInteger = v.exactOptional(integer);
const maybeFlag = v.exactOptional(v.boolean());
const strings = v.record(text, text);
const maybeStrings = v.exactOptional(strings);

/** A field that nothing else depends on: what cannot be read of it counts as absent. */
function ifReadable<const S extends v.GenericSchema>(schema: S) {
  return Object.assign(v.exactOptional(schema), { isDispensable: true } as const);
}

/** Items that do not depend on each other: those that cannot be read are left out. @param most items that are looked at */
function readableItems<const S extends v.GenericSchema>(item: S, most = Number.POSITIVE_INFINITY) {
  const readable = (value: unknown): unknown =>
    Array.isArray(value) ? value.slice(0, most).filter((entry) => v.is(item, entry)) : value;
  return v.pipe(v.unknown(), v.transform(readable), v.array(item));
}

/** An object of which the given fields are read. */
function fields<const E extends Entries>(entries: E) {
  return v.pipe(
    v.unknown(),
    v.check((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'is not an object'),
    v.transform((value) => present(value, entries)),
    v.object(entries),
  );
}

function present(value: unknown, entries: Entries): Record<string, unknown> {
  const isRead = (name: string, entry: unknown): boolean => {
    const schema = entry !== null && Object.hasOwn(entries, name) ? entries[name] : undefined;
    return schema !== undefined && (!('isDispensable' in schema) || v.is(schema, entry));
  };
  return Object.fromEntries(Object.entries(Object(value)).filter(([name, entry]) => isRead(name, entry)));
}

const ownerReference = fields({ apiVersion: text, kind: text, name: text, uid: text });

const metadata = fields({
  name: text,
  namespace: maybeText,
  uid: maybeText,
  resourceVersion: maybeText,
  creationTimestamp: maybeText,
  deletionTimestamp: maybeText,
  labels: maybeStrings,
  annotations: maybeStrings,
  ownerReferences: v.exactOptional(v.array(ownerReference)),
});

const object = { apiVersion: maybeText, kind: maybeText, metadata };

/** Of an object whose metadata may be filled by whoever may write it: no more of that is read, nor kept in memory. */
const bareMetadata = { name: text, namespace: maybeText, uid: maybeText, resourceVersion: ifReadable(text) };

const labelled = { ...bareMetadata, labels: ifReadable(strings) };

const condition = fields({ type: text, status: text, reason: ifReadable(text), message: ifReadable(text) });

const conditions = ifReadable(readableItems(condition));

const podCertificateStatus = ifReadable(
  fields({
    conditions,
    certificateChain: ifReadable(text),
    notBefore: ifReadable(text),
    notAfter: ifReadable(text),
    beginRefreshAt: ifReadable(text),
  }),
);

const requestKind = { apiVersion: maybeText, kind: maybeText };

const podCertificateRequest = fields({
  ...requestKind,
  metadata: fields(bareMetadata),
  spec: fields({
    signerName: text,
    podName: text,
    podUID: text,
    serviceAccountName: text,
    serviceAccountUID: text,
    nodeName: text,
    nodeUID: text,
    maxExpirationSeconds: maybeInteger,
    pkixPublicKey: maybeText,
    proofOfPossession: maybeText,
    stubPKCS10Request: maybeText,
    unverifiedUserAnnotations: maybeStrings,
  }),
  status: podCertificateStatus,
});

/** The same, as far as an agent reads those of its node. */
const nodeRequest = fields({
  metadata: fields(bareMetadata),
  spec: fields({
    signerName: text,
    podUID: text,
    nodeName: text,
    pkixPublicKey: maybeText,
    stubPKCS10Request: maybeText,
  }),
  status: podCertificateStatus,
});

const certificateSigningRequest = fields({
  ...requestKind,
  metadata: fields({ ...labelled, annotations: ifReadable(strings) }),
  spec: fields({
    request: text,
    signerName: text,
    usages: v.exactOptional(v.array(text)),
    expirationSeconds: maybeInteger,
  }),
  status: ifReadable(fields({ conditions, certificate: ifReadable(text) })),
});

const certificateRequest = fields({
  ...requestKind,
  metadata: fields(labelled),
  spec: fields({ request: text, issuerRef: fields({ name: text, kind: maybeText, group: maybeText }) }),
  status: ifReadable(fields({ conditions, certificate: ifReadable(text), ca: ifReadable(text) })),
});

const clusterTrustBundle = fields({ ...object, spec: fields({ signerName: maybeText, trustBundle: text }) });

const container = fields({
  name: text,
  securityContext: v.exactOptional(fields({ runAsUser: maybeInteger })),
  volumeMounts: v.exactOptional(v.array(fields({ name: text, subPath: maybeText, subPathExpr: maybeText }))),
});

const pod = fields({
  ...object,
  spec: v.exactOptional(
    fields({
      nodeName: maybeText,
      serviceAccountName: maybeText,
      hostNetwork: maybeFlag,
      securityContext: v.exactOptional(fields({ runAsUser: maybeInteger, fsGroup: maybeInteger })),
      containers: v.exactOptional(v.array(container)),
      initContainers: v.exactOptional(v.array(container)),
    }),
  ),
  status: v.exactOptional(
    fields({
      phase: maybeText,
      podIPs: v.exactOptional(v.array(fields({ ip: maybeText }))),
      hostIPs: v.exactOptional(v.array(fields({ ip: maybeText }))),
    }),
  ),
});

/** What is read of the node's pods while somebody waits for one of them: there may be hundreds, as large as their authors like. */
const nodePod = fields({
  metadata: fields({ ...bareMetadata, deletionTimestamp: maybeText }),
  spec: v.exactOptional(fields({ hostNetwork: maybeFlag })),
  status: v.exactOptional(
    fields({
      podIPs: v.exactOptional(v.array(fields({ ip: maybeText }))),
      hostIPs: v.exactOptional(v.array(fields({ ip: maybeText }))),
    }),
  ),
});

/** What the volumes of a pod are made from; read apart from the rest, which more depends on. */
const podVolumes = fields({
  metadata,
  spec: v.exactOptional(
    fields({
      serviceAccountName: maybeText,
      volumes: v.exactOptional(
        v.array(fields({ name: text, csi: v.exactOptional(fields({ driver: text, volumeAttributes: maybeStrings })) })),
      ),
    }),
  ),
});

/** What is read of a pod before its volumes are published; of its annotations just the one that marks a static pod. */
const boundPod = fields({
  metadata: fields({
    name: text,
    namespace: maybeText,
    uid: maybeText,
    resourceVersion: maybeText,
    deletionTimestamp: maybeText,
    annotations: v.exactOptional(fields({ [mirrorAnnotation]: maybeText })),
  }),
  spec: v.exactOptional(
    fields({
      nodeName: maybeText,
      serviceAccountName: maybeText,
      hostNetwork: maybeFlag,
      volumes: v.exactOptional(
        v.array(
          fields({
            name: text,
            csi: v.exactOptional(
              fields({
                driver: text,
                readOnly: maybeFlag,
                volumeAttributes: maybeStrings,
                nodePublishSecretRef: v.exactOptional(fields({ name: maybeText })),
              }),
            ),
          }),
        ),
      ),
    }),
  ),
  status: v.exactOptional(fields({ phase: maybeText })),
});

/** Causes that are read of an error: a handful says all that a person or the agent can do something about. */
const mostCauses = 32;

const cause = fields({ reason: ifReadable(text), message: ifReadable(text), field: ifReadable(text) });

const status = fields({
  kind: v.literal('Status'),
  status: ifReadable(text),
  message: ifReadable(text),
  reason: ifReadable(text),
  code: ifReadable(integer),
  details: ifReadable(
    fields({
      name: ifReadable(text),
      kind: ifReadable(text),
      retryAfterSeconds: ifReadable(integer),
      causes: ifReadable(readableItems(cause, mostCauses)),
    }),
  ),
});

const tokenReview = fields({
  status: v.exactOptional(
    fields({
      authenticated: maybeFlag,
      user: v.exactOptional(
        fields({
          username: maybeText,
          uid: maybeText,
          groups: v.exactOptional(v.array(text)),
          extra: v.exactOptional(v.record(text, v.array(text))),
        }),
      ),
    }),
  ),
});

const subjectAccessReview = fields({ status: v.exactOptional(fields({ allowed: maybeFlag, denied: maybeFlag })) });

const resource = fields({ name: text });

/** The schema of a PodCertificateRequest's spec, as far as it tells whether there is a stub. */
const requestSpecSchema = fields({
  properties: v.exactOptional(fields({ stubPKCS10Request: v.exactOptional(v.unknown()) })),
});

const openApiDocument = fields({
  components: v.exactOptional(fields({ schemas: v.exactOptional(v.record(text, requestSpecSchema)) })),
});

export const decodeObject: Decoder<KubernetesObject> = decoder('object', fields(object));
export const decodePod: Decoder<Pod> = decoder('Pod', pod);
export const decodeNodePod: Decoder<Pod> = decoder('Pod', nodePod);
export const decodePodVolumes = decoder('Pod', podVolumes);
export const decodeBoundPod = decoder('Pod', boundPod);
export const decodePodCertificateRequest: Decoder<PodCertificateRequest> = decoder(
  'PodCertificateRequest',
  podCertificateRequest,
);
export const decodeNodeRequest: Decoder<NodeRequest> = decoder('PodCertificateRequest', nodeRequest);
export const decodeCertificateSigningRequest: Decoder<CertificateSigningRequest> = decoder(
  'CertificateSigningRequest',
  certificateSigningRequest,
);
export const decodeCertificateRequest: Decoder<CertificateRequest> = decoder('CertificateRequest', certificateRequest);
export const decodeClusterTrustBundle: Decoder<ClusterTrustBundle> = decoder('ClusterTrustBundle', clusterTrustBundle);
export const decodeTokenReview = decoder('TokenReview', tokenReview);
export const decodeSubjectAccessReview = decoder('SubjectAccessReview', subjectAccessReview);
export const decodeEvent = decoder(
  'Event',
  fields({
    metadata: fields({ name: text, creationTimestamp: ifReadable(text) }),
    reason: ifReadable(text),
    message: ifReadable(text),
    lastTimestamp: ifReadable(text),
    eventTime: ifReadable(text),
  }),
);
/** A node, as far as its taints go. */
export const decodeTaintedNode = decoder(
  'Node',
  fields({
    ...object,
    spec: v.exactOptional(fields({ taints: v.exactOptional(v.array(fields({ key: maybeText }))) })),
  }),
);
/** The CSI drivers that a kubelet has registered. */
export const decodeCsiNode = decoder(
  'CSINode',
  fields({ ...object, spec: fields({ drivers: v.exactOptional(v.array(fields({ name: text }))) }) }),
);
export const decodeTokenRequest = decoder(
  'TokenRequest',
  fields({ status: fields({ token: text, expirationTimestamp: text }) }),
);
/** The kubelet's hand-over of a pod's tokens to a CSI driver, by audience. */
export const decodeHandOver = decoder(
  'hand-over of tokens',
  v.record(text, fields({ token: text, expirationTimestamp: text })),
);
/** All resources of an API group's version; they are read one by one, since there may be any number of them. */
export const decodeResourceList = decoder(
  'APIResourceList',
  fields({ resources: v.exactOptional(v.array(v.unknown())) }),
  membersAlone({ resources: { items: shapeOf(resource), apart: true } }),
);
export const decodeResource = decoder('APIResource', resource);
/** Of the thousands of schemas that it may have one is kept, whose name begins in more than one way. */
export const decodeOpenApiDocument = decoder(
  'OpenAPI document',
  openApiDocument,
  membersAlone({
    components: membersAlone({
      schemas: {
        wanted: (name) => (name.endsWith('.PodCertificateRequestSpec') ? shapeOf(requestSpecSchema) : undefined),
      },
    }),
  }),
);
export const decodeVersion = decoder('version', fields({ minor: maybeText, gitVersion: maybeText }));
/**
 * A page of a list; its items are read one by one, so that one that is unreadable does not hide the others. A token for the next page
 * that cannot be read is no last page: what is not in a list counts as deleted.
 */
const page = fields({
  kind: ifReadable(text),
  metadata: v.exactOptional(fields({ resourceVersion: ifReadable(text), continue: maybeText })),
  items: v.exactOptional(v.array(v.unknown())),
});

/** @param decode of the items: what it does not read is not kept of them */
export function pageDecoder(decode: Decoder<unknown>) {
  const items: Shape = { items: decode.shape ?? 'all', apart: true };
  return decoder('list', page, { members: new Map([...membersOf(page), ['items', items]]) });
}

/** @param decode of the objects */
export function frameShape({ shape }: Decoder<unknown>): Shape {
  if (shape === undefined || shape === 'all' || !('members' in shape)) {
    return 'all';
  }
  // The object of an error is a Status, and that of a bookmark has its metadata only.
  const object: Shape = { members: new Map([...membersOf(status), ...membersOf(outline), ...shape.members]) };
  return membersAlone({ type: 'all', object });
}

const events = ['ADDED', 'MODIFIED', 'DELETED'] as const;

/**
 * The frame of a watch around an object. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/watch-event/
 * An event of a type that was not known when this was written says nothing here, and ends no watch.
 */
export const decodeWatchEvent = decoder(
  'watch event',
  v.union([
    v.variant('type', [
      v.object({ type: v.picklist(events), object: v.unknown() }),
      v.object({
        type: v.literal('BOOKMARK'),
        object: fields({ metadata: fields({ resourceVersion: ifReadable(text) }) }),
      }),
      v.object({ type: v.literal('ERROR'), object: v.unknown() }),
    ]),
    v.pipe(
      v.object({ type: v.pipe(text, v.notValues([...events, 'BOOKMARK', 'ERROR'])) }),
      v.transform(() => ({ type: 'OTHER' as const })),
    ),
  ]),
);

const outline = fields({
  metadata: fields({ name: ifReadable(text), namespace: maybeText, resourceVersion: ifReadable(text) }),
});

/** What can be said of an object that is unreadable otherwise: its key, and the version at which it was sent. */
export function outlineOf(value: unknown): { readonly key?: string; readonly resourceVersion?: string } {
  const result = v.safeParse(outline, value, firstFault);
  if (!result.success) {
    return {};
  }
  const { name, namespace, resourceVersion } = result.output.metadata;
  return {
    ...(name === undefined ? {} : { key: keyOf({ metadata: { name, ...(namespace && { namespace }) } }) }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

export const statusShape: Shape = shapeOf(status);

/** A metav1.Status; undefined for anything else. */
export function readStatus(value: unknown): Status | undefined {
  const result = v.safeParse(status, value, firstFault);
  return result.success ? result.output : undefined;
}

const firstFault = { abortEarly: true, abortPipeEarly: true } as const;

/** What a schema reads of a value. */
function shapeOf(schema: unknown): Shape {
  if (typeof schema !== 'object' || schema === null) {
    return 'all';
  }
  if ('wrapped' in schema) {
    return shapeOf(schema.wrapped);
  }
  if ('item' in schema) {
    return { items: shapeOf(schema.item) };
  }
  if ('pipe' in schema && Array.isArray(schema.pipe) && schema.pipe.at(-1) !== schema) {
    return shapeOf(schema.pipe.at(-1));
  }
  return 'entries' in schema && typeof schema.entries === 'object' && schema.entries !== null
    ? { members: new Map(Object.entries(schema.entries).map(([name, entry]) => [name, shapeOf(entry)])) }
    : 'all';
}

function membersAlone(members: Readonly<Record<string, Shape>>): Shape {
  return { members: new Map(Object.entries(members)) };
}

function membersOf(schema: v.GenericSchema): ReadonlyMap<string, Shape> {
  const shape = shapeOf(schema);
  return typeof shape === 'object' && 'members' in shape ? shape.members : new Map();
}

/** The same decoder, with something done to what it gives. */
export function decodedThen<T, Result>(decode: Decoder<T>, change: (object: T) => Result): Decoder<Result> {
  const changed = (value: unknown): Result => change(decode(value));
  return decode.shape === undefined ? changed : Object.assign(changed, { shape: decode.shape });
}

function decoder<const S extends v.GenericSchema>(
  kind: string,
  schema: S,
  shape: Shape = shapeOf(schema),
): Decoder<v.InferOutput<S>> {
  const decode = (value: unknown): v.InferOutput<S> => {
    const result = v.safeParse(schema, value, firstFault);
    if (result.success) {
      return result.output;
    }
    const [issue] = result.issues;
    const path = v.getDotPath(issue);
    const where = path === null ? '' : ` at ${path.slice(0, 100)}`;
    // The words of the library say types, and would quote a value: it may be a certificate or a token.
    const message = `a ${kind} of the API server cannot be read${where}: expected ${issue.expected ?? 'an object'}`;
    throw new AgentError('Unavailable', message, { actor: 'nobody' });
  };
  return Object.assign(decode, { shape });
}
