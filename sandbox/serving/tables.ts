/**
 * Objects as rows for people (`meta.k8s.io/v1` Table), which is what `kubectl get` prints.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
 */

import type { ApiObject, JsonObject } from '../base/objects.ts';
import { columnsOf } from './columns.ts';

export interface TableOptions {
  /** What comes along with each row: nothing, the object's metadata, or all of it. */
  readonly includeObject: 'None' | 'Metadata' | 'Object';
  /** False for the events of a watch after its first. */
  readonly withColumns: boolean;
  readonly now: number;
}

/** What a row is made from: the object as stored, and as the request's version shows it. */
export interface TableItem {
  readonly stored: ApiObject;
  readonly presented: ApiObject;
}

/** @param resource where the objects are stored @param metadata metav1.ListMeta of the table */
export function table(
  resource: string,
  objects: readonly TableItem[],
  metadata: JsonObject,
  options: TableOptions,
): JsonObject {
  const columns = columnsOf(resource);
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: options.withColumns
      ? columns.map(({ name, type, format = '', priority }) => ({ name, type, format, description: '', priority }))
      : null,
    rows: objects.map(({ stored, presented }) => ({
      cells: columns.map(({ cell }) => cell(stored, options.now)),
      ...(options.includeObject === 'None'
        ? {}
        : { object: options.includeObject === 'Object' ? presented : partialMetadata(presented) }),
    })),
  };
}

/** metav1.PartialObjectMetadata. */
export function partialMetadata(object: ApiObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}
