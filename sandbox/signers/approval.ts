/**
 * What an approver has to compare before a CertificateSigningRequest for a pod is signed: who made it, whether the pod that it
 * names is there and runs on the requester's node, and whether it asks for nothing but what that pod may have. It is written
 * apart from the agent, whose word it does not take for anything.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
 */
import 'reflect-metadata';
import { createHash, createPublicKey } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  ExtendedKeyUsageExtension,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';
import type { CertificateSigningRequest, KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { usagesNamed } from '../base/usages.ts';

/** A request with what the API server notes of its requester. */
export interface StampedRequest extends CertificateSigningRequest {
  readonly spec: CertificateSigningRequest['spec'] & {
    readonly username?: string;
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}

export interface ApprovedPod extends KubernetesObject {
  readonly spec?: { readonly nodeName?: string; readonly serviceAccountName?: string };
  readonly status?: { readonly phase?: string; readonly podIPs?: readonly { readonly ip: string }[] };
}

export interface ApprovalRules {
  /** Names that every pod's request has to hold, and no other URI. `${…}` stands for a variable. */
  readonly uris: readonly string[];
  /** Names that a pod's request may hold. */
  readonly dnsNames: readonly string[];
  /** Whether a request may hold the pod's own addresses. */
  readonly allowPodIPs: boolean;
  readonly usages: readonly string[];
  readonly trustDomain: string;
  /** Longest lifetime that may be asked for. */
  readonly maxLifetimeSeconds: number;
  /** `namespace/name` of the agent's account, where requests are made by it with a token that is bound to its node. */
  readonly agentAccount?: string;
  /** Whether a pod's own account may make its requests. */
  readonly allowPodAccounts: boolean;
}

function variable(name: (typeof variables)[number]): string {
  return `\${${name}}`;
}

export const defaultUris: readonly string[] = [
  ['spiffe:/', variable('trustDomain'), 'ns', variable('namespace'), 'sa', variable('serviceAccountName')].join('/'),
];
export const defaultUsages: readonly string[] = ['digital signature', 'key encipherment', 'server auth', 'client auth'];

const nodeLabel = 'podcert.io/node';
const podLabel = 'podcert.io/pod-uid';
const podAnnotation = 'podcert.io/pod';
const longestLabel = 63;
/** A request has less than a tenth of this. */
const longestRequest = 64 * 1024;
const longestShown = 120;
const shortestModulus = 3072;
const curves: ReadonlySet<string | undefined> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const onePemBlock = /^\s*-----BEGIN CERTIFICATE REQUEST-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE REQUEST-----\s*$/;
const dnsLabel = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
/** Kubernetes' own names: nothing in them means anything in a URI. */
const plainName = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;

/** Whether a request says that it is one of the agent's; others are somebody else's to approve. */
export function saysItIsForAPod({ metadata: { labels, annotations } }: StampedRequest): boolean {
  return (
    labels?.[nodeLabel] !== undefined || labels?.[podLabel] !== undefined || annotations?.[podAnnotation] !== undefined
  );
}

/** Where the request's pod is to be found; undefined when it does not say that rightly. */
export function podOf({ metadata }: StampedRequest): { readonly namespace: string; readonly name: string } | undefined {
  const [namespace = '', name = '', ...more] = (metadata.annotations?.[podAnnotation] ?? '').split('/');
  const isGood = plainName.test(namespace) && plainName.test(name) && more.length === 0;
  return isGood && metadata.labels?.[podLabel] !== undefined && metadata.labels[nodeLabel] !== undefined
    ? { namespace, name }
    : undefined;
}

/**
 * @param pod the pod that the request names, as the API server has it now; undefined where there is none
 * @returns what differs; nothing when the request may be approved
 */
export async function faultsOf(
  request: StampedRequest,
  pod: ApprovedPod | undefined,
  rules: ApprovalRules,
): Promise<readonly string[]> {
  if (podOf(request) === undefined) {
    return [`it does not say rightly which pod it is for, by ${nodeLabel}, ${podLabel} and ${podAnnotation}`];
  }
  if (pod === undefined) {
    return [`its pod ${shown(request.metadata.annotations?.[podAnnotation])} does not exist`];
  }
  return [
    ...faultsOfPod(request, pod),
    ...faultsOfRequester(request, pod, rules),
    ...faultsOfSpec(request, rules),
    ...(await faultsOfContents(request, pod, rules)),
  ];
}

function faultsOfPod({ metadata: { labels } }: StampedRequest, { metadata, spec, status }: ApprovedPod): string[] {
  const nodeName = spec?.nodeName ?? '';
  const faults: string[] = [];
  if (labels?.[podLabel] !== metadata.uid) {
    faults.push(`its pod has UID ${metadata.uid}, not ${shown(labels?.[podLabel])}`);
  }
  if (nodeName === '' || labels?.[nodeLabel] !== labelOf(nodeName)) {
    faults.push(`its pod is on node ${shown(nodeName)}, not on ${shown(labels?.[nodeLabel])}`);
  }
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') {
    faults.push('its pod has ended');
  }
  return faults;
}

/** The agent's label of a node whose name is longer than a label may be holds a hash of it. */
function labelOf(nodeName: string): string {
  return nodeName.length <= longestLabel ? nodeName : createHash('sha256').update(nodeName).digest('hex').slice(0, 40);
}

function faultsOfRequester({ spec }: StampedRequest, pod: ApprovedPod, rules: ApprovalRules): string[] {
  const { username = '', extra = {} } = spec;
  const says = (key: string, value: string | undefined): boolean => {
    const values = extra[`authentication.kubernetes.io/${key}`] ?? [];
    return value !== undefined && value !== '' && values.length === 1 && values[0] === value;
  };
  const nodeName = pod.spec?.nodeName;
  const { namespace = '', name, uid } = pod.metadata;
  if (nodeName !== undefined && username === `system:node:${nodeName}`) {
    return [];
  }
  const agent = rules.agentAccount?.replace('/', ':');
  if (agent !== undefined && username === `system:serviceaccount:${agent}` && says('node-name', nodeName)) {
    return [];
  }
  const own = `system:serviceaccount:${namespace}:${accountOf(pod)}`;
  if (rules.allowPodAccounts && username === own && says('pod-name', name) && says('pod-uid', uid)) {
    return [];
  }
  return [`${shown(username)} may not ask for a pod on node ${shown(nodeName)}`];
}

function faultsOfSpec({ spec }: StampedRequest, { usages, maxLifetimeSeconds }: ApprovalRules): string[] {
  const others = (spec.usages ?? []).filter((usage) => !usages.includes(usage));
  const faults = others.length === 0 ? [] : [`usages ${shown(others.join(', '))} are not for pods`];
  if ((spec.expirationSeconds ?? 0) > maxLifetimeSeconds) {
    faults.push(`a lifetime of ${spec.expirationSeconds} seconds is longer than ${maxLifetimeSeconds}`);
  }
  return faults;
}

async function faultsOfContents(
  { spec }: StampedRequest,
  pod: ApprovedPod,
  rules: ApprovalRules,
): Promise<readonly string[]> {
  const csr = await readRequest(spec.request);
  if (csr === undefined) {
    return ['it holds no PKCS#10 request that is signed with its own key'];
  }
  return [...faultsOfKey(csr), ...faultsOfNames(csr, pod, rules), ...faultsOfExtensions(csr, spec.usages ?? [])];
}

async function readRequest(base64: string): Promise<Pkcs10CertificateRequest | undefined> {
  const pem = base64.length > longestRequest ? '' : Buffer.from(base64, 'base64').toString('latin1');
  if (!onePemBlock.test(pem)) {
    return undefined;
  }
  try {
    const csr = new Pkcs10CertificateRequest(pem);
    return (await csr.verify()) ? csr : undefined;
  } catch {
    return undefined;
  }
}

function faultsOfKey({ publicKey }: Pkcs10CertificateRequest): string[] {
  const key = createPublicKey({ key: Buffer.from(publicKey.rawData), format: 'der', type: 'spki' });
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  const isGood =
    key.asymmetricKeyType === 'ed25519' ||
    (key.asymmetricKeyType === 'ec' && curves.has(namedCurve)) ||
    (key.asymmetricKeyType === 'rsa' && modulusLength >= shortestModulus);
  return isGood
    ? []
    : [`its key (${key.asymmetricKeyType} ${namedCurve ?? modulusLength}) is of no kind that pods have`];
}

function faultsOfNames(csr: Pkcs10CertificateRequest, pod: ApprovedPod, rules: ApprovalRules): string[] {
  const names = csr.extensions.flatMap((each) =>
    each instanceof SubjectAlternativeNameExtension ? each.names.items : [],
  );
  const of = (wanted: string) => names.filter(({ type }) => type === wanted).map(({ value }) => value);
  const expected = rules.uris.map((text) => filled(text, pod, rules.trustDomain, plainName));
  const uris = of('url');
  const faults: string[] = [];
  if (uris.length !== expected.length || expected.some((uri) => uri === undefined || !uris.includes(uri))) {
    faults.push(`its pod is ${shown(expected.join(', '))}, not ${shown(uris.join(', '))}`);
  }
  const allowed = {
    dns: rules.dnsNames.map((text) => filled(text, pod, rules.trustDomain, dnsLabel)),
    ip: rules.allowPodIPs ? (pod.status?.podIPs ?? []).map(({ ip }) => ip) : [],
  };
  const others = names.filter(
    ({ type, value }) => type !== 'url' && !((type === 'dns' || type === 'ip') && allowed[type].includes(value)),
  );
  if (others.length > 0) {
    faults.push(`its pod may not be called ${shown(others.map(({ value }) => value).join(', '))}`);
  }
  if (csr.subject !== '') {
    faults.push(`it has subject ${shown(csr.subject)}, and pods have none`);
  }
  return faults;
}

function faultsOfExtensions({ extensions, attributes }: Pkcs10CertificateRequest, usages: readonly string[]): string[] {
  const faults: string[] = [];
  const others = extensions.filter(
    (each) =>
      !(
        each instanceof SubjectAlternativeNameExtension ||
        each instanceof KeyUsagesExtension ||
        each instanceof ExtendedKeyUsageExtension
      ),
  );
  const isTwice = new Set(extensions.map(({ type }) => type)).size < extensions.length;
  if (others.length > 0 || isTwice || attributes.length > 1) {
    faults.push('it asks for more than names and usages');
  }
  const asked = {
    keyUsage: extensions.reduce((bits, each) => bits | (each instanceof KeyUsagesExtension ? each.usages : 0), 0),
    extendedKeyUsage: extensions.flatMap((each) =>
      each instanceof ExtendedKeyUsageExtension ? each.usages.map(String) : [],
    ),
  };
  const named = usagesNamed(usages);
  // The API keeps no order of them, and a name may stand for what another one names too.
  const inAnyOrder = (ids: readonly string[]): ReadonlySet<string> => new Set(ids);
  const isSame = isDeepStrictEqual(inAnyOrder(asked.extendedKeyUsage), inAnyOrder(named.extendedKeyUsage));
  if (asked.keyUsage !== named.keyUsage || !isSame) {
    faults.push('the usages in it are not those beside it');
  }
  return faults;
}

function accountOf({ spec }: ApprovedPod): string {
  return spec?.serviceAccountName ?? 'default';
}

const variables = ['trustDomain', 'namespace', 'podName', 'podUID', 'serviceAccountName', 'nodeName'] as const;
/** Names that hold dots and that no author of pods chooses. */
const dotted: ReadonlySet<string> = new Set(['trustDomain', 'nodeName']);
const placeholder = /\$\{([^}]*)\}/g;

