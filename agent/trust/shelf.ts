/**
 * Reads the bundles in use and keeps their certificates: each version once, whichever watch brought it, one bundle
 * after the other with pauses in between, so that a hundred full bundles do not block the event loop. Their text is
 * forgotten as soon as it has been read.
 *
 * A bundle that can no longer be read keeps the certificates that it had, until it is deleted.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { messageOf } from '../../volumes/base/errors.ts';
import type { ClusterTrustBundle } from '../kubernetes/objects.ts';
import { isOlder } from '../kubernetes/resource-version.ts';
import { type AnchorPool, anchorKeyOf } from './anchor-pool.ts';
import { readTrustBundle } from './certificates.ts';
import { certificatesPerTurn, longestWaitingText } from './limits.ts';

export interface ShelvedBundle {
  readonly uid: string | undefined;
  /** The newest version that came. */
  readonly version: string | undefined;
  /** True while its newest version has not been read yet. */
  readonly isPending: boolean;
  /** DER, each once: of the newest version that could be read. */
  readonly certificates: readonly Uint8Array[];
  /** True when the newest version does not fit into what the node may hold. */
  readonly isTooMuch: boolean;
  /** Another number whenever something of this has changed. */
  readonly stamp: number;
}

export interface Shelf {
  get(bundleName: string): ShelvedBundle | undefined;
  has(bundleName: string): boolean;
  /** Reads a version of a bundle unless a newer one, or this one, is known. */
  offer(bundle: ClusterTrustBundle): void;
  /** The bundle is gone, or nobody asks for it any more. */
  drop(bundleName: string): void;
  names(): string[];
  /** Settled once not too much text waits to be read; nothing while there is room for more. */
  untilRoom(): Promise<void> | undefined;
  stop(): void;
}

export interface ShelfOptions {
  readonly pool: AnchorPool;
  /** A version has been read, or has to be fetched once more. @param isLast whether no other of its signer waits to be read */
  readonly onRead: (bundleName: string, signerName: string | undefined, isLast: boolean) => void;
  /** A version cannot be read; said once. */
  readonly onMalformed: (bundleName: string, reason: string) => void;
}

interface Entry {
  readonly name: string;
  readonly uid: string | undefined;
  readonly signerName: string | undefined;
  version: string | undefined;
  /** What is still to be read. */
  pem: string | undefined;
  certificates: readonly Uint8Array[];
  /** Bytes that the newest version needed beside what was held, when they do not fit into what the node may hold. */
  tooMuch: number | undefined;
  stamp: number;
}

/** What was read of a bundle. */
interface Content {
  readonly certificates: readonly Uint8Array[];
  readonly keys: readonly string[];
}

