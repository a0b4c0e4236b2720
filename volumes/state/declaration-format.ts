/**
 * A volume's declaration as its record holds it. It was checked by `parseDeclaration` before it was stored; this checks, field
 * by field, that it still is what the rest of the agent takes it for.
 */
import { maxFileMode } from '../declaration/access.ts';
import { findTooManyKeystores, keystorePathFields } from '../declaration/keystore.ts';
import { canaryings } from '../declaration/layouts.ts';
import {
  maxRequestedNameLength,
  maxRequestedNames,
  maxSources,
  maxSourcesBytes,
  maxTrustDomainSources,
  maxYamlTokens,
} from '../declaration/limits.ts';
import { checkPath } from '../declaration/paths.ts';
import { pathFields } from '../declaration/pod-certificate.ts';
import { isTrustDomain } from '../declaration/trust-domain.ts';
import type {
  ClusterTrustBundleSource,
  LabelRequirement,
  LabelSelector,
  PodCertificateSource,
  RequestedNames,
  Source,
  SourceAccess,
  TrustDomains,
  VolumeDeclaration,
} from '../declaration/types.ts';
import { type Fields, fields, flag, id, keyType, list, part, text, textList, texts } from './json-fields.ts';
import { maxTextLengths } from './limits.ts';
import { decodeProbe, decodeReload } from './reload-format.ts';

const nameBounds = { most: maxRequestedNames, longest: maxRequestedNameLength };
/** Each takes a token of the text that was declared, and no value is longer than that text. */
const annotationBounds = { most: maxYamlTokens, longestKey: maxTextLengths.labelKey, longest: maxSourcesBytes };
const labelBounds = {
  most: maxYamlTokens,
  longestKey: maxTextLengths.labelKey,
  longest: maxTextLengths.labelValue,
};

/** @throws TypeError that says what is wrong. */
export function decodeDeclaration(value: Fields): VolumeDeclaration {
  const sources = list(value, 'sources', maxSources).map((entry, index) =>
    source(fields(entry, `sources[${index}]`), index),
  );
  refuseMany(sources);
  return {
    sources,
    ...(value['defaultMode'] === undefined ? {} : { defaultMode: fileMode(value, 'defaultMode') }),
    ...(value['defaultUser'] === undefined ? {} : { defaultUser: id(value, 'defaultUser') }),
    ...(value['reload'] === undefined ? {} : { reload: decodeReload(part(value, 'reload')) }),
    ...(value['probe'] === undefined ? {} : { probe: decodeProbe(part(value, 'probe')) }),
  };
}

/** What a pod may not declare is not believed either: it costs the agent as much. */
function refuseMany(sources: readonly Source[]): void {
  const apart = sources.filter((of) => 'trustDomains' in of);
  if (apart.length > maxTrustDomainSources || findTooManyKeystores(sources).length > 0) {
    throw new TypeError('sources has more keystores, or sources that keep trust domains apart, than a pod may declare');
  }
}

function fileMode(value: Fields, name: string): number {
  const mode = id(value, name);
  if (mode > maxFileMode) {
    throw new TypeError(`${name} is not a file mode`);
  }
  return mode;
}

function access(value: Fields): SourceAccess {
  return {
    ...(value['user'] === undefined ? {} : { user: id(value, 'user') }),
    ...(value['mode'] === undefined ? {} : { mode: fileMode(value, 'mode') }),
  };
}

function source(value: Fields, index: number): Source {
  if (value['index'] !== index) {
    throw new TypeError(`sources[${index}] has another index`);
  }
  switch (value['kind']) {
    case 'podCertificate':
      return podCertificate(value, index);
    case 'clusterTrustBundle':
      return clusterTrustBundle(value, index);
    default:
      throw new TypeError(`sources[${index}] is of no known kind`);
  }
}

function podCertificate(value: Fields, index: number): PodCertificateSource {
  const lifetime = value['maxExpirationSeconds'] === undefined ? undefined : id(value, 'maxExpirationSeconds');
  return {
    kind: 'podCertificate',
    index,
    signerName: text(value, 'signerName', maxTextLengths.signerName),
    keyType: keyType(value),
    userAnnotations: texts(value, 'userAnnotations', annotationBounds),
    ...(lifetime === undefined ? {} : { maxExpirationSeconds: lifetime }),
    ...(value['names'] === undefined ? {} : { names: requestedNames(part(value, 'names')) }),
    ...paths(value, pathFields, index),
    ...paths(value, keystorePathFields, index),
    ...drops(value, 'roots'),
    ...access(value),
  };
}

