/**
 * Which certificate API answers for which signer: the operator's rules, first match wins. That an API is served says
 * nothing about whether anybody answers there, so the choice is never made by discovery.
 *
 * Without a rule, the names under which cert-manager's issuers are known to the CertificateSigningRequest API go to
 * cert-manager, and everything else to PodCertificateRequests.
 * https://cert-manager.io/docs/usage/kube-csr/
 */
import * as v from 'valibot';
import { cut } from '../base/cut.ts';
import { AgentError } from '../base/errors.ts';
import { matches, namespacePattern, signerPattern } from './allow-list.ts';
import { allowFromPodSchema, allowNothing } from './names-from-pod.ts';
import type { Template } from './template.ts';
import { podIPs, templateVariables, unknownVariables } from './template-variables.ts';
import { isUsage, type Usage, usageNames } from './usages.ts';

/**
 * As whom a request is made: as the agent (its account, or its node where it impersonates that), or with a token of the
 * pod's own service account. An empty audience is that of the API server itself.
 */
export type Requester = { readonly as: 'agent' } | { readonly as: 'pod'; readonly audience: string };

/** What a request through an API says that leaves the certificate's contents to the request. */
export interface RequestSettings {
  readonly requester: Requester;
  /** In the order in which the request lists them. */
  readonly usages: readonly Usage[];
  /** Part of the lifetime after which a certificate is renewed, between 0 and 1. */
  readonly refreshAfter: number;
  /** The lifetime asked for, in seconds, and the longest one that a pod may ask for; absent: what the pod or the issuer says. */
  readonly lifetimeSeconds?: number;
  readonly template: Template;
}

/** cert-manager's reference to an issuer. */
export interface IssuerReference {
  readonly name: string;
  readonly kind: string;
  readonly group: string;
}

/** One certificate API, and how it is asked. */
export type IssuerChoice =
  | { readonly api: 'podCertificateRequest' }
  | (RequestSettings & { readonly api: 'certificateSigningRequest' })
  | (RequestSettings & { readonly api: 'certManager'; readonly issuer: IssuerReference });

export type CertificateApi = IssuerChoice['api'];

/** Two thirds of the lifetime: what cert-manager does where nothing else is said. */
export const defaultRefreshAfter = 2 / 3;
/** What a workload's mutual TLS needs; cert-manager's approver for SPIFFE asks for exactly these. */
const defaultUsages: readonly Usage[] = ['digital signature', 'key encipherment', 'server auth', 'client auth'];
/** An X.509-SVID, https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md */
const defaultUris = [`spiffe://\${trustDomain}/ns/\${namespace}/sa/\${serviceAccountName}`];

const longestList = 32;
const longestText = 512;
const longestShown = 60;
/** What an audience is made of: a word or a URL. */
const audiencePattern = /^[\x21-\x7e]{1,253}$/;
/** As for PodCertificateRequests: 91 days. */
const longestLifetimeSeconds = 7_862_400;

