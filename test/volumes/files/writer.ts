/**
 * An agent that writes one set after the other until it is killed: two files whose content is the same number. Prints each
 * number when its set is in place.
 *
 *     node writer.ts <volume>
 */
import { atOnce } from '../../../volumes/base/steps.ts';
import { carryOut, planChange } from '../../../volumes/files/atomic-writer.ts';
import { wholeContent } from '../../../volumes/files/content.ts';

const volume = process.argv[2] ?? '';
for (let generation = 1; ; generation += 1) {
  const content = wholeContent(Buffer.from(String(generation)));
  const files = ['a.pem', 'deep/er/b.pem'].map((path) => ({ path, content, mode: 0o600 }));
  const change = { files, keep: [], directory: { mode: 0o755 }, now: 0 };
  atOnce(carryOut(volume, atOnce(planChange(volume, change))));
  process.stdout.write(`${generation}\n`);
}
