/**
 * From a rule's template and a pod's identity to the names in a certificate request. The values come from the API
 * server's objects only, and each is checked to be a name, so that none can smuggle a second path, host or attribute into
 * the text it is put into.
 *
 * https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md#2-spiffe-identity
 */
import { isIP } from 'node:net';
import { AgentError } from '../base/errors.ts';
import type { PodIdentity } from '../lifecycle/ports.ts';
import type { Template } from './issuer-rules.ts';
import { type TemplateVariable, templateVariables } from './template-variables.ts';

/** The names in a request, all values filled in. */
export interface RequestNames {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly commonName?: string;
  readonly organizations: readonly string[];
}

/** Names of Kubernetes objects, UIDs and trust domains are of these characters; none has a meaning in a URI or a host. */
const plainName = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/;
const dnsName = /^(\*\.)?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/;
/** RFC 5280, ub-common-name and ub-organization-name. */
const longestAttribute = 64;

/** @throws AgentError Rejected when the filled-in text is no name of its kind */
export function namesFor(template: Template, identity: PodIdentity, trustDomain: string): RequestNames {
  const { pod } = identity;
  const values: Readonly<Record<TemplateVariable, string>> = {
    trustDomain,
    namespace: pod.namespace,
    podName: pod.name,
    podUID: pod.uid,
    serviceAccountName: pod.serviceAccountName,
    serviceAccountUID: identity.serviceAccountUID,
    nodeName: identity.nodeName,
  };
  const fill = (text: string): string => filled(text, values);
  const { commonName } = template;
  return {
    uris: template.uris.map(fill).map(checked('a URI', isUri)),
    dnsNames: template.dnsNames
      .map(fill)
      .map(checked('a DNS name', (text) => text.length <= 253 && dnsName.test(text))),
    ipAddresses: template.ipAddresses.map(fill).map(checked('an IP address', (text) => isIP(text) > 0)),
    organizations: template.organizations.map(fill).map(checked('an organization', isAttribute)),
    ...(commonName === undefined ? {} : { commonName: checked('a common name', isAttribute)(fill(commonName)) }),
  };
}

function filled(text: string, values: Readonly<Record<TemplateVariable, string>>): string {
  return text.replaceAll(/\$\{([^}]*)\}/g, (_, name: string) => {
    const value = templateVariables.find((variable) => variable === name);
    if (value === undefined) {
      throw refusal(`the template's variable \${${name}} does not exist`);
    }
    if (!plainName.test(values[value])) {
      throw refusal(`the pod's ${name} cannot stand in a certificate`);
    }
    return values[value];
  });
}

function checked(what: string, isOne: (text: string) => boolean): (text: string) => string {
  return (text) => {
    if (!isOne(text)) {
      throw refusal(`the template makes ${JSON.stringify(text)}, which is not ${what}`);
    }
    return text;
  };
}

function isUri(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text) && URL.canParse(text);
}

function isAttribute(text: string): boolean {
  return text.length > 0 && text.length <= longestAttribute && !/\p{Cc}/u.test(text);
}

function refusal(message: string): AgentError {
  return new AgentError('Rejected', `${message}; the issuers in the agent's configuration say what it should be`, {
    actor: 'cluster operator',
  });
}
