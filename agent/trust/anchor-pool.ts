/**
 * Holds each trust anchor once, as DER, however many bundles it is in and however many volumes ask for them. Whoever
 * takes certificates gives them back; one that nobody holds any more is forgotten.
 *
 * No owner may have more than half of what the others leave. One that would take all, such as a signer with a hundred
 * full bundles of which somebody selects all, leaves as much as it has to those that come later, the next greedy one half of that.
 */
import { hash } from 'node:crypto';

export interface AnchorPool {
  /**
   * Takes certificates, each once.
   * @param owner whose they are: those count that nobody else had brought before
   * @param keys `anchorKeyOf` of each: of thousands they are made beforehand, in steps
   * @returns the same array of bytes for the same certificate, or undefined, and nothing is taken, when they do not fit.
   */
  take(owner: string, certificates: readonly Uint8Array[], keys?: readonly string[]): readonly Uint8Array[] | undefined;
  /** Bytes of DER that taking these would add to what is held. @param keys as for `take` */
  addedBy(certificates: readonly Uint8Array[], keys?: readonly string[]): number;
  /** @param certificates arrays that were taken */
  giveBack(certificates: readonly Uint8Array[]): void;
  /** Bytes of DER held. */
  bytes(): number;
  /** Bytes of DER that the owner could have held beside them. */
  room(owner: string): number;
}

interface Entry {
  readonly owner: string;
  readonly key: string;
  readonly der: Uint8Array;
  holders: number;
}

/** @param longestBytes most bytes of DER held at once. */
export function createAnchorPool(longestBytes: number): AnchorPool {
  const entries = new Map<string, Entry>();
  /** The same by the array that is handed out. */
  const byArray = new Map<Uint8Array, Entry>();
  /** Bytes of each owner that has any. */
  const byOwner = new Map<string, number>();
  let bytes = 0;

  function add(owner: string, added: number): void {
    bytes += added;
    const own = (byOwner.get(owner) ?? 0) + added;
    if (own > 0) {
      byOwner.set(owner, own);
    } else {
      byOwner.delete(owner);
    }
  }

  function room(owner: string): number {
    const own = byOwner.get(owner) ?? 0;
    return Math.floor((longestBytes - (bytes - own)) / 2) - own;
  }

  const byKey = (certificates: readonly Uint8Array[], keys: readonly string[] = certificates.map(anchorKeyOf)) =>
    new Map(certificates.map((der, index) => [keys[index] ?? '', der]));

  const addedBy = (wanted: ReadonlyMap<string, Uint8Array>): number => {
    let added = 0;
    for (const [key, der] of wanted) {
      if (!entries.has(key)) {
        added += der.length;
      }
    }
    return added;
  };

  return {
    addedBy: (certificates, keys) => addedBy(byKey(certificates, keys)),
    take(owner, certificates, keys) {
      const wanted = byKey(certificates, keys);
      const added = addedBy(wanted);
      if (added > 0 && added > room(owner)) {
        return undefined;
      }
      add(owner, added);
      return [...wanted].map(([key, der]) => {
        const entry = entries.get(key) ?? { owner, key, der, holders: 0 };
        entry.holders += 1;
        entries.set(key, entry);
        byArray.set(entry.der, entry);
        return entry.der;
      });
    },
    giveBack(certificates) {
      for (const der of certificates) {
        const entry = byArray.get(der);
        if (entry === undefined) {
          continue;
        }
        entry.holders -= 1;
        if (entry.holders > 0) {
          continue;
        }
        entries.delete(entry.key);
        byArray.delete(entry.der);
        add(entry.owner, -entry.der.length);
      }
    },
    bytes: () => bytes,
    room,
  };
}

/** What a certificate is known by: the same for the same bytes. */
export function anchorKeyOf(der: Uint8Array): string {
  return hash('sha256', der, 'base64');
}
