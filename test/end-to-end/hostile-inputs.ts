/** Inputs by which a pod's author, a signer or whoever else may write to the API server could keep an agent busy, one by one. */
import type { JsonObject } from '../../sandbox/base/objects.ts';
import { derOf, makeAuthority } from '../agent/trust/authorities.ts';
import { fullBundle, longestBundleBytes } from '../support/full-bundles.ts';
import { chainInputs, oddBundleInputs } from './hostile-certificates.ts';
import { crowdInputs } from './hostile-crowds.ts';
import {
  anchorsOf,
  answerInput,
  bundle,
  bundlesResource,
  deal,
  type HostileInput,
  type HostileNode,
  put,
  repeated,
} from './hostile-means.ts';
import { hostileRequests } from './hostile-requests.ts';

/** What is left of 64 KiB beside a comment that makes a text another one: verdicts are remembered. */
const longestDeclaration = 64 * 1024 - 4;
const numbered = (count: number, text: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => text(index)).join('');

/** The greatest of each shape. */
const declarations: Readonly<Record<string, string>> = {
  'open lists': repeated('[', longestDeclaration),
  commas: repeated('[,', longestDeclaration),
  'nested lists': `${repeated('[', 30_000)}${repeated(']', 30_000)}`,
  'nested JSON': repeated('{"a":', longestDeclaration),
  dashes: repeated('- ', longestDeclaration),
  indentation: numbered(350, (index) => `${' '.repeat(index)}a:\n`),
  keys: numbered(9_000, (index) => `a${index}:\n`),
  'flow keys': `{${numbered(9_000, (index) => `a${index},`)}}`,
  'equal keys': repeated('a: 1\n', longestDeclaration),
  anchors: repeated('- &a [*a]\n', longestDeclaration),
  tags: repeated('- !!str a\n', longestDeclaration),
  documents: repeated('---\n', longestDeclaration),
  comments: repeated('#\n', longestDeclaration),
  'line ends': repeated('\n', longestDeclaration),
  escapes: `"${repeated('\\u0001', longestDeclaration - 10)}"`,
  'folded text': `"${repeated('a\n\n', longestDeclaration - 10)}"`,
  'block text': `a: |\n${repeated('  a\n', longestDeclaration - 10)}`,
  'plain text': repeated('a b ', longestDeclaration),
  numbers: `[${repeated('1,', 16_000)}1]`,
  'a huge number': repeated('9', longestDeclaration),
  hexadecimal: `0x${repeated('f', longestDeclaration - 10)}`,
  'a fraction': `0.${repeated('1', longestDeclaration - 10)}e9`,
  quotes: repeated('""', longestDeclaration),
  colons: repeated(':', longestDeclaration),
  'question marks': repeated('? ', longestDeclaration),
  'unknown sources': repeated('- a: 1\n', 24_000),
  'unknown fields': `- podCertificate: {${numbered(5_000, (index) => `a${index}: 1,`)}}`,
  annotations: `- podCertificate:\n    signerName: example.com/mesh\n    keyType: ED25519\n    keyPath: k\n    userAnnotations: {${numbered(
    2_400,
    (index) => `"a.example/${index}": "x",`,
  )}}`,
  sources: numbered(
    256,
    (index) =>
      `- clusterTrustBundle: {name: nobody-${index}, optional: true, path: "${numbered(15, (part) => `${part}-${index}/`)}ca.pem"}\n`,
  ),
  'equal paths': numbered(256, () => `- clusterTrustBundle: {name: nobody, optional: true, path: ca.pem}\n`),
};

const declarationInputs: readonly HostileInput[] = Object.entries(declarations).map(([shape, sources]) => ({
  name: `declaration of ${shape}`,
  feed: async (node, round) => {
    const name = `declaration-${round}-${shape.toLowerCase().replaceAll(' ', '-')}`;
    await deal(node, name, [{ name: 'mtls', sources: `#${round}\n${sources}` }]);
    await node.cluster.admin.deletePod('default', name);
  },
}));

