/**
 * Waits until the demonstration is no more, and removes its work directory if that is still there: keys lie in it, and a demonstration
 * that was killed removes nothing. A process in a session of its own, which no terminal takes along.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** The demonstration's children end at the same time, and may still write. */
const looks = 20;
const betweenLooksMs = 250;

async function waitForEnd(): Promise<boolean> {
  let isOver = false;
  for await (const chunk of process.stdin) {
    isOver ||= String(chunk).includes('done');
  }
  return isOver;
}

async function clear(directory: string): Promise<void> {
  for (let quiet = 0, look = 0; quiet < 2 && look < looks; look += 1) {
    quiet = existsSync(directory) ? 0 : quiet + 1;
    await rm(directory, { recursive: true, force: true }).catch(() => {});
    await sleep(betweenLooksMs);
  }
}

const [, , directory] = process.argv;
if (directory !== undefined && !(await waitForEnd())) {
  await clear(directory);
}
