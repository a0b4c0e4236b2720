/**
 * A workload that reads its volume: a hundred loops that open the set `..data` points to and read two files of it, until stdin
 * ends. Prints one line when it has begun, and at the end what it saw, as JSON.
 *
 *     node reader.ts <volume> <file> <file>
 */
import fs from 'node:fs/promises';

const [volume = '', ...files] = process.argv.slice(2);
const seen = { reads: 0, torn: 0, generations: new Set<string>(), errors: new Set<string>() };
let stopped = false;
process.stdin.on('end', () => {
  stopped = true;
});
process.stdin.resume();

/** Both files through one open directory: what a reader gets that resolves `..data` once. */
async function readSet(): Promise<readonly string[]> {
  const directory = await fs.open(`${volume}/..data`, 'r');
  try {
    return await Promise.all(files.map((file) => fs.readFile(`/proc/self/fd/${directory.fd}/${file}`, 'utf8')));
  } finally {
    await directory.close();
  }
}

async function loop(): Promise<void> {
  while (!stopped) {
    try {
      const [first = '', ...others] = await readSet();
      seen.reads += 1;
      seen.generations.add(first);
      if (first === '' || others.some((other) => other !== first)) {
        seen.torn += 1;
      }
    } catch (error) {
      // The set was replaced between opening its directory and its files: a reader begins again.
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      if (code !== 'ENOENT') {
        seen.errors.add(code);
      }
    }
  }
}

const loops = Array.from({ length: 100 }, loop);
process.stdout.write('reading\n');
await Promise.all(loops);
const { reads, torn, generations, errors } = seen;
process.stdout.write(`${JSON.stringify({ reads, torn, generations: generations.size, errors: [...errors] })}\n`);
