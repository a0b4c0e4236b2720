/**
 * What the chart gives the agent in each identity mode: roles, bindings and policies. Rendered by helm; without helm, the
 * default mode is read from the plain manifest.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { chartDirectory, renderChart } from '../../deploy/chart.ts';
import { isObject, type JsonObject } from '../../sandbox/base/objects.ts';
import type { AgentIdentity, ClusterObject } from '../../sandbox/cluster/permissions.ts';
import { eachWithFields } from '../support/fields.ts';

/** A rule of the agent's role, as RBAC has it. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** Objects of the chart; or why there are none. */
export type ChartObjects =
  | { readonly type: 'objects'; readonly objects: readonly ClusterObject[] }
  | { readonly type: 'missing'; readonly reason: string };

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const admission = '/apis/admissionregistration.k8s.io/v1';

/** Where the kinds that give or limit permissions lie. */
const collections: Readonly<Record<string, Omit<ClusterObject, 'object'>>> = {
  ClusterRole: { prefix: rbac, resource: 'clusterroles' },
  ClusterRoleBinding: { prefix: rbac, resource: 'clusterrolebindings' },
  ValidatingAdmissionPolicy: { prefix: admission, resource: 'validatingadmissionpolicies' },
  ValidatingAdmissionPolicyBinding: { prefix: admission, resource: 'validatingadmissionpolicybindings' },
};

/**
 * The release's name is that of the agent's service account, its namespace kube-system: those of the sandbox, too.
 * @param nodeSigners signers that nodes may ask, which they need a permission for from Kubernetes 1.37 on
 * @param issuers rules for issuers
 * @param more other values
 */
export function chartObjects(
  mode: AgentIdentity,
  nodeSigners: readonly string[] = [],
  issuers: readonly object[] = [],
  more: Readonly<Record<string, unknown>> = {},
): ChartObjects {
  const rendering = renderChart({ values: { identity: { mode, nodeSigners }, issuers, ...more } });
  switch (rendering.type) {
    case 'rendered':
      return { type: 'objects', objects: permissionsIn(rendering.yaml) };
    case 'refused':
      throw new Error(rendering.message);
    case 'missing': {
      if (mode !== 'impersonatedNode' || nodeSigners.length + issuers.length + Object.keys(more).length > 0) {
        return { type: 'missing', reason: 'helm is not here to render this' };
      }
      const manifest = readFileSync(join(chartDirectory, '../../manifest.yaml'), 'utf8');
      return { type: 'objects', objects: permissionsIn(manifest) };
    }
    default:
      return rendering satisfies never;
  }
}

function permissionsIn(yaml: string): readonly ClusterObject[] {
  return parseAllDocuments(yaml).flatMap((document) => {
    const object: unknown = document.toJS();
    const place = isObject(object) ? collections[String(object['kind'])] : undefined;
    return isObject(object) && place !== undefined ? [{ ...place, object }] : [];
  });
}

/** Rules of all roles that a binding gives away. */
export function boundRules(objects: readonly ClusterObject[]): readonly Rule[] {
  const bound = objects
    .filter(({ resource }) => resource === 'clusterrolebindings')
    .map(({ object }) => (object as JsonObject)['roleRef'] as JsonObject);
  return objects
    .filter(({ object, resource }) => resource === 'clusterroles' && bound.some(({ name }) => name === nameOf(object)))
    .flatMap(({ object }) => eachWithFields<Rule>((object as JsonObject)['rules'], 'verbs'));
}

/** The same objects without one verb of one rule; a rule without verbs goes as a whole. */
export function without(objects: readonly ClusterObject[], taken: Rule, verb: string): readonly ClusterObject[] {
  return objects.map(({ object, ...place }) => {
    const { rules } = object as { readonly rules?: readonly Rule[] };
    if (rules === undefined || !rules.includes(taken)) {
      return { ...place, object };
    }
    const left = rules
      .map((rule) => (rule === taken ? { ...rule, verbs: rule.verbs.filter((each) => each !== verb) } : rule))
      .filter(({ verbs }) => verbs.length > 0);
    return { ...place, object: { ...object, rules: left } };
  });
}

function nameOf(object: object): string {
  return ((object as JsonObject)['metadata'] as { name: string }).name;
}
