/**
 * `npm run manifest` on machines that lack what it needs.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirectory } from '../support/directory.ts';

const program = join(import.meta.dirname, '../../deploy/manifest.ts');

const run = (helm: string) => spawnSync(process.execPath, [program], { env: { HELM: helm }, encoding: 'utf8' });

test('without helm, one line says how to get it', (t) => {
  const { status, stdout, stderr } = run(join(makeDirectory(t), 'helm'));
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(
    stderr,
    /^\S+\/helm is not here: put Helm 3 on PATH, or its path into HELM; `go install [^`]+` builds it, .+\n$/,
  );
});

test('a helm that cannot be run is not taken for one that is missing', (t) => {
  const helm = join(makeDirectory(t), 'helm');
  writeFileSync(helm, '', { mode: 0o600 });
  const { status, stderr } = run(helm);
  assert.equal(status, 1);
  assert.match(stderr, /^\S+\/helm could not be run: .*EACCES.*\n$/);
});
