/**
 * The CAs of a signer as its Secret holds them: `authorities.json` with keys and dates, and `ca.crt`, the trust anchors, for people and for
 * clusters without ClusterTrustBundles. What cannot be read is left as it is: a CA that is overwritten cannot be had back.
 */
import { X509Certificate } from 'node:crypto';
import * as v from 'valibot';
import { AgentError } from '../../agent/base/errors.ts';
import { type Validity, validityOf } from '../../agent/base/validity.ts';
import { isWhole } from './authority.ts';
import { anchorsOf, type Generation } from './succession.ts';

/** `data` of a Secret: base64 by key. */
export type SecretData = Readonly<Record<string, string>>;

const stateKey = 'authorities.json';
const anchorsKey = 'ca.crt';
/** Three are alive at a time at most: one that signs, its successor, and its predecessor. */
const mostGenerations = 8;

/** As text that has the form of a time, and can be told. */
const time = v.pipe(
  v.string(),
  v.isoTimestamp(),
  v.check((text) => !Number.isNaN(Date.parse(text))),
);

const stored = v.pipe(
  v.array(
    v.strictObject({
      certificate: v.string(),
      privateKey: v.exactOptional(v.string()),
      publishedAt: v.exactOptional(time),
      longestLeafSeconds: v.pipe(v.number(), v.minValue(0)),
      neededUntil: v.exactOptional(time),
    }),
  ),
  v.maxLength(mostGenerations),
);

export function writeGenerations(generations: readonly Generation[]): SecretData {
  const rows = generations.map(({ certificate, privateKey, publishedAt, longestLeafMs, neededUntil }) => ({
    certificate,
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(publishedAt === undefined ? {} : { publishedAt: new Date(publishedAt).toISOString() }),
    longestLeafSeconds: longestLeafMs / 1000,
    ...(neededUntil === undefined ? {} : { neededUntil: new Date(neededUntil).toISOString() }),
  }));
  return { [stateKey]: base64(JSON.stringify(rows)), [anchorsKey]: base64(anchorsOf(generations)) };
}

/**
 * @param where names the Secret, for the message
 * @returns nothing for a Secret that holds no CA yet
 * @throws AgentError Rejected, which quotes nothing of what it read
 */
export function readGenerations(data: SecretData, where: string): readonly Generation[] {
  const text = data[stateKey];
  if (text === undefined) {
    return [];
  }
  const rows = v.safeParse(stored, parsed(Buffer.from(text, 'base64').toString('utf8')));
  if (!rows.success) {
    throw damaged(where, `${stateKey} is not what this signer writes`);
  }
  return rows.output.map(({ certificate, privateKey, publishedAt, longestLeafSeconds, neededUntil }, index) => {
    if (privateKey !== undefined && !isWhole(certificate, privateKey)) {
      throw damaged(where, `key and certificate of entry ${index} do not belong together`);
    }
    return {
      certificate,
      ...lifeOf(certificate, where, index),
      ...(privateKey === undefined ? {} : { privateKey }),
      ...(publishedAt === undefined ? {} : { publishedAt: Date.parse(publishedAt) }),
      longestLeafMs: longestLeafSeconds * 1000,
      ...(neededUntil === undefined ? {} : { neededUntil: Date.parse(neededUntil) }),
    };
  });
}

function lifeOf(certificate: string, where: string, index: number): Pick<Generation, 'notBefore' | 'notAfter'> {
  const { notBefore, notAfter } = validityIn(certificate);
  if (Number.isNaN(notBefore) || Number.isNaN(notAfter)) {
    throw damaged(where, `the certificate of entry ${index} cannot be read`);
  }
  return { notBefore, notAfter };
}

function validityIn(certificate: string): Validity {
  try {
    return validityOf(new X509Certificate(certificate));
  } catch {
    return { notBefore: Number.NaN, notAfter: Number.NaN };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function damaged(where: string, why: string): AgentError {
  const advice = 'put back what it held; to begin with a new CA, which no pod trusts yet, empty its data';
  return new AgentError('Rejected', `${where} is damaged (${why}): ${advice}`, { actor: 'cluster operator' });
}
