/**
 * The workflows for GitHub, as far as they can be held to something without GitHub: whose code they run, with which rights, and by
 * which commands.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { chartDirectory } from '../../deploy/chart.ts';

const root = join(import.meta.dirname, '../..');
const directory = join(root, '.github/workflows');

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly permissions?: Readonly<Record<string, string>>;
        readonly needs?: string;
        readonly steps: readonly { readonly run?: string; readonly uses?: string }[];
      }
    >
  >;
}

const workflows = new Map<string, Workflow>(
  readdirSync(directory).map((name) => [name, parse(readFileSync(join(directory, name), 'utf8'))]),
);

/** Everything that a workflow runs. */
const scripts = (name: string): string =>
  Object.values(workflows.get(name)?.jobs ?? {})
    .flatMap(({ steps }) => steps.map(({ run = '' }) => run))
    .join('\n');

test('no workflow runs an action of somebody else’s, or puts what others wrote into a script', () => {
  assert.deepEqual([...workflows.keys()].toSorted(), ['ci.yml', 'release.yml']);
  for (const [name, { jobs }] of workflows) {
    for (const { run = '', uses } of Object.values(jobs).flatMap(({ steps }) => steps)) {
      assert.equal(uses, undefined, name);
      // Titles and branch names are others' text: they reach a script as environment variables or not at all.
      assert.doesNotMatch(run, /\$\{\{/, name);
    }
  }
});

test('only what publishes may write, after the tests', () => {
  assert.deepEqual(workflows.get('ci.yml')?.permissions, { contents: 'read' });
  const release = workflows.get('release.yml');
  assert.deepEqual(release?.permissions, {});
  assert.deepEqual(release?.jobs['test']?.permissions, { contents: 'read' });
  assert.deepEqual(release?.jobs['publish']?.permissions, {
    contents: 'write',
    packages: 'write',
    'id-token': 'write',
  });
  assert.equal(release?.jobs['publish']?.needs, 'test');
});

test('they run what everybody runs: .ci/run, and the command of a release', () => {
  for (const name of workflows.keys()) {
    assert.match(scripts(name), /^bash \.ci\/run$/m);
  }
  assert.match(scripts('release.yml'), /^npm run release -- --publish --registry "ghcr\.io\//m);
});

test('Helm is of one version, in continuous integration, in the release and in the advice to get it', () => {
  const [, version = ''] = /helm=(v[\d.]+)/.exec(readFileSync(join(root, '.ci/run'), 'utf8')) ?? [];
  assert.ok(scripts('release.yml').includes(`helm.sh/helm/v3/cmd/helm@${version}`), `not ${version}`);
  const chart = readFileSync(join(chartDirectory, '../../chart.ts'), 'utf8');
  assert.ok(chart.includes(`cmd/helm@${version}`), `deploy/chart.ts advises another version than ${version}`);
});
