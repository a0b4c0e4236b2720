/** Reads the requests for certificates of all three APIs into the types of `objects.ts`. */
import * as v from 'valibot';
import {
  bareMetadata,
  type Decoder,
  decoder,
  fields,
  ifReadable,
  maybeInteger,
  maybeStrings,
  maybeText,
  readableItems,
  strings,
  text,
} from './decoding.ts';
import type { CertificateRequest, CertificateSigningRequest, NodeRequest, PodCertificateRequest } from './objects.ts';

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
