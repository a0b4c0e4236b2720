/**
 * Judges the contents of a volume: whether keys and leaves belong together, chains lead to trust anchors, everything is
 * valid now, and no stranger can read a key.
 *
 * RFC 5280 section 6.1: https://www.rfc-editor.org/rfc/rfc5280#section-6.1
 */
import type { X509Certificate } from 'node:crypto';
import { singleLine } from '../base/redact.ts';
import { fromNow } from '../time/span-text.ts';
import { timeText } from '../time/time-text.ts';
import { type Chain, type Contents, isIssuedBy, type KeyFile } from './credentials.ts';

export interface Finding {
  /** `note`: worth knowing, and neither good nor bad. */
  readonly level: 'ok' | 'note' | 'warn' | 'fail';
  /** File within the volume; absent: it is about all of them. */
  readonly path?: string;
  readonly message: string;
}

const maxNameLength = 120;
/** Authorities between a leaf and its anchor. */
const maxPathLength = 10;

/** A refresh begins ten minutes before notAfter at the latest, by the API's rule, and takes seconds. */
const lateMs = 5 * 60_000;

/** @param now milliseconds since the epoch */
export function judge(contents: Contents, now: number): readonly Finding[] {
  const { keys, chains, anchors, faults } = contents;
  const unread = faults.map(({ path, reason }): Finding => ({ level: 'warn', path, message: reason }));
  if (keys.length === 0 && chains.length === 0 && anchors.length === 0) {
    return [...unread, { level: 'fail', message: 'no key, no certificate and no trust anchor was found' }];
  }
  return [
    ...unread,
    ...keys.flatMap((key) => judgeKey(key, chains)),
    ...distinctChains(chains).flatMap((chain) => judgeChain(chain, contents, now)),
    ...judgeAnchors(anchors, now),
  ];
}

function judgeKey({ file, key }: KeyFile, chains: readonly Chain[]): readonly Finding[] {
  const { path, mode, uid, gid } = file;
  const type = key.asymmetricKeyType ?? 'unknown';
  const fits = chains.some(({ leaf }) => leaf.checkPrivateKey(key));
  const octal = `0${(mode & 0o777).toString(8)}`;
  const group = (mode & 0o040) === 0 ? '' : ` and group ${gid}`;
  const readers: Finding =
    (mode & 0o004) === 0
      ? { level: 'ok', path, message: `the key may be read by user ${uid}${group} (mode ${octal})` }
      : { level: 'warn', path, message: `the key may be read by everybody (mode ${octal})` };
  const belongs: Finding = fits
    ? { level: 'ok', path, message: `the ${type} key belongs to a leaf of the volume` }
    : { level: 'fail', path, message: `the ${type} key belongs to no leaf of the volume` };
  return [belongs, readers];
}

/** One chain for each leaf: the same leaf may stand in a bundle, a chain file and a file of its own. The longest counts. */
function distinctChains(chains: readonly Chain[]): readonly Chain[] {
  const byLeaf = new Map<string, Chain>();
  for (const chain of chains) {
    const known = byLeaf.get(chain.leaf.fingerprint256);
    if (known === undefined || chain.above.length > known.above.length) {
      byLeaf.set(chain.leaf.fingerprint256, chain);
    }
  }
  return [...byLeaf.values()];
}

function judgeChain(chain: Chain, contents: Contents, now: number): readonly Finding[] {
  const { path, leaf, above } = chain;
  const say = (level: Finding['level'], message: string): Finding => ({ level, path, message });
  return [
    judgeDates(leaf, path, now),
    ...(contents.keys.some(({ key }) => leaf.checkPrivateKey(key)) ? [] : [judgeMissingKey(contents, say)]),
    ...judgeOrder([leaf, ...above], say),
    judgePath(chain, contents, say),
    ...above
      .filter(({ validToDate }) => validToDate.getTime() <= now)
      .map((authority) => say('warn', `${nameOf(authority)} in the chain has expired`)),
  ];
}

type Say = (level: Finding['level'], message: string) => Finding;

function judgeDates(leaf: X509Certificate, path: string, now: number): Finding {
  const [begin, end] = [leaf.validFromDate.getTime(), leaf.validToDate.getTime()];
  const until = `${timeText(end)} (${fromNow(end, now)})`;
  if (now < begin) {
    return { level: 'fail', path, message: `the leaf is valid only from ${timeText(begin)} (${fromNow(begin, now)})` };
  }
  if (now >= end) {
    return { level: 'fail', path, message: `the leaf expired at ${until}` };
  }
  const isLate = end - now < lateMs;
  return { level: isLate ? 'warn' : 'ok', path, message: `the leaf ${nameOf(leaf)} expires at ${until}` };
}

function judgeMissingKey({ faults }: Contents, say: Say): Finding {
  return faults.length > 0
    ? say('warn', 'no key that could be read belongs to the leaf')
    : say('fail', 'no key in the volume belongs to the leaf');
}

/** TLS wants each certificate to be issued by the one after it. */
function judgeOrder(certificates: readonly X509Certificate[], say: Say): readonly Finding[] {
  return certificates.flatMap((certificate, index) => {
    const next = certificates[index + 1];
    if (next === undefined || isIssuedBy(certificate, next)) {
      return [];
    }
    return [say('fail', `${nameOf(certificate)} is not issued by the certificate after it, ${nameOf(next)}`)];
  });
}

function judgePath({ leaf, above }: Chain, { anchors, intermediates }: Contents, say: Say): Finding {
  if (anchors.length === 0) {
    return say('note', 'there are no trust anchors to compare the chain with');
  }
  const trusted = new Set(anchors.map(({ fingerprint256 }) => fingerprint256));
  const authorities = [...anchors, ...above, ...intermediates].filter(({ ca }) => ca);
  let reached = new Map([[leaf.fingerprint256, leaf]]);
  const seen = new Set(reached.keys());
  for (let length = 0; length <= maxPathLength && reached.size > 0; length += 1) {
    const anchor = [...reached.values()].find(({ fingerprint256 }) => trusted.has(fingerprint256));
    if (anchor !== undefined) {
      return say('ok', `the chain leads to the trust anchor ${nameOf(anchor)}`);
    }
    const issuers = [...reached.values()].flatMap((lower) => authorities.filter((upper) => isIssuedBy(lower, upper)));
    reached = new Map(
      issuers
        .filter(({ fingerprint256 }) => !seen.has(fingerprint256))
        .map((issuer) => [issuer.fingerprint256, issuer]),
    );
    for (const fingerprint of reached.keys()) {
      seen.add(fingerprint);
    }
  }
  return say('fail', 'the chain leads to none of the trust anchors');
}

function judgeAnchors(anchors: readonly X509Certificate[], now: number): readonly Finding[] {
  const expired = anchors.filter(({ validToDate }) => validToDate.getTime() <= now);
  const count = new Set(anchors.map(({ fingerprint256 }) => fingerprint256)).size;
  return [
    ...(count === 0 ? [] : [{ level: 'ok', message: `${count} trust anchors` } as const]),
    ...expired.map((anchor): Finding => ({ level: 'warn', message: `the trust anchor ${nameOf(anchor)} has expired` })),
  ];
}

/** The subject on one line, or the names it is known by; somebody else wrote it. */
function nameOf({ subject, subjectAltName, serialNumber }: X509Certificate): string {
  // Without a subject Node gives undefined, whatever the types say.
  const name = subject || subjectAltName || `with serial number ${serialNumber}`;
  return `"${singleLine(name, maxNameLength)}"`;
}
