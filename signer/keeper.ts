/**
 * Keeps the CA: reads it from its Secret or makes it, publishes its anchors, and has one CA follow another in time. Each step is written down
 * before the next one relies on it, so whoever leads next goes on from there.
 */
import { AgentError } from '../agent/base/errors.ts';
import type { Secret, SecretStore } from './api/secret.ts';
import { type Authority, makeGeneration, openAuthority } from './authority/authority.ts';
import { readGenerations, writeGenerations } from './authority/stored.ts';
import {
  anchorsOf,
  currentOf,
  type Generation,
  isNextDue,
  type Lifetimes,
  published,
  settle,
} from './authority/succession.ts';

export interface KeeperOptions {
  readonly signerName: string;
  readonly lifetimes: Lifetimes;
  /** How much earlier than it is made a CA counts as valid, milliseconds. */
  readonly backdateMs: number;
  readonly secrets: SecretStore;
  /** Puts the anchors (PEM) where pods find them. @throws AgentError */
  readonly publish: (anchors: string, signal: AbortSignal) => Promise<void>;
  /** The cluster serves no ClusterTrustBundles: who needs the anchors takes them from the Secret. */
  readonly onUnpublished: (error: AgentError) => void;
  readonly onStep: (step: KeeperStep) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** `made`: a CA was made. `signs`: another one signs from now on. `restored`: the Secret was lost and holds its CA again. */
export interface KeeperStep {
  readonly type: 'made' | 'signs' | 'restored';
  readonly notAfter: number;
}

export interface Keeper {
  /** Does what is due. @throws AgentError; what was done stays done */
  tend(signal: AbortSignal): Promise<void>;
  /** The CA that signs; undefined while there is none that is stored and published. */
  authority(): Authority | undefined;
  /** Number of trust anchors. */
  anchors(): number;
}

export function createKeeper(options: KeeperOptions): Keeper {
  const { signerName, lifetimes, backdateMs, secrets, publish, now, onStep } = options;
  let generations: readonly Generation[] = [];
  let signing: { readonly certificate: string; readonly authority: Authority } | undefined;

  /** What the Secret holds; where it was lost or emptied, what is remembered is put back. */
  async function load(signal: AbortSignal): Promise<Secret | undefined> {
    const secret = await secrets.read(signal);
    const stored = readGenerations(secret?.data ?? {}, secrets.name);
    if (stored.length > 0 || generations.length === 0) {
      generations = stored;
      return secret;
    }
    // A certificate of a CA that is stored nowhere would be of no use after the next restart.
    const kept = generations;
    signing = undefined;
    const restored = await secrets.write(secret, writeGenerations(kept), signal);
    onStep({ type: 'restored', notAfter: kept.at(-1)?.notAfter ?? 0 });
    return restored;
  }

  async function advance(): Promise<readonly Generation[]> {
    const settled = settle(generations, now(), lifetimes);
    if (!isNextDue(settled, now())) {
      return settled;
    }
    const life = { lifetimeMs: lifetimes.authorityMs, backdateMs, longestLeafMs: lifetimes.leafMs };
    return [...settled, await makeGeneration(signerName, now(), life)];
  }

  async function store(next: readonly Generation[], before: Secret | undefined, signal: AbortSignal) {
    const written = await secrets.write(before, writeGenerations(next), signal);
    for (const { notAfter } of next.filter(
      ({ certificate }) => !generations.some((each) => each.certificate === certificate),
    )) {
      onStep({ type: 'made', notAfter });
    }
    generations = next;
    return written;
  }

  async function announce(signal: AbortSignal): Promise<void> {
    try {
      await publish(anchorsOf(generations), signal);
    } catch (error) {
      if (!(error instanceof AgentError && error.code === 'ApiMissing')) {
        throw error;
      }
      options.onUnpublished(error);
    }
  }

  async function choose(): Promise<void> {
    const current = currentOf(generations, now(), lifetimes.shortestLeafMs);
    if (current === undefined) {
      signing = undefined;
    } else if (current.certificate !== signing?.certificate) {
      signing = { certificate: current.certificate, authority: await openAuthority(current) };
      onStep({ type: 'signs', notAfter: current.notAfter });
    }
  }

  return {
    async tend(signal) {
      let secret = await load(signal);
      const next = await advance();
      if (next !== generations) {
        secret = await store(next, secret, signal);
      }
      await announce(signal);
      const out = published(generations, now());
      if (out !== generations) {
        await store(out, secret, signal);
      }
      await choose();
    },
    authority: () => signing?.authority,
    anchors: () => generations.length,
  };
}
