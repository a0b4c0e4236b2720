/** Processor time of this process, milliseconds: what other processes do meanwhile does not count. */

export function usedMs(since?: NodeJS.CpuUsage): number {
  return inMs(process.cpuUsage(since));
}

/**
 * @param usage of whom: what other threads do counts unless it is `process.threadCpuUsage`
 * @returns the processor time of the longest turn of the event loop while work goes on, and of all of them
 */
export async function turnsOf(
  work: () => Promise<unknown>,
  usage: (since?: NodeJS.CpuUsage) => NodeJS.CpuUsage = process.cpuUsage,
): Promise<{ readonly longest: number; readonly all: number }> {
  let longest = 0;
  let isOver = false;
  const before = usage();
  // In the first of the turns, and not before it.
  const working = Promise.resolve()
    .then(work)
    .finally(() => {
      isOver = true;
    });
  while (!isOver) {
    const turn = usage();
    await new Promise((resolve) => setImmediate(resolve));
    longest = Math.max(longest, inMs(usage(turn)));
  }
  await working;
  return { longest, all: inMs(usage(before)) };
}

function inMs({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1000;
}
