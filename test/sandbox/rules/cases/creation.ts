/**
 * Creation of PodCertificateRequests: names, signers, lifetimes, annotations and metadata. The requests are made by an
 * administrator, whom no admission rule restricts.
 */
import type { JsonObject } from '../../../../sandbox/base/objects.ts';
import { bad, good } from './answers.ts';
import type { Expected, RuleCase } from './case.ts';
import { creation, keyField, keyMaterial, creationOf as spec } from './requests.ts';

const invalid = 'FieldValueInvalid';

/** A case whose request differs from a good one in its metadata. */
function metadata(name: string, given: JsonObject, expected: Expected): RuleCase {
  return { name, user: 'admin', request: (world) => creation(world, {}, given), expected };
}
const nameFields = ['podName', 'serviceAccountName', 'nodeName'];
const uidFields = ['podUID', 'serviceAccountUID', 'nodeUID'];

const nameCases: RuleCase[] = [
  ...nameFields.flatMap((field) => [
    spec(`refuses a ${field} that is no DNS subdomain`, { [field]: 'A_B' }, bad(`spec.${field} ${invalid}`)),
    spec(`refuses an empty ${field}`, { [field]: '' }, bad(`spec.${field} ${invalid}`)),
    spec(`refuses a ${field} of 254 bytes`, { [field]: 'a'.repeat(254) }, bad(`spec.${field} ${invalid}`)),
    spec(`takes a ${field} of 253 bytes with dots`, { [field]: `${'a'.repeat(251)}.b` }, good),
  ]),
  ...uidFields
    .filter((field) => field !== 'podUID')
    .flatMap((field) => [
      spec(`takes a ${field} of 128 bytes`, { [field]: 'u'.repeat(128) }, good),
      spec(`refuses an empty ${field}`, { [field]: '' }, bad(`spec.${field} ${invalid}`)),
      spec(`refuses a ${field} of 129 bytes`, { [field]: 'u'.repeat(129) }, bad(`spec.${field} FieldValueTooLong`)),
    ]),
  spec(
    'takes a podUID of 128 bytes',
    (world) => ({ podUID: 'u'.repeat(128), ...keyMaterial(world, 'ED25519', 'u'.repeat(128)) }),
    good,
  ),
  spec(
    'refuses a podUID of 129 bytes',
    (world) => ({ podUID: 'u'.repeat(129), ...keyMaterial(world, 'ED25519', 'u'.repeat(129)) }),
    bad('spec.podUID FieldValueTooLong'),
  ),
  spec(
    'refuses an empty podUID',
    (world) => ({ podUID: '', ...keyMaterial(world, 'ED25519', '') }),
    bad(`spec.podUID ${invalid}`),
  ),
];

const longDomain = [...Array(4)].map(() => 'a'.repeat(63)).join('.');
const badSigner = bad(`spec.signerName ${invalid}`);

const signerCases: RuleCase[] = [
  spec('takes a signer with dots in its path', { signerName: 'example.com/a.b' }, good),
  spec('takes a signer with a domain of two labels', { signerName: 'a.b/c' }, good),
  spec('refuses an empty signerName', { signerName: '' }, bad('spec.signerName FieldValueRequired')),
  spec('refuses a signerName without a path', { signerName: 'example.com' }, badSigner),
  spec('refuses a signerName with two slashes', { signerName: 'example.com/a/b' }, badSigner),
  spec('refuses a signerName with an empty path', { signerName: 'example.com/' }, badSigner),
  spec('refuses a signerName with capitals', { signerName: 'Example.com/a' }, badSigner),
  spec('refuses a signerName with an underscore', { signerName: 'example.com/a_b' }, badSigner),
  spec('refuses a signerName whose domain has one label', { signerName: 'example/a' }, badSigner),
  spec(
    'refuses a signerName whose domain is longer than 253 bytes',
    { signerName: `${longDomain}/a` },
    bad('spec.signerName FieldValueTooLong'),
  ),
  spec(
    'refuses a signerName that is longer than 571 bytes',
    { signerName: `example.com/${'b'.repeat(253)}.${'b'.repeat(253)}.${'b'.repeat(253)}` },
    bad('spec.signerName FieldValueTooLong'),
  ),
];

const badExpiration = bad(`spec.maxExpirationSeconds ${invalid}`);

const expirationCases: RuleCase[] = [
  spec('takes a lifetime of an hour', { maxExpirationSeconds: 3600 }, good),
  spec('takes a lifetime of 91 days', { maxExpirationSeconds: 7_862_400 }, good),
  spec('refuses a lifetime below an hour', { maxExpirationSeconds: 3599 }, badExpiration),
  spec(
    'refuses a lifetime above 91 days',
    { maxExpirationSeconds: 7_862_401 },
    {
      ...badExpiration,
      says: 'spec.maxExpirationSeconds: Invalid value: 7862401: must be in the range [3600, 7862400]',
    },
  ),
  spec('refuses a lifetime of nothing', { maxExpirationSeconds: 0 }, badExpiration),
  ...['kubernetes.io/a', 'x.kubernetes.io/a'].flatMap((signerName) => [
    spec(`takes a day from ${signerName}`, { signerName, maxExpirationSeconds: 86_400 }, good),
    spec(
      `refuses more than a day from ${signerName}`,
      { signerName, maxExpirationSeconds: 86_401 },
      {
        ...badExpiration,
        says: 'must be in the range [3600, 86400]',
      },
    ),
  ]),
  spec(
    'takes more than a day from x-kubernetes.io',
    { signerName: 'x-kubernetes.io/a', maxExpirationSeconds: 86_401 },
    good,
  ),
];

