/**
 * The CertificateSigningRequests of one signer: those that are approved and not answered, and, for an approver, those that nobody has judged.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
 */
import * as v from 'valibot';
import type { AgentError } from '../../agent/base/errors.ts';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { createListWatch, type ListWatch } from '../../agent/kubernetes/list-watch.ts';
import type { Condition } from '../../agent/kubernetes/objects.ts';
import { resourcePath } from '../../agent/kubernetes/paths.ts';
import { decodeCertificateSigningRequest } from '../../agent/kubernetes/request-schemas.ts';
import { secondsText } from '../../agent/time/time-text.ts';
import type { Refusal } from '../decision/decision.ts';
import type { SigningRequest } from '../decision/signing-request.ts';
import type { Followed } from './attend.ts';
import { rawObject } from './raw-object.ts';

const pathPrefix = '/apis/certificates.k8s.io/v1';
const resource = 'certificatesigningrequests';

/** One that has no certificate, and has been neither denied nor failed. */
export interface OpenSigningRequest {
  readonly request: SigningRequest;
  readonly isApproved: boolean;
  /** As the server sent it, with the fields that the signer does not know. */
  readonly sent: object;
}

/** What the server has written about the maker of a request. */
const requester = rawObject(
  'CertificateSigningRequest',
  v.looseObject({
    spec: v.looseObject({
      username: v.optional(v.string(), ''),
      groups: v.optional(v.nullable(v.array(v.string()))),
      extra: v.optional(v.nullable(v.record(v.string(), v.array(v.string())))),
    }),
  }),
);

export function watchSigningRequests(
  client: ApiClient,
  signerName: string,
  onError: (error: AgentError) => void,
): ListWatch<Followed<OpenSigningRequest>> {
  return createListWatch<Followed<OpenSigningRequest>>({
    client,
    query: { fieldSelector: `spec.signerName=${signerName}` },
    decode: followed,
    onError,
    path: async () => resourcePath(pathPrefix, { resource }),
  });
}

function followed(sent: unknown): Followed<OpenSigningRequest> {
  const decoded = decodeCertificateSigningRequest(sent);
  const { metadata, status } = decoded;
  const has = (type: string): boolean => status?.conditions?.some((condition) => condition.type === type) ?? false;
  if (status?.certificate || has('Denied') || has('Failed')) {
    return { metadata };
  }
  const { username, groups, extra } = requester(sent).spec;
  const spec = { ...decoded.spec, username, groups: groups ?? [], extra: extra ?? {} };
  return { metadata, open: { request: { ...decoded, spec }, isApproved: has('Approved'), sent: Object(sent) } };
}

/** Writes the certificate, PEM. */
export async function writeCertificate(
  client: ApiClient,
  open: OpenSigningRequest,
  certificate: string,
  signal: AbortSignal,
): Promise<void> {
  await put(client, open, { certificate: Buffer.from(certificate).toString('base64') }, 'status', signal);
}

/** An approved request that cannot be signed has failed; Kubernetes' own signers say it so. */
export async function writeFailure(
  client: ApiClient,
  open: OpenSigningRequest,
  { reason, message }: Refusal,
  now: number,
  signal: AbortSignal,
): Promise<void> {
  const text = `${reason}: ${message}`;
  await putCondition(
    client,
    open,
    { type: 'Failed', reason: 'SignerValidationFailure', message: text },
    'status',
    now,
    signal,
  );
}

export async function writeApproval(
  client: ApiClient,
  open: OpenSigningRequest,
  refusal: Refusal | undefined,
  now: number,
  signal: AbortSignal,
): Promise<void> {
  const condition =
    refusal === undefined
      ? {
          type: 'Approved',
          reason: 'PodMatches',
          message: 'its names are those of the pod, and its maker may ask for it',
        }
      : { type: 'Denied', reason: refusal.reason, message: refusal.message };
  await putCondition(client, open, condition, 'approval', now, signal);
}

function putCondition(
  client: ApiClient,
  open: OpenSigningRequest,
  condition: Pick<Condition, 'type' | 'reason' | 'message'>,
  subresource: 'approval' | 'status',
  now: number,
  signal: AbortSignal,
): Promise<void> {
  const time = secondsText(now);
  const conditions = [
    ...(open.request.status?.conditions ?? []),
    { ...condition, status: 'True', lastUpdateTime: time, lastTransitionTime: time },
  ];
  return put(client, open, { conditions }, subresource, signal);
}

async function put(
  client: ApiClient,
  { request, sent }: OpenSigningRequest,
  status: object,
  subresource: 'approval' | 'status',
  signal: AbortSignal,
): Promise<void> {
  const path = resourcePath(pathPrefix, { resource, name: request.metadata.name, subresource });
  const head = { apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest' };
  const body = { ...sent, ...head, status: { ...request.status, ...status } };
  await client.request({ method: 'PUT', path, body, signal });
}
