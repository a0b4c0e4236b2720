/**
 * From a rule's template and a pod's identity to the names in a certificate request. The values come from the API
 * server's objects only, and each is checked to be a name of the sort that may stand where it stands, so that none can
 * smuggle a second path, host or attribute into the text it is put into.
 */
import { isDnsLabel } from '../../volumes/declaration/names.ts';
import { AgentError } from '../base/errors.ts';
import type { PodIdentity, RequestedNames } from '../lifecycle/ports.ts';
import { isAttribute, isDnsName, isIpAddress, isUri } from './name-forms.ts';
import { type AllowFromPod, refuseUnlessAllowed } from './names-from-pod.ts';
import { type Filler, fill, type Place, podIPs, variableOf } from './template-variables.ts';

/** What a certificate says, where the agent writes it into the request. Text may hold variables. */
export interface Template {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly commonName?: string;
  readonly organizations: readonly string[];
  /** What a pod may ask for beside that. */
  readonly allowFromPod: AllowFromPod;
}

/** The names in a request, all values filled in. */
export interface RequestNames {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly commonName?: string;
  readonly organizations: readonly string[];
}

/** Names of Kubernetes objects, UIDs, trust domains and labels are of these characters; none has a meaning in a URI. */
const plainName = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/;
/** Names that hold dots and are nobody's to choose who writes pods. */
const dottedNames: ReadonlySet<string> = new Set(['trustDomain', 'nodeName']);

/**
 * @param asked what the pod asks for itself
 * @throws AgentError Rejected when a filled-in text is no name of its kind, or when the pod asks for what it may not have
 */
export function namesFor(
  template: Template,
  identity: PodIdentity,
  trustDomain: string,
  asked: RequestedNames = nothingAsked,
): RequestNames {
  const filler = fillerFor(identity, trustDomain);
  refuseUnlessAllowed(asked, template.allowFromPod, filler);
  const all = (texts: readonly string[], place: Place, form: Form, more: readonly string[]): readonly string[] => [
    ...new Set([...texts.map((text) => checked(filler(text, place), form)), ...more]),
  ];
  const addresses = template.ipAddresses.filter((text) => text !== podIPs);
  const own = addresses.length < template.ipAddresses.length ? (identity.podIPs ?? []) : [];
  const commonName =
    asked.commonName ??
    (template.commonName === undefined
      ? undefined
      : checked(filler(template.commonName, 'attribute'), forms.attribute));
  return {
    uris: all(template.uris, 'uri', forms.uri, asked.uris),
    dnsNames: all(template.dnsNames, 'dns', forms.dns, asked.dnsNames),
    ipAddresses: all(addresses, 'ip', forms.ip, [...own, ...asked.ipAddresses]),
    organizations: all(template.organizations, 'attribute', forms.attribute, []),
    ...(commonName === undefined ? {} : { commonName }),
  };
}

/** The addresses of the pod, where the template names them; none yet while the pod has none. */
export function namedPodIPs(template: Template, identity: PodIdentity): readonly string[] | undefined {
  return template.ipAddresses.includes(podIPs) ? identity.podIPs : undefined;
}

const nothingAsked: RequestedNames = { dnsNames: [], uris: [], ipAddresses: [] };

interface Form {
  readonly what: string;
  readonly fits: (text: string) => boolean;
}

const forms = {
  uri: { what: 'a URI, or no SPIFFE ID', fits: isUri },
  dns: { what: 'a DNS name', fits: isDnsName },
  ip: { what: 'an IP address', fits: isIpAddress },
  attribute: { what: 'a common name or organization', fits: isAttribute },
} satisfies Record<Place, Form>;

function fillerFor(identity: PodIdentity, trustDomain: string): Filler {
  const { pod, about } = identity;
  const fields = {
    trustDomain,
    namespace: pod.namespace,
    podName: pod.name,
    podUID: pod.uid,
    serviceAccountName: pod.serviceAccountName,
    serviceAccountUID: identity.serviceAccountUID,
    nodeName: identity.nodeName,
  };
  const valueFor = (name: string): string => {
    const variable = variableOf(name);
    if (variable === undefined) {
      throw refusal(`the template's variable \${${name}} does not exist`);
    }
    if (variable.type === 'field') {
      return fields[variable.name];
    }
    const { of, map, key } = variable;
    const value = about?.[of]?.[map]?.[key];
    if (value === undefined) {
      const who = of === 'pod' ? 'pod author' : 'cluster operator';
      const whose = of === 'serviceAccount' ? 'service account' : of;
      throw new AgentError(
        'Rejected',
        `the ${whose} has no ${map.slice(0, -1)} ${key}, which the operator's rule puts into the certificate`,
        { actor: who },
      );
    }
    return value;
  };
  return (text, place) =>
    fill(text, (name) => {
      const value = valueFor(name);
      const fits = place === 'dns' && !dottedNames.has(name) ? isDnsLabel(value) : plainName.test(value);
      if (!fits) {
        const kind = place === 'dns' ? 'one DNS label' : 'a plain name';
        throw refusal(`the pod's ${name} cannot stand in a certificate: it is not ${kind}`);
      }
      return value;
    });
}

function checked(text: string, { what, fits }: Form): string {
  if (!fits(text)) {
    throw refusal(`the template makes ${JSON.stringify(text.slice(0, 256))}, which is not ${what}`);
  }
  return text;
}

function refusal(message: string): AgentError {
  return new AgentError('Rejected', `${message}; the issuers in the agent's configuration say what it should be`, {
    actor: 'cluster operator',
  });
}