const der = derOf(makeAuthority('hostile'));
const small = `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;
const filled = (text: string): string =>
  `${small}${repeated(text, longestBundleBytes - 2 * small.length - 1)}\n${small}`;

const bundles: Readonly<Record<string, () => string>> = {
  'many certificates': () => fullBundle(der, 7),
  'one certificate again and again': () => repeated(small, longestBundleBytes),
  text: () => filled('x'),
  'control characters': () => filled('\u0001'),
  'angle brackets': () => filled('<'),
  'line ends': () => filled('\r\n'),
  'BEGIN lines': () => filled('\n-----BEGIN CERTIFICATE-----\n'),
  'END lines': () => filled('\n-----END CERTIFICATE-----\n'),
  'empty blocks of headers': () => filled('\n-----BEGIN CERTIFICATE-----\na: b\n'),
  dashes: () => filled('-----'),
  'lines of one character': () =>
    `${small}-----BEGIN CERTIFICATE-----\n${repeated('A\nA\nA\nA\n', longestBundleBytes - 3 * small.length)}-----END CERTIFICATE-----x\n${small}`,
};

const bundleInputs: readonly HostileInput[] = Object.entries(bundles).map(([shape, text]) => ({
  name: `bundle of ${shape}`,
  feed: async (node, round) => {
    const name = `bundle-${round}-${shape.toLowerCase().replaceAll(' ', '-')}`;
    put(node, bundlesResource, bundle(name, text()));
    await deal(node, name, [{ name: 'mtls', sources: anchorsOf(name) }]);
    await node.cluster.admin.deletePod('default', name);
    node.cluster.apiServer.store.remove(bundlesResource, '', name);
  },
}));

/** As many keystores and truststores as a volume may have, of as many anchors as a bundle may hold. */
const keystoreInput: HostileInput = {
  name: 'keystores of many certificates',
  feed: async (node, round) => {
    const name = `keystores-${round}`;
    put(node, bundlesResource, bundle(name, fullBundle(der, 7)));
    const truststores = numbered(
      15,
      (index) =>
        `- clusterTrustBundle: {name: ${name}, path: ${index}.pem, truststorePath: ${index}.p12, passwordPath: ${index}.password}\n`,
    );
    const keystore =
      '- podCertificate: {signerName: example.com/mesh, keyType: RSA3072, keystorePath: key.p12, passwordPath: key.password}\n';
    await node.cluster.admin.createPod({ name, volumes: [{ name: 'mtls', sources: truststores + keystore }] });
    await node.cluster.admin.podRunning('default', name);
    await node.cluster.admin.deletePod('default', name);
    node.cluster.apiServer.store.remove(bundlesResource, '', name);
  },
};

/** As many labels as an object has room for. */
function manyLabels(count = 120_000): { [key: string]: string } {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`${index.toString(36)}x`, '']));
}

const manyFields = (): JsonObject => ({
  managedFields: [
    {
      manager: 'x',
      operation: 'Apply',
      fieldsV1: Object.fromEntries(Array.from({ length: 120_000 }, (_, index) => [`f:${index.toString(36)}`, {}])),
    },
  ],
});

const metadataOf: Readonly<Record<string, () => JsonObject>> = {
  'many labels': () => ({ labels: manyLabels() }),
  // The most that the agent keeps.
  '16,000 labels': () => ({ labels: manyLabels(16_000) }),
  'many managed fields': manyFields,
  'a long annotation': () => ({ annotations: { a: repeated('\u0001', 1024 * 1024) } }),
};

const objectInputs: readonly HostileInput[] = [
  ...Object.entries(metadataOf).map(([kind, metadata]) => ({
    name: `bundle with ${kind}`,
    feed: async (node: HostileNode, round: string) => {
      const name = `fields-${round}-${kind.replaceAll(/[ ,]/g, '-')}`;
      put(node, bundlesResource, bundle(name, small, metadata()));
      await deal(node, name, [{ name: 'mtls', sources: anchorsOf(name) }]);
      await node.cluster.admin.deletePod('default', name);
      node.cluster.apiServer.store.remove(bundlesResource, '', name);
    },
  })),
  ...Object.entries(metadataOf).map(([kind, metadata]) => ({
    name: `pod with ${kind}`,
    feed: async (node: HostileNode, round: string) => {
      const name = `pod-${round}-${kind.replaceAll(/[ ,]/g, '-')}`;
      const { store } = node.cluster.apiServer;
      const unsubscribe = store.subscribe(({ resource, type, object }) => {
        if (resource === 'pods' && type === 'ADDED' && object.metadata.name === name) {
          unsubscribe();
          store.update('pods', { ...object, metadata: { ...object.metadata, ...metadata() } });
        }
      });
      await deal(node, name, [
        {
          name: 'mtls',
          sources: '- podCertificate: {signerName: example.com/mesh, keyType: ED25519, credentialBundlePath: t}\n',
        },
      ]);
      await node.cluster.admin.deletePod('default', name);
    },
  })),
];

const messages: Readonly<Record<string, string>> = {
  'control characters': '\u0001',
  'line ends': '\n',
  tokens: 'eyJhbGciOi.eyJhbGciOi.',
  keys: '-----BEGIN PRIVATE KEY-----',
  bearers: 'Bearer ',
  base64: 'MIIEvAIBADANBg',
  'direction marks': '\u202e',
};

const denied = (message: string): JsonObject => ({
  conditions: [{ type: 'Denied', status: 'True', reason: 'No', message, lastTransitionTime: new Date().toISOString() }],
});

const messageInputs = Object.entries(messages).map(([kind, text]) =>
  answerInput(`message of ${kind}`, () => denied(repeated(text, 32 * 1024))),
);

const requestInputs: readonly HostileInput[] = [
  answerInput('many conditions', () => ({
    conditions: [
      ...Array.from({ length: 10_000 }, (_, index) => ({
        type: `x${index}`,
        status: 'True',
        message: 'x'.repeat(100),
      })),
      ...(denied('no')['conditions'] as JsonObject[]),
    ],
  })),
];

export const hostileInputs: readonly HostileInput[] = [
  ...declarationInputs,
  ...bundleInputs,
  keystoreInput,
  ...objectInputs,
  ...messageInputs,
  ...requestInputs,
  ...hostileRequests,
  ...oddBundleInputs,
  ...chainInputs,
  ...crowdInputs,
];
