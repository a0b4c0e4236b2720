/** A chain as a signer's answer to one request of the tests, whatever it holds. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { AgentError } from '../../../../agent/base/errors.ts';
import { verifyChain } from '../../../../agent/issuance/chain.ts';
import { certify, certifyKey, makeHolder, now } from '../../../support/certificates.ts';

const hour = 3_600_000;
const dates = { notBefore: now - hour, notAfter: now + 24 * hour, beginRefreshAt: now + 12 * hour };
const spki = generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' });

/** Certificates that are accepted, DER: a leaf for the key of the request, and what signed it. */
export async function acceptedCertificates(): Promise<readonly Uint8Array[]> {
  const [root, intermediate] = [await makeHolder('CN=root'), await makeHolder('CN=intermediate')];
  const names = [{ type: 'dns', value: 'web.example' }] as const;
  return [
    await certifyKey(spki, intermediate, { ...dates, names, subject: 'CN=web' }),
    await certify(intermediate, root, { pathLength: 0 }),
    await certify(root, root),
  ];
}

/** What is accepted holds the key of the request, and OpenSSL can read all that is kept; what is not is refused by type. */
export function verifyAsIssued(certificateChain: string): void {
  try {
    const { certificates, names = '' } = verifyChain({ type: 'issued', certificateChain, ...dates }, spki, now);
    const read = certificates.map((der) => new X509Certificate(der));
    for (const { validFrom, validTo } of read) {
      assert.ok(Date.parse(validFrom) <= now && Date.parse(validTo) >= now, `valid from ${validFrom} to ${validTo}`);
    }
    const [leaf] = read;
    assert.deepEqual(leaf?.publicKey.export({ format: 'der', type: 'spki' }), spki, 'it holds another key');
    assert.ok(names.length <= 301, 'its names are cut');
  } catch (refusal) {
    if (refusal instanceof assert.AssertionError) {
      throw refusal;
    }
    const isTyped = refusal instanceof AgentError && refusal.code === 'InvalidChain' && refusal.actor === 'signer';
    assert.ok(isTyped, `not a refusal: ${refusal instanceof Error ? refusal.stack : String(refusal)}`);
    assert.ok(refusal.message.length <= 2_000, `a refusal of ${refusal.message.length} characters`);
  }
}
