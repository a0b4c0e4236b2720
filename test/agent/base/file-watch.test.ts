import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { watchFiles } from '../../../agent/base/file-watch.ts';
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
