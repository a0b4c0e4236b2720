/** Writes spans of time as people do. */

const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const;

/** The two largest units of a span: `3 d 4 h`, `12 min 5 s`, `0 s`. @param ms not negative */
export function spanText(ms: number): string {
  let rest = Math.floor(ms / 1_000);
  const parts: string[] = [];
  for (const [name, seconds] of units) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    // What follows a unit that is left out is not worth saying: `3 d 5 s` claims a precision that nobody needs.
    if (parts.length > 0 && count === 0) {
      break;
    }
    if (count > 0) {
      parts.push(`${count} ${name}`);
    }
    if (parts.length === 2) {
      break;
    }
  }
  return parts.length === 0 ? '0 s' : parts.join(' ');
}

/** `in 3 h 5 min`, `2 d ago`, `now`. Both in milliseconds since the epoch. */
export function fromNow(time: number, now: number): string {
  const left = time - now;
  if (Math.abs(left) < 1_000) {
    return 'now';
  }
  return left > 0 ? `in ${spanText(left)}` : `${spanText(-left)} ago`;
}
