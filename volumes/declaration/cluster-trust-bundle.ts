/**
 * Reads one `clusterTrustBundle` source: a bundle by its name, or all bundles of a signer whose labels match.
 *
 * https://kubernetes.io/docs/concepts/storage/projected-volumes/#clustertrustbundle
 */

import { accessFields, readAccess } from './access.ts';
import { readAnchorLayout, trustDomainFields } from './anchor-layout.ts';
import {
  type Fault,
  isGiven,
  type Mapping,
  quote,
  readBoolean,
  readKeepOrDrop,
  readList,
  readMapping,
  readString,
  readStringMap,
} from './fields.ts';
import { readKeystoreFiles } from './keystore.ts';
import { maxSelectorParts } from './limits.ts';
import { clusterTrustBundleNameFault, labelKeyFault, labelValueFault } from './names.ts';
import { checkPath, type OutputPath } from './paths.ts';
import { readSignerName } from './signer-name.ts';
import type { ClusterTrustBundleSource, LabelRequirement, LabelSelector } from './types.ts';

const fields = [
  'name',
  'signerName',
  'labelSelector',
  'optional',
  'expired',
  'path',
  'layout',
  ...trustDomainFields,
  'truststorePath',
  'passwordPath',
  'password',
  ...accessFields,
];
const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

/** @returns the source, usable only if no fault was added. Its path is added to `outputs`. */
export function readClusterTrustBundle(
  value: unknown,
  index: number,
  path: string,
  outputs: OutputPath[],
  faults: Fault[],
): ClusterTrustBundleSource | undefined {
  const mapping = readMapping(value, path, fields, faults);
  if (mapping === undefined) {
    return undefined;
  }
  const layout = readAnchorLayout(mapping, path, outputs, faults);
  const optional = readBoolean(mapping, 'optional', path, false, faults);
  const select = layout?.own === undefined ? readSelect(mapping, path, faults) : readSigner(mapping, path, faults);
  const file = layout === undefined ? readFilePath(mapping, path, outputs, faults) : layout.path;
  const keystores = readKeystoreFiles(mapping, path, ['truststorePath'], outputs, faults);
  const dropsExpired = readKeepOrDrop(mapping, 'expired', path, faults) === 'drop';
  const access = readAccess(mapping, path, false, faults);
  if (select === undefined || file === undefined) {
    return undefined;
  }
  const trustDomains = layout?.own === undefined ? undefined : { ...layout.own, needsOwn: !optional };
  return {
    kind: 'clusterTrustBundle',
    index,
    select,
    // With trust domains an older agent must not take the source for one that may go with nothing.
    optional: optional && trustDomains === undefined,
    ...(dropsExpired ? { expired: 'drop' } : {}),
    path: file,
    ...(trustDomains === undefined ? {} : { trustDomains }),
    ...keystores,
    ...access,
  };
}

function readSigner(mapping: Mapping, path: string, faults: Fault[]): ClusterTrustBundleSource['select'] | undefined {
  const signerName = readSignerName(mapping, path, faults);
  return signerName === undefined ? undefined : { by: 'signer', signerName };
}

function readFilePath(mapping: Mapping, path: string, outputs: OutputPath[], faults: Fault[]): string | undefined {
  const field = `${path}.path`;
  const before = faults.length;
  const text = readString(mapping, 'path', path, faults);
  if (faults.length > before) {
    return undefined;
  }
  if (text === undefined) {
    faults.push({ field, message: 'is required: the file that the trust anchors go into' });
    return undefined;
  }
  const checked = checkPath(text);
  if (!checked.ok) {
    faults.push({ field, message: checked.message });
    return undefined;
  }
  outputs.push({ field, path: checked.path });
  return checked.path;
}

