/**
 * When trust anchors expire. A verifier refuses what leads to an expired anchor, or, as OpenSSL does for one that it is given by itself,
 * may not even say why; so a source is told how many of its anchors have expired, and loses them where it says `expired: drop`. What has
 * expired is looked at anew when the next one does.
 *
 * Validity: RFC 5280, section 4.1.2.5.
 */
import type { TrustDomainAnchors } from '../../volumes/base/volume.ts';
import type { ClusterTrustBundleSource } from '../../volumes/declaration/types.ts';
import { certificateFields, contentOf, elementsOf } from '../base/der.ts';
import type { Anchors, TrustAnchors } from '../lifecycle/ports.ts';
import type { Clock } from '../time/clock.ts';

interface Watched {
  readonly tell: () => void;
  /** When the next of its anchors expires, milliseconds since the epoch. */
  next: number;
}

/** The same anchors, with what has expired of them. */
export function withExpiry(trust: TrustAnchors, clock: Clock): TrustAnchors {
  /** Sources of one selection are told of the same array: it is read once. */
  const known = new WeakMap<readonly Uint8Array[], readonly number[]>();
  const kept = new WeakMap<
    readonly Uint8Array[],
    { readonly until: number; readonly certificates: readonly Uint8Array[] }
  >();
  /** Sources of which an anchor is yet to expire. */
  const watched = new Set<Watched>();
  let armedFor = Number.POSITIVE_INFINITY;
  let disarm = (): void => {};

  /** One alarm for all, no later than this. Only when it rings are all looked at: there may be thousands, told in one turn. */
  const arm = (next: number): void => {
    if (next < armedFor) {
      disarm();
      armedFor = next;
      disarm = clock.at(next, ring);
    }
  };

  const watch = (entry: Watched): void => {
    if (Number.isFinite(entry.next)) {
      watched.add(entry);
      arm(entry.next);
    } else {
      unwatch(entry);
    }
  };

  const unwatch = (entry: Watched): void => {
    watched.delete(entry);
    if (watched.size === 0) {
      disarm();
      armedFor = Number.POSITIVE_INFINITY;
    }
  };

  const ring = (): void => {
    armedFor = Number.POSITIVE_INFINITY;
    const now = clock.now();
    for (const entry of [...watched].filter(({ next }) => next <= now)) {
      entry.tell();
    }
    arm([...watched].reduce((earliest, entry) => Math.min(earliest, entry.next), Number.POSITIVE_INFINITY));
  };

  const expiriesOf = (certificates: readonly Uint8Array[]): readonly number[] => {
    const expiries = known.get(certificates) ?? certificates.map(expiryOf);
    known.set(certificates, expiries);
    return expiries;
  };

  /** What is left of them: the same array for the same ones, so that sources with the same content share its bytes. */
  const unexpired = (certificates: readonly Uint8Array[], now: number, next: number): readonly Uint8Array[] => {
    const before = kept.get(certificates);
    if (before?.until === next) {
      return before.certificates;
    }
    const expiries = expiriesOf(certificates);
    const left = certificates.filter((_, index) => (expiries[index] ?? next) > now);
    kept.set(certificates, { until: next, certificates: left });
    return left;
  };

  /** Each trust domain by itself; one that has no anchor left is not there any more. */
  const judgeApart = (source: ClusterTrustBundleSource, anchors: Anchors & Apart, entry: Watched): Anchors => {
    const now = clock.now();
    const { byTrustDomain } = anchors;
    const expiries = byTrustDomain.flatMap(({ certificates = [] }) => expiriesOf(certificates));
    entry.next = nextOf(expiries, now);
    const expired = expiries.filter((time) => time <= now).length;
    if (expired === 0 || source.expired !== 'drop') {
      return expired === 0 ? anchors : { ...anchors, expired };
    }
    const left = byTrustDomain.flatMap(({ trustDomain, certificates }) => {
      const rest = certificates && unexpired(certificates, now, nextOf(expiriesOf(certificates), now));
      return rest?.length === 0 ? [] : [{ trustDomain, ...(rest === undefined ? {} : { certificates: rest }) }];
    });
    const own = left.find(({ trustDomain }) => trustDomain === source.trustDomains?.own);
    const about = {
      expired,
      byTrustDomain: left,
      ...(anchors.leftOut === undefined ? {} : { leftOut: anchors.leftOut }),
    };
    if (anchors.type === 'missing') {
      return { ...anchors, ...about };
    }
    return own?.certificates === undefined
      ? {
          type: 'missing',
          message: `all trust anchors of the pod's own trust domain have expired, and the source drops them`,
          ...about,
        }
      : { type: 'found', certificates: own.certificates, ...about };
  };

  const judge = (source: ClusterTrustBundleSource, anchors: Judged, entry: Watched): Anchors => {
    if (isApart(anchors)) {
      return judgeApart(source, anchors, entry);
    }
    if (anchors.type !== 'found') {
      return anchors;
    }
    const { certificates } = anchors;
    const now = clock.now();
    const expiries = expiriesOf(certificates);
    entry.next = nextOf(expiries, now);
    const expired = expiries.filter((time) => time <= now).length;
    if (expired === 0) {
      return { type: 'found', certificates };
    }
    if (source.expired !== 'drop') {
      return { type: 'found', certificates, expired };
    }
    return expired < certificates.length
      ? { type: 'found', certificates: unexpired(certificates, now, entry.next), expired }
      : { type: 'missing', message: `all ${expired} trust anchors selected have expired, and the source drops them` };
  };

  return {
    subscribe(source, listener) {
      let latest: Judged | undefined;
      const entry: Watched = {
        next: Number.POSITIVE_INFINITY,
        tell: () => {
          if (latest !== undefined) {
            const anchors = judge(source, latest, entry);
            // First: whoever is told may want to hear no more.
            watch(entry);
            listener(anchors);
          }
        },
      };
      const unsubscribe = trust.subscribe(source, (anchors) => {
        latest = anchors.type === 'found' || isApart(anchors) ? anchors : undefined;
        if (latest === undefined) {
          unwatch(entry);
          listener(anchors);
        } else {
          entry.tell();
        }
      });
      return () => {
        unsubscribe();
        unwatch(entry);
      };
    },
  };
}

