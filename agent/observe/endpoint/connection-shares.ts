/**
 * Decides who keeps a connection when there are not enough for all. A peer beyond its share loses its own oldest
 * connection; when all are taken, the peer with the most loses one. A connection on which a good token was shown is
 * never taken away, so a scraper keeps its connections, and can connect again although strangers hold all the others.
 */

export interface ConnectionShares {
  /**
   * Takes the connection in, at the cost of another where there is no place left.
   * @param id of the connection, distinct from all others
   * @param close ends it when another takes its place
   * @returns false when there is no place for it
   */
  admit(id: string, peer: string, close: () => void): boolean;
  /** A good token was shown on it. */
  prove(id: string): void;
  /** It has ended. */
  release(id: string): void;
}

interface Held {
  readonly peer: string;
  readonly close: () => void;
  isProven: boolean;
}

/** @param limits connections of all peers together, and of one */
export function createConnectionShares(limits: { readonly total: number; readonly peer: number }): ConnectionShares {
  /** The oldest first. */
  const held = new Map<string, Held>();

  const countsByPeer = (): ReadonlyMap<string, number> => {
    const counts = new Map<string, number>();
    for (const { peer } of held.values()) {
      counts.set(peer, (counts.get(peer) ?? 0) + 1);
    }
    return counts;
  };
  const evict = (isCandidate: (peer: string) => boolean): boolean => {
    const found = [...held].find(([, { peer, isProven }]) => !isProven && isCandidate(peer));
    if (found === undefined) {
      return false;
    }
    const [id, { close }] = found;
    held.delete(id);
    close();
    return true;
  };
  const makeRoom = (newcomer: string): boolean => {
    const counts = countsByPeer();
    if ((counts.get(newcomer) ?? 0) >= limits.peer) {
      return evict((peer) => peer === newcomer);
    }
    if (held.size < limits.total) {
      return true;
    }
    const unproven = [...held.values()].filter(({ isProven }) => !isProven);
    const most = Math.max(0, ...unproven.map(({ peer }) => counts.get(peer) ?? 0));
    return evict((peer) => counts.get(peer) === most);
  };

  return {
    admit(id, peer, close) {
      if (!makeRoom(peer)) {
        return false;
      }
      held.set(id, { peer, close, isProven: false });
      return true;
    },
    prove(id) {
      const connection = held.get(id);
      if (connection !== undefined) {
        connection.isProven = true;
      }
    },
    release: (id) => void held.delete(id),
  };
}
