/**
 * What interrupted changes leave in the state of a volume: files that were to be renamed, and keys that no stored request names. They are
 * cleared away when the volume is opened, in steps: a privileged container can put a million entries there.
 */
import path from 'node:path';
import { mostSteps, type Steps } from '../base/steps.ts';
import { entriesOf } from '../files/entries.ts';
import { mostEntriesCleared } from '../files/limits.ts';
import { removeInSteps } from '../files/remove.ts';

/** The name of a key says which source's it is. */
const keyFileName = /^pending-(\d+)\.[0-9a-f]{16}\.key$/;
/** Sources whose stored request is read once only, beyond any number that a volume has. */
const mostRemembered = 1_024;

export function isKeyOf(index: number, name: string): boolean {
  return keyFileName.exec(name)?.[1] === String(index);
}

/**
 * @param directory the state's, which is held
 * @param keyOf the name of the key of a source's stored request
 */
export function clearLeftovers(
  directory: string,
  device: number,
  keyOf: (index: number) => string | undefined,
): Steps<void> {
  return mostSteps(clearAllLeftovers(directory, device, keyOf), mostEntriesCleared);
}

function* clearAllLeftovers(...[directory, device, keyOf]: Parameters<typeof clearLeftovers>): Steps<void> {
  const keys = new Map<string, string | undefined>();
  for (const name of entriesOf(directory)) {
    const index = keyFileName.exec(name)?.[1];
    if (index !== undefined && !keys.has(index)) {
      if (keys.size >= mostRemembered) {
        keys.clear();
      }
      keys.set(index, keyOf(Number(index)));
    }
    if (name.endsWith('.tmp') || (index !== undefined && keys.get(index) !== name)) {
      yield* removeInSteps(path.join(directory, name), device);
    }
    yield;
  }
}
