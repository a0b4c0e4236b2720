/**
 * An agent that writes one set after the other until it is killed: two files whose content is the same number. Prints each
 * number when its set is in place.
 *
 *     node writer.ts <volume>
 */
import { writeAtomically } from '../../../volumes/files/atomic-writer.ts';

const volume = process.argv[2] ?? '';
for (let generation = 1; ; generation += 1) {
  const bytes = Buffer.from(String(generation));
  const files = ['a.pem', 'deep/er/b.pem'].map((path) => ({ path, bytes, mode: 0o600 }));
  writeAtomically(volume, { files, keep: [], directory: { mode: 0o755 }, now: 0 });
  process.stdout.write(`${generation}\n`);
}
