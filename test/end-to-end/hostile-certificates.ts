/** Certificates of shapes that nobody uses and every parser takes, as trust anchors and as what a signer issues. */

import { certificateFields, type Element } from '../../agent/base/der.ts';
import type { JsonObject } from '../../sandbox/base/objects.ts';
import { derOf, makeAuthority } from '../agent/trust/authorities.ts';
import {
  anchorsOf,
  answerInput,
  bundle,
  bundlesResource,
  deal,
  type HostileInput,
  put,
  repeated,
} from './hostile-means.ts';

/** How many of each there are. */
interface Oddity {
  readonly attributes?: number;
  readonly extensions?: number;
  /** Fields behind the last that a certificate has. */
  readonly others?: number;
}

function tlv(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const size = Buffer.alloc(5);
  size[0] = 0x84;
  size.writeUInt32BE(content.length, 1);
  return Buffer.concat([Buffer.of(tag), content.length < 0x80 ? Buffer.of(content.length) : shortest(size), content]);
}

/** DER has a length in as few bytes as it takes. */
function shortest(size: Buffer): Buffer {
  const bytes = size.subarray(1);
  const first = bytes.findIndex((byte) => byte !== 0);
  return Buffer.concat([Buffer.of(0x80 + bytes.length - first), bytes.subarray(first)]);
}

const many = (count: number, make: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
/** An object identifier below 2.5.4 or the like that no other index has. */
const identifier = (index: number): Buffer =>
  tlv(0x06, Buffer.of(0x55, 0x04, 0x80 + ((index >> 14) & 0x7f) || 0x81, 0x80 + ((index >> 7) & 0x7f), index & 0x7f));
const attribute = (): Buffer => tlv(0x31, tlv(0x30, tlv(0x06, Buffer.of(0x55, 4, 3)), tlv(0x0c, Buffer.from('a'))));

const original = derOf(makeAuthority('hostile'));

/** A certificate with the key and the times of another; nobody has signed it. */
function oddCertificate({ attributes = 1, extensions = 0, others = 0 }: Oddity): Buffer {
  const [serial, algorithm, , validity, , key] = certificateFields(original).map(({ tag, content }: Element) =>
    tlv(tag, content),
  ) as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer];
  const name = tlv(0x30, many(attributes, attribute));
  const list = tlv(
    0xa3,
    tlv(
      0x30,
      many(extensions, (index) => tlv(0x30, identifier(index), tlv(0x04))),
    ),
  );
  const version = tlv(0xa0, tlv(0x02, Buffer.of(2)));
  const body = tlv(
    0x30,
    ...[version, serial, algorithm, name, validity, name, key],
    ...(extensions > 0 ? [list] : []),
    many(others, () => tlv(0x05)),
  );
  return tlv(0x30, body, algorithm, tlv(0x03, Buffer.of(0, 0x30, 0x06, 2, 1, 1, 2, 1, 1)));
}

const pemOf = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;

/** As long as a bundle may be. */
const oddBundles: Readonly<Record<string, () => string>> = {
  'one certificate with a name of 30,000 parts': () => pemOf(oddCertificate({ attributes: 30_000 })),
  'one certificate with 50,000 extensions': () => pemOf(oddCertificate({ extensions: 50_000 })),
  'one certificate with 350,000 fields': () => pemOf(oddCertificate({ others: 350_000 })),
  'certificates with names of 60 parts': () => repeated(pemOf(oddCertificate({ attributes: 60 })), 1024 * 1024),
};

/** Beside a certificate of the signer whose bundle it is: the chain is compared with it. */
export const oddBundleInputs: readonly HostileInput[] = Object.entries(oddBundles).map(([shape, text], index) => ({
  name: `bundle of ${shape}`,
  feed: async (node, round) => {
    const name = `example.com:mesh:odd-${round}-${index}`;
    put(node, bundlesResource, bundle(name, text(), {}, 'example.com/mesh'));
    const own = '- podCertificate: {signerName: example.com/mesh, keyType: ED25519, credentialBundlePath: t}\n';
    const pod = `odd-${round}-${index}`;
    await deal(node, pod, [{ name: 'mtls', sources: `${own}${anchorsOf(name)}` }]);
    await node.cluster.admin.deletePod('default', pod);
    node.cluster.apiServer.store.remove(bundlesResource, '', name);
  },
}));

const longestChain = 100 * 1024;
const blank = pemOf(Buffer.of(0x30, 0));
const chains: Readonly<Record<string, () => string>> = {
  'a megabyte of text': () => repeated('x', 1024 * 1024),
  'a megabyte of control characters': () => repeated('\u0001', 1024 * 1024),
  'a megabyte of certificates': () => repeated(pemOf(original), 1024 * 1024),
  'as many certificates as may be': () => repeated(pemOf(original), 32 * pemOf(original).length),
  'blocks of two bytes': () => repeated(blank, longestChain),
  'a certificate with a name of 2,500 parts': () => pemOf(oddCertificate({ attributes: 2_500 })),
  'a certificate with 4,500 extensions': () => pemOf(oddCertificate({ extensions: 4_500 })),
  'a certificate with 35,000 fields': () => pemOf(oddCertificate({ others: 35_000 })),
  'BEGIN lines': () => repeated('-----BEGIN CERTIFICATE-----\n', longestChain),
};

const issued = (certificateChain: string): JsonObject => ({
  conditions: [{ type: 'Issued', status: 'True', reason: 'Yes', lastTransitionTime: new Date().toISOString() }],
  certificateChain,
  notBefore: new Date(Date.now() - 60_000).toISOString(),
  beginRefreshAt: new Date(Date.now() + 600_000).toISOString(),
  notAfter: new Date(Date.now() + 1_200_000).toISOString(),
});

export const chainInputs: readonly HostileInput[] = Object.entries(chains).map(([shape, text]) =>
  answerInput(`chain of ${shape}`, () => issued(text())),
);
