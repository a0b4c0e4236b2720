/**
 * Reads whose a source's files are, and with which mode: `user` and `mode` of a source, `defaultUser` and `defaultMode` of the
 * volume. User IDs and their limits are those of Kubernetes; a mode counts as octal or as decimal only where it cannot be taken for
 * the other.
 *
 * https://kubernetes.io/docs/concepts/storage/projected-volumes/
 */
import { type Fault, type Mapping, quote, readInteger } from './fields.ts';
import type { SourceAccess } from './types.ts';

export const accessFields = ['user', 'mode'] as const;
/** Kubernetes' limit for user IDs. */
const maxUserId = 2 ** 31 - 1;
export const maxFileMode = 0o777;
/** What everybody may do with a file. */
const forOthers = 0o007;

const userForm = `must be a user ID from 0 to ${maxUserId}`;

/** @param hasKey true when a file of the source holds a private key */
export function readAccess(mapping: Mapping, path: string, hasKey: boolean, faults: Fault[]): SourceAccess {
  const user = readInteger(mapping, 'user', path, faults);
  if (user !== undefined && (user < 0 || user > maxUserId)) {
    faults.push({ field: `${path}.user`, message: `${userForm}, not ${user}` });
  }
  const mode = readMode(mapping, `${path}.mode`, faults);
  if (mode !== undefined && hasKey && isForOthers(mode)) {
    const message = `${octal(mode)} would let everybody read the private key, write "0440" or tighter, or leave it out`;
    faults.push({ field: `${path}.mode`, message });
  }
  return { ...(user === undefined ? {} : { user }), ...(mode === undefined ? {} : { mode }) };
}

function readMode(mapping: Mapping, field: string, faults: Fault[]): number | undefined {
  const value = mapping.get('mode') ?? undefined;
  if (value === undefined) {
    return undefined;
  }
  if (typeof value === 'string' || typeof value === 'number') {
    return modeIn(value, field, faults);
  }
  faults.push({ field, message: modeForm(value) });
  return undefined;
}

/** The volume's `defaultUser`, from the text of its attribute. */
export function readDefaultUser(text: string | undefined, faults: Fault[]): number | undefined {
  if (text === undefined) {
    return undefined;
  }
  const digits = text.trim();
  const user = /^(0|[1-9]\d{0,9})$/.test(digits) ? Number(digits) : undefined;
  if (user === undefined || user > maxUserId) {
    faults.push({ field: 'defaultUser', message: `${userForm}, not ${quote(text)}` });
    return undefined;
  }
  return user;
}

/**
 * A file mode from its text, or from an unquoted YAML number, of which nobody can tell any more whether it was written with a
 * leading zero.
 */
export function modeIn(value: string | number, field: string, faults: Fault[]): number | undefined {
  const digits = String(value).trim();
  if (/^[1-7][0-7]{1,2}$/.test(digits)) {
    const decimal = Number(digits) > maxFileMode ? '' : `, "${octal(Number(digits))}" if the number is decimal`;
    const message = `${quote(value)} may be octal or decimal: write "${digits.padStart(4, '0')}" if it is octal${decimal}`;
    faults.push({ field, message });
    return undefined;
  }
  const mode = /^0[0-7]{0,6}$/.test(digits)
    ? Number.parseInt(digits, 8)
    : /^[1-9][0-9]{0,6}$/.test(digits)
      ? Number(digits)
      : undefined;
  if (mode === undefined || mode > maxFileMode) {
    faults.push({ field, message: modeForm(value) });
    return undefined;
  }
  return mode;
}

function modeForm(value: unknown): string {
  return `must be a file mode like "0440" (octal) or "288" (decimal), at most 0777, not ${quote(value)}`;
}

export function isForOthers(mode: number): boolean {
  return (mode & forOthers) !== 0;
}

export function octal(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`;
}
