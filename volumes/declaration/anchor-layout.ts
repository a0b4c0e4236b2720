/**
 * Reads the layout of a clusterTrustBundle source: one file of a fixed name, or the anchors of many trust domains, kept apart. The latter
 * selects bundles by its own fields, `trustDomain` and `canarying`, since what a label says also becomes the name of a file.
 */
import { type Fault, isGiven, type Mapping, readOneOf } from './fields.ts';
import { readInFolder, readLayoutName } from './layout-fields.ts';
import { canaryings, type LayoutName, layoutOf, layouts } from './layouts.ts';
import type { OutputPath } from './paths.ts';
import { readTrustDomain } from './trust-domain.ts';
import type { TrustDomains } from './types.ts';

export const trustDomainFields = ['trustDomain', 'canarying'] as const;

export interface AnchorLayout {
  /** Undefined: it is at fault. */
  readonly path: string | undefined;
  /** Set where trust domains are kept apart. */
  readonly own?: Omit<TrustDomains, 'needsOwn'>;
}

const withTrustDomains = Object.entries(layouts)
  .filter(([, { anchors }]) => anchors.as !== 'file')
  .map(([name]) => name)
  .join(' or ');

/** @returns nothing when the source has no layout. Its path is added to `outputs`. */
export function readAnchorLayout(
  mapping: Mapping,
  path: string,
  outputs: OutputPath[],
  faults: Fault[],
): AnchorLayout | undefined {
  const name = readLayoutName(mapping, path, faults);
  if (name === undefined) {
    refuseTrustDomain(mapping, path, faults);
    return undefined;
  }
  const { anchors } = layoutOf(name);
  if (anchors.as === 'file') {
    refuseTrustDomain(mapping, path, faults);
    return { path: addOutput(readInFolder(mapping, path, anchors.name, faults), path, outputs) };
  }
  refuseSelection(name, mapping, path, faults);
  refuseTruststore(name, mapping, path, faults);
  const own = readTrustDomain(mapping, path, faults);
  const canarying = readOneOf(mapping, 'canarying', path, canaryings, faults, canaryings.join(' or '));
  // A name that is at fault is told already; the folder is looked at all the same.
  const of = own ?? 'trust-domain';
  const isMap = anchors.as === 'bundleMap';
  const file = readInFolder(mapping, path, isMap ? anchors.name : `${of}${anchors.ending}`, faults);
  const added = addOutput(file, path, outputs, isMap ? undefined : anchors.ending);
  return { path: added, own: { own: of, canarying, as: anchors.as } };
}

function addOutput(file: string | undefined, path: string, outputs: OutputPath[], ending?: string): string | undefined {
  if (file !== undefined) {
    outputs.push({ field: `${path}.layout`, path: file, ...(ending === undefined ? {} : { ending }) });
  }
  return file;
}

function refuseTrustDomain(mapping: Mapping, path: string, faults: Fault[]): void {
  for (const field of trustDomainFields) {
    if (isGiven(mapping, field)) {
      faults.push({ field: `${path}.${field}`, message: `goes with layout ${withTrustDomains}` });
    }
  }
}

function refuseSelection(layout: LayoutName, mapping: Mapping, path: string, faults: Fault[]): void {
  for (const field of ['name', 'labelSelector']) {
    if (isGiven(mapping, field)) {
      const message = `layout ${layout} selects by signerName, trustDomain and canarying: leave this out`;
      faults.push({ field: `${path}.${field}`, message });
    }
  }
}

/** A keystore has no room for the names of trust domains: readers would believe each of them about all. */
function refuseTruststore(layout: LayoutName, mapping: Mapping, path: string, faults: Fault[]): void {
  for (const field of ['truststorePath', 'passwordPath', 'password']) {
    if (isGiven(mapping, field)) {
      const message = `layout ${layout} keeps trust domains apart, which a keystore cannot: leave this out`;
      faults.push({ field: `${path}.${field}`, message });
    }
  }
}
