/** What goes wrong with signers, and with the requests that they are to answer. */
import { setTimeout as delay } from 'node:timers/promises';
import { type WrongChain, wrongChains } from './chains.ts';
import type { Fault } from './endure.ts';
import type { Conduct } from './signers.ts';

export interface SignerFault extends Fault {
  /** The signer's name. */
  readonly name: string;
}

const good: Conduct = { does: 'issue' };

/** A signer behaves like this for so long. */
function behaving(
  name: string,
  title: string,
  conduct: Conduct,
  lastsMs: number,
  recoversWithinMs: number,
): SignerFault {
  return {
    ...{ name, title, lastsMs, recoversWithinMs },
    begin(_, subjects) {
      const all = (next: Conduct): void => {
        for (const { signer } of subjects) {
          signer.conduct(next);
        }
      };
      all(conduct);
      return () => all(good);
    },
  };
}

/** Behaves in one way after the other. */
function flapping(
  name: string,
  title: string,
  conducts: readonly Conduct[],
  everyMs: number,
  rounds: number,
): SignerFault {
  return {
    ...{ name, title, lastsMs: everyMs * conducts.length * rounds, recoversWithinMs: 20_000 },
    begin(_, subjects) {
      const flaps = new AbortController();
      const { signal } = flaps;
      const flap = async (): Promise<void> => {
        for (let turn = 0; !signal.aborted; turn += 1) {
          for (const { signer } of subjects) {
            signer.conduct(conducts[turn % conducts.length] ?? good);
          }
          await delay(everyMs, undefined, { signal }).catch(() => undefined);
        }
        for (const { signer } of subjects) {
          signer.conduct(good);
        }
      };
      const ended = flap();
      return async () => {
        flaps.abort();
        await ended;
      };
    },
  };
}

/** @param lifetimeMs of certificates */
export function signerFaults(lifetimeMs: number): readonly SignerFault[] {
  // No pause is longer than a tenth of what the certificate has left.
  const pause = Math.max(5_000, lifetimeMs / 10);
  const nothing: Conduct = { does: 'nothing' };
  const shortly = Math.min(10_000, lifetimeMs / 4);
  const wrong = Object.keys(wrongChains).map((which, index) =>
    behaving(
      `wrong-${index}`,
      `a signer answers with a chain ${which}`,
      { does: 'issue a chain', which: which as WrongChain },
      shortly,
      pause,
    ),
  );
  return [
    behaving('away-1s', 'a signer is away for a second', nothing, 1_000, pause),
    behaving('away', 'a signer is away for a while', nothing, shortly, pause),
    behaving('lapse', 'a signer is away until after certificates have expired', nothing, lifetimeMs * 1.2, pause),
    behaving('slow', 'a signer is slow', { does: 'issue', afterMs: shortly / 2 }, shortly, pause),
    behaving('denies', 'a signer denies what it issues later', { does: 'deny' }, shortly, pause),
    behaving('fails', 'a signer fails what it issues later', { does: 'fail' }, shortly, pause),
    flapping('flaps', 'a signer comes and goes', [nothing, good, { does: 'deny' }, good, { does: 'fail' }], 300, 10),
    behaving(
      'lost',
      'requests are removed before they are answered',
      { does: 'lose requests', when: 'asked' },
      shortly,
      pause,
    ),
    behaving(
      'gone',
      'requests are removed once they are answered',
      { does: 'lose requests', when: 'answered' },
      shortly,
      pause,
    ),
    ...wrong,
  ];
}
