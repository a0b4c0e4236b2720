/**
 * What the handlers of requests share: the store, the rules, the clock and the versions served.
 */

import type {
  KubernetesVersion,
  RequestAttributes,
  ResourceAttributes,
  Rules,
  RulesContext,
  UserInfo,
} from '../base/cluster-rules.ts';
import type { GroupResource } from '../base/objects.ts';
import type { Tokens } from '../identity/tokens.ts';
import type { RequestInfo, ResourceInfo } from './request-info.ts';
import { groupVersion, type ResourceType, type ReviewType } from './resource-type.ts';
import { parseFieldSelector, requiredName } from './selectors.ts';
import type { Store } from './store.ts';

export interface Api {
  readonly store: Store;
  readonly rules: Rules;
  readonly tokens: Tokens;
  readonly kubernetes: KubernetesVersion;
  /** How much faster than real the server's own periods run. */
  readonly timeScale: number;
  /** Milliseconds since the epoch, as the server sees it. */
  now(): number;
  /** The resources and the versions in which they are served at this moment; the preferred version first. */
  served(): readonly ServedType[];
}

export interface ServedType {
  readonly type: ResourceType;
  readonly versions: readonly string[];
}

/** A resource in the version that a request names. */
export interface Target {
  readonly type: ResourceType;
  readonly version: string;
}

/** Metadata in the query of a request. */
export type Query = URLSearchParams;

export function rulesContext(api: Api): RulesContext {
  return { objects: api.store, now: api.now(), kubernetes: api.kubernetes, timeScale: api.timeScale };
}

/** @returns `undefined` when the resource is not served in that version */
export function findTarget(api: Api, info: ResourceInfo): Target | undefined {
  const found = api
    .served()
    .find(({ type, versions }) => sameResource(type, info) && versions.includes(info.apiVersion));
  return found === undefined ? undefined : { type: found.type, version: info.apiVersion };
}

export function sameResource(type: ResourceType | ReviewType, info: ResourceInfo): boolean {
  return type.group === info.apiGroup && type.resource === info.resource;
}

export function attributesOf(info: ResourceInfo, user: UserInfo, query: Query): ResourceAttributes;
export function attributesOf(info: RequestInfo, user: UserInfo, query: Query): RequestAttributes;
export function attributesOf(info: RequestInfo, user: UserInfo, query: Query): RequestAttributes {
  if (info.kind === 'path') {
    return { ...info, user };
  }
  const [fieldSelector, labelSelector] = [query.get('fieldSelector'), query.get('labelSelector')];
  return {
    ...info,
    ...(info.verb === 'list' || info.verb === 'watch' ? { name: selectedName(fieldSelector ?? '') } : {}),
    user,
    ...(fieldSelector === null || fieldSelector === '' ? {} : { fieldSelector }),
    ...(labelSelector === null || labelSelector === '' ? {} : { labelSelector }),
  };
}

/** Where the objects of a target are stored. */
export function storedAs(target: Target): GroupResource {
  return target.type.storedAs;
}

/** `certificates.k8s.io/v1beta1`. */
export function apiVersionOf(target: Target): string {
  return groupVersion(target.type.group, target.version);
}

/** A list or watch of one object by its name counts as a request for that object. */
function selectedName(fieldSelector: string): string {
  try {
    return requiredName(parseFieldSelector(fieldSelector)) ?? '';
  } catch {
    // Whoever may list is told what is wrong with the selector; whoever may not is refused first.
    return '';
  }
}
