/**
 * What a pod that waits is told through the kubelet, which repeats it at every try and makes a new event of every text that differs
 * from the one before: of what another side said, everything that is another at each attempt is left out.
 */

/** RFC 3339, with a space in place of the T too, as Go prints it. */
const moments = /\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?Z\b| ?[+-]\d\d:?\d\d\b)?(?: UTC\b)?/g;
/** UIDs, serial numbers, and the ends of the names of requests. */
const identifiers =
  /\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{12,}|[0-9a-f]{2}(?::[0-9a-f]{2}){7,})\b/gi;

/** The text without moments and identifiers. In full it stands in the agent's own event, in its log and on the status page. */
export function steadyText(text: string): string {
  return text.replaceAll(moments, '…').replaceAll(identifiers, '…');
}