function readSelect(mapping: Mapping, path: string, faults: Fault[]): ClusterTrustBundleSource['select'] | undefined {
  const given = (name: string): boolean => isGiven(mapping, name);
  if (given('name') === given('signerName')) {
    const message = given('name') ? 'has both name and signerName, keep one' : 'needs either name or signerName';
    faults.push({ field: path, message });
  }
  // Absent matches nothing and an empty mapping everything, so nothing else may pass for either.
  const hasSelector = (mapping.get('labelSelector') ?? undefined) !== undefined;
  const labelSelector = hasSelector
    ? readLabelSelector(mapping.get('labelSelector'), `${path}.labelSelector`, faults)
    : undefined;
  if (given('name')) {
    if (hasSelector) {
      faults.push({ field: `${path}.labelSelector`, message: 'goes with signerName, leave it out beside name' });
    }
    return readName(mapping, path, faults);
  }
  if (!given('signerName')) {
    return undefined;
  }
  const signerName = readSignerName(mapping, path, faults);
  if (signerName === undefined) {
    return undefined;
  }
  return { by: 'signer', signerName, ...(labelSelector === undefined ? {} : { labelSelector }) };
}

function readName(mapping: Mapping, path: string, faults: Fault[]): ClusterTrustBundleSource['select'] | undefined {
  const name = readString(mapping, 'name', path, faults);
  if (name === undefined) {
    return undefined;
  }
  const message = clusterTrustBundleNameFault(name);
  if (message !== undefined) {
    faults.push({ field: `${path}.name`, message });
  }
  return { by: 'name', name };
}

function readLabelSelector(value: unknown, path: string, faults: Fault[]): LabelSelector | undefined {
  const mapping = readMapping(value, path, ['matchLabels', 'matchExpressions'], faults);
  if (mapping === undefined) {
    return undefined;
  }
  const matchLabels = readStringMap(mapping, 'matchLabels', path, faults);
  for (const [key, entry] of matchLabels) {
    for (const message of [labelKeyFault(key), labelValueFault(entry)]) {
      if (message !== undefined) {
        faults.push({ field: `${path}.matchLabels`, message });
      }
    }
  }
  const matchExpressions = readList(mapping, 'matchExpressions', path, faults).flatMap(
    (entry, index) => readRequirement(entry, `${path}.matchExpressions[${index}]`, faults) ?? [],
  );
  const parts = matchExpressions.reduce((sum, { values }) => sum + 1 + values.length, matchLabels.size);
  if (parts > maxSelectorParts) {
    const message = `must hold at most ${maxSelectorParts} labels, requirements and values in all, not ${parts}`;
    faults.push({ field: path, message });
  }
  return { matchLabels: Object.fromEntries(matchLabels), matchExpressions };
}

function readRequirement(value: unknown, path: string, faults: Fault[]): LabelRequirement | undefined {
  const mapping = readMapping(value, path, ['key', 'operator', 'values'], faults);
  if (mapping === undefined) {
    return undefined;
  }
  const key = readString(mapping, 'key', path, faults) ?? '';
  const keyFault = labelKeyFault(key);
  if (keyFault !== undefined) {
    faults.push({ field: `${path}.key`, message: keyFault });
  }
  const name = readString(mapping, 'operator', path, faults);
  const operator = operators.find((known) => known === name);
  const values = readValues(mapping, path, faults);
  if (operator === undefined) {
    const message = `must be one of ${operators.join(', ')}, not ${quote(name ?? '')}`;
    faults.push({ field: `${path}.operator`, message });
    return undefined;
  }
  const wantsValues = operator === 'In' || operator === 'NotIn';
  if (wantsValues !== values.length > 0) {
    const message = wantsValues ? `needs at least one value with ${operator}` : `must be absent with ${operator}`;
    faults.push({ field: `${path}.values`, message });
  }
  return { key, operator, values };
}

function readValues(mapping: Mapping, path: string, faults: Fault[]): readonly string[] {
  const values: string[] = [];
  for (const [index, value] of readList(mapping, 'values', path, faults).entries()) {
    const message =
      typeof value === 'string' ? labelValueFault(value) : `must be a string: put ${quote(value)} in quotes`;
    if (message !== undefined) {
      faults.push({ field: `${path}.values[${index}]`, message });
    }
    values.push(String(value));
  }
  return values;
}
