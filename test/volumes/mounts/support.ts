/** What tests with real mounts share: a place to mount at, and programs that mount otherwise than the system's. */
import fs from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryDirectory } from '../support.ts';

export function makeMountPoint(t: TestContext): string {
  const target = path.join(temporaryDirectory(t), 'a b');
  fs.mkdirSync(target);
  return target;
}

/** A program that stands in for mount or umount. */
export function makeProgram(t: TestContext, script: string): string {
  const file = path.join(temporaryDirectory(t), 'program');
  fs.writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}
