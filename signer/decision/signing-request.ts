/**
 * What a CertificateSigningRequest gets. It carries names that its maker wrote, so they are compared with those that the pod may bear; whoever
 * approves it, this signer signs for nothing else. Which pod it is for is said by the agent's annotation and label.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
 */
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';
import type { CertificateSigningRequest, Pod } from '../../agent/kubernetes/objects.ts';
import { type LeafUsage, leafUsages } from '../authority/authority.ts';
import { type Decision, type Refusal, refuse } from './decision.ts';
import { namesOf, type PodNames } from './names.ts';
import { type Evidence, podFault } from './pod.ts';
import type { Policy } from './policy.ts';
import { keyFault } from './public-key.ts';
import { timesOf } from './times.ts';

/** With what the API server says about its maker. */
export interface SigningRequest extends CertificateSigningRequest {
  readonly spec: CertificateSigningRequest['spec'] & {
    readonly username?: string;
    readonly groups?: readonly string[];
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}

/** `namespace/name`. */
const podAnnotation = 'podcert.io/pod';
const podLabel = 'podcert.io/pod-uid';
const nodeExtra = 'authentication.kubernetes.io/node-name';
const podExtra = 'authentication.kubernetes.io/pod-uid';
const extensionRequest = '1.2.840.113549.1.9.14';

/** The pod that a request says it is for. */
export function podOf({ metadata }: SigningRequest): { readonly namespace: string; readonly name: string } | undefined {
  const [, namespace, name] = /^([^/]+)\/([^/]+)$/.exec(metadata.annotations?.[podAnnotation] ?? '') ?? [];
  return namespace === undefined || name === undefined ? undefined : { namespace, name };
}

/** Characters of `spec.request` that are read: one for an RSA key of 4096 bits with the names of a pod has less than three thousand. */
const maxRequestLength = 64 * 1024;

/** Whether a request may be signed. @param authorityEnd no certificate of the CA ends later. Times are milliseconds since the epoch. */
export function decideSigningRequest(
  request: SigningRequest,
  evidence: Evidence,
  policy: Policy,
  authorityEnd: number,
  now: number,
): Decision {
  const { length } = request.spec.request;
  if (length > maxRequestLength) {
    return refuse('InvalidRequest', `spec.request has ${length} characters; up to ${maxRequestLength} are read`);
  }
  const about = podOf(request);
  if (about === undefined) {
    return refuse('PodMismatch', `annotation ${podAnnotation} does not say which pod the request is for`);
  }
  const name = `${about.namespace}/${about.name}`;
  const fault = podFault(name, evidence, { podUID: request.metadata.labels?.[podLabel] ?? '' });
  if (fault !== undefined) {
    return fault;
  }
  const contents = contentsOf(request.spec.request);
  if (contents.type === 'refuse') {
    return contents;
  }
  const allowed = namesOf(about.namespace, evidence.pod?.spec?.serviceAccountName ?? '', policy);
  const unfit =
    nameFault(contents, allowed, name) ??
    usageFault(request.spec.usages ?? []) ??
    keyFault(contents.publicKey, policy.keyTypes);
  if (unfit !== undefined) {
    return unfit;
  }
  const longestMs = (request.spec.expirationSeconds ?? Number.POSITIVE_INFINITY) * 1000;
  // This API takes certificates of ten minutes.
  const shortestLeafMs = Math.min(policy.timing.shortestLeafMs, longestMs);
  const times = timesOf({ ...policy, timing: { ...policy.timing, shortestLeafMs } }, longestMs, authorityEnd, now);
  if (times === undefined) {
    return { type: 'wait', message: 'the CA ends too soon for a certificate; its successor is awaited' };
  }
  const { publicKey, uris, dnsNames } = contents;
  const usages = leafUsages.filter((usage) => request.spec.usages?.includes(usage));
  const { notBefore, notAfter, beginRefreshAt } = times;
  return { type: 'issue', order: { publicKey, uris, dnsNames, usages, notBefore, notAfter }, beginRefreshAt };
}

/**
 * Whether its maker may ask for this pod: the pod's node, the agent on that node, or the pod itself. The API server has written down who it
 * was.
 * @param agentAccount `namespace:name` of the agent's service account; absent: it is not known
 */
export function requesterFault(
  { spec }: SigningRequest,
  pod: Pod,
  agentAccount: string | undefined,
): Refusal | undefined {
  const { username = '', groups = [], extra = {} } = spec;
  const nodeName = pod.spec?.nodeName ?? '';
  const { namespace = '', uid = '' } = pod.metadata;
  const isNode = username === `system:node:${nodeName}` && groups.includes('system:nodes');
  const isAgent =
    agentAccount !== undefined &&
    username === `system:serviceaccount:${agentAccount}` &&
    extra[nodeExtra]?.[0] === nodeName;
  const isPod =
    username === `system:serviceaccount:${namespace}:${pod.spec?.serviceAccountName}` && extra[podExtra]?.[0] === uid;
  return isNode || isAgent || isPod
    ? undefined
    : refuse('PodMismatch', `${username || 'whoever made it'} may not ask for pod ${namespace}/${pod.metadata.name}`);
}

type Contents = ({ readonly type: 'contents'; readonly publicKey: Uint8Array } & PodNames) | Refusal;

/** @param request PEM in base64 */
function contentsOf(request: string): Contents {
  try {
    const csr = new Pkcs10CertificateRequest(Buffer.from(request, 'base64').toString('utf8'));
    const foreign = csr.attributes.find(({ type }) => type !== extensionRequest);
    const strange = csr.extensions.find((extension) => !isUnderstood(extension));
    if (csr.subject !== '' || foreign !== undefined || strange !== undefined) {
      const what =
        csr.subject !== '' ? 'a subject' : `what this signer does not know (${foreign?.type ?? strange?.type})`;
      return refuse('InvalidRequest', `the PKCS#10 request holds ${what}`);
    }
    const names = [...csr.extensions].flatMap((each) =>
      each instanceof SubjectAlternativeNameExtension ? each.names.items : [],
    );
    const ofType = (wanted: string): string[] => names.filter(({ type }) => type === wanted).map(({ value }) => value);
    const [uris, dnsNames] = [ofType('url'), ofType('dns')];
    return uris.length + dnsNames.length === names.length
      ? { type: 'contents', publicKey: new Uint8Array(csr.publicKey.rawData), uris, dnsNames }
      : refuse('InvalidRequest', 'the PKCS#10 request holds names other than URIs and DNS names');
  } catch {
    return refuse('InvalidRequest', 'spec.request is no PKCS#10 request');
  }
}

/** Asked for within what this signer gives; what is written in the end is `spec.usages`. */
function isUnderstood(extension: Extension): boolean {
  if (extension instanceof KeyUsagesExtension) {
    const known = KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment;
    return (extension.usages & ~known) === 0;
  }
  if (extension instanceof ExtendedKeyUsageExtension) {
    const known: readonly string[] = [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth];
    return extension.usages.every((usage) => known.includes(String(usage)));
  }
  return extension instanceof BasicConstraintsExtension
    ? !extension.ca
    : extension instanceof SubjectAlternativeNameExtension;
}

function nameFault(asked: PodNames, allowed: PodNames, pod: string): Refusal | undefined {
  const given = [...allowed.uris, ...allowed.dnsNames];
  const foreign = [...asked.uris, ...asked.dnsNames].find((name) => !given.includes(name));
  if (foreign !== undefined) {
    const may = given.join(', ');
    return refuse(
      'PodMismatch',
      `pod ${pod} may not have the name ${JSON.stringify(foreign.slice(0, 300))}, only ${may}`,
    );
  }
  return asked.uris.length + asked.dnsNames.length === 0
    ? refuse('InvalidRequest', 'the request asks for no name')
    : undefined;
}

function usageFault(usages: readonly string[]): Refusal | undefined {
  const known: readonly string[] = leafUsages satisfies readonly LeafUsage[];
  const foreign = usages.find((usage) => !known.includes(usage));
  return foreign === undefined
    ? undefined
    : refuse('InvalidRequest', `the usage ${JSON.stringify(foreign)} is not given`);
}
