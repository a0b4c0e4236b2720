/**
 * The one class of changes that needs no reason of its own: a sentence for people, left out. Tests hold what a message names (the pod, the
 * volume, the field) where its reader depends on it; to hold each word would be to write each message twice. How many there are is counted.
 */
import type { Change } from '../changes.ts';

/** Three words in a row, in letters: no key, label, path, name of an event or format has them. */
const sentence = /[A-Za-z,;]+ [A-Za-z,;]+ [A-Za-z,;]+/;

export function isWording({ kind, text, instead }: Pick<Change, 'kind' | 'text' | 'instead'>): boolean {
  return kind === 'StringLiteral' && (instead === '""' || instead === '``') && sentence.test(text);
}
