/**
 * cert-manager's part in the sandbox: an approver of CertificateRequests, and an issuer that answers those that are
 * approved, for every Issuer and ClusterIssuer that is ready. It says what it waits for in the words of cert-manager.
 *
 * https://cert-manager.io/docs/usage/certificaterequest/
 */
import 'reflect-metadata';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { createListWatch } from '../../agent/kubernetes/list-watch.ts';
import type { CertificateRequest, Condition, KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent } from '../base/client.ts';
import { attend } from './attend.ts';
import type { Authority } from './authority.ts';
import { requestedCertificate } from './requested-certificate.ts';

/** What the approver does with a request: at once, or on command only; or it says in an event that no policy matches it. */
export type ApproverBehaviour = 'approve' | 'deny' | 'wait for a command' | 'match no policy';
/** What the issuer does with an approved request; `fail` and `call invalid` are for ever, `keep pending` is not. */
export type IssuerBehaviour = 'sign' | 'fail' | 'call invalid' | 'keep pending';

export interface CertManagerBehaviour {
  readonly approver: ApproverBehaviour;
  readonly issuer: IssuerBehaviour;
}

export interface CertManagerOptions {
  readonly client: ApiClient;
  /** The authority that certificates come from at the moment. */
  readonly authority: () => Authority;
  /** Where a request names no lifetime. */
  readonly lifetimeSeconds: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onProblem: (message: string) => void;
}

export interface CertManager {
  setBehaviour(behaviour: Partial<CertManagerBehaviour>): void;
  /** Approves or denies one request, as somebody does by hand. */
  decide(namespace: string, name: string, type: 'Approved' | 'Denied'): Promise<void>;
  close(): void;
}

type Issuer = KubernetesObject & { readonly status?: { readonly conditions?: readonly Condition[] } };
type Status = NonNullable<CertificateRequest['status']> & { readonly failureTime?: string };
type IssuerOf = (request: CertificateRequest) => Issuer | undefined;

const prefix = '/apis/cert-manager.io/v1';

/** Answers until closed. */
export function startCertManager(options: CertManagerOptions, behaviour: CertManagerBehaviour): CertManager {
  const { client } = options;
  let current = behaviour;
  const watchOf = <T extends KubernetesObject>(resource: string) =>
    createListWatch<T>({ client, decode: asSent<T>, path: async () => `${prefix}/${resource}` });
  const requests = watchOf<CertificateRequest>('certificaterequests');
  const issuers = { Issuer: watchOf<Issuer>('issuers'), ClusterIssuer: watchOf<Issuer>('clusterissuers') };
  const issuerOf: IssuerOf = ({ metadata, spec: { issuerRef } }) => {
    const isNamespaced = kindOf(issuerRef) === 'Issuer';
    const known = (isNamespaced ? issuers.Issuer : issuers.ClusterIssuer).list();
    return known.find(
      (issuer) =>
        issuer.metadata.name === issuerRef.name && (!isNamespaced || issuer.metadata.namespace === metadata.namespace),
    );
  };
  const attendance = attend(
    requests,
    async (request) => {
      if (!issuers.Issuer.health().synced || !issuers.ClusterIssuer.health().synced) {
        return;
      }
      if (current.approver === 'match no policy' && !isDecided(request)) {
        await say(
          client,
          request,
          'Unprocessed',
          'Request is not applicable for any policy so ignoring',
          options.now(),
        );
        return;
      }
      const status = await nextStatus(options, request, current, issuerOf);
      if (status !== undefined) {
        await put(client, request, status);
      }
    },
    options.onProblem,
  );
  issuers.Issuer.subscribe(attendance.lookAgain);
  issuers.ClusterIssuer.subscribe(attendance.lookAgain);
  return {
    setBehaviour(next) {
      current = { ...current, ...next };
      attendance.lookAgain();
    },
    async decide(namespace, name, type) {
      const path = resourcePath(prefix, { resource: 'certificaterequests', namespace, name });
      const request = await client.request({ decode: asSent<CertificateRequest>, method: 'GET', path });
      await put(client, request, withCondition(request, decision(type, 'by hand'), options.now()));
    },
    close() {
      for (const watch of [requests, issuers.Issuer, issuers.ClusterIssuer]) {
        watch.stop();
      }
    },
  };
}

function kindOf({ kind }: CertificateRequest['spec']['issuerRef']): string {
  return kind ?? 'Issuer';
}

