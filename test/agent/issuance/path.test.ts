import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, webcrypto, X509Certificate } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { createCertificateReader, parseCertificate } from '../../../agent/issuance/certificate.ts';
import {
  ascend,
  mostAnchorsCompared,
  mostSignatureChecks,
  mostSignatureWork,
  TooManySignatures,
  verifiesAgainst,
} from '../../../agent/issuance/path.ts';
import { certify, certifyKey, type Holder, makeHolder, now, type Quality } from '../../support/certificates.ts';

const hourMs = 3_600_000;
const names = ['leaf', 'low', 'high', 'one', 'two', 'stranger'] as const;
let holders: Record<(typeof names)[number], Holder>;
let leaf: Uint8Array;

before(async () => {
  const made = await Promise.all(names.map(async (name) => [name, await makeHolder(`CN=${name}`)] as const));
  holders = Object.fromEntries(made) as typeof holders;
  leaf = await cert('leaf', 'low', { ca: false, usage: 'other' });
});

const cert = (subject: keyof typeof holders, issuer: keyof typeof holders, quality?: Quality) =>
  certify(holders[subject], holders[issuer], quality);

/** What is kept, as positions in what was sent. */
function kept(...sent: readonly Uint8Array[]): number[] {
  const [first, ...others] = sent.map(parseCertificate);
  assert.ok(first, 'there is no first');
  return ascend(first, others, now).certificates.map(({ der }) => sent.indexOf(der));
}

describe('of a chain are kept', () => {
  it('the ways up, each certificate once, and nothing that leads nowhere', async () => {
    const [low, high, one, stranger] = [
      await cert('low', 'high'),
      await cert('high', 'one'),
      await cert('one', 'one'),
      await cert('stranger', 'two'),
    ];
    assert.deepEqual(kept(leaf, low, low, high, new Uint8Array(high), one, leaf), [0, 1, 3, 5]);
    assert.deepEqual(kept(leaf, stranger, low, stranger, high), [0, 2, 4]);
    assert.deepEqual(kept(leaf, one, high, low), [0, 3, 2, 1]);
  });

  it('both certificates of an intermediate that two roots signed, in the order of the signer', async () => {
    const [byOne, byTwo, one] = [await cert('low', 'one'), await cert('low', 'two'), await cert('one', 'one')];
    assert.deepEqual(kept(leaf, byOne, byTwo), [0, 1, 2]);
    assert.deepEqual(kept(leaf, byTwo, byOne, one), [0, 1, 2, 3]);
    assert.deepEqual(kept(leaf, byOne, byTwo, one), [0, 1, 3, 2]);
    assert.equal(verifiesAgainst([leaf, byTwo, byOne], [one], now), true, 'the chain leads to no anchor');
    assert.equal(
      verifiesAgainst([leaf, byOne, byTwo], [await cert('two', 'two')], now),
      true,
      'the chain leads to no anchor',
    );
  });

  it('two authorities that signed each other, and the root above them', async () => {
    const [byHigh, byLow] = [await cert('low', 'high'), await cert('high', 'low')];
    assert.deepEqual(kept(leaf, byHigh, byLow, await cert('high', 'one')), [0, 1, 2, 3]);
    assert.deepEqual(kept(byHigh, byLow, new Uint8Array(byHigh)), [0, 1], 'one of them is the leaf');
  });

  it('a root as the end of a way, whatever became of another certificate of its key', async () => {
    const past = await cert('one', 'two', { notBefore: now - 9 * hourMs, notAfter: now - hourMs });
    assert.deepEqual(kept(leaf, await cert('low', 'one'), await cert('one', 'one'), past), [0, 1, 2]);
  });

  it('the ways that are short enough, counted by the shortest way to each CA, in any order', async () => {
    const [a, b, c, newer, newest] = await Promise.all(
      ['CN=low', 'CN=b', 'CN=c', 'CN=c', 'CN=c'].map((name) => makeHolder(name)),
    );
    assert.ok(a && b && c && newer && newest, 'there are five holders');
    const end = await certify(holders.leaf, a, { ca: false });
    // Over b there are two CAs below c. Those that c signed for its next keys are self-issued and do not count.
    const overB = [await certify(a, b), await certify(b, c)];
    const overC = [await certify(a, newest), await certify(newest, newer), await certify(newer, c)];
    const top = [await certify(c, holders.one), await cert('one', 'one', { pathLength: 2 })];
    for (const sent of [
      [...overB, ...overC, ...top],
      [...overC, ...overB, ...top],
      [...top, ...overB.toReversed(), ...overC.toReversed()],
    ]) {
      assert.deepEqual(
        kept(end, ...sent).toSorted((one, other) => one - other),
        [0, 1, 2, 3, 4, 5, 6, 7],
      );
    }
  });

  it('the good way only, where another is blocked', async () => {
    const expired = await cert('low', 'two', { notBefore: now - 9 * hourMs, notAfter: now - hourMs });
    assert.deepEqual(kept(leaf, expired, await cert('low', 'one')), [0, 2]);
  });

  it('what stands below a root that has run out: its successor may be among the anchors', async () => {
    const [low, past] = [await cert('low', 'one'), await cert('one', 'one', { notAfter: now - 1000, notBefore: 0 })];
    assert.deepEqual(kept(leaf, low, past), [0, 1]);
    assert.equal(
      verifiesAgainst([leaf, low, past], [past, await cert('one', 'one')], now),
      true,
      'the chain leads to no anchor',
    );
    assert.equal(verifiesAgainst([leaf, low], [past], now), false, 'the chain leads to an anchor');
  });
});

