/**
 * The documents for contributors name files and commands that exist. (test/house.test.ts compares the map of the house.)
 */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import packageJson from '../../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const tree = globSync('{agent,volumes,sandbox,deploy,test,bench,docs}/**', {
  cwd: root,
  exclude: ['**/node_modules/**'],
});

/** What stands between backticks, in a line or in a block, and looks like a file or folder of this project. */
function pathsIn(text: string): string[] {
  const words = [...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, code = '']) => code.split(/[\s,;:()]+/));
  const blocks = [...text.matchAll(/```\w*\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.split(/[\s,;:()]+/));
  const isPath = (word: string): boolean =>
    /^[\w./-]+\.(ts|json|yaml|md)$/.test(word) ||
    /^(agent|volumes|sandbox|deploy|test|bench|docs)\/[\w./-]*$/.test(word);
  return [...words, ...blocks].filter(isPath);
}

/** True when it is a path from the root, or the end of one: `credential.ts` is enough where it is the only one. */
function exists(path: string): boolean {
  return existsSync(join(root, path)) || tree.filter((file) => file.endsWith(`/${path}`)).length > 0;
}

for (const name of ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'README.md']) {
  test(`${name} names files that exist`, () => {
    const paths = pathsIn(read(name));
    assert.deepEqual(
      paths.filter((path) => !exists(path)),
      [],
    );
    const links = [...read(name).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
    assert.ok(paths.length + links.length > 0, 'nothing was looked at');
    assert.deepEqual(
      links.filter((link) => !existsSync(join(root, link))),
      [],
    );
  });
}

test('a file that is not there is seen', () => {
  assert.deepEqual(pathsIn('see `agent/nowhere.ts` and `volumes/nothing/`').filter(exists), []);
  assert.deepEqual(pathsIn('```sh\nnpx node --test test/gone.test.ts\n```').filter(exists), []);
});

test('every command of npm that CONTRIBUTING.md names exists', () => {
  const scripts = [...read('CONTRIBUTING.md').matchAll(/npm run ([\w:-]+)/g)].map(([, script = '']) => script);
  assert.ok(scripts.length > 3, scripts.join());
  assert.deepEqual(
    scripts.filter((script) => !(script in packageJson.scripts)),
    [],
  );
});