const templateText = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(longestText),
  v.check(
    (text) => unknownVariables(text).length === 0,
    ({ input }) =>
      `names the variable ${unknownVariables(input).join(', ')}, known are ${templateVariables.join(', ')}, and labels and annotations like pod.labels['app']`,
  ),
);
const ipText = v.union([v.literal(podIPs), templateText]);
const texts = v.optional(v.pipe(v.array(templateText), v.maxLength(longestList)));
const settings = {
  usages: v.optional(
    v.pipe(
      v.array(v.custom<Usage>(isUsage, `must be one of ${usageNames.join(', ')}`)),
      v.minLength(1),
      v.check((usages) => new Set(usages).size === usages.length, 'must not repeat a usage'),
      // A request holds it once, and cert-manager's webhook wants it as often as it is listed.
      v.check(
        (usages) => !(usages.includes('email protection') && usages.includes('s/mime')),
        'must not hold both "email protection" and "s/mime", which are one usage',
      ),
    ),
    () => [...defaultUsages],
  ),
  refreshAfter: v.optional(v.pipe(v.number(), v.gtValue(0), v.ltValue(1)), defaultRefreshAfter),
  lifetimeSeconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(600), v.maxValue(longestLifetimeSeconds))),
  uris: texts,
  dnsNames: texts,
  ipAddresses: v.optional(v.pipe(v.array(ipText), v.maxLength(longestList))),
  commonName: v.optional(templateText),
  organizations: texts,
  allowFromPod: v.optional(allowFromPodSchema(templateText), () => ({})),
};
const certManagerGroup = 'cert-manager.io';
const reference = v.pipe(
  v.strictObject({
    name: v.pipe(v.string(), v.minLength(1)),
    kind: v.optional(v.string(), 'Issuer'),
    group: v.optional(v.string(), certManagerGroup),
  }),
  v.check(
    ({ kind, group }) => group !== certManagerGroup || kind === 'Issuer' || kind === 'ClusterIssuer',
    `must have the kind Issuer or ClusterIssuer, or name the group of another kind (${certManagerGroup} is the default)`,
  ),
);
const written = v.pipe(
  v.array(
    v.pipe(
      v.strictObject({
        signers: v.pipe(
          v.array(
            v.pipe(
              v.string(),
              v.regex(signerPattern, 'must be a signer like example.com/mesh, example.com/* for all of a domain, or *'),
            ),
          ),
          v.minLength(1),
        ),
        namespaces: v.optional(
          v.pipe(
            v.array(
              v.pipe(
                v.string(),
                v.regex(namespacePattern, 'must be a namespace, the beginning of some like team-*, or *'),
              ),
            ),
            v.minLength(1),
          ),
        ),
        as: v.optional(v.picklist(['agent', 'pod'])),
        audience: v.optional(
          v.pipe(v.string(), v.regex(audiencePattern, 'must be a word or a URL of at most 253 characters')),
        ),
        podCertificateRequest: v.optional(v.strictObject({})),
        certificateSigningRequest: v.optional(v.strictObject(settings)),
        certManager: v.optional(v.strictObject({ ...settings, issuer: v.optional(reference) })),
      }),
      v.check(
        (rule) => apis.filter((api) => rule[api] !== undefined).length === 1,
        `must hold exactly one of podCertificateRequest, certificateSigningRequest and certManager`,
      ),
      v.check(
        (rule) => rule.as !== 'pod' || rule.podCertificateRequest === undefined,
        'must not say "as: pod" of podCertificateRequest: those requests are checked as requests of the node',
      ),
      v.check(
        (rule) => rule.audience === undefined || rule.as === 'pod',
        'says audience, which is that of the token of "as: pod", without "as: pod"',
      ),
    ),
  ),
  v.maxLength(256),
);

const apis = ['podCertificateRequest', 'certificateSigningRequest', 'certManager'] as const;

type WrittenRule = v.InferOutput<typeof written>[number];
type WrittenSettings = NonNullable<WrittenRule['certificateSigningRequest']>;

/** The rules in force, as they are written, with every default filled in. */
export type IssuerRules = readonly WrittenRule[];

/**
 * Reads rules as they are written in YAML.
 * @returns the rules, or the first faults, worded to follow the option's name
 */
export function readIssuerRules(
  value: unknown,
): { readonly ok: true; readonly value: IssuerRules } | { readonly ok: false; readonly fault: string } {
  const result = v.safeParse(written, value);
  if (result.success) {
    return { ok: true, value: result.output };
  }
  return { ok: false, fault: result.issues.slice(0, mostFaults).map(faultText).join('; ') };
}

const mostFaults = 3;
const ownWords: ReadonlySet<string> = new Set(['check', 'custom', 'regex']);

function faultText(issue: v.InferIssue<typeof written>): string {
  const place = v.getDotPath(issue);
  if (place === null) {
    return `must be ${issue.expected}, as a list of rules`;
  }
  if (issue.expected === 'never') {
    return `${place} is not known here`;
  }
  if (ownWords.has(issue.type)) {
    return `${place} ${issue.message}`;
  }
  return issue.received === 'undefined'
    ? `${place} is missing`
    : `${place} must be ${issue.expected}, not ${cut(issue.received, longestShown)}`;
}

function requesterOf({ as, audience = '' }: Pick<WrittenRule, 'as' | 'audience'>): Requester {
  return as === 'pod' ? { as, audience } : { as: 'agent' };
}

