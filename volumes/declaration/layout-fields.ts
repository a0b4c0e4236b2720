/** Reads the fields `layout` and `path` of a source, which stand for the paths of its files: see `layouts.ts`. */
import { type Fault, isGiven, type Mapping, quote, readString } from './fields.ts';
import { isLayoutName, type LayoutName, layoutOf, layouts } from './layouts.ts';
import { checkPath, type OutputPath } from './paths.ts';

/** The fields that a layout fills in. */
export type CertificateLayout = ReturnType<typeof layoutOf>['certificate'];

const certificateFields = ['credentialBundlePath', 'keyPath', 'certificateChainPath'] as const;

/** The layout's name; nothing when there is none, or none that is known, which is a fault. */
export function readLayoutName(mapping: Mapping, path: string, faults: Fault[]): LayoutName | undefined {
  const text = readString(mapping, 'layout', path, faults);
  if (text === undefined || isLayoutName(text)) {
    return text;
  }
  const message = `must be one of ${Object.keys(layouts).join(', ')}, not ${quote(text)}`;
  faults.push({ field: `${path}.layout`, message });
  return undefined;
}

/**
 * The paths that a layout gives a podCertificate source, in the folder that `path` names. They are added to `outputs`.
 * @param given output fields that the source names itself, which a layout leaves no place for
 * @returns nothing when the source has no layout
 */
export function readCertificateLayout(
  mapping: Mapping,
  path: string,
  given: readonly string[],
  outputs: OutputPath[],
  faults: Fault[],
): CertificateLayout | undefined {
  const name = readLayoutName(mapping, path, faults);
  if (name === undefined) {
    refuseFolder(mapping, path, faults);
    return undefined;
  }
  for (const field of given) {
    const message = `layout ${name} says which files there are: leave this out, or the layout`;
    faults.push({ field: `${path}.${field}`, message });
  }
  const { certificate } = layoutOf(name);
  if (certificate.roots === 'drop' && mapping.get('roots') === 'keep') {
    const message = `layout ${name} wants chains without roots: leave this out`;
    faults.push({ field: `${path}.roots`, message });
  }
  const paths: { -readonly [Name in keyof CertificateLayout]: CertificateLayout[Name] } = {};
  for (const field of certificateFields) {
    const file = certificate[field];
    const inFolder = file === undefined ? undefined : readInFolder(mapping, path, file, faults);
    if (inFolder !== undefined) {
      paths[field] = inFolder;
      outputs.push({ field: `${path}.layout`, path: inFolder });
    }
    // A folder that is at fault is so for every file: once is enough.
    if (file !== undefined && inFolder === undefined) {
      break;
    }
  }
  return { ...paths, ...(certificate.roots === undefined ? {} : { roots: certificate.roots }) };
}

/** `path` is a folder where there is a layout; elsewhere a podCertificate source has none. */
function refuseFolder(mapping: Mapping, path: string, faults: Fault[]): void {
  if (isGiven(mapping, 'path')) {
    const message = 'goes with layout, whose folder it names: name the files by fields like credentialBundlePath';
    faults.push({ field: `${path}.path`, message });
  }
}

/** A layout's file in the folder that `path` names, the volume itself without one. */
export function readInFolder(mapping: Mapping, path: string, file: string, faults: Fault[]): string | undefined {
  const before = faults.length;
  const folder = readString(mapping, 'path', path, faults);
  if (faults.length > before) {
    return undefined;
  }
  const checked = checkPath(folder === undefined ? file : `${folder}/${file}`);
  if (checked.ok) {
    return checked.path;
  }
  faults.push({ field: `${path}.path`, message: checked.message });
  return undefined;
}
