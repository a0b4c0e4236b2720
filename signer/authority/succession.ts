/**
 * How one CA follows another without a certificate that nobody trusts: the next one is made and published long before it
 * signs, and the anchor of the old one stays until the last certificate of it has run out, but not until it runs out itself: of an
 * expired anchor every pod would be told. All of it is arithmetic over what the Secret holds, so a restart goes on where it stood.
 *
 *     made ──► published ──► signs ──► retired (its key is thrown away) ──► dropped
 */

/** One CA and where it stands. Times are milliseconds since the epoch. */
export interface Generation {
  /** Its certificate, PEM; the trust anchor. */
  readonly certificate: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** PKCS#8, PEM. Absent once it is retired. */
  readonly privateKey?: string;
  /** When its anchor was first where pods find it. Absent: not yet. */
  readonly publishedAt?: number;
  /** The longest lifetime that a certificate of it may have, milliseconds. */
  readonly longestLeafMs: number;
  /** Set when it is retired: no certificate of it is valid after this. */
  readonly neededUntil?: number;
}

/** Lifetimes in milliseconds. */
export interface Lifetimes {
  readonly authorityMs: number;
  readonly leafMs: number;
  /** The API server takes no certificate that lives shorter: an hour. */
  readonly shortestLeafMs: number;
}

/** How much of its life a CA has left when the next one is made. */
const nextMadeAt = 1 / 2;
/** For how much of a CA's life the next one is published before it signs: by then every reader has loaded it. */
const publishedAhead = 1 / 12;
/** How much of a CA's life no certificate of it reaches into, so that its anchor goes before it expires. */
const unused = 1 / 12;
/**
 * A certificate may last for this much of its CA's life at most: what is left when the next one takes over, so that no certificate is
 * cut short.
 */
export const longestLeafShare = 1 - nextMadeAt - publishedAhead - unused;
/** Another replica that has not noticed yet that it no longer leads may sign for this long. */
const handOverMs = 60_000;

const lifeOf = ({ notBefore, notAfter }: Generation): number => notAfter - notBefore;

/** No certificate of a CA ends later, milliseconds since the epoch. */
export function lastLeafEnd(generation: Generation): number {
  return generation.notAfter - lifeOf(generation) * unused;
}

/** True when there is no CA whose life is still long. */
export function isNextDue(generations: readonly Generation[], now: number): boolean {
  const newest = generations.findLast(({ privateKey }) => privateKey !== undefined);
  return newest === undefined || newest.notAfter - now < lifeOf(newest) * nextMadeAt;
}

/** The CA that signs now: of those that are published the newest that has been for long enough. */
export function currentOf(
  generations: readonly Generation[],
  now: number,
  shortestLeafMs: number,
): Generation | undefined {
  let current: Generation | undefined;
  for (const generation of generations) {
    const { publishedAt, privateKey } = generation;
    if (publishedAt === undefined || privateKey === undefined || lastLeafEnd(generation) <= now) {
      continue;
    }
    // One that cannot sign for long enough any more is followed at once: nobody can wait for its successor.
    const isSpent = current === undefined || lastLeafEnd(current) - now < shortestLeafMs;
    if (isSpent || publishedAt + lifeOf(generation) * publishedAhead <= now) {
      current = generation;
    }
  }
  return current;
}

/**
 * What time has done: CAs before the one that signs are retired, anchors that nobody needs are dropped, and the one that signs knows
 * how long its certificates last.
 * @returns the same array when nothing has changed
 */
export function settle(generations: readonly Generation[], now: number, lifetimes: Lifetimes): readonly Generation[] {
  const current = currentOf(generations, now, lifetimes.shortestLeafMs);
  const position = current === undefined ? -1 : generations.indexOf(current);
  const settled = generations
    .map((generation, index) => {
      if (index < position && generation.privateKey !== undefined) {
        return retired(generation, now);
      }
      return generation.privateKey !== undefined && generation.longestLeafMs < lifetimes.leafMs
        ? { ...generation, longestLeafMs: lifetimes.leafMs }
        : generation;
    })
    .filter((generation) => (generation.neededUntil ?? lastLeafEnd(generation)) > now);
  const isSame = settled.length === generations.length && settled.every((each, index) => each === generations[index]);
  return isSame ? generations : settled;
}

/** One that was never published has signed nothing. */
function retired(generation: Generation, now: number): Generation {
  const { privateKey: _, ...rest } = generation;
  const lastMs = generation.publishedAt === undefined ? 0 : generation.longestLeafMs + handOverMs;
  return { ...rest, neededUntil: Math.min(lastLeafEnd(generation), now + lastMs) };
}

/** Notes that all anchors are where pods find them. @returns the same array when that was known */
export function published(generations: readonly Generation[], now: number): readonly Generation[] {
  return generations.every(({ publishedAt }) => publishedAt !== undefined)
    ? generations
    : generations.map((generation) =>
        generation.publishedAt === undefined ? { ...generation, publishedAt: now } : generation,
      );
}

/** All trust anchors, the newest first, PEM. */
export function anchorsOf(generations: readonly Generation[]): string {
  return generations
    .toReversed()
    .map(({ certificate }) => certificate)
    .join('');
}
