/**
 * Changes the program in one small place after the other and looks whether a test notices: `npm run test:mutation [-- FILE…]`. A change that
 * no test notices is a promise that nobody holds, unless it makes no difference; then explained/ says why. Every other one fails the run.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fetchChanger } from './changes.ts';
import { explained } from './explained/all.ts';
import { parts } from './parts/all.ts';
import { type Judged, judge, lineOf, table } from './survivors.ts';
import { tryChanges } from './trial.ts';

const root = join(import.meta.dirname, '../..');
/** How often a long run shows that it goes on. */
const progressMs = 15_000;

const wanted = process.argv.slice(2);
const chosen = parts.filter(({ file }) => wanted.length === 0 || wanted.includes(file));
const unknown = wanted.filter((file) => !parts.some((part) => part.file === file));
assert.deepEqual(unknown, [], `name files of test/mutation/parts/: ${parts.map(({ file }) => file).join(', ')}`);

const change = await fetchChanger();
const judged: Judged[] = [];
for (const part of chosen) {
  const beganAt = performance.now();
  const changed = await change(join(root, part.file));
  let saidAt = beganAt;
  let tried = 0;
  const results = await tryChanges(part, changed, () => {
    tried += 1;
    if (performance.now() - saidAt > progressMs) {
      saidAt = performance.now();
      say(`${part.file}: ${tried} of ${changed.changes.length} changes tried`);
    }
  });
  const one = judge(part.file, results, explained, performance.now() - beganAt);
  judged.push(one);
  for (const { change: survivor, verdict } of one.unexplained) {
    say(lineOf(part.file, survivor, verdict));
  }
  for (const { text, instead } of one.stale) {
    say(`${part.file}: explained, and noticed all the same: ${text} → ${instead}`);
  }
}
say(table(judged));
process.exitCode = judged.every(({ unexplained, stale }) => unexplained.length + stale.length === 0) ? 0 : 1;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
