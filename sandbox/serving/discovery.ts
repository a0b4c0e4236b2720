/**
 * Discovery: which groups, versions and resources are served.
 *
 * https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
 */

import type { JsonObject } from '../base/objects.ts';
import type { Api } from '../storage/api.ts';
import { groupVersion, type ResourceType } from '../storage/resource-type.ts';
import { reviewTypes } from '../storage/resources.ts';
import type { Reply } from './reply.ts';

const storedVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

interface ServedResource {
  readonly group: string;
  readonly version: string;
  readonly name: string;
  readonly singularName: string;
  readonly namespaced: boolean;
  readonly kind: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  /** The group and version of the kind, where they are not the resource's own. */
  readonly kindGroup?: string;
}

/** Always the plain form: clients that ask for the aggregated one understand it too. */
export function discover(api: Api, path: string): Reply | undefined {
  const body = document(api, path.replace(/\/$/, ''));
  return body === undefined ? undefined : { kind: 'json', code: 200, body };
}

function document(api: Api, path: string): JsonObject | undefined {
  if (path === '/version') {
    return version(api);
  }
  if (path === '/api') {
    return {
      kind: 'APIVersions',
      versions: ['v1'],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '127.0.0.1:443' }],
    };
  }
  const resources = servedResources(api);
  const groups = [...new Set(resources.map(({ group }) => group))].filter((group) => group !== '');
  if (path === '/apis') {
    return {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: groups.map((group) => groupDocument(resources, group)),
    };
  }
  const [, root, group = '', groupApiVersion] = path.split('/');
  if (root === 'apis' && groupApiVersion === undefined && groups.includes(group)) {
    return { kind: 'APIGroup', apiVersion: 'v1', ...groupDocument(resources, group) };
  }
  return root === 'api'
    ? resourceList(resources, '', group)
    : root === 'apis'
      ? resourceList(resources, group, groupApiVersion ?? '')
      : undefined;
}

function version(api: Api): JsonObject {
  const [major = '', minor = ''] = api.kubernetes.split('.');
  return {
    major,
    minor,
    emulationMajor: major,
    emulationMinor: minor,
    minCompatibilityMajor: major,
    minCompatibilityMinor: String(Number(minor) - 1),
    // Build metadata, not a pre-release: it must compare as the version it plays.
    gitVersion: `v${api.kubernetes}.0+sandbox`,
    gitCommit: '0000000000000000000000000000000000000000',
    gitTreeState: 'clean',
    buildDate: '2026-01-01T00:00:00Z',
    goVersion: 'none',
    compiler: 'none',
    platform: `${process.platform}/${process.arch}`,
  };
}

/** The versions of a group, the preferred one first: stable before beta before alpha. */
function versionsOf(resources: readonly ServedResource[], group: string): string[] {
  const found = new Set(resources.filter((served) => served.group === group).map((served) => served.version));
  const rank = (name: string): number => (name.includes('alpha') ? 2 : name.includes('beta') ? 1 : 0);
  return [...found].sort((a, b) => rank(a) - rank(b));
}

function groupDocument(resources: readonly ServedResource[], group: string): JsonObject {
  const versions = versionsOf(resources, group).map((name) => ({
    groupVersion: groupVersion(group, name),
    version: name,
  }));
  return { name: group, versions, preferredVersion: versions[0] ?? {} };
}

function resourceList(resources: readonly ServedResource[], group: string, apiVersion: string): JsonObject | undefined {
  const listed = resources.filter((served) => served.group === group && served.version === apiVersion);
  if (listed.length === 0) {
    return undefined;
  }
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: groupVersion(group, apiVersion),
    resources: listed
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ group: _, version: __, kindGroup, shortNames, categories, ...served }) => ({
        ...served,
        verbs: [...served.verbs],
        ...(kindGroup === undefined ? {} : { group: kindGroup, version: 'v1' }),
        ...(shortNames === undefined ? {} : { shortNames: [...shortNames] }),
        ...(categories === undefined ? {} : { categories: [...categories] }),
      })),
  };
}

function resourcesOf(type: ResourceType, apiVersion: string): ServedResource[] {
  const { group, kind, namespaced } = type;
  const common = { group, version: apiVersion, kind, namespaced };
  const own = {
    ...common,
    name: type.resource,
    singularName: type.singular,
    verbs: storedVerbs,
    ...(type.shortNames.length === 0 ? {} : { shortNames: type.shortNames }),
    ...(type.categories.length === 0 ? {} : { categories: type.categories }),
  };
  const statuses = type.statusSubresources.map((subresource) => ({
    ...common,
    name: `${type.resource}/${subresource}`,
    singularName: '',
    verbs: ['get', 'patch', 'update'],
  }));
  const token = {
    ...common,
    kind: 'TokenRequest',
    kindGroup: 'authentication.k8s.io',
    name: 'serviceaccounts/token',
    singularName: '',
    verbs: ['create'],
  };
  return [own, ...statuses, ...(type.storedAs === 'serviceaccounts' ? [token] : [])];
}

function servedResources(api: Api): ServedResource[] {
  const stored = api.served().flatMap(({ type, versions }) => versions.flatMap((name) => resourcesOf(type, name)));
  const reviews = reviewTypes.map(({ group, version: apiVersion, kind, namespaced, resource, singular }) => ({
    group,
    version: apiVersion,
    kind,
    namespaced,
    name: resource,
    singularName: singular,
    verbs: ['create'],
  }));
  return [...stored, ...reviews];
}
