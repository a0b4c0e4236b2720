/**
 * Updates of PodCertificateRequests: their spec, which stays as it is, and their status, which a signer writes once.
 */
import { Buffer } from 'node:buffer';
import type { JsonObject } from '../../../../sandbox/base/objects.ts';
import { badField as bad, good } from './answers.ts';
import type { Expected, RuleCase, World } from './case.ts';
import {
  condition,
  hourMs,
  issuedStatus,
  keyMaterial,
  minuteMs,
  podCertificateRequest,
  requestsResource,
  rfc3339,
  statusUpdate,
} from './requests.ts';

const chain = 'status.certificateChain';

/** A case in which a signer writes a status over none. */
function status(name: string, make: (world: World) => JsonObject | Promise<JsonObject>, expected: Expected): RuleCase {
  return {
    name,
    user: 'signer',
    request: async (world) => statusUpdate(world, await make(world)),
    expected,
  };
}

/** A case with conditions alone. */
function conditions(name: string, make: (world: World) => JsonObject[], ...causes: string[]): RuleCase {
  return status(name, (world) => ({ conditions: make(world) }), causes.length === 0 ? good : { code: 422, causes });
}

const conditionCases: RuleCase[] = [
  conditions('takes a denial', (world) => [condition(world, 'Denied')]),
  conditions('takes a failure with punctuation in its reason', (world) => [
    condition(world, 'Failed', { reason: 'A_b,c:D' }),
  ]),
  conditions(
    'refuses a type it does not know',
    (world) => [condition(world, 'Approved')],
    'status.conditions.[0].type FieldValueNotSupported',
  ),
  conditions(
    'refuses a condition that is not true',
    (world) => [condition(world, 'Denied', { status: 'False' })],
    'status.conditions.[0].status FieldValueNotSupported',
  ),
  conditions(
    'refuses a status that no condition has',
    (world) => [condition(world, 'Denied', { status: 'Maybe' })],
    'status.conditions.[0].status FieldValueNotSupported',
    'status.conditions[0].status FieldValueNotSupported',
  ),
  conditions(
    'refuses two conditions',
    (world) => [condition(world, 'Denied'), condition(world, 'Failed')],
    'status.conditions.[1].type FieldValueInvalid',
  ),
  conditions(
    'refuses the same condition twice',
    (world) => [condition(world, 'Denied'), condition(world, 'Denied')],
    'status.conditions.[1].type FieldValueInvalid',
    'status.conditions[1].type FieldValueDuplicate',
  ),
  conditions(
    'refuses a condition without a reason',
    (world) => [condition(world, 'Denied', { reason: '' })],
    'status.conditions[0].reason FieldValueRequired',
  ),
  conditions(
    'refuses a reason with a space',
    (world) => [condition(world, 'Denied', { reason: 'has space' })],
    'status.conditions[0].reason FieldValueInvalid',
  ),
  conditions(
    'refuses a reason over 1 KiB',
    (world) => [condition(world, 'Denied', { reason: 'r'.repeat(1025) })],
    'status.conditions[0].reason FieldValueTooLong',
  ),
  conditions(
    'refuses a message over 32 KiB',
    (world) => [condition(world, 'Denied', { message: 'm'.repeat(32 * 1024 + 1) })],
    'status.conditions[0].message FieldValueTooLong',
  ),
  conditions(
    'refuses a condition without lastTransitionTime',
    () => [{ type: 'Denied', status: 'True', reason: 'No', message: '' }],
    'status.conditions[0].lastTransitionTime FieldValueRequired',
  ),
  conditions(
    'refuses a negative generation',
    (world) => [condition(world, 'Denied', { observedGeneration: -1 })],
    'status.conditions[0].observedGeneration FieldValueInvalid',
  ),
];

const immutable = bad(
  'status',
  'status: Invalid value: immutable after PodCertificateRequest is issued, denied, or failed',
);