/** The status to write; undefined when there is nothing to say. */
async function nextStatus(
  options: CertManagerOptions,
  request: CertificateRequest,
  { approver, issuer }: CertManagerBehaviour,
  issuerOf: IssuerOf,
): Promise<Status | undefined> {
  const ready = conditionOf(request, 'Ready');
  const isOurs = (request.spec.issuerRef.group ?? 'cert-manager.io') === 'cert-manager.io';
  if (!isOurs || ready?.status === 'True' || ready?.reason === 'Failed' || ready?.reason === 'Denied') {
    return undefined;
  }
  const now = options.now();
  const failed = (reason: string, message: string, from = request): Status => ({
    ...withCondition(from, { type: 'Ready', status: 'False', reason, message }, now),
    failureTime: timestamp(now),
  });
  if (conditionOf(request, 'Denied') !== undefined) {
    return failed('Denied', 'The CertificateRequest was denied by an approval controller');
  }
  if (conditionOf(request, 'Approved') === undefined) {
    const type = approver === 'approve' ? 'Approved' : 'Denied';
    return approver === 'wait for a command' ? undefined : withCondition(request, decision(type, 'at once'), now);
  }
  const hurdle = hurdleOf(request, issuer, issuerOf);
  if (hurdle !== undefined) {
    const pending: Condition = { type: 'Ready', status: 'False', reason: 'Pending', message: hurdle };
    return ready?.message === hurdle ? undefined : withCondition(request, pending, now);
  }
  if (issuer === 'call invalid') {
    const invalid = { type: 'InvalidRequest', status: 'True', reason: 'Sandbox', message: 'such names are not issued' };
    const status = withCondition(request, invalid, now);
    return failed('Failed', 'The request is invalid', { ...request, status });
  }
  const csr = new Pkcs10CertificateRequest(Buffer.from(request.spec.request, 'base64').toString('utf8'));
  return issuer === 'fail'
    ? failed('Failed', 'Error signing: the authority cannot be reached')
    : await issued(options, request, csr);
}

function isDecided(request: CertificateRequest): boolean {
  return conditionOf(request, 'Approved') !== undefined || conditionOf(request, 'Denied') !== undefined;
}

/** What keeps an approved request waiting. */
function hurdleOf(request: CertificateRequest, behaviour: IssuerBehaviour, issuerOf: IssuerOf): string | undefined {
  const issuer = issuerOf(request);
  if (issuer === undefined) {
    const { issuerRef } = request.spec;
    const kind = kindOf(issuerRef);
    return `Referenced "${kind}" not found: ${kind.toLowerCase()}.cert-manager.io "${issuerRef.name}" not found`;
  }
  const isReady = issuer.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  if (isReady !== true) {
    return 'Referenced issuer does not have a Ready status condition';
  }
  return behaviour === 'keep pending' ? 'Waiting on certificate issuance' : undefined;
}

async function issued(
  options: CertManagerOptions,
  request: CertificateRequest,
  csr: Pkcs10CertificateRequest,
): Promise<Status> {
  const { lifetimeSeconds, now } = options;
  // All that is answered is of one authority, also when another one takes its place meanwhile.
  const authority = options.authority();
  const certificate = await requestedCertificate(
    authority,
    csr,
    secondsOf(request.spec.duration) ?? lifetimeSeconds,
    now(),
  );
  const message = 'Certificate fetched from issuer successfully';
  return {
    ...withCondition(request, { type: 'Ready', status: 'True', reason: 'Issued', message }, now()),
    certificate: Buffer.from(certificate).toString('base64'),
    ca: Buffer.from(authority.rootPem).toString('base64'),
  };
}

const unitSeconds: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };

/** A duration of whole hours, minutes and seconds, as Go writes it. */
function secondsOf(duration: string | undefined): number | undefined {
  return duration === undefined
    ? undefined
    : [...duration.matchAll(/(\d+)([hms])/g)].reduce(
        (sum, [, count, unit = '']) => sum + Number(count) * (unitSeconds[unit] ?? 0),
        0,
      );
}

function conditionOf({ status }: CertificateRequest, type: string): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

function decision(type: 'Approved' | 'Denied', how: string): Condition {
  return { type, status: 'True', reason: 'sandbox.example.com', message: `${type.toLowerCase()} ${how}` };
}

/** The status with this condition in the place of another of its type. */
function withCondition({ status }: CertificateRequest, condition: Condition, now: number): Status {
  const others = status?.conditions?.filter(({ type }) => type !== condition.type) ?? [];
  return { ...status, conditions: [...others, { ...condition, lastTransitionTime: timestamp(now) }] };
}

function timestamp(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Writes an event, once for each reason. */
async function say(
  client: ApiClient,
  { metadata: { name, namespace = '', uid } }: CertificateRequest,
  reason: string,
  message: string,
  now: number,
): Promise<void> {
  const body = {
    metadata: { name: `${name}.${reason.toLowerCase()}`, namespace },
    involvedObject: { apiVersion: 'cert-manager.io/v1', kind: 'CertificateRequest', namespace, name, uid },
    ...{ type: 'Normal', reason, message, source: { component: 'policy.cert-manager.io' } },
    ...{ firstTimestamp: timestamp(now), lastTimestamp: timestamp(now), count: 1 },
  };
  await client.request({ method: 'POST', path: resourcePath('/api/v1', { namespace, resource: 'events' }), body });
}

async function put(client: ApiClient, request: CertificateRequest, status: Status): Promise<void> {
  const { name, namespace = '' } = request.metadata;
  const path = resourcePath(prefix, { resource: 'certificaterequests', namespace, name, subresource: 'status' });
  const body = { ...request, apiVersion: 'cert-manager.io/v1', kind: 'CertificateRequest', status };
  await client.request({ method: 'PUT', path, body });
}
