/**
 * Paths of the Kubernetes API: the one place that builds them, so that no name can leave its path segment, and the one
 * that reads them back into the words of an RBAC rule for error messages.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
 */

/** Prefix of the core group. Other groups' is `/apis/<group>/<version>`. */
export const corePrefix = '/api/v1';

export interface ResourceLocation {
  /** Absent: the resource is cluster-scoped, or all namespaces are meant. */
  readonly namespace?: string;
  /** Plural, as in RBAC rules: `pods`. */
  readonly resource: string;
  /** Absent: the collection. */
  readonly name?: string;
  readonly subresource?: string;
}

/**
 * The path of a resource or collection.
 * @param prefix `/api/v1` or `/apis/<group>/<version>`.
 * @example resourcePath('/api/v1', { namespace: 'a', resource: 'pods', name: 'b' }) // '/api/v1/namespaces/a/pods/b'
 */
export function resourcePath(prefix: string, location: ResourceLocation): string {
  const { namespace, resource, name, subresource } = location;
  const segments = [
    ...(namespace === undefined ? [] : ['namespaces', namespace]),
    resource,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  return `${prefix}/${segments.map(segment).join('/')}`;
}

/** One name as one path segment. `.` and `..` are no names in Kubernetes, and URL parsers would resolve them. */
function segment(name: string): string {
  if (name === '' || name === '.' || name === '..') {
    throw new TypeError(`${JSON.stringify(name)} is no name of a Kubernetes object`);
  }
  return encodeURIComponent(name);
}

/** A call in the words of an RBAC rule. */
export interface CallWords {
  /** `get`, `list`, `watch`, `create`, `update`, `patch` or `delete`. */
  readonly verb: string;
  /** Resource with its group, name and namespace: `pods "web" in namespace "shop"`. */
  readonly resource: string;
  /** Resource with its group alone: a label of bounded variety. */
  readonly kind: string;
  /** On whose behalf the call is made. */
  readonly who: string;
}

const writeVerbs: Readonly<Record<string, string>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Says what a call does, from its method and path. */
export function describeCall(method: string, path: string, watch: boolean, who: string): CallWords {
  const parts = path.split('/').filter((part) => part !== '');
  const start = parts[0] === 'api' ? 2 : parts[0] === 'apis' ? 3 : Number.POSITIVE_INFINITY;
  const rest = parts.slice(start).map(decodeURIComponent);
  const group = parts[0] === 'apis' ? `.${parts[1] ?? ''}` : '';
  if (rest.length === 0) {
    return { verb: 'get', resource: path, kind: parts[0] ?? '/', who };
  }
  const namespace = rest[0] === 'namespaces' && rest.length > 2 ? rest[1] : undefined;
  const [resource = '', name, subresource] = namespace === undefined ? rest : rest.slice(2);
  const kind = `${resource}${subresource === undefined ? '' : `/${subresource}`}${group}`;
  const named = name === undefined ? '' : ` "${name}"`;
  const placed = namespace === undefined ? '' : ` in namespace "${namespace}"`;
  const read = watch ? 'watch' : name === undefined ? 'list' : 'get';
  return { verb: writeVerbs[method] ?? read, resource: `${kind}${named}${placed}`, kind, who };
}
