/**
 * The objects that the chart renders, for tests, with a check against the types of the Kubernetes API: the models of
 * client-node, which are made from its OpenAPI document.
 */
import assert from 'node:assert/strict';
import * as models from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';
import { type RenderOptions, renderChart } from '../../deploy/chart.ts';

/** An object as it is written in YAML; what is in it, the test knows. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** Why tests of the chart are skipped; false: helm is here. */
export const withoutHelm: string | false =
  renderChart().type === 'missing' ? 'helm is not here: put it on PATH, or its path into HELM' : false;

/** @throws AssertionError when helm refuses */
export function render(options: RenderOptions = {}): readonly Rendered[] {
  const rendering = renderChart(options);
  assert.equal(rendering.type, 'rendered', 'message' in rendering ? rendering.message : rendering.type);
  return rendering.type === 'rendered' ? objectsIn(rendering.yaml) : [];
}

export function objectsIn(yaml: string): readonly Rendered[] {
  return parseAllDocuments(yaml).flatMap((document) => {
    assert.deepEqual(document.errors, []);
    const object: Rendered | null = document.toJS();
    return object === null ? [] : [object];
  });
}

/** The one object of this kind, of this name if there are more. */
export function one(objects: readonly Rendered[], kind: string, name?: string): Rendered {
  const found = objects.filter(
    (object) => object.kind === kind && (name ?? object.metadata.name) === object.metadata.name,
  );
  assert.equal(found.length, 1, `${found.length} objects of kind ${kind}`);
  const [object] = found;
  assert.ok(object, 'there is no object');
  return object;
}

/** One fault per field that the API does not know or that holds another kind of value. */
export function typeFaults(object: Rendered): readonly string[] {
  return faultsOf(`V1${object.kind}`, object, object.kind);
}

interface Attribute {
  readonly baseName: string;
  readonly type: string;
}

function attributesOf(type: string): readonly Attribute[] | undefined {
  const model: unknown = Reflect.get(models, type);
  const map: unknown = typeof model === 'function' ? Reflect.get(model, 'attributeTypeMap') : undefined;
  return Array.isArray(map) ? map : undefined;
}

function faultsOf(type: string, value: unknown, path: string): readonly string[] {
  const [, element] = /^Array<(.+)>$/.exec(type) ?? [];
  if (element !== undefined) {
    return Array.isArray(value)
      ? value.flatMap((item, index) => faultsOf(element, item, `${path}[${index}]`))
      : [`${path}: not a list`];
  }
  const [, entry] = /^\{ \[key: string\]: (.+); \}$/.exec(type) ?? [];
  if (entry !== undefined) {
    return isMapping(value)
      ? Object.entries(value).flatMap(([key, item]) => faultsOf(entry, item, `${path}.${key}`))
      : [`${path}: not a mapping`];
  }
  return scalarFaults(type, value, path) ?? objectFaults(type, value, path);
}

function scalarFaults(type: string, value: unknown, path: string): readonly string[] | undefined {
  const right: Readonly<Record<string, boolean>> = {
    any: true,
    string: typeof value === 'string',
    number: typeof value === 'number',
    boolean: typeof value === 'boolean',
    IntOrString: typeof value === 'string' || Number.isInteger(value),
  };
  const isRight = right[type];
  return isRight === undefined ? undefined : isRight ? [] : [`${path}: ${JSON.stringify(value)} is no ${type}`];
}

function objectFaults(type: string, value: unknown, path: string): readonly string[] {
  const attributes = attributesOf(type);
  if (attributes === undefined) {
    return [`${path}: ${type} is not known`];
  }
  if (!isMapping(value)) {
    return [`${path}: not a mapping`];
  }
  return Object.entries(value).flatMap(([field, item]) => {
    const attribute = attributes.find(({ baseName }) => baseName === field);
    return attribute === undefined
      ? [`${path}.${field}: no such field`]
      : faultsOf(attribute.type, item, `${path}.${field}`);
  });
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
