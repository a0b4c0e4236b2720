/** docs/quickstart.md: every command is well-formed, and names files, scripts, values and manifests that are there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { chartDirectory, helmProgram } from '../../deploy/chart.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { objectsIn, withoutHelm } from '../deploy/objects.ts';
import { type Block, blocksIn, type Facts, places, quickstart, reasonAgainst, root } from './quickstart-blocks.ts';

const blocks = blocksIn(quickstart());
const nameOf = ({ line, text }: Block): string => `line ${line}, ${text.split('\n')[0]}`;

/** What a block hands to a command's standard input. */
function inputsOf({ text }: Block): readonly string[] {
  return [...text.matchAll(/<<'EOF'\n([\s\S]*?)\nEOF$/gm)].map(([, input = '']) => input);
}

describe('each block of the quick start', () => {
  for (const block of blocks) {
    test(`${nameOf(block)}: is shell, and its files, scripts and YAML are there`, () => {
      const { status, stderr } = spawnSync('bash', ['-n'], { input: block.text, encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      for (const [file] of block.text.matchAll(/\b(deploy|docs|test|signer|agent)\/[\w./-]+|\bDockerfile\b/g)) {
        assert.ok(existsSync(join(root, file)), `${file} is not there`);
      }
      for (const [, script = ''] of block.text.matchAll(/\bnpm run ([\w:-]+)/g)) {
        assert.ok(script in packageJson.scripts, `there is no script ${script}`);
      }
      for (const input of inputsOf(block)) {
        assert.deepEqual(
          parseAllDocuments(input).flatMap(({ errors }) => errors),
          [],
        );
      }
    });
  }

  test('there are some for each place where blocks run', () => {
    assert.deepEqual(
      places.filter((place) => !blocks.some((block) => block.place === place)),
      [],
    );
  });
});

describe('each installation of the quick start', () => {
  const installations = blocks.filter(({ text }) => text.startsWith('helm install pod-certificate-agent'));

  test('sets values that the chart has', () => {
    assert.equal(installations.length, 3);
    const known: unknown = parse(readFileSync(join(chartDirectory, 'values.yaml'), 'utf8'));
    for (const block of installations) {
      for (const [, path = ''] of block.text.matchAll(/--set '?([\w.]+)=/g)) {
        const value = path.split('.').reduce<unknown>((at, key) => Object(at)[key], known);
        assert.notEqual(value, undefined, `${nameOf(block)}: the chart has no value ${path}`);
      }
    }
  });

  for (const block of installations) {
    test(`${nameOf(block)}: is what helm accepts`, { skip: withoutHelm }, () => {
      const rendered = render(block);
      const images = [...rendered.matchAll(/image: "?([^"\s]+)/g)].map(([, image]) => image);
      const built = blocks.filter(({ place }) => place === 'docker').map(({ text }) => text);
      assert.ok(images.length > 0, 'nothing has an image');
      for (const image of images) {
        assert.ok(built.join().includes(`--tag ${image} `), `${image} is not what the blocks before have built`);
      }
      const names = objectsIn(rendered).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      assert.ok(names.includes('DaemonSet pod-certificate-agent'), names.join(', '));
      assert.equal(
        names.includes('Deployment pod-certificate-agent-trial-signer'),
        block.text.includes('trialSigner.enabled=true'),
      );
    });
  }

  /** The command of the block as it is, but that nothing is installed. */
  function render({ text }: Block): string {
    const command = text.replace(/^helm install /, '"$HELM" template --kube-version 1.36.0 ');
    const env = { ...process.env, HELM: helmProgram() };
    const { status, stdout, stderr } = spawnSync('bash', ['-euc', command], { cwd: root, env, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return stdout;
  }
});

test('the example for cert-manager is the other one with other sources', () => {
  const [usual, certManager] = ['mtls-server-and-client.yaml', 'mtls-through-cert-manager.yaml'].map((file) =>
    objectsIn(readFileSync(join(root, 'deploy/examples', file), 'utf8')),
  );
  const withoutSources = (objects: unknown): string =>
    JSON.stringify(objects, (key, value) => (key === 'sources' ? '' : value));
  assert.equal(withoutSources(certManager), withoutSources(usual));
});

describe('whoever runs the quick start', () => {
  const all: Facts = { has: () => true, minor: 36, hasReadyNode: true, hasCertManager: true, wanted: [...places] };
  const left = (facts: Partial<Facts>): readonly string[] =>
    blocks.flatMap((block) => {
      const reason = reasonAgainst(block, { ...all, ...facts });
      return reason === undefined ? [] : [reason];
    });

  test('is told of each block that is left out what is missing for it', () => {
    assert.deepEqual(left({}), ['for Kubernetes before 1.36, and the cluster is 1.36']);
    assert.deepEqual(left({ minor: 35 }), ['for Kubernetes 1.36 and newer, and the cluster is 1.35']);
    assert.ok(left({ has: (program) => program !== 'helm' }).includes('helm not found on PATH'), 'helm is missing');
    assert.ok(left({ hasReadyNode: false }).includes('no node of the cluster is ready'), 'no node is ready');
    assert.ok(left({ hasCertManager: false }).includes("cert-manager's types are not installed"), 'no cert-manager');
    assert.ok(left({ wanted: [] }).includes('not asked for: --with kind'), 'kind is not asked for');
  });

  test('has to name the cluster: none is guessed', () => {
    const env = { PATH: process.env['PATH'] };
    const program = join(root, 'test/docs/quickstart.ts');
    const { status, stdout, stderr } = spawnSync(process.execPath, [program], { env, encoding: 'utf8' });
    assert.equal(stdout, '');
    assert.match(stderr, /^KUBECONFIG names no cluster/);
    assert.equal(status, 2);
  });
});
