/**
 * The CertificateSigningRequests of one signer: those that are approved and not answered, and, for an approver, those that nobody has judged.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
 */
import * as v from 'valibot';
import type { AgentError } from '../../agent/base/errors.ts';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { decodedThen, decoder, fields, ifReadable, text } from '../../agent/kubernetes/decoding.ts';
import { createListWatch, type ListWatch } from '../../agent/kubernetes/list-watch.ts';
import type { Condition, ObjectMeta } from '../../agent/kubernetes/objects.ts';
import { resourcePath } from '../../agent/kubernetes/paths.ts';
import { decodeCertificateSigningRequest } from '../../agent/kubernetes/request-schemas.ts';
import { secondsText } from '../../agent/time/time-text.ts';
import type { Refusal } from '../decision/decision.ts';
import type { SigningRequest } from '../decision/signing-request.ts';
import type { Followed, Waiting } from './attend.ts';
import { outlined, rawObject, whenFound } from './raw-object.ts';

const pathPrefix = '/apis/certificates.k8s.io/v1';
const resource = 'certificatesigningrequests';

/**
 * What is known until its turn comes of one that has no certificate, and has been neither denied nor failed. Whoever may make requests
 * may make many, of megabytes each.
 */
export interface OpenSigningRequest extends Waiting {
  readonly metadata: ObjectMeta;
}

/** One without an answer, when its turn has come. */
export interface WholeSigningRequest {
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

/** @param isApprover those that nobody has approved are of interest, too */
export function watchSigningRequests(
  client: ApiClient,
  signerName: string,
  isApprover: boolean,
  onError: (error: AgentError) => void,
): ListWatch<Followed<OpenSigningRequest>> {
  return createListWatch<Followed<OpenSigningRequest>>({
    client,
    query: { fieldSelector: `spec.signerName=${signerName}` },
    decode: decodedThen(outline, ({ metadata, spec: { username = '' }, status }) =>
      isOpen(status) && (isApprover || has('Approved', status))
        ? { metadata, open: { metadata, owner: ownerOf(username) } }
        : { metadata },
    ),
    onError,
    path: async () => resourcePath(pathPrefix, { resource }),
  });
}

const outline = decoder(
  'CertificateSigningRequest',
  fields({ ...outlined, spec: fields({ username: ifReadable(text) }) }),
);

/** Of no namespace, it is its maker's, whom the API server has written down. No namespace is called so. */
function ownerOf(username: string): string {
  return `user ${username}`;
}

type Status = SigningRequest['status'];

function has(type: string, status: { readonly conditions?: readonly { readonly type: string }[] } = {}): boolean {
  return status.conditions?.some((condition) => condition.type === type) ?? false;
}

function isOpen(status: Status): boolean {
  return !status?.certificate && !has('Denied', status) && !has('Failed', status);
}

/** @returns nothing for one that has been answered meanwhile, or is gone */
export async function readSigningRequest(
  client: ApiClient,
  { metadata: { name, uid } }: Pick<OpenSigningRequest, 'metadata'>,
  signal: AbortSignal,
): Promise<WholeSigningRequest | undefined> {
  const path = resourcePath(pathPrefix, { resource, name });
  const sent = await client.request({ method: 'GET', path, signal }).catch(whenFound);
  if (sent === undefined) {
    return undefined;
  }
  const decoded = decodeCertificateSigningRequest(sent);
  if (decoded.metadata.uid !== uid || !isOpen(decoded.status)) {
    return undefined;
  }
  const { username, groups, extra } = requester(sent).spec;
  const spec = { ...decoded.spec, username, groups: groups ?? [], extra: extra ?? {} };
  return { request: { ...decoded, spec }, isApproved: has('Approved', decoded.status), sent: Object(sent) };
}

/** Writes the certificate, PEM. */
export async function writeCertificate(
  client: ApiClient,
  whole: WholeSigningRequest,
  certificate: string,
  signal: AbortSignal,
): Promise<void> {
  await put(client, whole, { certificate: Buffer.from(certificate).toString('base64') }, 'status', signal);
}

/** An approved request that cannot be signed has failed; Kubernetes' own signers say it so. */
export async function writeFailure(
  client: ApiClient,
  whole: WholeSigningRequest,
  { reason, message }: Refusal,
  now: number,
  signal: AbortSignal,
): Promise<void> {
  const text = `${reason}: ${message}`;
  await putCondition(
    client,
    whole,
    { type: 'Failed', reason: 'SignerValidationFailure', message: text },
    'status',
    now,
    signal,
  );
}

export async function writeApproval(
  client: ApiClient,
  whole: WholeSigningRequest,
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
  await putCondition(client, whole, condition, 'approval', now, signal);
}

function putCondition(
  client: ApiClient,
  whole: WholeSigningRequest,
  condition: Pick<Condition, 'type' | 'reason' | 'message'>,
  subresource: 'approval' | 'status',
  now: number,
  signal: AbortSignal,
): Promise<void> {
  const time = secondsText(now);
  const conditions = [
    ...(whole.request.status?.conditions ?? []),
    { ...condition, status: 'True', lastUpdateTime: time, lastTransitionTime: time },
  ];
  return put(client, whole, { conditions }, subresource, signal);
}

async function put(
  client: ApiClient,
  { request, sent }: WholeSigningRequest,
  status: object,
  subresource: 'approval' | 'status',
  signal: AbortSignal,
): Promise<void> {
  const path = resourcePath(pathPrefix, { resource, name: request.metadata.name, subresource });
  const head = { apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest' };
  const body = { ...sent, ...head, status: { ...request.status, ...status } };
  await client.request({ method: 'PUT', path, body, signal });
}
