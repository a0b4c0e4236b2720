/**
 * The root package.json lists what the agent and the trial signer import, sandbox/package.json what the sandbox does; in the same versions where
 * both use a package.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import packageJson from '../package.json' with { type: 'json' };
import sandboxJson from '../sandbox/package.json' with { type: 'json' };

const root = join(import.meta.dirname, '..');

/** At the head of a file, or where a package is loaded late. */
const imports = /^(?:import|\} from|import .* from) '([@a-z][^']*)';$|\bimport\('([@a-z][^']*)'\)/gm;

/** Packages that the files below the folders import, without those of Node.js. */
function importedBy(folders: string): string[] {
  const files = globSync(`${folders}/**/*.ts`, { cwd: root, exclude: ['**/node_modules/**'] });
  const names = files.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(imports)].map(
      ([, module, late = '']) => /^(?:@[^/]+\/)?[^/]+/.exec(module ?? late)?.[0] ?? '',
    ),
  );
  return [...new Set(names)].filter((name) => !name.startsWith('node:')).toSorted();
}

test('the root lists what the agent and the trial signer import, and no more', () => {
  assert.deepEqual(importedBy('{agent,volumes,signer}'), Object.keys(packageJson.dependencies).toSorted());
});

test('the sandbox lists what it imports, and no more, in the versions of the agent', () => {
  const listed: Readonly<Record<string, string>> = sandboxJson.dependencies;
  assert.deepEqual(importedBy('sandbox'), Object.keys(listed).toSorted());
  const agents: Readonly<Record<string, string>> = packageJson.dependencies;
  for (const [name, version] of Object.entries(listed)) {
    assert.equal(version, agents[name] ?? version, name);
  }
});

test('the programs that the package offers may be run, so that npm has no reason to change their mode in a clone', () => {
  for (const file of Object.values(packageJson.bin)) {
    assert.equal((statSync(join(root, file)).mode & 0o111).toString(8), '111', file);
    assert.match(readFileSync(join(root, file), 'utf8'), /^#!\/usr\/bin\/env node\n/);
  }
});
