/**
 * CEL expressions as admission policies use them. The language is the library's; here is what Kubernetes adds: names of
 * the variables, and integers, which JSON does not tell from other numbers.
 *
 * https://kubernetes.io/docs/reference/using-api/cel/
 */
import { Environment } from '@marcbachmann/cel-js';
import { messageOf } from '../base/errors.ts';
import { isObject, type Json } from '../base/objects.ts';

/** The variables of an expression, as `inCel` and `evaluate` give them. */
export type Variables = Readonly<Record<string, unknown>>;

/** What became of an expression. */
export type Evaluated =
  | { readonly type: 'value'; readonly value: unknown }
  | { readonly type: 'error'; readonly message: string };

const environment = ['object', 'oldObject', 'request', 'namespaceObject', 'variables'].reduce(
  (known, name) => known.registerVariable(name, 'dyn'),
  new Environment({ enableOptionalTypes: true }),
);

/** What is wrong with an expression before it is ever evaluated; nothing when it can be. */
export function compilationFault(expression: string): string | undefined {
  try {
    const { valid, error } = environment.check(expression);
    return valid ? undefined : firstLine(error);
  } catch (error) {
    return firstLine(error);
  }
}

export function evaluate(expression: string, variables: Variables): Evaluated {
  try {
    return { type: 'value', value: environment.evaluate(expression, { ...variables }) };
  } catch (error) {
    return { type: 'error', message: firstLine(error).replace(/^No such key/, 'no such key') };
  }
}

/** JSON as a CEL value; what is absent is null. */
export function inCel(value: Json | undefined): unknown {
  if (Array.isArray(value)) {
    return value.map(inCel);
  }
  if (isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, inCel(each)]));
  }
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : (value ?? null);
}

/** What follows the first line shows the place in the expression. */
function firstLine(error: unknown): string {
  return messageOf(error).split('\n', 1)[0] ?? '';
}
