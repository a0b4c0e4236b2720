/**
 * Keys for the cases, each made once: the six types that pods may have, and some that they may not.
 */
import { Buffer } from 'node:buffer';
import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export const goodKeyNames = ['RSA3072', 'RSA4096', 'ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519'] as const;
export const badKeyNames = ['RSA2048', 'P-224', 'secp256k1', 'X25519'] as const;
export type KeyName = (typeof goodKeyNames)[number] | (typeof badKeyNames)[number];

export interface TestKey {
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
  /** A signature over the pod's UID as proofs of possession are made. */
  prove(podUID: string): Buffer;
  /** A PKCS#10 request with this key, DER. @param subject an encoded Name; absent: an empty one */
  stub(subject?: Buffer): Buffer;
}

/** Makes keys when they are first asked for. */
export function createKeys(): (name: KeyName) => TestKey {
  const made = new Map<KeyName, TestKey>();
  return (name) => {
    const key = made.get(name) ?? testKey(generate(name));
    made.set(name, key);
    return key;
  };
}

interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function generate(name: KeyName): KeyPair {
  switch (name) {
    case 'RSA2048':
    case 'RSA3072':
    case 'RSA4096':
      return generateKeyPairSync('rsa', { modulusLength: Number(name.slice(3)) });
    case 'ECDSAP256':
    case 'ECDSAP384':
    case 'ECDSAP521':
      return generateKeyPairSync('ec', { namedCurve: `P-${name.slice(6)}` });
    case 'P-224':
      return generateKeyPairSync('ec', { namedCurve: 'secp224r1' });
    case 'secp256k1':
      return generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
    case 'ED25519':
      return generateKeyPairSync('ed25519');
    case 'X25519':
      return generateKeyPairSync('x25519');
    default:
      return name satisfies never;
  }
}

function testKey({ publicKey, privateKey }: KeyPair): TestKey {
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const type = publicKey.asymmetricKeyType;
  return {
    spki,
    prove: (podUID) => {
      const data = Buffer.from(podUID, 'ascii');
      if (type === 'x25519') {
        return Buffer.from('agreement keys do not sign');
      }
      if (type === 'ed25519') {
        return sign(null, data, privateKey);
      }
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return sign('sha256', data, type === 'rsa' ? { key: privateKey, padding, saltLength: 32 } : privateKey);
    },
    stub: (subject = sequence()) => {
      const info = sequence(integer0, subject, spki, noAttributes);
      const signature =
        type === 'x25519' ? Buffer.alloc(64) : sign(type === 'ed25519' ? null : 'sha256', info, privateKey);
      return sequence(info, sequence(...algorithm(type)), bitString(signature));
    },
  };
}

const integer0 = Buffer.from([2, 1, 0]);
const noAttributes = Buffer.from([0xa0, 0]);

function algorithm(type: string | undefined): Buffer[] {
  switch (type) {
    case 'rsa':
      return [Buffer.from('06092a864886f70d01010b', 'hex'), Buffer.from([5, 0])];
    case 'ec':
      return [Buffer.from('06082a8648ce3d040302', 'hex')];
    default:
      return [Buffer.from('06032b6570', 'hex')];
  }
}

/** A DER SEQUENCE of encoded elements. */
export function sequence(...elements: readonly Buffer[]): Buffer {
  return element(0x30, Buffer.concat(elements));
}

function bitString(bytes: Buffer): Buffer {
  return element(3, Buffer.concat([Buffer.from([0]), bytes]));
}

function element(tag: number, contents: Buffer): Buffer {
  const { length } = contents;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), contents]);
}
