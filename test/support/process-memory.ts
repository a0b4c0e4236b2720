/**
 * What another process has in its memory, as root on its node would read it. proc(5): /proc/<pid>/maps, /proc/<pid>/mem.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const pageBytes = 4096;
const chunkBytes = 1024 * pageBytes;
const emptyPage = Buffer.alloc(pageBytes);

/** The reason why the memory of a process cannot be read here, or false when it can. */
export function memorySkip(pid: number): string | false {
  if (process.platform !== 'linux') {
    return 'needs /proc/<pid>/mem of Linux';
  }
  try {
    closeSync(openSync(`/proc/${pid}/mem`, 'r'));
    return false;
  } catch (error) {
    return `may not read another process's memory: ${error}`;
  }
}

/** Bytes to look for, and what they are. */
export type Patterns = readonly (readonly [name: string, bytes: Uint8Array])[];

/**
 * Searches all memory that the process can read.
 * @param patterns at least three bytes each
 * @returns the names of those that were found, each once, and how many bytes were looked at
 */
export function findInMemory(
  pid: number,
  patterns: Patterns,
): { readonly found: readonly string[]; readonly bytes: number } {
  const search = createSearch(patterns);
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  let bytes = 0;
  try {
    for (const { start, end } of readableMappings(pid)) {
      bytes += searchMapping(memory, start, end, search.look);
    }
  } finally {
    closeSync(memory);
  }
  return { found: [...search.found].sort(), bytes };
}

/** All but what the kernel lends every process ([vvar], [vsyscall]), which cannot be read like this. */
function readableMappings(pid: number): { readonly start: number; readonly end: number }[] {
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [, start = '', end = ''] = /^([0-9a-f]+)-([0-9a-f]+) r(?!.*\[v)/.exec(line) ?? [];
    return start === '' ? [] : [{ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) }];
  });
}

/** Chunks overlap by a page, so that nothing is missed that lies across the edge of one. */
function searchMapping(memory: number, start: number, end: number, look: (chunk: Buffer) => void): number {
  const chunk = Buffer.alloc(chunkBytes);
  let bytes = 0;
  for (let at = start; at < end; at += chunkBytes - pageBytes) {
    const read = readIfMapped(memory, chunk, Math.min(chunkBytes, end - at), at);
    look(chunk.subarray(0, read));
    bytes += read;
  }
  return bytes;
}

/** A mapping beyond the end of its file has no memory behind it. */
function readIfMapped(memory: number, chunk: Buffer, length: number, at: number): number {
  try {
    return readSync(memory, chunk, 0, length, at);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EIO') {
      return 0;
    }
    throw error;
  }
}

/** All patterns in one pass: by their first three bytes, then in full. */
function createSearch(patterns: Patterns) {
  const found = new Set<string>();
  const begins = new Uint8Array(1 << 24);
  const candidates = new Map<number, Patterns[number][]>();
  for (const [name, bytes] of patterns) {
    const [first = 0, second = 0, third = 0] = bytes;
    const beginning = first | (second << 8) | (third << 16);
    begins[beginning] = 1;
    candidates.set(beginning, [...(candidates.get(beginning) ?? []), [name, bytes]]);
  }

  const look = (chunk: Buffer): void => {
    for (let page = 0; page < chunk.length; page += pageBytes) {
      // Most of what is mapped was never used.
      if (chunk.compare(emptyPage, 0, pageBytes, page, page + pageBytes) !== 0) {
        lookInPage(chunk, page);
      }
    }
  };
  const lookInPage = (chunk: Buffer, page: number): void => {
    const end = Math.min(page + pageBytes, chunk.length - 2);
    let three = ((chunk[page] ?? 0) << 8) | ((chunk[page + 1] ?? 0) << 16);
    for (let at = page; at < end; at += 1) {
      three = (three >>> 8) | ((chunk[at + 2] ?? 0) << 16);
      if (begins[three] !== 1) {
        continue;
      }
      for (const [name, bytes] of candidates.get(three) ?? []) {
        if (chunk.subarray(at, at + bytes.length).equals(bytes)) {
          found.add(name);
        }
      }
    }
  };
  return { found, look };
}
