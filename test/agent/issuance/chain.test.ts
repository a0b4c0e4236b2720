import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { verifyChain } from '../../../agent/issuance/chain.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import type { Outcome } from '../../../agent/lifecycle/ports.ts';
import { keyTypes } from '../../../volumes/declaration/key-types.ts';
import {
  certify,
  certifyKey,
  createRootAuthority,
  type Holder,
  makeHolder,
  now,
  pemOf,
  type Quality,
  type TestAuthority,
} from '../../support/certificates.ts';

type Issued = Outcome & { readonly type: 'issued' };

const hourMs = 3_600_000;
const times = { notBefore: now, notAfter: now + 24 * hourMs, beginRefreshAt: now + 12 * hourMs };
const validity = { notBefore: now - 24 * hourMs, notAfter: now + 72 * hourMs };
const spkiOf = () => generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' });
const spki = spkiOf();

let root: TestAuthority;
let intermediate: TestAuthority;
let leaf: string;

before(async () => {
  root = await createRootAuthority('CN=root', validity);
  intermediate = await root.issueAuthority('CN=intermediate', validity);
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
      assert.ok(error instanceof AgentError, `${error} is no AgentError`);
      assert.deepEqual([error.code, error.actor], ['InvalidChain', 'signer']);
      assert.match(error.message, /^the certificate chain cannot be used: /);
      assert.match(error.message, why);
      return true;
    },
  );
}

/** Both dates of a certificate have the form YYMMDDhhmmssZ: the month of one becomes 99. */
function withoutDate(certificate: Uint8Array, date: number): Buffer {
  const der = Buffer.from(certificate);
  const [at] = [...der.toString('latin1').matchAll(/\d{12}Z/g)].map(({ index }) => index).slice(date);
  der.write('99', (at ?? assert.fail('there is no date')) + 2, 'latin1');
  return der;
}