/** What has certificates to look at. */
type Judged = Exclude<Anchors, { readonly type: 'refused' }>;
type Apart = Judged & { readonly byTrustDomain: readonly TrustDomainAnchors[] };

function isApart(anchors: Anchors): anchors is Apart {
  return anchors.type !== 'refused' && anchors.byTrustDomain !== undefined;
}

/** The first of some moments that is still to come. */
function nextOf(expiries: readonly number[], now: number): number {
  return expiries.reduce((next, time) => (time > now && time < next ? time : next), Number.POSITIVE_INFINITY);
}

const utcTime = 0x17;
const generalizedTime = 0x18;

/** A certificate's notAfter, milliseconds since the epoch; never, where it cannot be read: nothing is dropped for that. */
export function expiryOf(der: Uint8Array): number {
  try {
    const [, , , validity] = certificateFields(der);
    const [, notAfter] = elementsOf(contentOf(validity));
    return notAfter === undefined ? Number.POSITIVE_INFINITY : timeOf(notAfter.tag, notAfter.content);
  } catch (error) {
    if (error instanceof RangeError) {
      return Number.POSITIVE_INFINITY;
    }
    throw error;
  }
}

/** `YYMMDDHHMMSSZ`, of the years 1950 to 2049, or `YYYYMMDDHHMMSSZ`. */
function timeOf(tag: number, content: Uint8Array): number {
  const text = Buffer.from(content).toString('latin1');
  const digits = /^(\d{2}|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  const [year = '', ...rest] = digits?.slice(1) ?? [];
  const isKnown = (tag === utcTime && year.length === 2) || (tag === generalizedTime && year.length === 4);
  if (!isKnown) {
    return Number.POSITIVE_INFINITY;
  }
  const century = Number(year) < 50 ? '20' : '19';
  const [month, day, hour, minute, second] = rest;
  const time = Date.parse(`${tag === utcTime ? century : ''}${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time;
}