export function createShelf({ pool, onRead, onMalformed }: ShelfOptions): Shelf {
  const entries = new Map<string, Entry>();
  const waiting = new Set<Entry>();
  /** What is still to be read, all together. */
  let waitingLength = 0;
  /** Those that do not fit. */
  const tooLarge = new Set<Entry>();
  let isReading = false;
  let stamps = 0;
  const returns = createReturns(pool, fetchWhatFits);
  /** Resolves when there is room again; nothing while nobody waits for that. */
  let room: PromiseWithResolvers<void> | undefined;

  /** Asked with each bundle that comes. */
  function isFull(): boolean {
    return waitingLength >= longestWaitingText;
  }

  function setText(entry: Entry, pem: string | undefined): void {
    waitingLength += (pem?.length ?? 0) - (entry.pem?.length ?? 0);
    entry.pem = pem;
  }

  function setTooMuch(entry: Entry, bytes: number | undefined): void {
    entry.tooMuch = bytes;
    if (bytes === undefined) {
      tooLarge.delete(entry);
    } else {
      tooLarge.add(entry);
    }
  }

  function tellOfRoom(): void {
    if (room !== undefined && !isFull()) {
      room.resolve();
      room = undefined;
    }
  }

  function touch(entry: Entry): void {
    stamps += 1;
    entry.stamp = stamps;
  }

  function drop(name: string): void {
    const entry = entries.get(name);
    if (entry === undefined) {
      return;
    }
    entries.delete(name);
    waiting.delete(entry);
    setText(entry, undefined);
    setTooMuch(entry, undefined);
    returns.give(entry.certificates);
  }

  /** The text of what did not fit is gone: it is forgotten as a whole, so that whoever asks for it has it fetched. */
  function fetchWhatFits(): void {
    for (const entry of [...tooLarge]) {
      const { name, signerName, tooMuch, pem } = entry;
      if (tooMuch === undefined || pem !== undefined || tooMuch > pool.room(ownerOf(entry))) {
        continue;
      }
      drop(name);
      onRead(name, signerName, true);
    }
  }

  function open({ metadata: { name, uid }, spec: { signerName } }: ClusterTrustBundle): Entry {
    const content = { version: undefined, pem: undefined, certificates: [], tooMuch: undefined, stamp: 0 };
    const entry: Entry = { name, uid, signerName, ...content };
    entries.set(name, entry);
    return entry;
  }

  async function readAll(): Promise<void> {
    isReading = true;
    for (let entry = smallest(waiting); entry !== undefined; entry = smallest(waiting)) {
      waiting.delete(entry);
      await read(entry);
      tellOfRoom();
      await nextTurn();
    }
    isReading = false;
    tellOfRoom();
  }

  async function read(entry: Entry): Promise<void> {
    const { pem = '' } = entry;
    const outcome = await attempt(pem);
    // What still waits to be given back is no reason to have no room.
    await returns.under();
    // Dropped, or replaced by a newer version, while it was read.
    if (entries.get(entry.name) !== entry || entry.pem !== pem) {
      return;
    }
    setText(entry, undefined);
    setTooMuch(entry, undefined);
    if ('certificates' in outcome) {
      keep(entry, outcome);
    } else {
      onMalformed(entry.name, outcome.reason + (entry.certificates.length > 0 ? still : ''));
    }
    touch(entry);
    onRead(entry.name, entry.signerName, isLastOfSigner(entry));
  }

  function isLastOfSigner({ signerName }: Entry): boolean {
    for (const other of waiting) {
      if (other.signerName === signerName) {
        return false;
      }
    }
    return true;
  }

  function keep(entry: Entry, { certificates, keys }: Content): void {
    const taken = pool.take(ownerOf(entry), certificates, keys);
    if (taken === undefined) {
      setTooMuch(entry, pool.addedBy(certificates, keys));
      return;
    }
    const replaced = entry.certificates;
    entry.certificates = taken;
    // A bundle that has become smaller may leave room for one that did not fit.
    returns.give(replaced);
  }

  async function attempt(pem: string): Promise<Content | { reason: string }> {
    try {
      const certificates = await readTrustBundle(pem);
      return { certificates, keys: await keysOf(certificates) };
    } catch (fault) {
      return { reason: messageOf(fault, 'unreadable') };
    }
  }

  return {
    get(name) {
      const entry = entries.get(name);
      if (entry === undefined) {
        return undefined;
      }
      const { uid, version, certificates, stamp, pem, tooMuch } = entry;
      return { uid, version, certificates, stamp, isPending: pem !== undefined, isTooMuch: tooMuch !== undefined };
    },
    offer(bundle) {
      const { name, uid, resourceVersion } = bundle.metadata;
      const known = entries.get(name);
      // Two watches may bring the versions of a bundle in different order.
      if (known !== undefined && isOlder(resourceVersion ?? '', known.version ?? '')) {
        return;
      }
      const isSame = known?.uid === uid && known?.version === resourceVersion;
      // What did not fit is read again when it does: lists and watches bring it time and again.
      if (isSame && (known?.tooMuch === undefined || known.tooMuch > pool.room(ownerOf(known)))) {
        return;
      }
      // Another object of the same name owes nothing to the one that was deleted.
      if (known?.uid !== uid) {
        drop(name);
      }
      const entry = entries.get(name) ?? open(bundle);
      entry.version = resourceVersion;
      setText(entry, bundle.spec.trustBundle);
      touch(entry);
      waiting.add(entry);
      if (!isReading) {
        void readAll();
      }
    },
    has: (name) => entries.has(name),
    drop,
    untilRoom() {
      if (!isFull()) {
        return undefined;
      }
      room ??= Promise.withResolvers<void>();
      return room.promise;
    },
    names: () => [...entries.keys()],
    stop: () => {
      for (const name of [...entries.keys()]) {
        drop(name);
      }
      tellOfRoom();
    },
  };
}

/** Whose share of the pool a bundle takes: its signer's, its own where it has none. */
function ownerOf({ name, signerName }: Entry): string {
  return signerName === undefined ? `bundle ${name}` : `signer ${signerName}`;
}

/**
 * Gives certificates back, so many in a turn of the event loop: the bundles of a signer may hold a hundred thousand, and go together.
 * @param onReturned there may be more room
 */
function createReturns(pool: AnchorPool, onReturned: () => void) {
  const waiting: (readonly Uint8Array[])[] = [];
  let givenInTurn = 0;
  let all: PromiseWithResolvers<void> | undefined;

  function go(): void {
    for (let [first] = waiting; first !== undefined && givenInTurn < certificatesPerTurn; [first] = waiting) {
      const part = first.slice(0, certificatesPerTurn - givenInTurn);
      pool.giveBack(part);
      givenInTurn += part.length;
      if (part.length < first.length) {
        waiting[0] = first.slice(part.length);
      } else {
        waiting.shift();
      }
    }
    if (waiting.length === 0) {
      all?.resolve();
      all = undefined;
      onReturned();
    }
  }

  return {
    give(certificates: readonly Uint8Array[]): void {
      if (certificates.length === 0) {
        return;
      }
      waiting.push(certificates);
      all ??= Promise.withResolvers<void>();
      if (givenInTurn === 0) {
        setImmediate(nextPart);
      }
      if (givenInTurn < certificatesPerTurn) {
        go();
      }
    },
    /** What is to be waited for until all are back. */
    under: (): Promise<void> | undefined => all?.promise,
  };

  function nextPart(): void {
    givenInTurn = 0;
    if (waiting.length > 0) {
      setImmediate(nextPart);
      go();
    }
  }
}

const still = '; the certificates of its last readable version stay in use';

async function keysOf(certificates: readonly Uint8Array[]): Promise<string[]> {
  const keys: string[] = [];
  for (const der of certificates) {
    if (keys.length % certificatesPerTurn === 0) {
      await nextTurn();
    }
    keys.push(anchorKeyOf(der));
  }
  return keys;
}

/** Short ones first: nobody's bundle waits for a stranger's hundred full ones. */
function smallest(waiting: ReadonlySet<Entry>): Entry | undefined {
  let found: Entry | undefined;
  for (const entry of waiting) {
    if (found === undefined || (entry.pem?.length ?? 0) < (found.pem?.length ?? 0)) {
      found = entry;
    }
  }
  return found;
}
