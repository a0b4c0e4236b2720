/**
 * The authorities of one signer over time: the one that signs, those whose roots are published, and when the last
 * certificate of each runs out.
 */
import { type Authority, createAuthority } from './authority.ts';

export interface Generations {
  /** The authority that signs now. */
  current(): Authority;
  /** Roots to publish, PEM, oldest first. */
  publishedRoots(): string;
  /** Makes the next authority and counts its root as published; nothing happens when there is one already. */
  prepareNext(): Promise<void>;
  /** The next authority signs from now on. @throws Error when there is none. */
  switchToNext(): void;
  /** Roots of authorities that sign no more are published no more. */
  dropOld(): void;
  /** notAfter of the last certificate of all authorities that sign no more, milliseconds since the epoch; 0 for none. */
  lastOldNotAfter(): number;
}

/** Starts with one authority. Each of them remembers what it issues, for whomever. @param now the wall clock, milliseconds since the epoch. */
export async function createGenerations(signerName: string, now: () => number): Promise<Generations> {
  let count = 0;
  const lastNotAfter = new Map<Authority, number>();
  const create = async (): Promise<Authority> => {
    count += 1;
    const plain = await createAuthority(`${signerName} ${count}`, now());
    const authority: Authority = {
      ...plain,
      issue: (order) => {
        const known = lastNotAfter.get(authority);
        if (known !== undefined) {
          lastNotAfter.set(authority, Math.max(known, order.notAfter));
        }
        return plain.issue(order);
      },
    };
    return authority;
  };
  let current = await create();
  let next: Promise<Authority> | undefined;
  lastNotAfter.set(current, 0);
  let prepared: Authority | undefined;

  return {
    current: () => current,
    publishedRoots: () => [...lastNotAfter.keys()].map((authority) => authority.rootPem).join(''),
    prepareNext: async () => {
      next ??= create();
      prepared = await next;
      if (!lastNotAfter.has(prepared)) {
        lastNotAfter.set(prepared, 0);
      }
    },
    switchToNext: () => {
      if (prepared === undefined) {
        throw new Error('there is no next authority: publish its root first');
      }
      current = prepared;
      next = undefined;
      prepared = undefined;
    },
    dropOld: () => {
      for (const authority of [...lastNotAfter.keys()]) {
        if (authority !== current && authority !== prepared) {
          lastNotAfter.delete(authority);
        }
      }
    },
    lastOldNotAfter: () => {
      const old = [...lastNotAfter].filter(([authority]) => authority !== current && authority !== prepared);
      return Math.max(0, ...old.map(([, notAfter]) => notAfter));
    },
  };
}
