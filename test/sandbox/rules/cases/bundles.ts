/**
 * ClusterTrustBundles: what they may hold, how they are named, and who may write them.
 */
import type { JsonObject } from '../../../../sandbox/base/objects.ts';
import { badField as bad, good } from './answers.ts';
import type { Expected, RuleCase, UserName, World } from './case.ts';
import { bundleCreation, bundlesResource, hourMs } from './requests.ts';

const signerName = 'example.com/foo';
const bundleName = 'example.com:foo:one';

/** A case that creates a signer's bundle of some text. */
function text(name: string, make: (world: World) => string | Promise<string>, expected: Expected): RuleCase {
  return {
    name,
    user: 'admin',
    request: async (world) => bundleCreation(world, bundleName, { signerName, trustBundle: await make(world) }),
    expected,
  };
}

/** A case that creates a bundle of a good authority. */
function named(
  name: string,
  objectName: string,
  spec: JsonObject,
  expected: Expected,
  metadata: JsonObject = {},
): RuleCase {
  return {
    name,
    user: 'admin',
    request: async (world) =>
      bundleCreation(world, objectName, { trustBundle: await world.certificates.authority(), ...spec }, metadata),
    expected,
  };
}

const field = 'spec.trustBundle';
const none = bad(field, 'at least one trust anchor must be provided');

const contentCases: RuleCase[] = [
  text('takes an authority', (world) => world.certificates.authority(), good),
  text(
    'takes two authorities with text around them',
    async ({ certificates }) => `a\n${await certificates.authority()}b\n${await certificates.authority(1)}c`,
    good,
  ),
  text('refuses nothing', () => '', none),
  text('refuses text alone', () => 'no block here', none),
  text(
    'refuses the same authority twice',
    async ({ certificates }) => (await certificates.authority()).repeat(2),
    bad(field, 'duplicate trust anchor (indices [0 1])'),
  ),
  text(
    'refuses a certificate that is no authority',
    ({ certificates, key, now }) =>
      certificates.leaf({ spki: key('ED25519').spki, notBefore: now, notAfter: now + hourMs }),
    bad(field, 'entry 0 does not have the CA bit set'),
  ),
  text(
    'refuses headers in a block',
    async ({ certificates }) => (await certificates.authority()).replace('-----\n', '-----\nKey: value\n\n'),
    bad(field, 'entry 0 has PEM block headers'),
  ),
  text(
    'refuses other blocks',
    async ({ certificates }) =>
      `${await certificates.authority()}-----BEGIN PRIVATE KEY-----\neA==\n-----END PRIVATE KEY-----\n`,
    bad(field, 'entry 1 has bad block type: PRIVATE KEY'),
  ),
  text(
    'refuses garbage in a block',
    () => '-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n',
    bad(field, 'entry 0 does not parse as X.509'),
  ),
  text(
    'takes a bundle of 1 MiB',
    async ({ certificates }) => (await certificates.authority()).padEnd(1024 * 1024),
    good,
  ),
  text(
    'refuses a bundle over 1 MiB',
    async ({ certificates }) => (await certificates.authority()).padEnd(1024 * 1024 + 1),
    bad(field, undefined, 'FieldValueTooLong'),
  ),
];

const namingCases: RuleCase[] = [
  named('takes a bundle without a signer', 'plain', {}, good),
  named(
    'refuses a generated name that is no more than the signer’s prefix',
    '',
    { signerName },
    bad('metadata.generateName'),
    { generateName: 'example.com:foo:' },
  ),
  named('takes a generated name that ends in a dash', '', { signerName }, good, { generateName: 'example.com:foo:a-' }),
  named(
    'refuses a colon in the name without a signer',
    'a:b',
    {},
    bad('metadata.name', 'must not have ":" in its name'),
  ),
  named(
    'refuses a name without the signer’s prefix',
    'wrong',
    { signerName },
    bad('metadata.name', 'must be named with prefix example.com:foo:'),
  ),
  named('refuses a bad name after the prefix', 'example.com:foo:A', { signerName }, bad('metadata.name')),
  named('refuses a bad signer', 'example:foo:x', { signerName: 'example/foo' }, bad('spec.signerName')),
];

function update(name: string, user: UserName, spec: JsonObject, metadata: JsonObject, expected: Expected): RuleCase {
  return {
    name,
    user,
    request: async (world) => {
      const before = bundle(world, { signerName, trustBundle: await world.certificates.authority() });
      const body = { ...before, metadata: { ...before.metadata, ...metadata }, spec: { ...before.spec, ...spec } };
      return {
        verb: 'update',
        resource: bundlesResource,
        version: world.bundleVersion,
        name: bundleName,
        before,
        body,
      };
    },
    expected,
  };
}

function bundle(world: World, spec: JsonObject) {
  const apiVersion = `certificates.k8s.io/${world.bundleVersion}`;
  return { apiVersion, kind: 'ClusterTrustBundle', metadata: { name: bundleName }, spec };
}

const notAttested: Expected = { code: 403, says: 'user not permitted to attest for signerName "example.com/foo"' };

const accessCases: RuleCase[] = [
  {
    ...text('lets the signer’s users write its bundle', (world) => world.certificates.authority(), good),
    user: 'signer',
  },
  {
    ...text('asks for the verb attest on the signer', (world) => world.certificates.authority(), notAttested),
    user: 'signer without sign',
  },
  {
    ...text('tells a fault of a bundle before a missing permission', () => '', none),
    user: 'signer without sign',
  },
  {
    ...named('asks for no attest without a signer', 'plain', {}, good),
    user: 'signer without sign',
  },
  update(
    'keeps the signer',
    'admin',
    { signerName: 'example.com/bar' },
    {},
    {
      code: 422,
      causes: ['metadata.name FieldValueInvalid', 'spec.signerName FieldValueInvalid'],
    },
  ),
  update('takes new labels on a bundle', 'signer', {}, { labels: { a: 'b' } }, good),
  update('asks for attest on update', 'signer without sign', {}, { labels: { a: 'b' } }, notAttested),
  update('needs no attest for an update that changes nothing', 'signer without sign', {}, {}, good),
  update('checks new certificates on update', 'admin', { trustBundle: 'x' }, {}, none),
  ...(['get', 'list', 'watch'] as const).flatMap((verb): RuleCase[] =>
    (
      [
        ['node-a', 200],
        ['agent on node-a', 200],
        ['nobody', 403],
      ] as const
    ).map(([user, code]) => ({
      name: `${code === 200 ? 'lets' : 'does not let'} ${user} ${verb} bundles`,
      user,
      request: (world) => ({
        verb,
        resource: bundlesResource,
        version: world.bundleVersion,
        ...(verb === 'get' ? { name: 'any' } : {}),
      }),
      expected: { code },
    })),
  ),
];

export const bundleCases: readonly RuleCase[] = [...contentCases, ...namingCases, ...accessCases];