describe('no way leads up over', () => {
  const blocked: Record<string, Quality> = {
    'an intermediate with CA:FALSE': { ca: false },
    'an intermediate without basicConstraints': { ca: 'absent' },
    'an intermediate without keyCertSign': { usage: 'other' },
    'an intermediate that has expired': { notAfter: now - 1000 },
    'an intermediate that is not valid yet': { notBefore: now + hourMs },
  };
  for (const [what, quality] of Object.entries(blocked)) {
    it(what, async () => {
      const [good, bad] = [await cert('low', 'high'), await cert('low', 'high', quality)];
      const [above, badAbove, root] = [
        await cert('high', 'one'),
        await cert('high', 'one', quality),
        await cert('one', 'one'),
      ];
      assert.deepEqual(kept(leaf, bad, above), []);
      assert.deepEqual(kept(leaf, good, badAbove), []);
      assert.equal(verifiesAgainst([leaf, good, above], [root], now), true, 'the chain leads to no anchor');
      assert.equal(verifiesAgainst([leaf, bad, above], [root], now), false, 'the chain leads to an anchor');
      assert.equal(verifiesAgainst([leaf, good, badAbove], [root], now), false, 'the chain leads to an anchor');
    });
  }

  it('a path longer than a CA on it allows, where self-issued certificates do not count', async () => {
    const [low, high, none] = [
      await cert('low', 'high'),
      await cert('high', 'one', { pathLength: 1 }),
      await cert('high', 'one', { pathLength: 0 }),
    ];
    assert.deepEqual(kept(leaf, low, high), [0, 1, 2]);
    assert.deepEqual(kept(leaf, low, none), []);
    const [rolled, top] = [await makeHolder('CN=low'), await cert('high', 'one', { pathLength: 1 })];
    const [selfIssued, newest] = [await certify(holders.low, rolled), await certify(rolled, holders.high)];
    assert.deepEqual(kept(leaf, selfIssued, newest, top), [0, 1, 2, 3]);
    const root = await cert('one', 'one', { pathLength: 0 });
    assert.equal(verifiesAgainst([leaf, low, high], [root], now), false, 'the chain leads to an anchor');
    assert.deepEqual(kept(leaf, await cert('low', 'one', { pathLength: 0 })), [0, 1], 'the leaf does not count');
    const [free, short, long] = [
      await cert('high', 'one'),
      await cert('one', 'one', { pathLength: 1 }),
      await cert('one', 'one', { pathLength: 2 }),
    ];
    assert.deepEqual(kept(leaf, low, free, short), []);
    assert.deepEqual(kept(leaf, low, free, long), [0, 1, 2, 3]);
  });

  it('several, and each is told, beginning with the first that was sent, and what is wrong with the CA before its place', async () => {
    const expired = { notBefore: now - 9 * hourMs, notAfter: now - hourMs, pathLength: 0 };
    const sent = [
      await cert('low', 'high'),
      await cert('low', 'one'),
      await cert('high', 'two', expired),
      await cert('one', 'two', expired),
    ];
    const { faults } = ascend(parseCertificate(leaf), sent.map(parseCertificate), now);
    assert.deepEqual(
      faults.map(({ certificate, issuer, why }) => [sent.indexOf(certificate.der), sent.indexOf(issuer.der), why]),
      [
        [0, 2, `expired at ${new Date(now - hourMs).toISOString()}`],
        [1, 3, `expired at ${new Date(now - hourMs).toISOString()}`],
      ],
    );
  });
});

