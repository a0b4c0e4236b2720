/** The compiler's proof, and the run time's guard, that a `switch` over a union covers every member. */
export function unreachable(value: never): never {
  throw new TypeError(`no such case: ${String(value)}`);
}
