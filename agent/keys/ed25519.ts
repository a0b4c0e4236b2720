/**
 * Pure Ed25519 (RFC 8032): keys, signatures and encodings (RFC 8410) by OpenSSL.
 * https://www.rfc-editor.org/rfc/rfc8032
 */
import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { type Algorithm, type Sign, signByOpenSsl } from './algorithm.ts';

const generateInPool = promisify(generateKeyPair);

const sign: Sign = (pair, message) => signByOpenSsl(pair, null, message);

export const ed25519: Algorithm = {
  takes: 'milliseconds',
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
