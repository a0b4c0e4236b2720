import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { verifyChain } from '../../../agent/issuance/chain.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import type { Outcome } from '../../../agent/lifecycle/ports.ts';
import { keyTypes } from '../../../volumes/declaration/key-types.ts';
import { createRootAuthority, type TestAuthority } from '../../support/certificates.ts';

type Issued = Outcome & { readonly type: 'issued' };

const hourMs = 3_600_000;
const now = Date.parse('2026-11-21T10:00:00Z');
const times = { notBefore: now, notAfter: now + 24 * hourMs, beginRefreshAt: now + 12 * hourMs };
const spkiOf = () => generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' });
const spki = spkiOf();
const pemOf = (der: Buffer) => `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;

let root: TestAuthority;
let intermediate: TestAuthority;
let leaf: string;

before(async () => {
  root = await createRootAuthority('CN=root');
  intermediate = await root.issueAuthority('CN=intermediate');
  leaf = await intermediate.issueLeaf({ spki, ...times, serialNumber: '00ab12cd' });
});

const issued = (certificateChain: string, changes: Partial<Issued> = {}): Issued => ({
  type: 'issued',
  certificateChain,
  ...times,
  ...changes,
});

function refuses(outcome: Issued, why: RegExp, at = now): void {
  assert.throws(
    () => verifyChain(outcome, spki, at),
    (error: unknown) => {
      assert.ok(error instanceof AgentError);
      assert.deepEqual([error.code, error.actor], ['InvalidChain', 'signer']);
      assert.match(error.message, /^the certificate chain cannot be used: /);
      assert.match(error.message, why);
      return true;
    },
  );
}

describe('a chain that is accepted', () => {
  it('gives its certificates as DER, leaf first, with serial number and times', () => {
    const chain = verifyChain(issued(leaf + intermediate.pem), spki, now);
    const expected = [leaf, intermediate.pem].map((pem) => new Uint8Array(new X509Certificate(pem).raw));
    assert.deepEqual(chain, { certificates: expected, serialNumber: 'AB12CD', ...times });
  });

  it('needs no root and no intermediate', () => {
    assert.equal(verifyChain(issued(leaf), spki, now).certificates.length, 1);
  });

  it('may hold its root', () => {
    assert.equal(verifyChain(issued(leaf + intermediate.pem + root.pem), spki, now).certificates.length, 3);
  });

  it('may have text around its certificates and headers in them', () => {
    const described = leaf.replace('-----BEGIN CERTIFICATE-----\n', '# leaf\n-----BEGIN CERTIFICATE-----\nA: b\n\n');
    assert.equal(verifyChain(issued(`${described}\n# next\n${intermediate.pem}`), spki, now).certificates.length, 2);
  });

  it('may agree with its status in whole seconds only', () => {
    const outcome = issued(leaf, { notBefore: times.notBefore + 999, notAfter: times.notAfter + 1 });
    assert.equal(verifyChain(outcome, spki, now).notBefore, times.notBefore);
  });

  it('may be from a signer whose clock is ahead, and have an expired certificate above its leaf', async () => {
    const expired = await root.issueAuthority('CN=old', { notBefore: now - 2 * hourMs, notAfter: now - hourMs });
    const early = await expired.issueLeaf({ spki, ...times });
    assert.ok(verifyChain(issued(early + expired.pem), spki, now - hourMs / 12));
  });

  it('holds a key of any of the six types', async () => {
    const keys = createKeyMaker();
    for (const keyType of keyTypes) {
      const key = await keys.generate(keyType);
      const pem = await intermediate.issueLeaf({ spki: key.spki, ...times });
      assert.equal(verifyChain(issued(pem + intermediate.pem), key.spki, now).certificates.length, 2);
      key.destroy();
    }
  });
});

