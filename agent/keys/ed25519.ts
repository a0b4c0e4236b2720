/**
 * Pure Ed25519 (RFC 8032): keys, signatures and encodings (RFC 8410) by OpenSSL, the second opinion by noble-ed25519.
 * https://www.rfc-editor.org/rfc/rfc8032
 */
import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { hashes, verify } from '@noble/ed25519';
import { sha512 } from '@noble/hashes/sha2.js';
import { type Algorithm, checked, rawPublicKeyOf, type Sign, signByOpenSsl } from './algorithm.ts';

// noble-ed25519 brings no hash of its own.
hashes.sha512 = sha512;

const generateInPool = promisify(generateKeyPair);

const sign: Sign = async ({ pkcs8, spki }, message) => {
  const signature = await signByOpenSsl(pkcs8, null, message);
  return checked(signature, verify(signature, message, rawPublicKeyOf(spki), { zip215: false }));
};

export const ed25519: Algorithm = {
  runsOn: 'main thread',
  // id-Ed25519, no parameters: RFC 8410 section 3.
  requestSignatureAlgorithm: Buffer.from('300506032b6570', 'hex'),
  owns: (key) => key.asymmetricKeyType === 'ed25519',
  async generate() {
    const { privateKey, publicKey } = await generateInPool('ed25519', {
      privateKeyEncoding: { format: 'der', type: 'pkcs8' },
      publicKeyEncoding: { format: 'der', type: 'spki' },
    });
    return { pkcs8: privateKey, spki: publicKey };
  },
  proofOfPossession: sign,
  signRequest: sign,
};
