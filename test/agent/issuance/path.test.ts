import assert from 'node:assert/strict';
import { webcrypto, X509Certificate } from 'node:crypto';
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
import { certify, type Holder, makeHolder, now, type Quality } from '../../support/certificates.ts';

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
    assert.equal(
      verifiesAgainst([leaf, await cert('low', 'one')], [await certify(namesake, namesake)], now),
      false,
      'the chain leads to an anchor',
    );
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
    const long = new Uint8Array([...low, ...new Uint8Array(5_000)]);
    assert.notEqual(cas.outline(long), cas.outline(long));
    for (let index = 0; index < 64; index += 1) {
      // Another signature makes another certificate.
      cas.outline(new Uint8Array([...low.subarray(0, -1), index ^ (low.at(-1) ?? 0) ^ 128]));
    }
    assert.notEqual(cas.outline(low), first);
  });
});
