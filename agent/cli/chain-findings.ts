/**
 * Judges where a chain leads: to a trust anchor, or where it breaks off, and whether an intermediate is missing or the anchors
 * are not this signer's.
 *
 * RFC 5280 section 6.1: https://www.rfc-editor.org/rfc/rfc5280#section-6.1
 */
import type { X509Certificate } from 'node:crypto';
import { issuerOf, nameOf } from './certificate-names.ts';
import { type AuthorityFile, type Chain, type Contents, isIssuedBy } from './credentials.ts';
import type { Declared } from './declared.ts';
import type { Finding, Say } from './finding.ts';

/** What is in the volume, and what is known of what should be. */
export interface Judged extends Contents {
  /** Absent: it is not known. */
  readonly declared?: Declared | undefined;
  /** True when whoever looks has named the anchors that the chain must lead to. */
  readonly isGiven?: boolean;
}

/** Authorities between a leaf and its anchor. */
const maxPathLength = 10;

/** TLS wants each certificate to be issued by the one after it; and OpenSSL wants issuers that have names. */
export function judgeOrder(certificates: readonly X509Certificate[], say: Say): readonly Finding[] {
  const disorder = certificates.flatMap((certificate, index) => {
    const issuer = certificates[index + 1];
    return issuer === undefined || isIssuedBy(certificate, issuer)
      ? []
      : [say('fail', `${nameOf(certificate)} is not issued by the certificate after it, ${nameOf(issuer)}`)];
  });
  const nameless = certificates
    .filter(({ issuer }) => !issuer)
    .map((certificate) =>
      say('fail', `${nameOf(certificate)} names no issuer: OpenSSL and Node.js refuse the chain, although Go takes it`),
    );
  return [...disorder, ...nameless];
}

/** Whether the chain leads to an anchor of its signer; where nobody can say whose anchors there are, to any. */
export function judgePath(chain: Chain, contents: Judged): readonly Finding[] {
  const { path } = chain;
  const say: Say = (level, message) => ({ level, path, message });
  const own = contents.declared?.ownAnchors(path);
  const files = own === undefined ? contents.anchors : contents.anchors.filter((file) => own.includes(file.path));
  const { found, ends } = climb(chain, contents, files);
  if (found !== undefined) {
    return [say('ok', `the chain leads to the trust anchor ${nameOf(found)}`)];
  }
  if (files.length === 0) {
    return [
      contents.anchors.length === 0
        ? say('note', 'there are no trust anchors to compare the chain with')
        : say(
            'note',
            'the trust anchors are of other signers, for the pod to know its peers by; the chain need not lead there',
          ),
    ];
  }
  return [breakOf(chain, contents, files, ends, own !== undefined || contents.isGiven === true)];
}

/** Why the chain leads to none of the anchors. */
function breakOf(
  { path, leaf, above }: Chain,
  { intermediates }: Judged,
  files: readonly AuthorityFile[],
  ends: readonly X509Certificate[],
  mustLead: boolean,
): Finding {
  const [end = leaf] = ends;
  for (const file of files) {
    const namesake = file.certificates.find(({ subject }) => subject && ends.some(({ issuer }) => issuer === subject));
    if (namesake !== undefined) {
      const message = `the trust anchors are wrong: ${nameOf(namesake)} has the name of the authority that issued ${nameOf(end)}, and another key`;
      return { level: 'fail', path: file.path, message };
    }
  }
  if (end === leaf && above.length === 0 && intermediates.length === 0) {
    const message = `an intermediate is missing: ${issuerOf(leaf)}, which issued the leaf, is neither in the chain nor among the trust anchors`;
    return { level: 'fail', path, message };
  }
  const ending = `the chain leads to none of the trust anchors: it ends with ${nameOf(end)}, issued by ${issuerOf(end)}, which is not among them`;
  return mustLead
    ? { level: 'fail', path, message: `${ending}; the trust anchors are wrong, or another intermediate is missing` }
    : {
        level: 'warn',
        path,
        message: `${ending}; they are wrong, unless they are there to know peers of another signer by`,
      };
}

interface Climbed {
  readonly found?: X509Certificate;
  /** Certificates whose issuer is not there. */
  readonly ends: readonly X509Certificate[];
}

function climb({ leaf, above }: Chain, { intermediates }: Judged, files: readonly AuthorityFile[]): Climbed {
  const anchors = files.flatMap(({ certificates }) => certificates);
  const trusted = new Set(anchors.map(({ fingerprint256 }) => fingerprint256));
  const between = intermediates.flatMap(({ certificates }) => certificates);
  const authorities = [...anchors, ...above, ...between].filter(({ ca }) => ca);
  const ends: X509Certificate[] = [];
  let reached = new Map([[leaf.fingerprint256, leaf]]);
  const seen = new Set(reached.keys());
  for (let length = 0; length <= maxPathLength && reached.size > 0; length += 1) {
    const found = [...reached.values()].find(({ fingerprint256 }) => trusted.has(fingerprint256));
    if (found !== undefined) {
      return { found, ends };
    }
    const next = new Map<string, X509Certificate>();
    for (const lower of reached.values()) {
      const issuers = authorities.filter((upper) => upper !== lower && isIssuedBy(lower, upper));
      if (issuers.length === 0) {
        ends.push(lower);
      }
      for (const issuer of issuers.filter(({ fingerprint256 }) => !seen.has(fingerprint256))) {
        next.set(issuer.fingerprint256, issuer);
        seen.add(issuer.fingerprint256);
      }
    }
    reached = next;
  }
  return { ends };
}
