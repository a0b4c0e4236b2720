/**
 * Reads what comes off the wire, once and field by field, into the types of `objects.ts`: a reply may come from a proxy
 * or from another version of Kubernetes. Fields that the agent does not know are left out, a field that is null counts
 * as absent (Go writes nil slices and maps so), and a known field of the wrong type makes the object unreadable.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
import * as v from 'valibot';
import { AgentError } from '../base/errors.ts';
import {
  type CertificateRequest,
  type CertificateSigningRequest,
  type ClusterTrustBundle,
  type KubernetesObject,
  keyOf,
  type Pod,
  type PodCertificateRequest,
  type Status,
} from './objects.ts';

/** @throws AgentError Unavailable, naming the field that cannot be read */
export type Decoder<T> = (value: unknown) => T;

type Entries = v.ObjectEntries;

const text = v.string();
const maybeText = v.exactOptional(text);
const maybeInteger = v.exactOptional(v.pipe(v.number(), v.integer()));
const maybeFlag = v.exactOptional(v.boolean());
const maybeStrings = v.exactOptional(v.record(text, text));

/** An object of which the given fields are read. */
function fields<const E extends Entries>(entries: E) {
  return v.pipe(
    v.unknown(),
    v.check((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'is not an object'),
    v.transform((value) => present(value, Object.keys(entries))),
    v.object(entries),
  );
}

function present(value: unknown, names: readonly string[]): Record<string, unknown> {
  const all = Object.entries(Object(value));
  return Object.fromEntries(all.filter(([name, entry]) => entry !== null && names.includes(name)));
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

const condition = fields({
  type: text,
  status: text,
  reason: maybeText,
  message: maybeText,
  lastTransitionTime: maybeText,
});

const podCertificateRequest = fields({
  ...object,
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
  status: v.exactOptional(
    fields({
      conditions: v.exactOptional(v.array(condition)),
      certificateChain: maybeText,
      notBefore: maybeText,
      notAfter: maybeText,
      beginRefreshAt: maybeText,
    }),
  ),
});

const certificateSigningRequest = fields({
  ...object,
  spec: fields({
    request: text,
    signerName: text,
    usages: v.exactOptional(v.array(text)),
    expirationSeconds: maybeInteger,
  }),
  status: v.exactOptional(fields({ conditions: v.exactOptional(v.array(condition)), certificate: maybeText })),
});

const certificateRequest = fields({
  ...object,
  spec: fields({
    request: text,
    issuerRef: fields({ name: text, kind: maybeText, group: maybeText }),
    duration: maybeText,
    usages: v.exactOptional(v.array(text)),
    isCA: maybeFlag,
  }),
  status: v.exactOptional(
    fields({ conditions: v.exactOptional(v.array(condition)), certificate: maybeText, ca: maybeText }),
  ),
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
  status: v.exactOptional(fields({ phase: maybeText, podIPs: v.exactOptional(v.array(fields({ ip: maybeText }))) })),
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

const status = fields({
  kind: v.literal('Status'),
  status: maybeText,
  message: maybeText,
  reason: maybeText,
  code: maybeInteger,
  details: v.exactOptional(
    fields({
      name: maybeText,
      kind: maybeText,
      retryAfterSeconds: maybeInteger,
      causes: v.exactOptional(v.array(fields({ reason: maybeText, message: maybeText, field: maybeText }))),
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

const openApiDocument = fields({
  components: v.exactOptional(
    fields({
      schemas: v.exactOptional(v.record(text, fields({ properties: v.exactOptional(v.record(text, v.unknown())) }))),
    }),
  ),
});

export const decodeObject: Decoder<KubernetesObject> = decoder('object', fields(object));
export const decodePod: Decoder<Pod> = decoder('Pod', pod);
export const decodePodVolumes = decoder('Pod', podVolumes);
export const decodePodCertificateRequest: Decoder<PodCertificateRequest> = decoder(
  'PodCertificateRequest',
  podCertificateRequest,
);
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
  fields({ metadata, reason: maybeText, message: maybeText, lastTimestamp: maybeText, eventTime: maybeText }),
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
export const decodeResourceList = decoder(
  'APIResourceList',
  fields({ resources: v.exactOptional(v.array(fields({ name: text }))) }),
);
export const decodeOpenApiDocument = decoder('OpenAPI document', openApiDocument);
export const decodeVersion = decoder('version', fields({ minor: maybeText, gitVersion: maybeText }));
/** A page of a list; its items are read one by one, so that one that is unreadable does not hide the others. */
export const decodePage = decoder(
  'list',
  fields({
    kind: maybeText,
    metadata: v.exactOptional(fields({ resourceVersion: maybeText, continue: maybeText })),
    items: v.exactOptional(v.array(v.unknown())),
  }),
);

/** The frame of a watch around an object. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/watch-event/ */
export const decodeWatchEvent = decoder(
  'watch event',
  v.variant('type', [
    v.object({ type: v.picklist(['ADDED', 'MODIFIED', 'DELETED']), object: v.unknown() }),
    v.object({
      type: v.literal('BOOKMARK'),
      object: fields({ metadata: fields({ resourceVersion: text }) }),
    }),
    v.object({ type: v.literal('ERROR'), object: v.unknown() }),
  ]),
);

const outline = fields({
  metadata: fields({ name: maybeText, namespace: maybeText, resourceVersion: maybeText }),
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

/** A metav1.Status; undefined for anything else. */
export function readStatus(value: unknown): Status | undefined {
  const result = v.safeParse(status, value, firstFault);
  return result.success ? result.output : undefined;
}

const firstFault = { abortEarly: true, abortPipeEarly: true } as const;

function decoder<const S extends v.GenericSchema>(kind: string, schema: S): Decoder<v.InferOutput<S>> {
  return (value) => {
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
}
