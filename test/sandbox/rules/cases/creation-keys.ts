/**
 * Keys in PodCertificateRequests: which types are taken, and how their possession is proven in each API version.
 */
import { Buffer } from 'node:buffer';
import { constants, generateKeyPairSync, sign } from 'node:crypto';
import type { JsonObject } from '../../../../sandbox/base/objects.ts';
import { bad, good } from './answers.ts';
import type { Expected, RuleCase, World } from './case.ts';
import { goodKeyNames, type KeyName, sequence } from './keys.ts';
import { creation, keyField, keyMaterial, creationOf as spec } from './requests.ts';

const invalid = 'FieldValueInvalid';

function typeCases(): RuleCase[] {
  const badKey = (name: KeyName, says: string): RuleCase => ({
    ...spec(
      `refuses a key of type ${name}`,
      (world) => keyMaterial(world, name),
      (world) => ({
        code: 422,
        causes: [`${keyField(world)} ${invalid}`],
        says,
      }),
    ),
  });
  return [
    ...goodKeyNames.map((name) => spec(`takes a key of type ${name}`, (world) => keyMaterial(world, name), good)),
    badKey('RSA2048', 'Invalid value: "2048-bit modulus": RSA keys must have modulus size 3072 or 4096'),
    badKey('P-224', 'Invalid value: "curve P-224": elliptic public keys must use curve'),
    badKey('secp256k1', 'must be a valid PK'),
    badKey('X25519', 'unknown public key type; supported types are Ed25519, ECDSA, and RSA'),
  ];
}

const usingPair = (cases: RuleCase[]): RuleCase[] =>
  cases.map((one) => ({ ...one, kubernetes: one.kubernetes ?? ['1.34', '1.35'] }));

function proof(make: (world: World) => Buffer): (world: World) => JsonObject {
  return (world) => ({ proofOfPossession: make(world).toString('base64') });
}

const badProof: Expected = {
  code: 422,
  causes: [`spec.proofOfPossession ${invalid}`],
  says: 'spec.proofOfPossession: Invalid value: could not verify proof-of-possession signature',
};

/** A pair whose proof is made with other parameters than the rule's. */
function oddPair(type: 'ec' | 'rsa', options: { readonly digest: string; readonly saltLength?: number }) {
  return (world: World): JsonObject => {
    const { publicKey, privateKey } =
      type === 'ec'
        ? generateKeyPairSync('ec', { namedCurve: 'P-384' })
        : generateKeyPairSync('rsa', { modulusLength: 3072 });
    const { digest, saltLength } = options;
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const key = saltLength === undefined ? privateKey : { key: privateKey, padding, saltLength };
    return {
      pkixPublicKey: publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
      proofOfPossession: sign(digest, Buffer.from(world.uid('Pod', 'web-a')), key).toString('base64'),
    };
  };
}

const pairCases = usingPair([
  spec(
    'refuses a proof over another pod',
    proof((world) => world.key('ED25519').prove('another')),
    badProof,
  ),
  spec(
    'refuses a proof that is no signature',
    proof(() => Buffer.from('nonsense')),
    badProof,
  ),
  spec('refuses an ECDSA proof over another digest than SHA-256', oddPair('ec', { digest: 'sha384' }), badProof),
  spec('refuses an RSA proof with PKCS#1 v1.5 padding', oddPair('rsa', { digest: 'sha256' }), badProof),
  spec('takes an RSA proof with a salt of another length', oddPair('rsa', { digest: 'sha256', saltLength: 20 }), good),
  spec(
    'refuses bytes that are no public key',
    { pkixPublicKey: Buffer.from('nonsense').toString('base64') },
    { code: 422, causes: [`spec.pkixPublicKey ${invalid}`], says: 'must be a valid PKIX-serialized public key' },
  ),
  spec(
    'refuses a public key with bytes after it',
    (world) => ({ pkixPublicKey: Buffer.concat([world.key('ED25519').spki, Buffer.from([0])]).toString('base64') }),
    bad(`spec.pkixPublicKey ${invalid}`),
  ),
  spec(
    'refuses a public key over 10 KiB',
    { pkixPublicKey: Buffer.alloc(10 * 1024 + 1).toString('base64') },
    bad('spec.pkixPublicKey FieldValueTooLong'),
  ),
  spec(
    'refuses a proof over 10 KiB',
    { proofOfPossession: Buffer.alloc(10 * 1024 + 1).toString('base64') },
    bad('spec.proofOfPossession FieldValueTooLong'),
  ),
]);