function annotated(name: string, annotations: Record<string, string>, expected: Expected): RuleCase {
  return { ...spec(name, { unverifiedUserAnnotations: annotations }, expected), kubernetes: ['1.35', '1.36', '1.37'] };
}

const annotationField = 'spec.unverifiedUserAnnotations';
const badAnnotation = bad(`${annotationField} ${invalid}`);

const annotationCases: RuleCase[] = [
  annotated('takes user annotations with a domain', { 'example.com/Key': 'any value' }, good),
  annotated(
    'refuses a user annotation without a domain',
    { key: '' },
    {
      ...badAnnotation,
      says: `${annotationField}: Invalid value: "key": must be a domain-prefixed key (such as "acme.io/foo")`,
    },
  ),
  annotated('refuses a user annotation with an empty domain', { '/key': '' }, badAnnotation),
  annotated('refuses a user annotation with a space in its domain', { 'a b.com/key': '' }, badAnnotation),
  annotated('refuses a user annotation with two slashes', { 'a.com/b/c': '' }, badAnnotation),
  annotated('refuses a user annotation without a key', { '': '' }, bad(`${annotationField} FieldValueRequired`)),
  annotated('refuses a user annotation whose name has 64 bytes', { [`a.com/${'b'.repeat(64)}`]: '' }, badAnnotation),
  annotated('takes user annotations of 256 KiB', { 'a.com/b': 'c'.repeat(256 * 1024 - 7) }, good),
  annotated(
    'refuses user annotations over 256 KiB',
    { 'a.com/b': 'c'.repeat(256 * 1024 - 6) },
    bad(`${annotationField} FieldValueTooLong`),
  ),
];

const owner = { apiVersion: 'v1', kind: 'Pod', name: 'web-a', uid: 'u' };

const metadataCases: RuleCase[] = [
  metadata('takes a generated name', { generateName: 'req-' }, good),
  metadata('refuses a request without a name', {}, bad('metadata.name FieldValueRequired')),
  metadata('refuses a name that is no DNS subdomain', { name: 'Bad_Name' }, bad(`metadata.name ${invalid}`)),
  metadata(
    'refuses a bad prefix for a generated name',
    { name: 'a', generateName: 'Bad_' },
    bad(`metadata.generateName ${invalid}`),
  ),
  metadata(
    'takes labels and annotations',
    { name: 'a', labels: { 'a.com/b': 'c' }, annotations: { 'X.com/Y': ' ' } },
    good,
  ),
  metadata('refuses a bad label key', { name: 'a', labels: { 'a/b/c': '' } }, bad(`metadata.labels ${invalid}`)),
  metadata('refuses a bad label value', { name: 'a', labels: { a: 'b c' } }, bad(`metadata.labels ${invalid}`)),
  metadata(
    'refuses a label value of 64 bytes',
    { name: 'a', labels: { a: 'b'.repeat(64) } },
    bad(`metadata.labels ${invalid}`),
  ),
  metadata(
    'refuses a bad annotation key',
    { name: 'a', annotations: { 'a b': '' } },
    bad(`metadata.annotations ${invalid}`),
  ),
  metadata(
    'refuses annotations over 256 KiB',
    { name: 'a', annotations: { a: 'b'.repeat(256 * 1024) } },
    bad('metadata.annotations FieldValueTooLong'),
  ),
  metadata('takes an owner', { name: 'a', ownerReferences: [owner] }, good),
  metadata(
    'refuses an owner without parts',
    { name: 'a', ownerReferences: [{ apiVersion: '', kind: '', name: '', uid: '' }] },
    bad(...['apiVersion', 'kind', 'name', 'uid'].map((part) => `metadata.ownerReferences.${part} ${invalid}`)),
  ),
  metadata(
    'refuses an event as an owner',
    { name: 'a', ownerReferences: [{ ...owner, kind: 'Event' }] },
    bad(`metadata.ownerReferences ${invalid}`),
  ),
  metadata(
    'refuses two controlling owners',
    {
      name: 'a',
      ownerReferences: [
        { ...owner, controller: true },
        { ...owner, name: 'b', uid: 'v', controller: true },
      ],
    },
    bad(`metadata.ownerReferences ${invalid}`),
  ),
  metadata('refuses a bad finalizer', { name: 'a', finalizers: ['a b'] }, { code: 422, says: 'metadata.finalizers' }),
];

const listingCases: RuleCase[] = [
  spec(
    'lists every fault of names, and one of the key',
    (world) => ({
      signerName: 'foo',
      podName: 'A_B',
      serviceAccountName: '',
      serviceAccountUID: '',
      nodeName: 'N_',
      nodeUID: '',
      maxExpirationSeconds: 1,
      ...keyMaterial(world, 'RSA2048'),
    }),
    (world) =>
      bad(
        `spec.signerName ${invalid}`,
        `spec.podName ${invalid}`,
        `spec.serviceAccountName ${invalid}`,
        `spec.serviceAccountUID ${invalid}`,
        `spec.nodeName ${invalid}`,
        `spec.nodeUID ${invalid}`,
        `spec.maxExpirationSeconds ${invalid}`,
        `${keyField(world)} ${invalid}`,
      ),
  ),
];

export const creationCases: readonly RuleCase[] = [
  ...nameCases,
  ...signerCases,
  ...expirationCases,
  ...annotationCases,
  ...metadataCases,
  ...listingCases,
];