describe('a chain leads to an anchor', () => {
  it('that is a root, an intermediate of it, or the leaf itself, and to no other', async () => {
    const [low, one, stranger] = [await cert('low', 'one'), await cert('one', 'one'), await cert('two', 'two')];
    assert.equal(verifiesAgainst([leaf, low], [stranger, one], now), true, 'the chain leads to no anchor');
    assert.equal(verifiesAgainst([leaf, low], [low], now), true, 'the chain leads to no anchor');
    assert.equal(verifiesAgainst([leaf], [low], now), true, 'the chain leads to no anchor');
    assert.equal(verifiesAgainst([leaf], [leaf], now), true, 'the chain leads to no anchor');
    assert.equal(verifiesAgainst([leaf, low], [stranger], now), false);
  });

  it('or not, is not said without anchors, with too many, or where what cannot be read may be missing', async () => {
    const [low, one, stranger] = [await cert('low', 'one'), await cert('one', 'one'), await cert('two', 'two')];
    const strangers = (count: number): Uint8Array[] => Array.from({ length: count }, () => stranger);
    assert.equal(verifiesAgainst([leaf, low], [], now), undefined);
    assert.equal(verifiesAgainst([], [one], now), undefined);
    assert.equal(verifiesAgainst([leaf.subarray(1), low], [one], now), undefined);
    assert.equal(verifiesAgainst([leaf, low], [stranger, stranger.subarray(1)], now), undefined);
    assert.equal(verifiesAgainst([leaf, low], [stranger.subarray(1), one], now), true);
    const another = Buffer.from(one);
    const ecPublicKey = Buffer.from('2a8648ce3d0201', 'hex');
    another[another.indexOf(ecPublicKey) + ecPublicKey.length - 1] = 9;
    assert.equal(verifiesAgainst([leaf, low], [stranger, another], now), undefined);
    assert.equal(verifiesAgainst([leaf], [stranger, another], now), false);
    assert.equal(verifiesAgainst([leaf, low], strangers(mostAnchorsCompared), now), false);
    assert.equal(verifiesAgainst([leaf, low], strangers(mostAnchorsCompared + 1), now), undefined);
  });

  it('of a name of any length, and not to one of another long name', async () => {
    const long = (end: string): string => `CN=${'long '.repeat(200)}${end}`;
    const [root, other] = await Promise.all([makeHolder(long('one')), makeHolder(long('two'))]);
    const below = await certify(holders.low, root);
    assert.equal(
      verifiesAgainst([leaf, below], [await certify(root, root)], now),
      true,
      'the chain leads to no anchor',
    );
    assert.equal(
      verifiesAgainst([leaf, below], [await certify(other, other)], now),
      false,
      'the chain leads to an anchor',
    );
  });

  it('not to a namesake with another key', async () => {
    const namesake = await makeHolder('CN=one');
    const anchor = await certify(namesake, namesake);
    const chain = [leaf, await cert('low', 'one')];
    assert.equal(verifiesAgainst(chain, [anchor], now), false, 'the chain leads to an anchor');
    const withRoot = [...chain, await cert('one', 'one')];
    assert.equal(verifiesAgainst(withRoot, [anchor], now), false, 'the chain leads to an anchor');
  });
});

