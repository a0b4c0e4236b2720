/**
 * Finds the metav1.Status in the body of an error reply. A webhook, or whoever else words the error, may fill a megabyte with a hundred
 * thousand causes: the text is read in pieces, a few milliseconds in each turn of the event loop.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */
import type { TurnBudget } from '../base/turn-budget.ts';
import { readStatus, statusShape } from './envelopes.ts';
import { createSieve } from './json-sieve.ts';
import type { Status } from './objects.ts';

const bytesInPiece = 16 * 1024;

/** @returns undefined for anything else: a proxy's reply may be any text */
export function statusIn(text: string, budget: TurnBudget): Promise<Status | undefined> {
  return new Promise((resolve) => {
    const values: unknown[] = [];
    const sieve = createSieve({
      shape: statusShape,
      maxBytes: text.length,
      onValue: (value) => void values.push(value),
    });
    const bytes = Buffer.from(text);
    let from = 0;
    const finish = (status: Status | undefined): false => {
      resolve(status);
      return false;
    };
    budget(() => {
      try {
        if (from < bytes.length) {
          from += sieve.take(bytes.subarray(from, from + bytesInPiece), 0);
          return true;
        }
        sieve.end();
      } catch {
        return finish(undefined);
      }
      return finish(values.length === 1 ? readStatus(values[0]) : undefined);
    });
  });
}
