/**
 * Reads what a source says of PKCS#12 files: `keystorePath` (key and chain), `truststorePath` (trust anchors), and where their password
 * comes from, `passwordPath` or `password`. They are fields of the source whose key and anchors they hold, so that a keystore and a
 * PEM file of one source always hold the same key, of one request.
 */
import { type Fault, isGiven, type Mapping, readString } from './fields.ts';
import { longestPassword, maxKeystores, shortestPassword } from './limits.ts';
import { checkPath, type OutputPath } from './paths.ts';
import { secretText } from './secret-text.ts';
import type { KeystoreFiles, Source } from './types.ts';

export const keystorePathFields = ['keystorePath', 'truststorePath', 'passwordPath'] as const;
export const keystoreFields = [...keystorePathFields, 'password'] as const;

/** What is there of all that a source may say of keystores. @param kinds the files that this kind of source can make */
export function readKeystoreFiles(
  mapping: Mapping,
  path: string,
  kinds: readonly ('keystorePath' | 'truststorePath')[],
  outputs: OutputPath[],
  faults: Fault[],
): KeystoreFiles {
  const paths: Partial<Record<(typeof keystorePathFields)[number], string>> = {};
  for (const name of [...kinds, 'passwordPath'] as const) {
    const text = readString(mapping, name, path, faults);
    const checked = text === undefined ? undefined : checkPath(text);
    if (checked?.ok === true) {
      paths[name] = checked.path;
      outputs.push({ field: `${path}.${name}`, path: checked.path });
    } else if (checked?.ok === false) {
      faults.push({ field: `${path}.${name}`, message: checked.message });
    }
  }
  const password = readPassword(mapping, path, faults);
  const given = (name: string): boolean => isGiven(mapping, name);
  const wanted = kinds.find(given);
  if (wanted === undefined && (given('passwordPath') || given('password'))) {
    const field = `${path}.${given('passwordPath') ? 'passwordPath' : 'password'}`;
    faults.push({ field, message: `is the password of a ${kinds.join(' or a ')}, and there is none` });
  }
  if (wanted !== undefined && given('passwordPath') === given('password')) {
    const message = given('password')
      ? 'has both passwordPath and password, keep one'
      : `needs passwordPath beside ${wanted}, the file that the agent writes a random password to, or a password`;
    faults.push({ field: path, message });
  }
  return { ...paths, ...(password === undefined ? {} : { password: secretText(password) }) };
}

/** What is said about a password never quotes it. */
function readPassword(mapping: Mapping, path: string, faults: Fault[]): string | undefined {
  const value = mapping.get('password') ?? '';
  if (value === '') {
    return undefined;
  }
  const field = `${path}.password`;
  if (typeof value !== 'string') {
    faults.push({ field, message: 'must be a string: put it in quotes' });
    return undefined;
  }
  if (value.length < shortestPassword || value.length > longestPassword || !/^[ -~]*$/.test(value)) {
    const message = `must be ${shortestPassword} to ${longestPassword} characters, each a printable one of ASCII, as Java takes no others`;
    faults.push({ field, message });
    return undefined;
  }
  return value;
}

/** How many keystores and truststores a source asks for. */
function keystoresOf({ keystorePath, truststorePath }: KeystoreFiles): number {
  return [keystorePath, truststorePath].filter((path) => path !== undefined).length;
}

export function hasKeystores(source: KeystoreFiles): boolean {
  return keystoresOf(source) > 0;
}

export function findTooManyKeystores(sources: readonly Source[]): readonly Fault[] {
  const count = sources.reduce((sum, source) => sum + keystoresOf(source), 0);
  return count <= maxKeystores
    ? []
    : [
        {
          field: 'sources',
          message: `must hold at most ${maxKeystores} keystorePath and truststorePath together, not ${count}`,
        },
      ];
}