it('certificates of one name cost no more signatures than the limit', async () => {
  const ring = await Promise.all(Array.from({ length: 12 }, () => makeHolder('CN=low')));
  const next = (index: number): Holder => ring[(index + 1) % ring.length] ?? holders.low;
  const others = await Promise.all(ring.map((subject, index) => certify(subject, next(index))));
  const below = parseCertificate(await certify(holders.leaf, next(0), { ca: false }));
  assert.ok(others.length ** 2 > mostSignatureChecks, `${others.length ** 2} is not more than ${mostSignatureChecks}`);
  assert.throws(() => ascend(below, others.map(parseCertificate), now), TooManySignatures);
  assert.equal(verifiesAgainst([below.der, ...others], [await cert('one', 'one')], now), undefined);
});

it('certificates of one name with keys that take long cost no more work than the limit', async () => {
  const long = { name: 'ECDSA', namedCurve: 'P-521' };
  const [low, high] = await Promise.all(
    ['CN=low', 'CN=high'].map(
      async (name): Promise<Holder> => ({
        name,
        keys: await webcrypto.subtle.generateKey(long, true, ['sign', 'verify']),
      }),
    ),
  );
  assert.ok(low && high, 'there are two holders');
  const below = parseCertificate(await certify(holders.leaf, low, { ca: false }));
  const others = async (count: number) =>
    (await Promise.all(Array.from({ length: count }, () => certify(low, high)))).map(parseCertificate);
  // Each signature of P-521 takes eight units.
  const most = mostSignatureWork / 8;
  assert.equal(ascend(below, await others(most), now).certificates.length, most + 1);
  const tooMany = await others(most + 1);
  assert.ok(tooMany.length < mostSignatureChecks, 'they are fewer than the signatures of any kind');
  assert.throws(() => ascend(below, tooMany, now), TooManySignatures);
  const short = await makeHolder('CN=low');
  const withOneMore = [parseCertificate(await certify(short, high)), ...(await others(most))];
  assert.throws(() => ascend(below, withOneMore, now), TooManySignatures);
});

/** SubjectPublicKeyInfo of an RSA key of so many bits, which nobody has. */
function rsaKey(bits: number, exponent = 65_537n, oid = '2a864886f70d010101'): Uint8Array {
  const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
    const content = Buffer.concat(parts);
    return Buffer.concat([Uint8Array.of(tag, 0x82, content.length >> 8, content.length & 0xff), content]);
  };
  const integer = (hex: string): Buffer => der(2, Buffer.from(`00${hex.length % 2 === 0 ? '' : '0'}${hex}`, 'hex'));
  const key = der(0x30, integer('f'.repeat(bits / 4)), integer(exponent.toString(16)));
  return der(0x30, der(0x30, der(6, Buffer.from(oid, 'hex'))), der(3, Uint8Array.of(0), key));
}

it('each kind of key has its weight, so that no chain costs more than the limit', async () => {
  const spki = (key: KeyObject): Uint8Array => key.export({ type: 'spki', format: 'der' });
  const curve = (namedCurve: string): Uint8Array => spki(generateKeyPairSync('ec', { namedCurve }).publicKey);
  const p521 = curve('P-521');
  const weights: readonly (readonly [string, number, Uint8Array])[] = [
    ['P-256', 1, curve('P-256')],
    ['P-384', 4, curve('P-384')],
    ['P-521', 8, p521],
    ['a curve that nobody uses', 32, curve('secp256k1')],
    ['Ed25519', 1, spki(generateKeyPairSync('ed25519').publicKey)],
    ['DSA', 32, spki(generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }).publicKey)],
    ['RSA of 4096 bits', 1, rsaKey(4096)],
    ['RSA of 4104 bits', 4, rsaKey(4104)],
    ['RSA of 8192 bits', 4, rsaKey(8192)],
    ['RSA of 8200 bits', 32, rsaKey(8200)],
    ['RSA with a usual exponent', 1, rsaKey(2048, 2n ** 32n - 1n)],
    ['RSA with a long exponent', 32, rsaKey(2048, 2n ** 32n + 1n)],
    ['RSA-PSS of 4104 bits', 4, rsaKey(4104, 65_537n, '2a864886f70d01010a')],
  ];
  const below = parseCertificate(await certify(holders.leaf, holders.low, { ca: false }));
  const candidates = (key: Uint8Array, count: number) =>
    Promise.all(Array.from({ length: count }, () => certifyKey(key, holders.high, { subject: 'CN=low' })));
  // With these, there is room for eight units more.
  const others = (await candidates(p521, 11)).map(parseCertificate);
  for (const [what, weight, key] of weights) {
    const fitting = Math.floor(8 / weight);
    const some = (await candidates(key, fitting + 1)).map(parseCertificate);
    assert.equal(ascend(below, [...some.slice(1), ...others], now).certificates.length, 1, what);
    assert.throws(() => ascend(below, [...some, ...others], now), TooManySignatures, what);
  }
});

