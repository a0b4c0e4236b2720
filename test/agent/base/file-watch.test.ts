import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { watchFiles } from '../../../agent/base/file-watch.ts';
import { systemCode } from '../../../volumes/base/errors.ts';
import { until } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';

test('changes are noticed also after the directory of the file was removed and made anew, again and again', async (t) => {
  const directory = join(makeDirectory(t), 'configuration');
  const file = join(directory, 'agent.yaml');
  let noticed = 0;
  const noticedSince = (before: number, what: string): Promise<void> => until(() => noticed > before, what);
  const change = async (text: string, what: string): Promise<void> => {
    const before = noticed;
    writeFileSync(file, text);
    await noticedSince(before, what);
  };
  mkdirSync(directory);
  writeFileSync(file, '');
  const watching = await watchFiles([file], () => (noticed += 1), t.assert.ifError, 200);
  t.after(() => watching.close());
  await noticedSince(0, 'the first look');
  for (const round of [1, 2]) {
    const before = noticed;
    rmSync(directory, { recursive: true });
    await noticedSince(before, `removal ${round}`);
    mkdirSync(directory);
    await change(`made anew ${round}`, `the directory made anew ${round}`);
    await change(`changed after it, ${round}`, `the change after that ${round}`);
  }
});

test('a file that becomes a link to itself is one more change, and so is what comes in its place', async (t) => {
  const file = join(makeDirectory(t), 'agent.yaml');
  writeFileSync(file, '');
  let noticed = 0;
  const told: unknown[] = [];
  const watching = await watchFiles(
    [file],
    () => (noticed += 1),
    (error) => told.push(error),
    50,
  );
  t.after(() => watching.close());
  await until(() => noticed > 0, 'the first look');
  let before = noticed;
  rmSync(file);
  symlinkSync('agent.yaml', file);
  await until(() => noticed > before, 'the link');
  before = noticed;
  rmSync(file);
  writeFileSync(file, 'a file again');
  await until(() => noticed > before, 'the file in place of the link');
  assert.ok(
    told.every((error) => systemCode(error) === 'ELOOP'),
    `nothing but the link is told as an error of the watching: ${told}`,
  );
});
