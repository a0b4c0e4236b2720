/**
 * For the `default` of a `switch` over a union: the compiler checks that no member is missing, and a value that the
 * types rule out throws.
 */
export function unreachable(value: never): never {
  throw new TypeError(`no such case: ${String(value)}`);
}
