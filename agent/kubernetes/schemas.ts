/** Reads the objects of the API server, but for requests for certificates, into the types of `objects.ts`. */
import * as v from 'valibot';
import {
  bareMetadata,
  type Decoder,
  decoder,
  fields,
  ifReadable,
  maybeFlag,
  maybeInteger,
  maybeStrings,
  maybeText,
  membersAlone,
  shapeOf,
  text,
} from './decoding.ts';
import type { ClusterTrustBundle, KubernetesObject, Pod } from './objects.ts';
import { mirrorAnnotation } from './pod-objects.ts';

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
