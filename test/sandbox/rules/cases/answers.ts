/**
 * The answers that cases expect, in short.
 */
import type { Expected } from './case.ts';

export const good: Expected = { code: 200 };

/** Forbidden. @param says a part of the message */
export function refused(says: string): Expected {
  return { code: 403, says };
}

/** A failure that may be tried again. */
export function failed(says: string): Expected {
  return { code: 500, says };
}

/** Invalid. @param causes field and reason of each: `spec.podUID FieldValueInvalid` */
export function bad(...causes: string[]): Expected {
  return { code: 422, causes };
}

/** Invalid in one field. @param says a part of the message */
export function badField(field: string, says?: string, reason = 'FieldValueInvalid'): Expected {
  return { ...bad(`${field} ${reason}`), ...(says === undefined ? {} : { says }) };
}
