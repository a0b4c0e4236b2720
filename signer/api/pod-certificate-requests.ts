/**
 * The PodCertificateRequests of one signer, and their answers, in whichever version the cluster serves.
 *
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/4317-pod-certificates
 */
import type { AgentError } from '../../agent/base/errors.ts';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { decodedThen, decoder, fields } from '../../agent/kubernetes/decoding.ts';
import type { Discovery } from '../../agent/kubernetes/discovery.ts';
import { createListWatch, type ListWatch } from '../../agent/kubernetes/list-watch.ts';
import type { ObjectMeta, PodCertificateRequest } from '../../agent/kubernetes/objects.ts';
import { resourcePath } from '../../agent/kubernetes/paths.ts';
import { decodePodCertificateRequest } from '../../agent/kubernetes/request-schemas.ts';
import { servedRequests } from '../../agent/kubernetes/requests.ts';
import { secondsText } from '../../agent/time/time-text.ts';
import type { Decision, Refusal } from '../decision/decision.ts';
import type { Followed, Waiting } from './attend.ts';
import { outlined, whenFound } from './raw-object.ts';

const resource = 'podcertificaterequests';

/** What is known of a request that nobody has answered until its turn comes: whoever makes many must not fill the memory with them. */
export interface OpenRequest extends Waiting {
  readonly metadata: ObjectMeta;
}

/** One that nobody has answered, when its turn has come. */
export interface WholeRequest {
  readonly request: PodCertificateRequest;
  /** As the server sent it, with the fields that the signer does not know. */
  readonly sent: object;
}

export function watchPodCertificateRequests(
  client: ApiClient,
  discovery: Discovery,
  signerName: string,
  onError: (error: AgentError) => void,
): ListWatch<Followed<OpenRequest>> {
  return createListWatch<Followed<OpenRequest>>({
    client,
    query: { fieldSelector: `spec.signerName=${signerName}` },
    decode: followed,
    onError,
    ...servedRequests(discovery),
  });
}

const followed = decodedThen(
  decoder('PodCertificateRequest', fields(outlined)),
  ({ metadata, status }): Followed<OpenRequest> =>
    isOpen(status) ? { metadata, open: { metadata, owner: metadata.namespace ?? '' } } : { metadata },
);

function isOpen(status: { readonly conditions?: readonly object[] } = {}): boolean {
  return (status.conditions ?? []).length === 0;
}

/** @returns nothing for one that has been answered meanwhile, or is gone */
export async function readPodCertificateRequest(
  client: ApiClient,
  discovery: Discovery,
  { metadata: { namespace = '', name, uid } }: Pick<OpenRequest, 'metadata'>,
  signal: AbortSignal,
): Promise<WholeRequest | undefined> {
  const { pathPrefix } = await discovery.podCertificateRequests();
  const path = resourcePath(pathPrefix, { resource, namespace, name });
  const sent = await client.request({ method: 'GET', path, signal }).catch(whenFound);
  if (sent === undefined) {
    return undefined;
  }
  const request = decodePodCertificateRequest(sent);
  return request.metadata.uid === uid && isOpen(request.status) ? { request, sent: Object(sent) } : undefined;
}

export type Answer =
  | (Extract<Decision, { readonly type: 'issue' }> & { /** PEM. */ readonly certificate: string })
  | Refusal;

/** @param now milliseconds since the epoch. @throws AgentError Conflict when it has changed meanwhile, NotFound when it is gone */
export async function answerPodCertificateRequest(
  client: ApiClient,
  discovery: Discovery,
  { request, sent }: WholeRequest,
  answer: Answer,
  now: number,
  signal: AbortSignal,
): Promise<void> {
  const { apiVersion, pathPrefix } = await discovery.podCertificateRequests();
  const { name, namespace = '' } = request.metadata;
  const path = resourcePath(pathPrefix, { resource, namespace, name, subresource: 'status' });
  const body = { ...sent, apiVersion, kind: 'PodCertificateRequest', status: statusOf(answer, now) };
  await client.request({ method: 'PUT', path, body, signal });
}

function statusOf(answer: Answer, now: number): object {
  const about = { status: 'True', lastTransitionTime: secondsText(now) };
  if (answer.type === 'refuse') {
    const { reason, message } = answer;
    return { conditions: [{ ...about, type: 'Denied', reason, message }] };
  }
  const { order, beginRefreshAt, certificate } = answer;
  return {
    conditions: [{ ...about, type: 'Issued', reason: 'Issued', message: 'signed by the trial signer' }],
    certificateChain: certificate,
    notBefore: secondsText(order.notBefore),
    notAfter: secondsText(order.notAfter),
    beginRefreshAt: secondsText(beginRefreshAt),
  };
}