function settingsOf(rule: WrittenRule, given: WrittenSettings): RequestSettings {
  const { usages, refreshAfter, lifetimeSeconds, uris = defaultUris, commonName, allowFromPod } = given;
  const { dnsNames = [], ipAddresses = [], organizations = [] } = given;
  const template = { uris, dnsNames, ipAddresses, organizations, allowFromPod };
  return {
    requester: requesterOf(rule),
    usages,
    refreshAfter,
    ...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }),
    template: commonName === undefined ? template : { ...template, commonName },
  };
}

const defaults: RequestSettings = {
  requester: { as: 'agent' },
  usages: defaultUsages,
  refreshAfter: defaultRefreshAfter,
  template: { uris: defaultUris, dnsNames: [], ipAddresses: [], organizations: [], allowFromPod: allowNothing },
};

/**
 * The API that a signer is asked through, for pods of a namespace.
 * @throws AgentError SignerNotAllowed for a namespaced issuer of cert-manager that belongs to another namespace,
 * Rejected for a signer that a rule sends to cert-manager without saying to which issuer
 */
export function issuerFor(rules: IssuerRules, namespace: string, signerName: string): IssuerChoice {
  const rule = rules.find(
    ({ signers, namespaces = ['*'] }) =>
      signers.some((pattern) => matches(pattern, signerName)) &&
      namespaces.some((pattern) => matches(pattern, namespace)),
  );
  if (rule?.podCertificateRequest !== undefined) {
    return { api: 'podCertificateRequest' };
  }
  if (rule?.certificateSigningRequest !== undefined) {
    return { api: 'certificateSigningRequest', ...settingsOf(rule, rule.certificateSigningRequest) };
  }
  const issuer = rule?.certManager?.issuer ?? certManagerIssuer(signerName, namespace);
  if (issuer !== undefined) {
    return {
      api: 'certManager',
      ...(rule?.certManager === undefined ? defaults : settingsOf(rule, rule.certManager)),
      issuer,
    };
  }
  if (rule === undefined) {
    return { api: 'podCertificateRequest' };
  }
  const message = `a rule of the agent's issuers sends signer ${signerName} to cert-manager and names no issuer`;
  throw new AgentError('Rejected', message, { actor: 'cluster operator' });
}

/** The APIs that the rules name, each once. */
export function apisNamed(rules: IssuerRules): readonly CertificateApi[] {
  return apis.filter((api) => rules.some((rule) => rule[api] !== undefined));
}

/** Audiences of the tokens that pods of a namespace need to ask these signers, each once. */
export function audiencesFor(
  rules: IssuerRules,
  namespace: string,
  signerNames: readonly string[],
): ReadonlySet<string> {
  if (!rules.some(({ as }) => as === 'pod')) {
    return new Set();
  }
  return new Set([...new Set(signerNames)].flatMap((signerName) => audienceFor(rules, namespace, signerName) ?? []));
}

function audienceFor(rules: IssuerRules, namespace: string, signerName: string): string | undefined {
  try {
    const choice = issuerFor(rules, namespace, signerName);
    const isOfPod = choice.api !== 'podCertificateRequest' && choice.requester.as === 'pod';
    return isOfPod ? choice.requester.audience : undefined;
  } catch (error) {
    // A signer that this pod may not ask, which it is told when it asks.
    if (error instanceof AgentError) {
      return undefined;
    }
    throw error;
  }
}

const clusterIssuers = 'clusterissuers.cert-manager.io/';
const issuers = 'issuers.cert-manager.io/';

/** The issuer that a signer's name means to cert-manager; undefined when it means none. @throws AgentError */
function certManagerIssuer(signerName: string, namespace: string): IssuerReference | undefined {
  const group = certManagerGroup;
  if (signerName.startsWith(clusterIssuers)) {
    return { name: signerName.slice(clusterIssuers.length), kind: 'ClusterIssuer', group };
  }
  if (!signerName.startsWith(issuers)) {
    return undefined;
  }
  const path = signerName.slice(issuers.length);
  const dot = path.indexOf('.');
  if (dot < 1 || path.slice(0, dot) !== namespace) {
    const message = `signer ${signerName} is an issuer of another namespace than ${namespace}; its name is ${issuers}<namespace>.<name>`;
    throw new AgentError('SignerNotAllowed', message, { actor: 'pod author' });
  }
  return { name: path.slice(dot + 1), kind: 'Issuer', group };
}
