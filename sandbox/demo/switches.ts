/**
 * What a person can do to the signer while the demonstration runs: a word and Enter in the terminal.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Behaviour } from '../signers/behaviours.ts';
import type { Signer } from '../signers/signer.ts';

interface Switch {
  readonly behaviour: Behaviour;
  /** What happens then, for a person. */
  readonly said: string;
}

const slowMs = 20_000;

/** By the word that is typed. */
export const switches: Readonly<Record<'deny' | 'silent' | 'slow' | 'good', Switch>> = {
  deny: {
    behaviour: { type: 'denying', reason: 'Demonstration', message: 'somebody typed "deny"' },
    said: 'The signer denies every request from now on.',
  },
  silent: { behaviour: { type: 'silent' }, said: 'The signer answers no request from now on.' },
  slow: {
    behaviour: { type: 'slow', delayMs: slowMs },
    said: `The signer takes ${slowMs / 1000} s for each request from now on.`,
  },
  good: { behaviour: { type: 'instant' }, said: 'The signer answers at once again.' },
};

const names = Object.keys(switches).join(', ');
export const switchesHelp = `Type ${names} and Enter: how the signer behaves from then on.`;

/** Reads switches until the input ends. @param say tells the person @returns ends that */
export function readSwitches(
  input: NodeJS.ReadableStream,
  signer: Pick<Signer, 'setBehaviour'>,
  say: (text: string) => void,
): () => void {
  const lines = createInterface({ input, terminal: false });
  lines.on('line', (line) => {
    const word = line.trim().toLowerCase();
    const found = Object.entries(switches).find(([name]) => name === word)?.[1];
    if (found !== undefined) {
      signer.setBehaviour(found.behaviour);
      say(found.said);
    } else if (word !== '') {
      say(switchesHelp);
    }
  });
  // A terminal that is closed: what ends the demonstration is not heard here.
  const ignore = (): void => {};
  input.on('error', ignore);
  return () => {
    lines.close();
    input.pause();
  };
}

/** True unless reading from the terminal would stop this process: one in the background may not (proc_pid_stat(5), fields 5 and 8). */
export function mayReadTerminal(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[2] === fields[5];
  } catch {
    return false;
  }
}
