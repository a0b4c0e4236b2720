/**
 * OpenAPI v3: one document per group and version, made from the same schemas that decode requests.
 *
 * https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
 */

import type { JsonObject } from '../base/objects.ts';
import type { Api } from '../storage/api.ts';
import { groupVersion, type ResourceType, type ReviewType } from '../storage/resource-type.ts';
import { reviewTypes } from '../storage/resources.ts';
import type { Schema, StructSchema } from '../storage/schemas/schema.ts';
import type { Reply } from './reply.ts';

/** A kind in one version, with where it is served. */
interface ServedKind {
  readonly group: string;
  readonly version: string;
  readonly type: ResourceType | ReviewType;
  readonly schema: StructSchema;
  readonly patchable: boolean;
}

export function openApi(api: Api, path: string): Reply | undefined {
  const kinds = servedKinds(api);
  if (path === '/openapi/v3') {
    const keys = [...new Set(kinds.map(({ group, version }) => documentKey(group, version)))];
    const paths = keys.map((key) => [key, { serverRelativeURL: `/openapi/v3/${key}` }]);
    return { kind: 'json', code: 200, body: { paths: Object.fromEntries(paths) } };
  }
  const key = path.startsWith('/openapi/v3/') ? path.slice('/openapi/v3/'.length) : '';
  const listed = kinds.filter(({ group, version }) => documentKey(group, version) === key);
  return listed.length === 0 ? undefined : { kind: 'json', code: 200, body: document(api, listed) };
}

function documentKey(group: string, version: string): string {
  return group === '' ? `api/${version}` : `apis/${groupVersion(group, version)}`;
}

function servedKinds(api: Api): ServedKind[] {
  const stored = api.served().flatMap(({ type, versions }) =>
    versions.map((version) => ({
      group: type.group,
      version,
      type,
      schema: type.schema(version, api.kubernetes),
      patchable: true,
    })),
  );
  const reviews = reviewTypes.map((type) => ({
    group: type.group,
    version: type.version,
    type,
    schema: type.schema,
    patchable: false,
  }));
  return [...stored, ...reviews];
}

function document(api: Api, kinds: readonly ServedKind[]): JsonObject {
  const schemas: JsonObject = {};
  for (const { schema, type, group, version } of kinds) {
    define(schema, schemas);
    const defined = schemas[schema.name] as JsonObject;
    defined['x-kubernetes-group-version-kind'] = [{ group, version, kind: type.kind }];
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: api.kubernetes },
    paths: Object.fromEntries(kinds.flatMap(pathsOf)),
    components: { schemas },
  };
}

/** Adds a type and all it is made of. */
function define(schema: Schema, schemas: JsonObject): void {
  if (schema.type === 'list') {
    define(schema.items, schemas);
  } else if (schema.type === 'map') {
    define(schema.values, schemas);
  } else if (schema.type === 'struct' && schemas[schema.name] === undefined) {
    schemas[schema.name] = {};
    const properties = Object.entries(schema.fields).map(([name, field]) => [name, property(field)]);
    schemas[schema.name] = {
      description: schema.description,
      type: 'object',
      properties: Object.fromEntries(properties),
      ...(schema.required.length === 0 ? {} : { required: [...schema.required] }),
    };
    for (const field of Object.values(schema.fields)) {
      define(field, schemas);
    }
  }
}

function property(schema: Schema): JsonObject {
  const description = schema.description === '' ? {} : { description: schema.description };
  switch (schema.type) {
    case 'string':
      return { ...description, type: 'string', ...stringFormat(schema.format) };
    case 'integer':
      return { ...description, type: 'integer', format: schema.format };
    case 'boolean':
      return { ...description, type: 'boolean' };
    case 'map':
      return { ...description, type: 'object', additionalProperties: property(schema.values) };
    case 'list':
      return { ...description, type: 'array', items: property(schema.items) };
    case 'struct':
      return { ...description, allOf: [{ $ref: `#/components/schemas/${schema.name}` }] };
    case 'any':
      return { ...description, 'x-kubernetes-preserve-unknown-fields': true };
    default:
      return schema satisfies never;
  }
}

function stringFormat(format: 'byte' | 'date-time' | 'micro-time' | undefined): JsonObject {
  return format === undefined ? {} : { format: format === 'byte' ? format : 'date-time' };
}

/** Enough of the paths for clients to learn that `fieldValidation` and `dryRun` are understood. */
function pathsOf({ group, version, type, schema, patchable }: ServedKind): [string, JsonObject][] {
  const root = `/${documentKey(group, version)}`;
  const collection = `${root}${type.namespaced ? '/namespaces/{namespace}' : ''}/${type.resource}`;
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
    name,
    in: 'query',
    schema: { type: 'string', uniqueItems: true },
  }));
  const content = { 'application/json': { schema: { $ref: `#/components/schemas/${schema.name}` } } };
  const operation = (action: string): JsonObject => ({
    parameters,
    responses: { '200': { description: 'OK', content } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group, version, kind: type.kind },
  });
  const post: [string, JsonObject] = [collection, { post: operation('post') }];
  return patchable
    ? [post, [`${collection}/{name}`, { get: operation('get'), put: operation('put'), patch: operation('patch') }]]
    : [post];
}
