/**
 * Pure Ed25519 (RFC 8032): keys and signatures by noble-ed25519, encodings (RFC 8410) and the second opinion by OpenSSL.
 * https://www.rfc-editor.org/rfc/rfc8032
 */
import { createPrivateKey, randomBytes, verify } from 'node:crypto';
import { hashes, sign as signEd25519, utils } from '@noble/ed25519';
import { sha512 } from '@noble/hashes/sha2.js';
import { type Algorithm, asBuffer, checked, publicKeyOf, type Sign, withRawSecret } from './algorithm.ts';

// noble-ed25519 brings no hash of its own. Its asynchronous calls would use WebCrypto, which hashes a copy of the secret
// in the thread pool; with this one it stays in buffers that are overwritten.
hashes.sha512 = sha512;

const sign: Sign = async (key, spki, message) => {
  const signature = withRawSecret(key, (secret) => signEd25519(message, secret));
  return checked(signature, verify(null, message, publicKeyOf(spki), signature));
};

export const ed25519: Algorithm = {
  runsOn: 'main thread',
  // id-Ed25519, no parameters: RFC 8410 section 3.
  requestSignatureAlgorithm: Buffer.from('300506032b6570', 'hex'),
  owns: (key) => key.asymmetricKeyType === 'ed25519',
  async generate() {
    const secret = asBuffer(utils.randomSecretKey(randomBytes(32)));
    try {
      return createPrivateKey({ key: secret, format: 'raw-private', asymmetricKeyType: 'ed25519' });
    } finally {
      secret.fill(0);
    }
  },
  proofOfPossession: sign,
  signRequest: sign,
};
