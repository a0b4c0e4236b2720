/** What a signer may answer: a good chain, and every kind of wrong one. */
import { generateKeyPairSync } from 'node:crypto';
import { certify, certifyKey, type Holder, makeHolder, pemOf } from '../../support/certificates.ts';

const hourMs = 3_600_000;

export interface Times {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Whoever signs: a root and an intermediate, which is of no use in one of two forms. */
export interface Signatory {
  readonly holder: Holder;
  readonly intermediate: Uint8Array;
  /** The same without the right to sign certificates. */
  readonly unusable: Uint8Array;
}

/** Who signs for whom, and until when. */
interface Asked extends Signatory {
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly times: Times;
}

export async function makeSignatory(name: string): Promise<Signatory> {
  const root = await makeHolder(`CN=${name} root`);
  const holder = await makeHolder(`CN=${name} intermediate`);
  const validity = { notBefore: Date.now() - 24 * hourMs, notAfter: Date.now() + 1000 * hourMs };
  return {
    holder,
    intermediate: await certify(holder, root, validity),
    unusable: await certify(holder, root, { ...validity, usage: 'other' }),
  };
}

async function leaf({ spki, holder }: Asked, { notBefore, notAfter }: Times): Promise<Uint8Array> {
  return certifyKey(spki, holder, { notBefore, notAfter, names: [{ type: 'dns', value: 'web.example' }] });
}

export async function goodChain(asked: Asked): Promise<string> {
  return pemOf(await leaf(asked, asked.times), asked.intermediate);
}

/** Nobody's. */
const otherKey = (): Uint8Array =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' });

const moved = ({ notBefore, notAfter }: Times, byMs: number): Times => ({
  notBefore: notBefore + byMs,
  notAfter: notAfter + byMs,
});

/** Chains that no pod may get. */
export const wrongChains = {
  'for another key': async (asked) =>
    pemOf(await leaf({ ...asked, spki: otherKey() }, asked.times), asked.intermediate),
  expired: async (asked) => pemOf(await leaf(asked, moved(asked.times, -2 * hourMs)), asked.intermediate),
  'not valid yet': async (asked) => pemOf(await leaf(asked, moved(asked.times, 2 * hourMs)), asked.intermediate),
  'by a certificate that may not sign any': async (asked) => pemOf(await leaf(asked, asked.times), asked.unusable),
  'out of order': async (asked) => pemOf(asked.intermediate, await leaf(asked, asked.times)),
  'without its intermediate but with another': async (asked) =>
    pemOf(await leaf(asked, asked.times), (await makeSignatory('other')).intermediate),
  'of nonsense in PEM': async () => pemOf(Buffer.from('this is not a certificate')),
  'of nonsense': async () => 'hello',
  'of a block that is cut off': async (asked) => (await goodChain(asked)).slice(0, 300),
  'that is empty': async () => '',
  'of a megabyte': async (asked) => (await goodChain(asked)).repeat(1000),
} as const satisfies Readonly<Record<string, (asked: Asked) => Promise<string>>>;

export type WrongChain = keyof typeof wrongChains;
