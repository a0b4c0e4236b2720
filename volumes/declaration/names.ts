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

const maxSubdomainLength = 253;
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

/** Key of a label or annotation: a name, with an optional domain and slash before it. */
export function labelKeyFault(text: string): string | undefined {
  const parts = text.split('/');
  const name = parts.at(-1) ?? '';
  const prefix = parts.length > 1 ? parts.slice(0, -1).join('/') : undefined;
  if (labelName.test(name) && (prefix === undefined || isDnsSubdomain(prefix))) {
    return undefined;
  }
  return `must be a name like "app" or "example.com/app", at most 63 characters after the slash, not ${quote(text)}`;
}

/** Domain of what the agent itself says about requests: a pod that could use it could speak in the agent's name. */
const ownDomain = 'podcert.io';

/** Key of `unverifiedUserAnnotations`: an annotation key whose domain prefix must be there. Case does not matter. */
export function userAnnotationKeyFault(text: string): string | undefined {
  const [domain = ''] = text.toLowerCase().split('/', 1);
  if (domain === ownDomain || domain.endsWith(`.${ownDomain}`)) {
    return `key ${quote(text)} must not lie in ${ownDomain}, which is the agent's own domain`;
  }
  if (text.includes('/') && labelKeyFault(text.toLowerCase()) === undefined) {
    return undefined;
  }
  return `key ${quote(text)} must have a domain prefix, like "example.com/name"`;
}

/** Value of a label: empty, or at most 63 letters, digits, dashes, dots and underscores. */
export function labelValueFault(text: string): string | undefined {
  if (text === '' || labelName.test(text)) {
    return undefined;
  }
  return `value ${quote(text)} must be at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends`;
}