/** A field that is there only where something is dropped. */
function drops<Name extends string>(value: Fields, name: Name): { readonly [N in Name]?: 'drop' } {
  if (value[name] === undefined) {
    return {};
  }
  if (value[name] !== 'drop') {
    throw new TypeError(`${name} is not "drop"`);
  }
  return { [name]: 'drop' } as { readonly [N in Name]?: 'drop' };
}

function requestedNames(value: Fields): RequestedNames {
  return {
    dnsNames: textList(value, 'dnsNames', nameBounds),
    uris: textList(value, 'uris', nameBounds),
    ipAddresses: textList(value, 'ipAddresses', nameBounds),
    ...(value['commonName'] === undefined ? {} : { commonName: text(value, 'commonName', maxRequestedNameLength) }),
  };
}

function clusterTrustBundle(value: Fields, index: number): ClusterTrustBundleSource {
  return {
    kind: 'clusterTrustBundle',
    index,
    select: selection(part(value, 'select')),
    optional: flag(value, 'optional'),
    ...drops(value, 'expired'),
    path: path(value, 'path', index),
    ...(value['trustDomains'] === undefined ? {} : { trustDomains: trustDomains(value, index) }),
    ...paths(value, keystorePathFields, index),
    ...access(value),
  };
}

/** The names of files are made of this: it is checked again, not believed. */
function trustDomains(source: Fields, index: number): TrustDomains {
  const value = part(source, 'trustDomains');
  const own = text(value, 'own', maxTextLengths.name);
  const canarying = canaryings.find((known) => known === value['canarying']);
  const as = (['filePerTrustDomain', 'bundleMap'] as const).find((known) => known === value['as']);
  if (!isTrustDomain(own) || canarying === undefined || as === undefined) {
    throw new TypeError(`sources[${index}].trustDomains is not a description of trust domains`);
  }
  const name = path(source, 'path', index).split('/').at(-1) ?? '';
  if (as === 'filePerTrustDomain' && !(name.startsWith(`${own}.`) && name.length > own.length + 1)) {
    throw new TypeError(`sources[${index}].path is not named after its trust domain`);
  }
  return { own, canarying, as, needsOwn: flag(value, 'needsOwn') };
}

function selection(value: Fields): ClusterTrustBundleSource['select'] {
  switch (value['by']) {
    case 'name':
      return { by: 'name', name: text(value, 'name', maxTextLengths.bundleName) };
    case 'signer': {
      const signerName = text(value, 'signerName', maxTextLengths.signerName);
      // Without a selector nothing matches, with an empty one everything.
      if (value['labelSelector'] === undefined) {
        return { by: 'signer', signerName };
      }
      return { by: 'signer', signerName, labelSelector: labelSelector(part(value, 'labelSelector')) };
    }
    default:
      throw new TypeError('select is by nothing known');
  }
}

function labelSelector(value: Fields): LabelSelector {
  const expressions = list(value, 'matchExpressions', maxYamlTokens);
  return {
    matchLabels: texts(value, 'matchLabels', labelBounds),
    matchExpressions: expressions.map((entry) => requirement(fields(entry, 'matchExpressions'))),
  };
}

const operators: readonly LabelRequirement['operator'][] = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

function requirement(value: Fields): LabelRequirement {
  const operator = operators.find((known) => known === value['operator']);
  if (operator === undefined) {
    throw new TypeError('operator is of no known kind');
  }
  return { key: text(value, 'key', maxTextLengths.labelKey), operator, values: textList(value, 'values', labelBounds) };
}

function paths<Name extends string>(
  value: Fields,
  names: readonly Name[],
  index: number,
): { readonly [N in Name]?: string } {
  const named = names.filter((name) => value[name] !== undefined);
  return Object.fromEntries(named.map((name) => [name, path(value, name, index)])) as { readonly [N in Name]?: string };
}

/** A stored path is used to write files as root: it is checked again, not believed. */
function path(value: Fields, name: string, index: number): string {
  const stored = value[name];
  const checked = typeof stored === 'string' ? checkPath(stored) : undefined;
  // In its normal form, which alone has a bound: of any other there may be half a megabyte.
  if (!checked?.ok || checked.path !== stored) {
    throw new TypeError(`sources[${index}].${name} is not a path in the volume`);
  }
  return checked.path;
}
