/**
 * Keeps what was read of bundles in step with what the watches show: what no watch shows any more is forgotten, and what
 * they show in an older version than was read is fetched anew.
 */
import { isOlder } from '../kubernetes/resource-version.ts';
import { type BundleOutline, type Feed, isSynced } from './feed.ts';
import type { Shelf } from './shelf.ts';

export interface UpkeepOptions {
  readonly shelf: Shelf;
  /** Every watch there is. */
  readonly feeds: ReadonlySet<Feed>;
  /** What first looks showed, until the watch of all bundles knows. */
  readonly looks: ReadonlySet<{ readonly seen: readonly BundleOutline[] | undefined }>;
  readonly isWanted: (bundle: BundleOutline) => boolean;
  /** What was read of a bundle is gone, and it has to be fetched for those who want it. */
  readonly onLost: (bundle: BundleOutline) => void;
  /** Does work with one name after the other, a few in each turn of the event loop. */
  readonly inTurns: (names: Iterator<string>, work: (name: string) => void) => void;
}

export interface Upkeep {
  /** Looks at every bundle that was read; once a list has been taken over. */
  sweep(): void;
  /** Forgets what was read of a bundle unless a watch shows it and somebody wants it. */
  forget(name: string): void;
}

export function createUpkeep({ shelf, feeds, looks, isWanted, onLost, inTurns }: UpkeepOptions): Upkeep {
  function firstShown(name: string): BundleOutline | undefined {
    for (const { bundles } of feeds) {
      const outline = bundles.get(name);
      if (outline !== undefined) {
        return outline;
      }
    }
    return undefined;
  }

  function firstSeen(name: string): BundleOutline | undefined {
    for (const { seen = [] } of looks) {
      const outline = seen.find(({ metadata }) => metadata.name === name);
      if (outline !== undefined) {
        return outline;
      }
    }
    return undefined;
  }

  function forget(name: string): void {
    const shown = firstShown(name) ?? firstSeen(name);
    if (shown === undefined || !isWanted(shown)) {
      shelf.drop(name);
    }
  }

  /**
   * Where every watch shows an older version than was read, the server's data went back: what was read is nobody's any more, and would
   * keep away whatever comes until the numbers have caught up.
   */
  function fetchAnew(name: string): void {
    const shown = firstShown(name);
    const read = shelf.get(name)?.version;
    const isLost = ({ bundles }: Feed): boolean => {
      const version = bundles.get(name)?.metadata.resourceVersion;
      return version === undefined || isOlder(version, read ?? '');
    };
    if (shown !== undefined && [...feeds].every(isLost)) {
      shelf.drop(name);
      onLost(shown);
    }
  }

  return {
    sweep() {
      inTurns(shelf.names().values(), (name) => {
        // What a list has brought so far is shown when the list is complete, and sweeps anew.
        if ([...feeds].every(isSynced)) {
          forget(name);
          fetchAnew(name);
        }
      });
    },
    forget,
  };
}
