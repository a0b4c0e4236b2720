/**
 * The events of a watch as they travel, and how to tell them from anything else that a server or proxy may send.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/watch-event/
 */
import type { KubernetesObject, Status } from './objects.ts';

export interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: T;
}

export function isWatchEvent<T extends KubernetesObject>(value: unknown): value is WatchEvent<T> {
  if (!isRecord(value) || !isRecord(value['object'])) {
    return false;
  }
  const { type } = value;
  const { metadata } = value['object'];
  // A bookmark's object carries nothing but a resourceVersion.
  return isRecord(metadata) && (type === 'BOOKMARK' || (isObjectEvent(type) && typeof metadata['name'] === 'string'));
}

function isObjectEvent(type: unknown): boolean {
  return type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED';
}

export function isErrorEvent(value: unknown): value is { readonly object: Partial<Status> } {
  return isRecord(value) && value['type'] === 'ERROR' && isRecord(value['object']);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** `namespace/name`, of a cluster-scoped object its name. */
export function keyOf(object: KubernetesObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}
