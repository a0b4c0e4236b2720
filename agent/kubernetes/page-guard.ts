/**
 * Ends a list whose pages never end. A server says with each page how to get at the next, and one that is broken says so for ever:
 * the list would take a call after the other from the agent's other calls, and never be told as the fault that it is.
 */
import { AgentError } from '../base/errors.ts';

/** Pages of one list. */
const mostPages = 10_000;
/** Pages without an item, one after the other; a server fills a page as far as there are items. */
const mostEmptyPages = 16;

/** @returns takes note of each page with another behind it @throws AgentError Unavailable when there have been too many */
export function createPageGuard(): (itemsOfPage: number) => void {
  let pages = 0;
  let emptyPages = 0;
  return (itemsOfPage) => {
    pages += 1;
    emptyPages = itemsOfPage === 0 ? emptyPages + 1 : 0;
    if (pages >= mostPages || emptyPages >= mostEmptyPages) {
      const what = emptyPages >= mostEmptyPages ? `${emptyPages} empty pages` : `${pages} pages`;
      throw new AgentError('Unavailable', `the list has no end: there is more of it after ${what}`, {
        actor: 'nobody',
      });
    }
  };
}
