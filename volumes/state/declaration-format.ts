/**
 * A volume's declaration as its record holds it. It was checked by `parseDeclaration` before it was stored; this checks, field
 * by field, that it still is what the rest of the agent takes it for.
 */
import { maxFileMode } from '../declaration/access.ts';
import { keystorePathFields } from '../declaration/keystore.ts';
import { checkPath } from '../declaration/paths.ts';
import { pathFields } from '../declaration/pod-certificate.ts';
import type {
  ClusterTrustBundleSource,
  LabelRequirement,
  LabelSelector,
  PodCertificateSource,
  RequestedNames,
  Source,
  SourceAccess,
  VolumeDeclaration,
} from '../declaration/types.ts';
import { type Fields, fields, flag, id, keyType, list, part, text, textList, texts } from './json-fields.ts';
import { decodeProbe, decodeReload } from './reload-format.ts';

/** @throws TypeError that says what is wrong. */
export function decodeDeclaration(value: Fields): VolumeDeclaration {
  const sources = list(value, 'sources').map((entry, index) => source(fields(entry, `sources[${index}]`), index));
  return {
    sources,
    ...(value['defaultMode'] === undefined ? {} : { defaultMode: fileMode(value, 'defaultMode') }),
    ...(value['defaultUser'] === undefined ? {} : { defaultUser: id(value, 'defaultUser') }),
    ...(value['reload'] === undefined ? {} : { reload: decodeReload(part(value, 'reload')) }),
    ...(value['probe'] === undefined ? {} : { probe: decodeProbe(part(value, 'probe')) }),
  };
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
    signerName: text(value, 'signerName'),
    keyType: keyType(value),
    userAnnotations: texts(value, 'userAnnotations'),
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
    dnsNames: textList(value, 'dnsNames'),
    uris: textList(value, 'uris'),
    ipAddresses: textList(value, 'ipAddresses'),
    ...(value['commonName'] === undefined ? {} : { commonName: text(value, 'commonName') }),
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
    ...paths(value, keystorePathFields, index),
    ...access(value),
  };
}

function selection(value: Fields): ClusterTrustBundleSource['select'] {
  switch (value['by']) {
    case 'name':
      return { by: 'name', name: text(value, 'name') };
    case 'signer': {
      const signerName = text(value, 'signerName');
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
  const expressions = list(value, 'matchExpressions');
  return {
    matchLabels: texts(value, 'matchLabels'),
    matchExpressions: expressions.map((entry) => requirement(fields(entry, 'matchExpressions'))),
  };
}

const operators: readonly LabelRequirement['operator'][] = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

function requirement(value: Fields): LabelRequirement {
  const operator = operators.find((known) => known === value['operator']);
  if (operator === undefined) {
    throw new TypeError('operator is of no known kind');
  }
  return { key: text(value, 'key'), operator, values: textList(value, 'values') };
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
  if (typeof stored !== 'string' || !checkPath(stored).ok) {
    throw new TypeError(`sources[${index}].${name} is not a path in the volume`);
  }
  return stored;
}
