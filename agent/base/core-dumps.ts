/**
 * Keeps what a program has in memory, such as keys while it works with them, out of core dumps. Whoever starts it may have no limit
 * on them, and a dump is a file that stays.
 *
 * https://man7.org/linux/man-pages/man5/core.5.html: with an empty filter no mapping is written; child processes inherit it.
 */
import { writeFileSync } from 'node:fs';

/** @param onFault is told where the kernel does not take it */
export function keepMemoryOutOfCoreDumps(onFault: (error: unknown) => void): void {
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch (error) {
    onFault(error);
  }
}