describe('a chain that is accepted', () => {
  it('gives its certificates as DER, leaf first, with serial number and times', () => {
    const chain = verifyChain(issued(leaf + intermediate.pem), spki, now);
    const expected = [leaf, intermediate.pem].map((pem) => new Uint8Array(new X509Certificate(pem).raw));
    assert.deepEqual(chain, { certificates: expected, serialNumber: 'AB12CD', names: 'DNS:leaf.example', ...times });
  });

  it('says no more of a serial number than is kept, whatever the signer makes of it', async () => {
    for (const [octets, kept] of [
      [64, 128],
      [65, 128],
      [200, 128],
    ] as const) {
      const long = await intermediate.issueLeaf({ spki, ...times, serialNumber: '4a'.repeat(octets) });
      assert.equal(verifyChain(issued(long + intermediate.pem), spki, now).serialNumber, '4A'.repeat(kept / 2));
    }
  });

  it('says which names the leaf has: none, or so many that they are cut', async () => {
    const nameless = await intermediate.issueLeaf({ spki, ...times, names: [] });
    assert.equal(verifyChain(issued(nameless), spki, now).names, '');
    const names = Array.from({ length: 500 }, (_, index) => ({ type: 'dns', value: `n${index}.example` }) as const);
    const many = await intermediate.issueLeaf({ spki, ...times, names });
    const said = verifyChain(issued(many), spki, now).names ?? '';
    assert.match(said, /^DNS:n0\.example, DNS:n1\.example, .*…$/);
    assert.ok(said.length <= 301, `${said.length} characters`);
  });

  it('needs no root and no intermediate, also where the leaf is sent twice', () => {
    assert.equal(verifyChain(issued(leaf), spki, now).certificates.length, 1);
    assert.equal(verifyChain(issued(leaf + leaf), spki, now).certificates.length, 1);
  });

  it('may hold what blocks one way up beside another way, and a root of the past, whose successor may be an anchor', async () => {
    const [low, high, one] = await Promise.all(['CN=low', 'CN=high', 'CN=one'].map(makeHolder));
    assert.ok(low && high && one, 'there is no low or no high or no one');
    const past: Quality = { notBefore: now - 9 * hourMs, notAfter: now - hourMs };
    const below = await certifyKey(spki, low, times);
    const good = await certify(low, one);
    const chain = verifyChain(issued(pemOf(below, await certify(low, high, past), good)), spki, now);
    assert.deepEqual(chain.certificates, [below, good]);
    const ofPast = verifyChain(issued(pemOf(below, await certify(low, low, past))), spki, now);
    assert.deepEqual(ofPast.certificates, [below]);
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

  it('may be from a signer whose clock is ahead, with an intermediate as young as its leaf', async () => {
    const young = await root.issueAuthority('CN=young', { notBefore: now, notAfter: now + 72 * hourMs });
    const early = await young.issueLeaf({ spki, ...times });
    assert.doesNotThrow(() => verifyChain(issued(early + young.pem), spki, now - hourMs / 12));
  });

  it('may hold certificates twice, in any order after the leaf, and some that lead nowhere: they are left out', async () => {
    const stranger = await createRootAuthority('CN=stranger', validity);
    const sent = leaf + root.pem + stranger.pem + intermediate.pem + root.pem + leaf + intermediate.pem;
    const expected = [leaf, intermediate.pem, root.pem].map((pem) => new Uint8Array(new X509Certificate(pem).raw));
    assert.deepEqual(verifyChain(issued(sent), spki, now).certificates, expected);
  });

  it('keeps an intermediate that two roots signed as often as they did, in the order of the signer', async () => {
    const [low, one, two] = await Promise.all(['CN=low', 'CN=one', 'CN=two'].map(makeHolder));
    assert.ok(low && one && two, 'there is no low or no one or no two');
    const crossed = [await certify(low, two), await certify(low, one)];
    const below = pemOf(await certifyKey(spki, low, times));
    const chain = verifyChain(issued(below + pemOf(...crossed)), spki, now);
    assert.deepEqual(chain.certificates.slice(1), crossed);
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
    const room = 102_400 - leaf.length;
    assert.doesNotThrow(() => verifyChain(issued(leaf + '\n'.repeat(room)), spki, now));
    refuses(issued(leaf + '\n'.repeat(room + 1)), /it has 102401 bytes, more than 102400/);
    refuses(issued(`# ä${leaf}${'\n'.repeat(room - 3)}`), /it has 102401 bytes, more than 102400/);
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

  it('none of the certificates after its leaf issued it', () => {
    refuses(
      issued(leaf + root.pem),
      /certificate 1 of 2 \(no subject\) is issued by none of the certificates after it: is an intermediate missing\?/,
    );
  });

  it('what signed its leaf, or signed that, may sign nothing', async () => {
    const [low, high, one] = await Promise.all(['CN=low', 'CN=high', 'CN=one'].map(makeHolder));
    assert.ok(low && high && one, 'there is no low or no high or no one');
    const below = pemOf(await certifyKey(spki, low, times));
    const rows: [Quality, RegExp][] = [
      [{ ca: false }, /is no CA: it needs basicConstraints CA:TRUE/],
      [{ ca: 'absent' }, /is no CA/],
      [{ usage: 'other' }, /is no CA: .* keyCertSign/],
      [{ notAfter: now - 1000 }, /expired at 2026-11-21T09:59:59.000Z/],
      [{ notBefore: now + hourMs }, /is not valid before 2026-11-21T11:00:00.000Z/],
    ];
    for (const [quality, why] of rows) {
      refuses(issued(below + pemOf(await certify(low, high, quality), await certify(high, one))), why);
      refuses(issued(below + pemOf(await certify(low, high), await certify(high, one, quality))), why);
    }
    refuses(
      issued(below + pemOf(await certify(low, high), await certify(high, one, { pathLength: 0 }))),
      /certificate 3 of 3 \(CN=high\), which signed certificate 2 of 3 \(CN=low\), allows 0 CA\(s\) .* and 1 are there/,
    );
  });

  it('what signed its leaf has dates that nobody can read', async () => {
    const [low, high] = await Promise.all(['CN=low', 'CN=high'].map(makeHolder));
    assert.ok(low && high, 'there is no low or no high');
    const below = pemOf(await certifyKey(spki, low, times));
    for (const date of [0, 1]) {
      const der = withoutDate(await certify(low, high), date);
      refuses(
        issued(below + pemOf(der)),
        /certificate 2 of 2 \(CN=low\), which signed .*, has a date that cannot be read/,
      );
    }
  });

  it('its leaf has a date that nobody can read, whatever the status says', async () => {
    const [low] = await Promise.all(['CN=low'].map(makeHolder));
    assert.ok(low, 'there is no low');
    for (const date of [0, 1]) {
      const leafless = pemOf(withoutDate(await certifyKey(spki, low, times), date));
      refuses(issued(leafless), /\(missing\)/);
      for (const missing of [Number.NaN, 0]) {
        refuses(issued(leafless, { [['notBefore', 'notAfter'][date] ?? '']: missing }), /\(missing\)/);
      }
    }
  });

  it('it holds more certificates than a chain needs, or of one name more than can be checked', async () => {
    assert.doesNotThrow(() => verifyChain(issued(leaf + intermediate.pem.repeat(31)), spki, now));
    refuses(issued(leaf + intermediate.pem.repeat(32)), /it holds 33 certificates, more than 32/);
    const ring = await Promise.all(Array.from({ length: 12 }, () => makeHolder('CN=ring')));
    const next = (index: number): Holder => ring[(index + 1) % ring.length] ?? assert.fail();
    const others = await Promise.all(ring.map((subject, index) => certify(subject, next(index))));
    const below = pemOf(await certifyKey(spki, next(0), times));
    refuses(issued(below + pemOf(...others)), /it takes more than 24 signatures to check/);
  });

  it('a certificate is not signed by the one after it, though the names agree', async () => {
    const namesake = await root.issueAuthority('CN=intermediate', validity);
    refuses(
      issued(leaf + namesake.pem),
      /certificate 1 of 2 \(no subject\) is not signed with the key of certificate 2 of 2 \(CN=intermediate\), which/,
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
    refuses(
      issued(leaf, { beginRefreshAt: times.notAfter }),
      /status\.beginRefreshAt .* does not lie between 2026-11-21T10:00:00\.000Z and 2026-11-22T10:00:00\.000Z$/,
    );
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
      assert.ok(error instanceof AgentError, `${error} is no AgentError`);
      assert.doesNotMatch(error.message, /\p{Cc}/u);
      assert.ok(error.message.length < 300, error.message);
      return true;
    },
  );
});

it('the parts of a subject stand in a row, with a comma for whatever parts them', async () => {
  const other = await intermediate.issueLeaf({ spki: spkiOf(), ...times, subject: 'CN=a\u0085\u0085b,O=c' });
  refuses(issued(other), /certificate 1 of 1 \(CN=a, b, O=c\) does not hold/);
});
