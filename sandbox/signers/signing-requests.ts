/**
 * An approver and signer of CertificateSigningRequests: approves and signs what is asked of one signer name, or leaves it to
 * somebody else. It issues whatever names a request asks for, which is for a sandbox; `approver.ts` is a gate before it.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
 */
import 'reflect-metadata';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { createListWatch } from '../../agent/kubernetes/list-watch.ts';
import type { CertificateSigningRequest, Condition } from '../../agent/kubernetes/objects.ts';
import { resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent } from '../base/client.ts';
import { attend } from './attend.ts';
import type { Authority } from './authority.ts';
import { requestedCertificate } from './requested-certificate.ts';

/** What it does with a request. */
export type SigningBehaviour = 'approve and sign' | 'sign when approved' | 'deny' | 'fail' | 'silent';

export interface SigningRequestSignerOptions {
  readonly client: ApiClient;
  readonly signerName: string;
  /** The authority that certificates come from at the moment. */
  readonly authority: () => Authority;
  /** Where a request names no lifetime. */
  readonly lifetimeSeconds: number;
  readonly now: () => number;
  readonly onProblem: (message: string) => void;
}

const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

/** Answers until closed. */
export function startSigningRequestSigner(options: SigningRequestSignerOptions, behaviour: SigningBehaviour) {
  const { client, signerName } = options;
  let current = behaviour;
  const watch = createListWatch<CertificateSigningRequest>({
    client,
    decode: asSent<CertificateSigningRequest>,
    path: async () => collection,
    query: { fieldSelector: `spec.signerName=${signerName}` },
  });

  const attendance = attend(watch, (request) => answer(options, request, current), options.onProblem);
  return {
    setBehaviour(next: SigningBehaviour): void {
      current = next;
      attendance.lookAgain();
    },
    close: watch.stop,
  };
}

async function answer(
  options: SigningRequestSignerOptions,
  request: CertificateSigningRequest,
  behaviour: SigningBehaviour,
): Promise<void> {
  const has = (type: string) => request.status?.conditions?.some((condition) => condition.type === type) ?? false;
  if (request.status?.certificate !== undefined || has('Denied') || has('Failed') || behaviour === 'silent') {
    return;
  }
  if (behaviour === 'deny') {
    return await put(options, withCondition(request, 'Denied', 'Policy', 'no'), 'approval');
  }
  if (!has('Approved') && behaviour === 'sign when approved') {
    return;
  }
  if (!has('Approved')) {
    // The signature follows when the watch shows the approval.
    return await put(options, withCondition(request, 'Approved', 'Sandbox', 'approved at once'), 'approval');
  }
  if (behaviour === 'fail') {
    return await put(options, withCondition(request, 'Failed', 'Sandbox', 'cannot'), 'status');
  }
  const certificate = Buffer.from(await sign(options, request)).toString('base64');
  await put(options, { ...request, status: { ...request.status, certificate } }, 'status');
}

function sign(options: SigningRequestSignerOptions, { spec }: CertificateSigningRequest): Promise<string> {
  const csr = new Pkcs10CertificateRequest(Buffer.from(spec.request, 'base64').toString('utf8'));
  const { authority, lifetimeSeconds, now } = options;
  return requestedCertificate(authority(), csr, spec.expirationSeconds ?? lifetimeSeconds, now());
}

function withCondition(
  request: CertificateSigningRequest,
  type: string,
  reason: string,
  message: string,
): CertificateSigningRequest {
  const condition: Condition = { type, status: 'True', reason, message };
  const conditions = [...(request.status?.conditions ?? []), condition];
  return { ...request, status: { ...request.status, conditions } };
}

async function put(
  { client }: SigningRequestSignerOptions,
  request: CertificateSigningRequest,
  subresource: 'approval' | 'status',
): Promise<void> {
  const path = resourcePath('/apis/certificates.k8s.io/v1', {
    resource: 'certificatesigningrequests',
    name: request.metadata.name,
    subresource,
  });
  const body = { ...request, apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest' };
  await client.request({ method: 'PUT', path, body });
}
