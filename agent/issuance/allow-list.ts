/**
 * The operator's list of which namespaces may ask which signers, on top of whatever a signer checks itself. It is
 * looked at before every request, so a change applies to the next refresh of existing volumes too.
 *
 * Signers are matched as in the RBAC rules of their API: by name, or by everything below a domain.
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#authorization
 */
import type { PodReference } from '../../volumes/base/volume.ts';
import { AgentError } from '../base/errors.ts';
import type { Issuer } from '../lifecycle/ports.ts';

/** These namespaces may ask these signers. */
export interface AllowRule {
  /** Names, beginnings of names (`team-*`), or `*` for all. */
  readonly namespaces: readonly string[];
  /** Signer names (`example.com/mesh`), domains (`example.com/*`), or `*` for all. */
  readonly signers: readonly string[];
}

/** What no rule allows is refused: an empty list allows nothing. */
export type AllowList = readonly AllowRule[];

/** A namespace, the beginning of one (`team-*`), or `*`. */
export const namespacePattern = /^(\*|[a-z0-9][-a-z0-9]*\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$/;
/** A signer's name, a domain (`example.com/*`), or `*`. */
export const signerPattern = /^(\*|[a-z0-9][-.a-z0-9]*\/(\*|[a-z0-9][-.a-z0-9]*))$/;

/**
 * Reads rules as they are written in YAML: `[{ namespaces: [shop], signers: [example.com/*] }]`.
 * @returns the rules, or the first fault, worded to follow the option's name
 */
export function readAllowList(
  written: unknown,
): { readonly ok: true; readonly value: AllowList } | { readonly ok: false; readonly fault: string } {
  if (!Array.isArray(written)) {
    return fault('must be a list of { namespaces: […], signers: […] }');
  }
  const rules: AllowRule[] = [];
  for (const [index, entry] of written.entries()) {
    const reading = readRule(entry, `[${index}]`);
    if (typeof reading === 'string') {
      return fault(reading);
    }
    rules.push(reading);
  }
  return { ok: true, value: rules };
}

function fault(message: string) {
  return { ok: false, fault: message } as const;
}

function readRule(entry: unknown, path: string): AllowRule | string {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    return `${path} must be { namespaces: […], signers: […] }`;
  }
  const { namespaces, signers, ...others } = entry as Readonly<Record<string, unknown>>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    return `${path}.${unknown} is not known, only namespaces and signers are`;
  }
  if (!isListOf(namespaces, namespacePattern)) {
    return `${path}.namespaces must be a list of namespaces, "*" allowed alone or at the end of a name`;
  }
  if (!isListOf(signers, signerPattern)) {
    return `${path}.signers must be a list of signer names (domain/path), domains (domain/*) or "*"`;
  }
  return { namespaces, signers };
}

function isListOf(value: unknown, pattern: RegExp): value is readonly string[] {
  return (
    Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string' && pattern.test(item))
  );
}

/** Whether a pod of this namespace may be given certificates by this signer. */
export function isAllowed(rules: AllowList, namespace: string, signerName: string): boolean {
  return rules.some(
    ({ namespaces, signers }) =>
      namespaces.some((pattern) => matches(pattern, namespace)) &&
      signers.some((pattern) => matches(pattern, signerName)),
  );
}

/** A pattern's only wildcard is its last character. */
export function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/**
 * The issuer, asked only for what the list allows; anything else is refused before the API server hears of it.
 * @param rules gives the list as it is now
 */
export function withAllowList(issuer: Issuer, rules: () => AllowList): Issuer {
  const assertAllowed = ({ namespace }: PodReference, signerName: string): void => {
    if (!isAllowed(rules(), namespace, signerName)) {
      const message = `namespace ${namespace} may not ask signer ${signerName}: allowedSigners in the agent's configuration does not say so`;
      throw new AgentError('SignerNotAllowed', message, { actor: 'cluster operator' });
    }
  };
  return {
    ...issuer,
    async prepare(request, signal, onWait) {
      assertAllowed(request.pod, request.signerName);
      await issuer.prepare?.(request, signal, onWait);
    },
    async submit(order, key, signal) {
      assertAllowed(order.identity.pod, order.signerName);
      await issuer.submit(order, key, signal);
    },
    beginsAhead: (namespace, signerName) =>
      isAllowed(rules(), namespace, signerName) && issuer.beginsAhead?.(namespace, signerName) === true,
  };
}
