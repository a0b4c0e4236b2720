/**
 * Holds each trust anchor once, as DER, however many bundles it is in and however many volumes ask for them. Whoever
 * takes certificates gives them back; one that nobody holds any more is forgotten.
 */
import { hash } from 'node:crypto';

export interface AnchorPool {
  /**
   * Takes certificates, each once.
   * @returns the same array of bytes for the same certificate, or undefined, and nothing is taken, when they do not fit.
   */
  take(certificates: readonly Uint8Array[]): readonly Uint8Array[] | undefined;
  giveBack(certificates: readonly Uint8Array[]): void;
  /** Bytes of DER held. */
  bytes(): number;
  /** Bytes of DER that could be held beside them. */
  room(): number;
}

interface Entry {
  readonly der: Uint8Array;
  holders: number;
}

/** @param longestBytes most bytes of DER held at once. */
export function createAnchorPool(longestBytes: number): AnchorPool {
  const entries = new Map<string, Entry>();
  let bytes = 0;

  return {
    take(certificates) {
      const wanted = new Map(certificates.map((der) => [keyOf(der), der]));
      let added = 0;
      for (const [key, der] of wanted) {
        if (!entries.has(key)) {
          added += der.length;
        }
      }
      if (bytes + added > longestBytes) {
        return undefined;
      }
      bytes += added;
      return [...wanted].map(([key, der]) => {
        const entry = entries.get(key) ?? { der, holders: 0 };
        entry.holders += 1;
        entries.set(key, entry);
        return entry.der;
      });
    },
    giveBack(certificates) {
      for (const der of certificates) {
        const key = keyOf(der);
        const entry = entries.get(key);
        if (entry === undefined) {
          continue;
        }
        entry.holders -= 1;
        if (entry.holders > 0) {
          continue;
        }
        entries.delete(key);
        bytes -= entry.der.length;
      }
    },
    bytes: () => bytes,
    room: () => longestBytes - bytes,
  };
}

function keyOf(der: Uint8Array): string {
  return hash('sha256', der, 'base64');
}