/** Whether a text holds no variable that does not exist. */
export function isTemplate(text: string): boolean {
  const known: readonly string[] = variables;
  return [...text.matchAll(placeholder)].every(([, name = '']) => known.includes(name));
}

/** A text with its variables filled in; undefined where a value is none that may stand in a name. */
function filled(text: string, pod: ApprovedPod, trustDomain: string, form: RegExp): string | undefined {
  const values: Readonly<Record<(typeof variables)[number], string | undefined>> = {
    trustDomain,
    namespace: pod.metadata.namespace,
    podName: pod.metadata.name,
    podUID: pod.metadata.uid,
    serviceAccountName: accountOf(pod),
    nodeName: pod.spec?.nodeName,
  };
  let isGood = true;
  const result = text.replaceAll(placeholder, (_, name: string) => {
    const variable = variables.find((known) => known === name);
    const value = (variable === undefined ? undefined : values[variable]) ?? '';
    // Whoever creates pods must not choose where a DNS name begins.
    isGood &&= (dotted.has(name) ? plainName : form).test(value);
    return value;
  });
  return isGood ? result : undefined;
}

/** What somebody else wrote, in quotes and not too long. */
function shown(text: string | undefined): string {
  return JSON.stringify((text ?? '').slice(0, longestShown));
}
