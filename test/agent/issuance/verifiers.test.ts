/** Go's and OpenSSL's verifiers beside ours, over chains put together at random. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { parseCertificate } from '../../../agent/issuance/certificate.ts';
import { ascend, verifiesAgainst } from '../../../agent/issuance/path.ts';
import { certify, makeHolder, now, pemOf, type Quality } from '../../support/certificates.ts';
import { buildGoProgram, goIsMissing } from '../../support/go.ts';
import { createOpenSsl, type OpenSsl } from '../../support/openssl.ts';

interface Case {
  readonly chain: readonly Uint8Array[];
  readonly roots: readonly Uint8Array[];
}

const hourMs = 3_600_000;
const good: Quality = {};
const qualities: readonly Quality[] = [
  good,
  good,
  { pathLength: 0 },
  { pathLength: 1 },
  { usage: 'none' },
  { ca: false },
  { ca: 'absent' },
  { usage: 'other' },
  { notBefore: now - 9 * hourMs, notAfter: now - hourMs },
  { notBefore: now + hourMs },
];
let cases: readonly Case[];

before(async () => {
  const middle = await Promise.all(['CN=a', 'CN=b', 'CN=c'].map(makeHolder));
  const top = await Promise.all(['CN=one', 'CN=two'].map(makeHolder));
  const roots = await Promise.all(top.map((root) => certify(root, root)));
  const leafOf = await makeHolder('CN=leaf');
  const leaves = await Promise.all(middle.map((issuer) => certify(leafOf, issuer, { ca: false, usage: 'other' })));
  const pairs = middle.flatMap((subject) => [...middle, ...top].map((issuer) => [subject, issuer] as const));
  const pool = await Promise.all(
    pairs
      .filter(([subject, issuer]) => subject !== issuer)
      .flatMap(([subject, issuer]) => qualities.map((quality) => certify(subject, issuer, quality))),
  );
  const sane = pool.filter((_, index) => index % qualities.length < 2);
  const others = fc.array(fc.oneof(fc.constantFrom(...sane), fc.constantFrom(...pool), fc.constantFrom(...roots)), {
    maxLength: 7,
  });
  const one = fc
    .tuple(fc.constantFrom(...leaves), others, fc.subarray(roots, { minLength: 1 }))
    .map(([leaf, beside, anchors]): Case => ({ chain: [leaf, ...beside], roots: anchors }));
  cases = fc.sample(one, { numRuns: 1_500, seed: 20261126 });
});

describe('a chain at random', () => {
  it('is accepted as Go accepts it, and what is kept of it too', { skip: goIsMissing, timeout: 300_000 }, () => {
    const program = buildGoProgram('chains');
    const whole = askGo(program.ask, cases);
    const rest = cases.map((each) => ({ ...each, chain: keptOf(each) }));
    const verdicts = askGo(
      program.ask,
      rest.map((each, index) => (each.chain.length > 0 ? each : (cases[index] ?? each))),
    );
    for (const [index, each] of cases.entries()) {
      agree(verifiesAgainst(each.chain, each.roots, now), whole[index], each);
      agree(verdicts[index], whole[index], { ...each, chain: keptOf(each) });
      if (whole[index]) {
        agree(keptOf(each).length > 0, true, each);
      }
    }
    const accepted = whole.filter(Boolean).length;
    assert.ok(accepted > 250 && accepted < 1_250, `${accepted} of ${cases.length} are accepted`);
  });

  it('is accepted where OpenSSL accepts it, and what is kept of it is accepted by OpenSSL', async () => {
    const openssl = createOpenSsl();
    let accepted = 0;
    for (const each of cases.slice(0, 120)) {
      if (!(await isAccepted(openssl, each))) {
        continue;
      }
      accepted += 1;
      agree(verifiesAgainst(each.chain, each.roots, now), true, each);
      const kept = { ...each, chain: keptOf(each) };
      agree(await isAccepted(openssl, kept), true, kept);
    }
    assert.ok(accepted > 10, `${accepted} are accepted`);
  });

  it('of which nothing is kept is accepted by neither', () => {
    for (const each of cases) {
      if (keptOf(each).length === 0) {
        agree(verifiesAgainst(each.chain, each.roots, now), false, each);
      }
    }
  });
});

/** The words are put together only when they are needed. */
function agree(one: boolean | undefined, other: boolean | undefined, each: Case): void {
  if (one !== other) {
    assert.equal(one, other, describeCase(each));
  }
}

function keptOf({ chain }: Case): Uint8Array[] {
  const [leaf, ...others] = chain.map(parseCertificate);
  assert.ok(leaf, 'there is no leaf');
  return ascend(leaf, others, now).certificates.map(({ der }) => der);
}

function askGo(ask: (question: unknown) => unknown, all: readonly Case[]): boolean[] {
  const coded = (ders: readonly Uint8Array[]): string[] => ders.map((der) => Buffer.from(der).toString('base64'));
  const answers = ask(all.map(({ chain, roots }) => ({ chain: coded(chain), roots: coded(roots), now })));
  assert.ok(
    Array.isArray(answers) && answers.length === all.length,
    'Go answered something else than one answer for each chain',
  );
  return answers.map((answer) => answer === true);
}

async function isAccepted(openssl: OpenSsl, { chain, roots }: Case): Promise<boolean> {
  const [leaf, ...others] = chain;
  assert.ok(leaf, 'there is no leaf');
  const file = (...ders: readonly Uint8Array[]): Buffer => Buffer.from(pemOf(...ders));
  const untrusted = others.length === 0 ? [] : ['-untrusted', file(...others)];
  const time = ['-attime', String(now / 1000)];
  try {
    await openssl.run(
      'verify',
      '-no-CAfile',
      '-no-CApath',
      ...time,
      '-trusted',
      file(...roots),
      ...untrusted,
      file(leaf),
    );
    return true;
  } catch (error) {
    assert.match(String(error), /verification failed/);
    return false;
  }
}

function describeCase({ chain, roots }: Case): string {
  const line = (der: Uint8Array): string => {
    const { subject, issuer, ca, validFrom, validTo } = parseCertificate(der).x509();
    return `${subject} by ${issuer}${ca ? '' : ' (no CA)'} ${validFrom} to ${validTo}`;
  };
  return `${chain.map(line).join('\n')}\nroots: ${roots.map(line).join(', ')}`;
}
