/**
 * When trust anchors expire. A verifier refuses what leads to an expired anchor, or, as OpenSSL does for one that it is given by itself,
 * may not even say why; so a source is told how many of its anchors have expired, and loses them where it says `expired: drop`. What has
 * expired is looked at anew when the next one does.
 *
 * Validity: RFC 5280, section 4.1.2.5.
 */
import type { ClusterTrustBundleSource } from '../../volumes/declaration/types.ts';
import { certificateFields, contentOf, elementsOf } from '../base/der.ts';
import type { Anchors, TrustAnchors } from '../lifecycle/ports.ts';
import type { Clock } from '../time/clock.ts';
import { sourcesPerTurn } from './limits.ts';

interface Watched {
  readonly tell: () => void;
  /** When the next of its anchors expires, milliseconds since the epoch. */
  next: number;
}

/** Of anchors, from a moment on until the next of them expires; a clock may be set back. */
interface State {
  readonly since: number;
  readonly next: number;
  /** The same array for the same ones, so that sources with the same content share its bytes. */
  readonly left: readonly Uint8Array[];
}

/** The same anchors, with what has expired of them. */
export function withExpiry(trust: TrustAnchors, clock: Clock): TrustAnchors {
  /** Sources of one selection are told of the same array: it is read once. */
  const known = new WeakMap<readonly Uint8Array[], readonly number[]>();
  /** What has expired of it, and what is left; the same for all of them until the next one expires. */
  const states = new WeakMap<readonly Uint8Array[], State>();
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
    tellInTurns([...watched].filter(({ next }) => next <= now));
  };

  /** Thousands may select one bundle, and each is told of what has become of its anchors. */
  const tellInTurns = (due: readonly Watched[]): void => {
    for (const entry of due.slice(0, sourcesPerTurn)) {
      // It may have been given up, or told of other anchors, meanwhile.
      if (watched.has(entry) && entry.next <= clock.now()) {
        entry.tell();
      }
    }
    if (due.length > sourcesPerTurn) {
      setImmediate(() => tellInTurns(due.slice(sourcesPerTurn)));
      return;
    }
    arm([...watched].reduce((earliest, entry) => Math.min(earliest, entry.next), Number.POSITIVE_INFINITY));
  };

  const expiriesOf = (certificates: readonly Uint8Array[]): readonly number[] => {
    const expiries = known.get(certificates) ?? certificates.map(expiryOf);
    known.set(certificates, expiries);
    return expiries;
  };

  const stateOf = (certificates: readonly Uint8Array[], now: number): State => {
    const before = states.get(certificates);
    if (before !== undefined && before.since <= now && now < before.next) {
      return before;
    }
    const expiries = expiriesOf(certificates);
    const left = certificates.filter((_, index) => (expiries[index] ?? now) > now);
    const next = expiries.reduce(
      (least, time) => (time > now && time < least ? time : least),
      Number.POSITIVE_INFINITY,
    );
    const state: State = { since: now, next, left: left.length < certificates.length ? left : certificates };
    states.set(certificates, state);
    return state;
  };

  const judge = (source: ClusterTrustBundleSource, certificates: readonly Uint8Array[], entry: Watched): Anchors => {
    const { next, left } = stateOf(certificates, clock.now());
    entry.next = next;
    const expired = certificates.length - left.length;
    if (expired === 0) {
      return { type: 'found', certificates };
    }
    if (source.expired !== 'drop') {
      return { type: 'found', certificates, expired };
    }
    return left.length > 0
      ? { type: 'found', certificates: left, expired }
      : { type: 'missing', message: `all ${expired} trust anchors selected have expired, and the source drops them` };
  };

  return {
    subscribe(source, listener) {
      let latest: readonly Uint8Array[] | undefined;
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
        latest = anchors.type === 'found' ? anchors.certificates : undefined;
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

const utcTime = 0x17;
const generalizedTime = 0x18;

/** A certificate's notAfter, milliseconds since the epoch; never, where it cannot be read: nothing is dropped for that. */
export function expiryOf(der: Uint8Array): number {
  try {
    const [, , , validity] = certificateFields(der);
    const [, notAfter] = elementsOf(contentOf(validity), 2);
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
