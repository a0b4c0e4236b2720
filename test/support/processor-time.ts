/** Processor time of this process, milliseconds: what other processes do meanwhile does not count. */

export function usedMs(since?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

/** @returns the processor time of the longest turn of the event loop while work goes on, and of all of them */
export async function turnsOf(
  work: () => Promise<unknown>,
): Promise<{ readonly longest: number; readonly all: number }> {
  let longest = 0;
  let isOver = false;
  const before = process.cpuUsage();
  // In the first of the turns, and not before it.
  const working = Promise.resolve()
    .then(work)
    .finally(() => {
      isOver = true;
    });
  while (!isOver) {
    const turn = process.cpuUsage();
    await new Promise((resolve) => setImmediate(resolve));
    longest = Math.max(longest, usedMs(turn));
  }
  await working;
  return { longest, all: usedMs(before) };
}