it('24 signatures are checked for one chain, and not one more', async () => {
  const below = parseCertificate(await certify(holders.leaf, holders.low, { ca: false }));
  const others = await Promise.all(Array.from({ length: 25 }, () => certify(holders.low, holders.high)));
  const candidates = others.map(parseCertificate);
  assert.equal(ascend(below, candidates.slice(1), now).certificates.length, 25);
  assert.throws(() => ascend(below, candidates, now), TooManySignatures);
});

describe('CAs that are remembered', () => {
  it('lead wherever they do when they are read anew, in any order of chains, anchors and times', async () => {
    const low = await cert('low', 'one');
    const [one, two, past] = [await cert('one', 'one'), await cert('two', 'two'), await cert('low', 'two')];
    const broken = new Uint8Array([...low, 0]);
    const cas = createCertificateReader();
    for (const round of [1, 2]) {
      for (const chain of [[leaf, low], [leaf], [leaf, broken], [leaf, low, past], [low, low], [leaf, leaf, low], []]) {
        for (const anchors of [[one], [two], [low], [one, two, one], [broken], [leaf], []]) {
          for (const at of anchors.length === 1 ? [now, now + 400 * 24 * hourMs] : [now]) {
            assert.equal(
              verifiesAgainst(chain, anchors, at, cas),
              verifiesAgainst(chain, anchors, at),
              `round ${round}`,
            );
          }
        }
      }
    }
  });

  it('have each signature checked once, and a signature that is wrong stays wrong', async (t) => {
    const [low, one] = [await cert('low', 'one'), await cert('one', 'one')];
    const forged = Uint8Array.from(leaf);
    forged.set([(leaf.at(-1) ?? 0) ^ 1], leaf.length - 1);
    const reader = createCertificateReader();
    const verify = t.mock.method(X509Certificate.prototype, 'verify');
    assert.equal(verifiesAgainst([leaf, low], [one], now, reader), true);
    const once = verify.mock.callCount();
    assert.equal(verifiesAgainst([leaf, low], [one], now, reader), true);
    assert.equal(verify.mock.callCount(), once);
    for (const _round of [1, 2]) {
      assert.equal(verifiesAgainst([forged, low], [one], now, reader), false);
    }
    assert.equal(verify.mock.callCount(), once + 1, 'the forged leaf is looked at once more');
  });

  it('are parsed once for all pods, and hold on to no more bytes than their own', async () => {
    const low = await cert('low', 'one');
    const cas = createCertificateReader();
    const within = new Uint8Array(100_000);
    within.set(low);
    const first = cas.outline(within.subarray(0, low.length));
    assert.equal(cas.parse(low).x509(), first.x509());
    assert.equal(first.der.buffer.byteLength, low.length);
    const padded = (length: number): Uint8Array => new Uint8Array([...low, ...new Uint8Array(length - low.length)]);
    assert.equal(cas.outline(padded(4_096)), cas.outline(padded(4_096)));
    assert.notEqual(cas.outline(padded(4_097)), cas.outline(padded(4_097)));
    for (let index = 0; index < 64; index += 1) {
      // Another signature makes another certificate.
      cas.outline(new Uint8Array([...low.subarray(0, -1), index ^ (low.at(-1) ?? 0) ^ 128]));
    }
    assert.notEqual(cas.outline(low), first);
  });
});
