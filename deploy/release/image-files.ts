/**
 * `npm run image-files`: lays out in dist/image what the Dockerfile copies, for those who build with Docker.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { bundleAgent } from '../bundle.ts';
import { layOut } from './image-root.ts';
import { cacheDirectory } from './options.ts';
import { Refusal } from './programs.ts';

const dist = join(import.meta.dirname, '../../dist');
const directory = join(dist, 'image');
try {
  await bundleAgent(dist);
  rmSync(directory, { recursive: true, force: true });
  layOut(directory, dist, cacheDirectory(process.env));
  process.stdout.write(`${directory} is ready: docker build --file Dockerfile ${directory}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Refusal ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
