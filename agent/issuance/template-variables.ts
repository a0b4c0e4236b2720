/**
 * The variables that a template may hold: `${namespace}` stands for the pod's namespace, and so on; labels and annotations
 * are named as in Kubernetes' downward API, `${pod.labels['app']}`.
 *
 * https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
 */

export const templateVariables = [
  'trustDomain',
  'namespace',
  'podName',
  'podUID',
  'serviceAccountName',
  'serviceAccountUID',
  'nodeName',
] as const;
export type TemplateVariable = (typeof templateVariables)[number];

/** The pod's addresses: stands alone as an entry of `ipAddresses`, and for as many entries as there are. */
export const podIPs = `\${podIPs}`;

/** Where a value stands, which says what it may consist of. */
export type Place = 'uri' | 'dns' | 'ip' | 'attribute';
/** Fills in the variables of a text that becomes a name of this sort. @throws AgentError */
export type Filler = (text: string, place: Place) => string;

/** What a variable stands for. */
export type Variable =
  | { readonly type: 'field'; readonly name: TemplateVariable }
  | {
      readonly type: 'metadata';
      readonly of: 'pod' | 'node' | 'serviceAccount';
      readonly map: 'labels' | 'annotations';
      readonly key: string;
    };

const placeholder = /\$\{([^}]*)\}/g;
const metadata = /^(pod|node|serviceAccount)\.(labels|annotations)\['([A-Za-z0-9][A-Za-z0-9./_-]{0,316})'\]$/;

/** The variable of a name between the braces; undefined when there is none of that name. */
export function variableOf(name: string): Variable | undefined {
  const field = templateVariables.find((known) => known === name);
  if (field !== undefined) {
    return { type: 'field', name: field };
  }
  const [, object, map, key] = metadata.exec(name) ?? [];
  const of = (['pod', 'node', 'serviceAccount'] as const).find((known) => known === object);
  if (of === undefined || key === undefined) {
    return undefined;
  }
  return { type: 'metadata', of, map: map === 'labels' ? 'labels' : 'annotations', key };
}

/** The text with every variable filled in. @param valueFor throws where there is no value */
export function fill(text: string, valueFor: (name: string) => string): string {
  return text.replaceAll(placeholder, (_, name: string) => valueFor(name));
}

/** The variables in a text that are none, and what was begun as one; for the check of the configuration. */
export function unknownVariables(text: string): readonly string[] {
  const unknown = [...text.matchAll(placeholder)].flatMap(([, name = '']) =>
    variableOf(name) === undefined ? [name] : [],
  );
  const rest = text.replaceAll(placeholder, '');
  return rest.includes('$') ? [...unknown, rest.slice(rest.indexOf('$'))] : unknown;
}
