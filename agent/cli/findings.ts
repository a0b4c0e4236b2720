/**
 * Judges the contents of a volume: whether each file is what it should be, keys and leaves belong together, everything is
 * valid now, and no stranger can read a key. Where the chains lead is judged in `chain-findings.ts`.
 */
import type { X509Certificate } from 'node:crypto';
import { singleLine } from '../base/redact.ts';
import { validityOf } from '../base/validity.ts';
import { fromNow } from '../time/span-text.ts';
import { secondsText } from '../time/time-text.ts';
import { nameOf } from './certificate-names.ts';
import { type Judged, judgeOrder, judgePath } from './chain-findings.ts';
import type { AuthorityFile, Chain, KeyFile } from './credentials.ts';
import type { Finding, Say } from './finding.ts';
import { judgeKeystores } from './keystore-findings.ts';

/** A refresh begins ten minutes before notAfter at the latest, by the API's rule, and takes seconds. */
const lateMs = 5 * 60_000;

/** @param now milliseconds since the epoch */
export function judge(contents: Judged, now: number): readonly Finding[] {
  const { keys, chains, intermediates, anchors, keystores, empty, faults } = contents;
  const unread = faults.map(({ path, reason }): Finding => ({ level: 'fail', path, message: reason }));
  if (keys.length === 0 && chains.length === 0 && anchors.length === 0 && keystores.length === 0) {
    return [...unread, { level: 'fail', message: 'no key, no certificate and no trust anchor was found' }];
  }
  return [
    ...unread,
    ...judgeMissing(contents),
    ...judgeKeystores(contents),
    ...keys.flatMap((key) => judgeKey(key, chains)),
    ...distinctChains(chains).flatMap((chain) => judgeChain(chain, contents, now)),
    ...judgeCopies(chains),
    ...intermediates.map((file) => countOf(file, 'intermediate')),
    ...anchors.flatMap((file) => judgeAnchors(file, now)),
    ...empty.map(
      (path): Finding => ({ level: 'note', path, message: 'it is empty, as where an optional bundle is missing' }),
    ),
  ];
}

/** What the volume's record asks for and is not there. */
function judgeMissing({ declared, seen }: Judged): readonly Finding[] {
  return (declared?.paths ?? [])
    .filter((path) => !seen.includes(path))
    .map((path) => ({ level: 'fail', path, message: 'the pod asks for it, and it is missing' }));
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

/** Files with a leaf that another file has with as many authorities above it, or with more. */
function judgeCopies(chains: readonly Chain[]): readonly Finding[] {
  const distinct = distinctChains(chains);
  return chains
    .filter((chain) => !distinct.includes(chain))
    .flatMap(({ path, leaf, above }) => {
      const whole = distinct.find((other) => other.leaf.fingerprint256 === leaf.fingerprint256)?.path ?? '';
      const say: Say = (level, message) => ({ level, path, message });
      return [say('ok', `it holds the same leaf as ${singleLine(whole, 200)}`), ...judgeOrder([leaf, ...above], say)];
    });
}

function judgeChain(chain: Chain, contents: Judged, now: number): readonly Finding[] {
  const { path, leaf, above } = chain;
  const say: Say = (level, message) => ({ level, path, message });
  const hasKey = contents.keys.some(({ key }) => leaf.checkPrivateKey(key));
  return [
    judgeDates(leaf, path, now),
    ...judgeName(leaf, say),
    ...(hasKey ? [] : [say('fail', 'no key in the volume belongs to the leaf')]),
    ...judgeOrder([leaf, ...above], say),
    ...judgePath(chain, contents),
    ...above
      .filter((authority) => validityOf(authority).notAfter <= now)
      .map((authority) => say('warn', `${nameOf(authority)} in the chain has expired`)),
  ];
}

function judgeDates(leaf: X509Certificate, path: string, now: number): Finding {
  const { notBefore: begin, notAfter: end } = validityOf(leaf);
  if (Number.isNaN(begin) || Number.isNaN(end)) {
    return { level: 'fail', path, message: 'the leaf has a date that cannot be read' };
  }
  const told = (time: number): string => `${secondsText(time)} (${fromNow(time, now)})`;
  const until = told(end);
  if (now < begin) {
    return { level: 'fail', path, message: `the leaf is valid only from ${told(begin)}` };
  }
  if (now >= end) {
    return { level: 'fail', path, message: `the leaf expired at ${until}` };
  }
  // A certificate of minutes is always in its last ones.
  const isLate = end - now < Math.min(lateMs, (end - begin) / 6);
  return { level: isLate ? 'warn' : 'ok', path, message: `the leaf ${nameOf(leaf)} expires at ${until}` };
}

/** RFC 5280 section 4.1.2.6 wants a subject or an alternative name; RFC 9525 has peers look at the latter only. */
function judgeName({ subject, subjectAltName }: X509Certificate, say: Say): readonly Finding[] {
  if (subjectAltName) {
    return [];
  }
  return [
    subject
      ? say('warn', 'the leaf has no alternative name: peers that check names refuse it, whatever its subject is')
      : say(
          'warn',
          'the leaf has no name at all, no subject and no alternative name: peers that check names refuse it',
        ),
  ];
}

function judgeAnchors(file: AuthorityFile, now: number): readonly Finding[] {
  const { path, certificates } = file;
  return [
    countOf(file, 'trust anchor'),
    ...certificates
      .filter((authority) => validityOf(authority).notAfter <= now)
      .map((anchor): Finding => ({ level: 'warn', path, message: `the trust anchor ${nameOf(anchor)} has expired` })),
  ];
}

function countOf({ path, certificates }: AuthorityFile, what: string): Finding {
  const count = new Set(certificates.map(({ fingerprint256 }) => fingerprint256)).size;
  return { level: 'ok', path, message: `${count} ${what}${count === 1 ? '' : 's'}` };
}
