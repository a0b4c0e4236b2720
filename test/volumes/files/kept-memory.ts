/** How much memory work in steps keeps while it looks at what a privileged container can put into its volume: very many long names. */
import fs from 'node:fs';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Steps } from '../../../volumes/base/steps.ts';

const nameLength = 250;
/** Of each name, as long as it is: what is kept beside names, by whatever else the process does meanwhile, is far less. */
export const bytesNotKept = nameLength / 2;

export function plantLong(directory: string, count: number): void {
  for (let index = 0; index < count; index += 1) {
    fs.writeFileSync(path.join(directory, String(index).padStart(nameLength, 'f')), '');
  }
}

const stepsBetweenLooks = 1_024;

/** @returns what the steps give, and by how many bytes they ever made the heap grow */
export function whileMeasured<Result>(steps: Steps<Result>): { readonly result: Result; readonly grownBy: number } {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const used = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = used();
  let most = before;
  for (let count = 1; ; count += 1) {
    const last = steps.next();
    if (last.done === true) {
      return { result: last.value, grownBy: most - before };
    }
    if (count % stepsBetweenLooks === 0) {
      most = Math.max(most, used());
    }
  }
}