describe('a chain is refused when', () => {
  it('it is empty, or text without certificates', () => {
    refuses(issued(''), /it holds no certificate$/);
    refuses(issued('certificate pending'), /it holds no certificate$/);
  });

  it('it is longer than the API allows', () => {
    refuses(issued(leaf + 'x'.repeat(100 * 1024)), /it has \d+ bytes, more than 102400/);
  });

  it('it holds anything but certificates', () => {
    const key = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' });
    refuses(issued(leaf + key), /block 2 is not a CERTIFICATE/);
    refuses(
      issued(`${leaf}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`),
      /certificate 2 of 2 is not/,
    );
    refuses(issued(leaf.slice(0, -40)), /it holds no certificate/);
  });

  it('bytes follow a certificate inside its block', () => {
    const der = Buffer.concat([new X509Certificate(leaf).raw, Buffer.from('secret')]);
    refuses(issued(pemOf(der)), /certificate 1 of 1 is not an X.509 certificate/);
  });

  it('its leaf holds another key', async () => {
    const other = await intermediate.issueLeaf({ spki: spkiOf(), ...times, subject: 'CN=other' });
    refuses(issued(other + intermediate.pem), /certificate 1 of 2 \(CN=other\) does not hold the public key/);
  });

  it('its leaf holds a key of a kind that nobody knows', () => {
    const der = new X509Certificate(leaf).raw;
    // 1.3.101.112, Ed25519, becomes 1.3.101.127.
    der[der.indexOf(Buffer.from('06032b6570', 'hex')) + 4] = 0x7f;
    refuses(issued(pemOf(der) + intermediate.pem), /certificate 1 of 2 \(no subject\) does not hold the public key/);
  });

  it('its leaf is not first', () => {
    refuses(issued(intermediate.pem + leaf), /certificate 1 of 2 \(CN=intermediate\) does not hold the public key/);
  });

  it('its certificates are in the wrong order', () => {
    refuses(
      issued(leaf + root.pem + intermediate.pem),
      /certificate 1 of 3 \(no subject\) is not issued by the one after it \(CN=root\): is the order wrong\?/,
    );
  });

  it('a certificate further up belongs to another chain', async () => {
    const stranger = await createRootAuthority('CN=stranger');
    refuses(
      issued(leaf + intermediate.pem + stranger.pem),
      /certificate 2 of 3 \(CN=intermediate\) is not issued by the one after it \(CN=stranger\)/,
    );
  });

  it('a certificate is not signed by the one after it, though the names agree', async () => {
    const namesake = await root.issueAuthority('CN=intermediate');
    refuses(
      issued(leaf + namesake.pem),
      /certificate 1 of 2 \(no subject\) is not signed with the key of the one after it \(CN=intermediate\)/,
    );
  });

  it('its times are not those of the status', () => {
    refuses(
      issued(leaf, { notBefore: now - 1000 }),
      /status.notBefore 2026-11-21T09:59:59.000Z is not the leaf's 2026/,
    );
    refuses(issued(leaf, { notAfter: now + 25 * hourMs }), /status.notAfter .* is not the leaf's/);
  });

  it('the status lacks a time', () => {
    refuses(issued(leaf, { notBefore: Number.NaN }), /status.notBefore \(missing\)/);
    refuses(issued(leaf, { notAfter: Number.NaN }), /status.notAfter \(missing\)/);
    refuses(issued(leaf, { beginRefreshAt: Number.NaN }), /status.beginRefreshAt \(missing\) does not lie between/);
  });

  it('its refresh begins outside its life', () => {
    refuses(issued(leaf, { beginRefreshAt: times.notBefore }), /status.beginRefreshAt .* does not lie between/);
    refuses(issued(leaf, { beginRefreshAt: times.notAfter }), /status.beginRefreshAt .* does not lie between/);
  });

  it('it has expired', () => {
    refuses(issued(leaf), /it expired at 2026-11-22T10:00:00.000Z, and it is 2026-11-22T10:00:00.000Z/, times.notAfter);
  });
});

it('a subject that the signer chose is cut short and kept on one line', async () => {
  const long = `CN=${'a\u0085'.repeat(40)},O=${'b'.repeat(60)},OU=${'c'.repeat(60)}`;
  const other = await intermediate.issueLeaf({ spki: spkiOf(), ...times, subject: long });
  assert.throws(
    () => verifyChain(issued(other), spki, now),
    (error: unknown) => {
      assert.ok(error instanceof AgentError);
      assert.doesNotMatch(error.message, /\p{Cc}/u);
      assert.ok(error.message.length < 300, error.message);
      return true;
    },
  );
});