const usingStub = (cases: RuleCase[]): RuleCase[] => cases.map((one) => ({ ...one, kubernetes: ['1.36', '1.37'] }));

function stub(make: (world: World) => Buffer): (world: World) => JsonObject {
  return (world) => ({ stubPKCS10Request: make(world).toString('base64') });
}

function changedLast(bytes: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])]);
}

const noRequest: Expected = {
  code: 422,
  causes: [`spec.stubPKCS10Request ${invalid}`],
  says: 'spec.stubPKCS10Request: Invalid value: must be a valid PKCS#10 CSR',
};
const wrongMaterial: Expected = {
  code: 422,
  causes: [`spec ${invalid}`],
  says: 'spec: Invalid value: exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set',
};
/** Name with the common name "x". */
const someSubject = Buffer.from('300c310a300806035504030c0178', 'hex');

const stubCases = usingStub([
  spec(
    'takes a stub request with a subject',
    stub((world) => world.key('ECDSAP256').stub(someSubject)),
    good,
  ),
  spec(
    'refuses bytes that are no stub request',
    stub(() => Buffer.from('garbage')),
    noRequest,
  ),
  spec(
    'refuses a sequence that is no stub request',
    stub(() => sequence(Buffer.from([2, 1, 0]))),
    noRequest,
  ),
  spec(
    'refuses a stub request with bytes after it',
    stub((world) => Buffer.concat([world.key('ED25519').stub(), Buffer.from([0])])),
    noRequest,
  ),
  spec(
    'refuses a stub request in PEM',
    stub((world) =>
      Buffer.from(
        `-----BEGIN CERTIFICATE REQUEST-----\n${world.key('ED25519').stub().toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`,
      ),
    ),
    noRequest,
  ),
  ...(['ED25519', 'ECDSAP256', 'RSA3072'] as const).map((name) =>
    spec(
      `refuses a stub request of type ${name} with a wrong signature`,
      stub((world) => changedLast(world.key(name).stub())),
      {
        code: 422,
        causes: [`spec.stubPKCS10Request ${invalid}`],
        says: 'invalid signature',
      },
    ),
  ),
  spec(
    'refuses a stub request over 10 KiB',
    stub(() => Buffer.alloc(10 * 1024 + 1)),
    bad('spec.stubPKCS10Request FieldValueTooLong'),
  ),
  spec('refuses a request without a key', { stubPKCS10Request: '' }, wrongMaterial),
]);

const eitherOr: RuleCase[] = [
  spec('takes a key and a proof of possession beside the stub request', pairOf, good),
  spec(
    'refuses a stub request and a key at once',
    (world) => ({ ...pairOf(world), ...keyMaterial(world, 'ED25519') }),
    wrongMaterial,
  ),
  spec('refuses a key without a proof', (world) => ({ ...pairOf(world), proofOfPossession: '' }), wrongMaterial),
].map((one) => ({ ...one, kubernetes: ['1.36' as const] }));

function pairOf(world: World): JsonObject {
  const key = world.key('ED25519');
  return {
    stubPKCS10Request: '',
    pkixPublicKey: key.spki.toString('base64'),
    proofOfPossession: key.prove(world.uid('Pod', 'web-a')).toString('base64'),
  };
}

const versionCases: RuleCase[] = [
  {
    ...spec('drops a stub request that it does not know, and then misses the key', dropped, (world) => ({
      code: 422,
      causes: [`${keyField(world)} ${invalid}`],
    })),
    kubernetes: ['1.34', '1.35'],
  },
  {
    name: 'drops annotations that its version does not know',
    kubernetes: ['1.34'],
    user: 'admin',
    request: (world) => creation(world, { unverifiedUserAnnotations: { 'no domain': 'x' } }),
    expected: good,
  },
];

function dropped(world: World): JsonObject {
  return {
    pkixPublicKey: '',
    proofOfPossession: '',
    stubPKCS10Request: world.key('ED25519').stub().toString('base64'),
  };
}

export const keyCases: readonly RuleCase[] = [...typeCases(), ...pairCases, ...stubCases, ...eitherOr, ...versionCases];
