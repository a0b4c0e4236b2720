/**
 * Reads from method and path what a request asks for: verb, group, version, namespace, resource, name, subresource.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
 */

/** What a request asks for, before it is known who asks. Absent parts are empty strings. */
export type RequestInfo =
  | {
      readonly kind: 'resource';
      readonly verb: string;
      readonly apiGroup: string;
      readonly apiVersion: string;
      readonly namespace: string;
      readonly resource: string;
      readonly subresource: string;
      readonly name: string;
    }
  | { readonly kind: 'path'; readonly verb: string; readonly path: string };

export type ResourceInfo = RequestInfo & { readonly kind: 'resource' };

const verbs: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** @param method the HTTP method in upper case */
export function requestInfo(method: string, url: URL): RequestInfo {
  const path = { kind: 'path', verb: method.toLowerCase(), path: url.pathname } as const;
  const parts = url.pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decoded);
  const [root] = parts;
  const isCore = root === 'api';
  const [, apiGroup, apiVersion] = isCore ? ['api', '', parts[1]] : parts;
  const rest = parts.slice(isCore ? 2 : 3);
  if ((root !== 'api' && root !== 'apis') || apiGroup === undefined || apiVersion === undefined || rest.length === 0) {
    return path;
  }
  const place = placeOf(rest);
  const verb = verbs[method] ?? method.toLowerCase();
  return { kind: 'resource', apiGroup, apiVersion, ...place, verb: collectionVerb(verb, place.name, url) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

interface Place {
  readonly namespace: string;
  readonly resource: string;
  readonly name: string;
  readonly subresource: string;
}

/** Below `namespaces/<name>` lies either the namespace itself, one of its two subresources, or a resource in it. */
function placeOf(rest: readonly string[]): Place {
  const [first = '', second = '', third = ''] = rest;
  const inNamespace = first === 'namespaces' && third !== '' && third !== 'status' && third !== 'finalize';
  if (inNamespace) {
    return { namespace: second, resource: third, name: rest[3] ?? '', subresource: rest.slice(4).join('/') };
  }
  const subresource = rest.slice(2).join('/');
  return { namespace: first === 'namespaces' ? second : '', resource: first, name: second, subresource };
}

function collectionVerb(verb: string, name: string, url: URL): string {
  if (name !== '') {
    return verb;
  }
  if (verb === 'get') {
    return isTrue(url.searchParams.get('watch')) ? 'watch' : 'list';
  }
  return verb === 'delete' ? 'deletecollection' : verb;
}

/** A boolean query parameter: present and not one of the words for false. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}