const transitionCases: RuleCase[] = [
  status(
    'refuses a chain beside a denial',
    (world) => issuedStatus(world, { conditions: [condition(world, 'Denied')] }),
    bad('status', 'non-condition status fields must be empty when denying or failing the PodCertificateRequest'),
  ),
  status(
    'refuses a chain without a condition',
    (world) => issuedStatus(world, { conditions: [] }),
    bad('status', 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"'),
  ),
  ...(['Issued', 'Denied', 'Failed'] as const).map(
    (type): RuleCase => ({
      name: `keeps a status once it is ${type}`,
      user: 'signer',
      request: async (world) => {
        const before = await settled(world, type);
        return statusUpdate(world, { ...before, conditions: [condition(world, type, { message: 'changed' })] }, before);
      },
      expected: immutable,
    }),
  ),
  {
    name: 'does not take a settled status back',
    user: 'signer',
    request: async (world) => statusUpdate(world, {}, await settled(world, 'Denied')),
    expected: immutable,
  },
  {
    name: 'takes the same status again from anyone who may write it',
    user: 'signer without sign',
    request: async (world) => {
      const before = await settled(world, 'Issued');
      return statusUpdate(world, before, before);
    },
    expected: good,
  },
];

async function settled(world: World, type: 'Issued' | 'Denied' | 'Failed'): Promise<JsonObject> {
  return type === 'Issued' ? await issuedStatus(world) : { conditions: [condition(world, type)] };
}

/** A leaf for the requested key, for an hour from now. */
async function leaf(world: World, order: { dnsNames?: string[]; emailAddresses?: string[] } = {}): Promise<string> {
  const { spki } = world.key('ED25519');
  return await world.certificates.leaf({ spki, notBefore: world.now, notAfter: world.now + hourMs, ...order });
}

function chained(name: string, make: (world: World) => string | Promise<string>, expected: Expected): RuleCase {
  return status(name, async (world) => issuedStatus(world, { certificateChain: await make(world) }), expected);
}

const garbage = '-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n';
const privateKey = '-----BEGIN PRIVATE KEY-----\nZ2FyYmFnZQ==\n-----END PRIVATE KEY-----\n';

const chainCases: RuleCase[] = [
  status('takes a leaf alone', (world) => issuedStatus(world), good),
  chained(
    'takes a leaf with an intermediate',
    async (world) => (await leaf(world)) + (await world.certificates.authority()),
    good,
  ),
  chained('takes text between blocks', async (world) => `hello\n${await leaf(world)}bye\n`, good),
  chained(
    'refuses an empty chain',
    () => '',
    bad(chain, 'issued certificate chain must contain at least one certificate'),
  ),
  chained(
    'refuses a chain of text',
    () => 'hello',
    bad(chain, 'issued certificate chain must contain at least one certificate'),
  ),
  chained(
    'refuses a key for a leaf',
    () => privateKey,
    bad(chain, 'issued certificate chain must consist entirely of CERTIFICATE PEM blocks'),
  ),
  chained('refuses garbage for a leaf', () => garbage, bad(chain, 'leaf certificate does not parse as valid X.509')),
  chained(
    'refuses a key after the leaf',
    async (world) => (await leaf(world)) + privateKey,
    bad(chain, 'must consist entirely of'),
  ),
  chained(
    'refuses garbage after the leaf',
    async (world) => (await leaf(world)) + garbage,
    bad(chain, 'intermediate certificate does not parse as valid X.509'),
  ),
  chained(
    'refuses a chain that does not begin with the leaf',
    async (world) => (await world.certificates.authority()) + (await leaf(world)),
    bad(chain, 'leaf certificate was not issued to the requested public key'),
  ),
  chained(
    'refuses a leaf with another key',
    (world) =>
      world.certificates.leaf({
        spki: world.key('ECDSAP256').spki,
        notBefore: world.now,
        notAfter: world.now + hourMs,
      }),
    bad(chain, 'leaf certificate was not issued to the requested public key'),
  ),
  chained(
    'refuses a chain over 100 KiB',
    async (world) => (await leaf(world)).padEnd(100 * 1024 + 1),
    bad(chain, undefined, 'FieldValueTooLong'),
  ),
  ...(['RSA3072', 'ECDSAP256', 'ECDSAP521'] as const).map(
    (name): RuleCase => ({
      name: `takes a leaf for a request with a key of type ${name}`,
      user: 'signer',
      request: async (world) => {
        const { spki } = world.key(name);
        const certificateChain = await world.certificates.leaf({
          spki,
          notBefore: world.now,
          notAfter: world.now + hourMs,
        });
        return statusUpdate(
          world,
          await issuedStatus(world, { certificateChain }),
          undefined,
          keyMaterial(world, name),
        );
      },
      expected: good,
    }),
  ),
];

const nameCases: RuleCase[] = [
  chained(
    'takes good DNS and mail names',
    (world) => leaf(world, { dnsNames: ['a.example', '*.b.example'], emailAddresses: ['a@b.example'] }),
    good,
  ),
  chained(
    'refuses an empty DNS name',
    (world) => leaf(world, { dnsNames: [''] }),
    bad(chain, 'leaf certificate should not contain empty DNSName'),
  ),
  chained(
    'refuses a DNS name with two dots',
    (world) => leaf(world, { dnsNames: ['a..b'] }),
    bad(chain, `Invalid value: "a..b": leaf certificate's DNSName should not contain '..'`),
  ),
  chained(
    'refuses a DNS name that starts with a dot',
    (world) => leaf(world, { dnsNames: ['.a'] }),
    bad(chain, "should not start or end with '.'"),
  ),
  chained(
    'refuses a DNS name that ends with a dot',
    (world) => leaf(world, { dnsNames: ['a.'] }),
    bad(chain, "should not start or end with '.'"),
  ),
  chained(
    'refuses a bad mail name',
    (world) => leaf(world, { emailAddresses: ['not an address'] }),
    bad(chain, 'leaf certificate should not contain invalid EmailAddress'),
  ),
];

/** A case with a leaf of other times; offsets from now in milliseconds. */
function timed(
  name: string,
  { from = 0, to = hourMs, refresh = 30 * minuteMs }: { from?: number; to?: number; refresh?: number },
  expected: Expected,
): RuleCase {
  return status(
    name,
    async (world) => {
      const [notBefore, notAfter] = [world.now + from, world.now + to];
      const { spki } = world.key('ED25519');
      return {
        conditions: [condition(world, 'Issued')],
        certificateChain: await world.certificates.leaf({ spki, notBefore, notAfter }),
        notBefore: rfc3339(notBefore),
        notAfter: rfc3339(notAfter),
        beginRefreshAt: rfc3339(world.now + refresh),
      };
    },
    expected,
  );
}

const dayMs = 24 * hourMs;
const [early, late] = [10 * minuteMs, 50 * minuteMs];

const timeCases: RuleCase[] = [
  timed('takes a leaf for a day', { to: dayMs }, good),
  timed('takes a leaf from 4 minutes ago', { from: -4 * minuteMs }, good),
  timed('takes a leaf from in 4 minutes', { from: 4 * minuteMs, to: 2 * hourMs }, good),
  timed(
    'refuses a leaf from 6 minutes ago',
    { from: -6 * minuteMs },
    bad('status.notBefore', 'must be set to within 5 minutes'),
  ),
  timed(
    'refuses a leaf from in 6 minutes',
    { from: 6 * minuteMs, to: 2 * hourMs },
    bad('status.notBefore', 'must be set to within 5 minutes'),
  ),
  timed(
    'refuses a leaf for less than an hour',
    { to: hourMs - 1000 },
    bad(chain, 'Invalid value: 3599000000000: leaf certificate lifetime must be >= 1 hour'),
  ),
  timed(
    'refuses a leaf for more than was asked',
    { to: dayMs + 1000 },
    bad(chain, 'must be <= spec.maxExpirationSeconds (86400)'),
  ),
  timed('takes a refresh 10 minutes after notBefore', { refresh: early }, good),
  timed(
    'refuses a refresh before that',
    { refresh: early - 1000 },
    bad('status.beginRefreshAt', 'must be at least 10 minutes after status.notBefore'),
  ),
  timed('takes a refresh 10 minutes before notAfter', { refresh: late }, good),
  timed(
    'refuses a refresh after that',
    { refresh: late + 1000 },
    bad('status.beginRefreshAt', 'must be at least 10 minutes before status.notAfter'),
  ),
  status(
    'refuses a notBefore that is not the leaf’s',
    (world) => issuedStatus(world, { notBefore: rfc3339(world.now + 1000) }),
    bad('status.notBefore', 'must be set to the NotBefore time encoded in the leaf certificate'),
  ),
  status(
    'refuses a notAfter that is not the leaf’s',
    (world) => issuedStatus(world, { notAfter: rfc3339(world.now + hourMs + 1000) }),
    bad('status.notAfter', 'must be set to the NotAfter time encoded in the leaf certificate'),
  ),
  status(
    'refuses a chain without times',
    async (world) => {
      const { conditions: list, certificateChain } = await issuedStatus(world);
      return { conditions: list, certificateChain };
    },
    {
      code: 422,
      causes: ['notBefore', 'notAfter', 'beginRefreshAt'].map((field) => `status.${field} FieldValueRequired`),
    },
  ),
];

const permissionCases: RuleCase[] = [
  {
    name: 'asks for the verb sign on the signer',
    user: 'signer without sign',
    request: async (world) => statusUpdate(world, await issuedStatus(world)),
    expected: bad(
      'spec.signerName',
      'Forbidden: User "signer-without-sign" is not permitted to "sign" for signer "example.com/foo"',
      'FieldValueForbidden',
    ),
  },
  {
    name: 'asks for the verb sign on the signer of the request',
    user: 'signer',
    request: async (world) =>
      statusUpdate(world, await issuedStatus(world), undefined, { signerName: 'elsewhere.example/foo' }),
    expected: bad('spec.signerName', undefined, 'FieldValueForbidden'),
  },
  {
    name: 'tells a fault of the status before a missing permission',
    user: 'signer without sign',
    request: (world) => statusUpdate(world, { conditions: [condition(world, 'Approved')] }),
    expected: bad('status.conditions.[0].type', undefined, 'FieldValueNotSupported'),
  },
  {
    name: 'does not let a node write a status',
    user: 'node-a',
    request: async (world) => statusUpdate(world, await issuedStatus(world)),
    expected: { code: 403, says: 'nodes may not access the status subresource of PodCertificateRequests' },
  },
  {
    name: 'does not let just anybody write a status',
    user: 'nobody',
    request: async (world) => statusUpdate(world, await issuedStatus(world)),
    expected: { code: 403, says: 'User "nobody" cannot update resource "podcertificaterequests/status"' },
  },
];

function update(name: string, change: JsonObject, metadata: JsonObject, expected: Expected): RuleCase {
  return {
    name,
    user: 'admin',
    request: (world) => {
      const before = podCertificateRequest(world, { maxExpirationSeconds: 86_400 });
      const body = { ...before, metadata: { ...before.metadata, ...metadata }, spec: { ...before.spec, ...change } };
      return {
        verb: 'update',
        resource: requestsResource,
        version: world.requestVersion,
        namespace: 'default',
        name: 'request',
        before,
        body,
      };
    },
    expected,
  };
}

const specCases: RuleCase[] = [
  update('takes new labels', {}, { labels: { a: 'b' } }, good),
  update(
    'refuses a bad label on update',
    {},
    { labels: { a: 'b c' } },
    { code: 422, says: 'metadata.labels: Invalid value: "b c"' },
  ),
  update('keeps the spec', { maxExpirationSeconds: 7200 }, {}, bad('spec', 'field is immutable')),
  update(
    'keeps the key',
    { pkixPublicKey: Buffer.from('x').toString('base64'), stubPKCS10Request: 'eA==' },
    {},
    bad('spec'),
  ),
];

export const statusCases: readonly RuleCase[] = [
  ...conditionCases,
  ...transitionCases,
  ...chainCases,
  ...nameCases,
  ...timeCases,
  ...permissionCases,
  ...specCases,
];
