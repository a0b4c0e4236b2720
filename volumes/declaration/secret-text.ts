/**
 * A text that whoever prints what holds it does not print: logged, interpolated or serialised, it shows nothing of itself.
 */
import { inspect } from 'node:util';

export interface SecretText {
  reveal(): string;
  /** As JSON it is left out. */
  toJSON(): undefined;
  toString(): string;
}

const shown = '[secret]';

export function secretText(text: string): SecretText {
  const secret = {
    reveal: () => text,
    toJSON: () => undefined,
    toString: () => shown,
    [inspect.custom]: () => shown,
  };
  return secret;
}
