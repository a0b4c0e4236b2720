/**
 * What version 0.1.0 of the agent needs to find in a volume's state files, field by field. It takes no version but 1, and leaves
 * out fields that it does not know.
 */
const needs = {
  'volume.json': {
    'record.volumeId': 'string',
    'record.targetPath': 'string',
    'record.volumeName': 'string',
    'record.pod.namespace': 'string',
    'record.pod.name': 'string',
    'record.pod.uid': 'string',
    'record.pod.serviceAccountName': 'string',
    'record.owner.kind': /^(group|user|none)$/,
    'record.declaration.sources': 'array',
  },
  'pending.json': {
    keyFile: /^pending-\d+\.[0-9a-f]{16}\.key$/,
    'pending.requestName': 'string',
    'pending.keyType': /^(RSA3072|RSA4096|ECDSAP256|ECDSAP384|ECDSAP521|ED25519)$/,
    'pending.createdAt': 'number',
  },
  'issued.json': {
    'issued.requestName': 'string',
    'issued.keyType': /^(RSA3072|RSA4096|ECDSAP256|ECDSAP384|ECDSAP521|ED25519)$/,
    'issued.serialNumber': 'string',
    'issued.notBefore': 'number',
    'issued.notAfter': 'number',
    'issued.beginRefreshAt': 'number',
    'issued.refreshAt': 'number',
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Need>>>>;

/** What it needs of an answer that a pending file holds. */
const answer: Readonly<Record<string, Need>> = {
  'pending.issued.certificates': 'array',
  'pending.issued.serialNumber': 'string',
  'pending.issued.notBefore': 'number',
  'pending.issued.notAfter': 'number',
  'pending.issued.beginRefreshAt': 'number',
};

/** What it needs of a source, by its kind. */
const sources: Readonly<Record<string, Readonly<Record<string, Need>>>> = {
  podCertificate: {
    signerName: 'string',
    keyType: /^(RSA3072|RSA4096|ECDSAP256|ECDSAP384|ECDSAP521|ED25519)$/,
    userAnnotations: 'object',
  },
  clusterTrustBundle: { path: 'string', select: 'object', 'select.by': 'string' },
};

type Need = 'string' | 'number' | 'array' | 'object' | RegExp;

/** @returns what 0.1.0 would refuse the file for; empty when it reads it */
export function readByRelease010(file: keyof typeof needs, bytes: Uint8Array): readonly string[] {
  const content: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  const found = at(content, 'record.declaration.sources');
  return [
    ...(at(content, 'version') === 1 ? [] : ['version is not 1']),
    ...missing(content, needs[file], ''),
    ...(at(content, 'pending.issued') === undefined ? [] : missing(content, answer, '')),
    ...(Array.isArray(found) ? found : []).flatMap((source: unknown, index) => sourceFaults(source, index)),
  ];
}

function sourceFaults(source: unknown, index: number): readonly string[] {
  const name = `sources[${index}]`;
  const known = sources[String(at(source, 'kind'))];
  return [
    ...(at(source, 'index') === index ? [] : [`${name} has another index`]),
    ...(known === undefined ? [`${name} is of no known kind`] : missing(source, known, `${name}.`)),
  ];
}

function missing(content: unknown, fields: Readonly<Record<string, Need>>, prefix: string): readonly string[] {
  return Object.entries(fields).flatMap(([path, need]) =>
    fits(at(content, path), need) ? [] : [`${prefix}${path} is not ${need instanceof RegExp ? need : `a ${need}`}`],
  );
}

function fits(value: unknown, need: Need): boolean {
  if (need instanceof RegExp) {
    return typeof value === 'string' && need.test(value);
  }
  return need === 'array' ? Array.isArray(value) && value.length > 0 : value !== null && typeof value === need;
}

function at(content: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => Reflect.get(Object(value), key), content);
}
