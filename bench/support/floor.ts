/** The floor from the bench's side: starts its process beside a node and asks it for runs. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FloorCalls } from './floor-calls.ts';
import type { BenchNode } from './node.ts';
import { type Program, startProgram } from './program.ts';

export type Floor = Program<FloorCalls, unknown>;

export async function startFloor({ apiServer, places }: BenchNode): Promise<Floor> {
  const directory = join(places.directory, 'floor');
  mkdirSync(directory);
  const argv = [apiServer.url, apiServer.caPem, directory, places.volumeMode];
  return await startProgram<FloorCalls>(join(import.meta.dirname, 'floor-program.ts'), argv);
}
