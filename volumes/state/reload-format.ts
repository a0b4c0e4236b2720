/** How a volume's programs are told of new files, as its record holds it. It is checked again: a name in it is written to as root. */
import { checkPath } from '../declaration/paths.ts';
import type { Reload } from '../declaration/reload.ts';
import type { Fields } from './json-fields.ts';

/** @throws TypeError that says what is wrong. */
export function decodeReload(value: Fields): Reload {
  const touch = value['touch'];
  return touch === undefined ? {} : { touch: touchedName(touch) };
}

function touchedName(stored: unknown): string {
  if (typeof stored !== 'string' || !checkPath(stored).ok || stored.includes('/')) {
    throw new TypeError('reload.touch is not a name in the volume');
  }
  return stored;
}
