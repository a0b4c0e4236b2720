/**
 * The syntax of Kubernetes names that a declaration may hold. Each function returns nothing when the name is well
 * formed, and else what is wrong with it, in words that follow the field's name.
 *
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#signers
 */
import { quote } from './fields.ts';

const dnsLabel = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const dnsSubdomainPart = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const labelName = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

const maxLabelNameLength = 63;
const maxSubdomainLength = 253;
const keyNameRule =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
/** A domain, a slash, and room for `<namespace>.<name>` behind it. */
const maxSignerNameLength = 253 + 1 + 63 + 1 + 253;

/** DNS label (RFC 1123): at most 63 lower-case letters, digits and inner dashes. */
export function isDnsLabel(text: string): boolean {
  return dnsLabel.test(text);
}

/** DNS subdomain as Kubernetes object names use it: parts joined by dots, 253 characters in all. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= maxSubdomainLength && text.split('.').every((part) => dnsSubdomainPart.test(part));
}

/** `spec.signerName`: a domain of at least two labels, a slash, a path of dotted DNS labels. */
export function signerNameFault(text: string): string | undefined {
  const [domain = '', path = '', ...rest] = text.split('/');
  const domainLabels = domain.split('.');
  const wellFormed =
    rest.length === 0 &&
    domain.length <= maxSubdomainLength &&
    domainLabels.length >= 2 &&
    domainLabels.every(isDnsLabel) &&
    path.split('.').every((part) => part.length <= maxSubdomainLength && dnsSubdomainPart.test(part)) &&
    text.length <= maxSignerNameLength;
  return wellFormed
    ? undefined
    : `must be a domain and a path in lower case like "example.com/signer-name", not ${quote(text)}`;
}

/** True for `kubernetes.io/*` and `*.kubernetes.io/*`, whose certificates live a day at most. */
export function isKubernetesSigner(signerName: string): boolean {
  const domain = signerName.split('/', 1)[0] ?? '';
  return domain === 'kubernetes.io' || domain.endsWith('.kubernetes.io');
}

/**
 * `metadata.name` of a ClusterTrustBundle: `example.com:foo:name` when it belongs to signer `example.com/foo`, and
 * without a colon when it belongs to none.
 */
export function clusterTrustBundleNameFault(text: string): string | undefined {
  const split = text.lastIndexOf(':');
  const signer = split < 0 ? undefined : text.slice(0, split);
  const signerIsValid =
    signer === undefined || (!signer.includes('/') && signerNameFault(signer.replaceAll(':', '/')) === undefined);
  if (signerIsValid && isDnsSubdomain(text.slice(split + 1))) {
    return undefined;
  }
  return `must be the name of a ClusterTrustBundle like "my-roots" or "example.com:signer-name:my-roots", not ${quote(text)}`;
}

/**
 * Why a text is no key of a label or an annotation, in the words of the API server without its patterns and examples: a name, with
 * an optional domain and slash before it.
 */
function keyReason(key: string): string | undefined {
  const [first = '', second, ...others] = key.split('/');
  if (others.length > 0) {
    return `has more than one slash: a valid label key ${keyNameRule} with an optional DNS subdomain prefix and '/'`;
  }
  const prefix = second === undefined ? undefined : first;
  if (prefix === '') {
    return 'prefix part must be non-empty';
  }
  if (prefix !== undefined && Buffer.byteLength(prefix) > maxSubdomainLength) {
    return `prefix part must be no more than ${maxSubdomainLength} bytes`;
  }
  if (prefix !== undefined && !isDnsSubdomain(prefix)) {
    return `prefix part ${subdomainRule}`;
  }
  return nameReason(second ?? first);
}

function nameReason(name: string): string | undefined {
  if (name === '') {
    return 'name part must be non-empty';
  }
  if (Buffer.byteLength(name) > maxLabelNameLength) {
    return `name part must be no more than ${maxLabelNameLength} bytes`;
  }
  return labelName.test(name) ? undefined : `name part ${keyNameRule}`;
}

/** Key of a label: a name, with an optional domain and slash before it. */
export function labelKeyFault(text: string): string | undefined {
  const reason = keyReason(text);
  return reason === undefined
    ? undefined
    : `must be a name like "app" or "example.com/app", not ${quote(text)}: ${reason}`;
}

/** Domain of what the agent itself says about requests: a pod that could use it could speak in the agent's name. */
const ownDomain = 'podcert.io';

/** Key of `unverifiedUserAnnotations`: an annotation key whose domain prefix must be there. Case does not matter. */
export function userAnnotationKeyFault(text: string): string | undefined {
  const key = text.toLowerCase();
  const [domain = ''] = key.split('/', 1);
  if (domain === ownDomain || domain.endsWith(`.${ownDomain}`)) {
    return `key ${quote(text)} must not lie in ${ownDomain}, which is the agent's own domain`;
  }
  const reason = keyReason(key);
  if (reason !== undefined) {
    return `key ${quote(text)}: ${reason}`;
  }
  return key.includes('/') ? undefined : `key ${quote(text)} must have a domain prefix, like "example.com/name"`;
}

/** Value of a label: empty, or at most 63 letters, digits, dashes, dots and underscores. */
export function labelValueFault(text: string): string | undefined {
  if (text === '' || labelName.test(text)) {
    return undefined;
  }
  return `value ${quote(text)} must be at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends`;
}
