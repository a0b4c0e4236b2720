/**
 * A release: made twice, opened, and looked into. Images are part of it where buildah is and Debian's packages can be had; where
 * not, the test says so and looks at the rest.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { renderChart } from '../../deploy/chart.ts';
import { withImages } from '../../deploy/release/chart-package.ts';
import { defaultRegistry, images, repositoryOf } from '../../deploy/release/images.ts';
import { modes } from '../../deploy/release/manifests.ts';
import { isHere } from '../../deploy/release/programs.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { makeDirectory } from '../support/directory.ts';
import { objectsIn, one, withoutHelm } from './objects.ts';

const root = join(import.meta.dirname, '../..');
const { version } = packageJson;
const name = `pod-certificate-agent-${version}`;
const agent = images.find(({ target }) => target === 'agent');

/** `npm run release`, with an environment of its own where one is given. */
function release(args: readonly string[], environment: NodeJS.ProcessEnv = process.env) {
  return spawnSync(process.execPath, ['deploy/release/main.ts', ...args], {
    cwd: root,
    env: environment,
    encoding: 'utf8',
  });
}

describe('a release', { skip: withoutHelm }, () => {
  const directory = makeDirectory({ after });
  const first = join(directory, 'first');
  const second = join(directory, 'second');
  const file = (path: string): Buffer => readFileSync(join(first, path));
  let printed = '';
  let withImage = isHere('buildah');

  before(() => {
    const made = withImage ? release(['--dry-run', '--output', first]) : undefined;
    // Without a network there are no packages of Debian's: that is the machine's fault, any other failure is not.
    withImage = made !== undefined && !/ cannot be had; | is not here: images are made /.test(made.stderr);
    const last = withImage && made !== undefined ? made : release(['--dry-run', '--no-image', '--output', first]);
    assert.equal(last.status, 0, last.stderr);
    printed = last.stdout;
  });

  test('is the same, byte for byte, when it is made again', (t) => {
    if (!withImage) {
      t.diagnostic('without the image: buildah or packages of Debian are not to be had here');
    }
    const again = release(['--dry-run', ...(withImage ? [] : ['--no-image']), '--output', second]);
    assert.equal(again.status, 0, again.stderr);
    const sums = (path: string) =>
      readdirSync(path)
        .toSorted()
        .map((entry) => [
          entry,
          createHash('sha256')
            .update(readFileSync(join(path, entry)))
            .digest('hex'),
        ]);
    assert.deepEqual(sums(second), sums(first));
    assert.deepEqual(
      sums(first).map(([entry]) => entry),
      [
        ...['SHA256SUMS', 'THIRD-PARTY-LICENSES.txt', `${name}-bundle.tar.gz`],
        ...(withImage ? [`${name}-image.tar`] : []),
        ...[`${name}-impersonated-node.yaml`, `${name}-kubelet.yaml`, `${name}-kustomize.tar.gz`],
        ...[`${name}-service-account.yaml`, `${name}.spdx.json`, `${name}.tgz`],
        ...(withImage ? [`pod-certificate-trial-signer-${version}-image.tar`] : []),
      ],
    );
  });

  test('has checksums that sha256sum finds right', () => {
    const { status, stderr } = spawnSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: first });
    assert.equal(status, 0, String(stderr));
    assert.equal(String(file('SHA256SUMS')).trim().split('\n').length, readdirSync(first).length - 1);
  });

  test('shows how it would be published, images first, and publishes nothing', () => {
    const commands = printed.slice(printed.indexOf('nothing is published')).split('\n').slice(1);
    const words = commands.map((line) => line.trim().split(' ').slice(0, 2).join(' '));
    assert.deepEqual(words, [
      ...(withImage ? images.flatMap(() => ['skopeo copy', 'cosign sign', 'cosign attest']) : []),
      ...[`${process.env['HELM'] ?? 'helm'} push`, 'cosign sign-blob', ''],
    ]);
  });

  test('has a chart that renders as the tree’s own does, with the image by its digest', () => {
    const rendered = renderChart({ chart: join(first, `${name}.tgz`) });
    assert.equal(rendered.type, 'rendered', 'message' in rendered ? rendered.message : '');
    const image = imageIn('yaml' in rendered ? rendered.yaml : '');
    assert.match(
      image,
      withImage ? /^registry\.example\/pod-certificate-agent@sha256:[0-9a-f]{64}$/ : /:\d+\.\d+\.\d+$/,
    );
    const own = renderChart();
    const bare = (yaml: string) => yaml.replaceAll(imageIn(yaml), 'IMAGE');
    assert.equal(bare('yaml' in rendered ? rendered.yaml : ''), bare('yaml' in own ? own.yaml : ''));
  });

  test('has a manifest for each identity mode, and the same as bases that kubectl builds', (t) => {
    const bases = join(directory, 'bases');
    mkdirSync(bases);
    const archive = join(first, `${name}-kustomize.tar.gz`);
    assert.equal(spawnSync('tar', ['-xzf', archive, '-C', bases]).status, 0);
    for (const mode of Object.values(modes)) {
      const manifest = String(file(`${name}-${mode}.yaml`));
      assert.equal(one(objectsIn(manifest), 'DaemonSet').metadata.name, 'pod-certificate-agent');
      assert.equal(readFileSync(join(bases, mode, 'manifest.yaml'), 'utf8'), manifest);
      if (!isHere('kubectl')) {
        t.diagnostic('there is no kubectl here');
        continue;
      }
      const overlay = join(directory, `overlay-${mode}`);
      mkdirSync(overlay);
      writeFileSync(join(overlay, 'kustomization.yaml'), overlayOf(`../bases/${mode}`));
      const built = spawnSync('kubectl', ['kustomize', overlay], { encoding: 'utf8' });
      assert.equal(built.status, 0, built.stderr);
      assert.equal(imageIn(built.stdout), 'registry.test/mine:9');
      assert.equal(objectsIn(built.stdout).length, objectsIn(manifest).length);
    }
  });

  test('lists every package of the bundle with its licence, and none that only the build needs', () => {
    const document: Sbom = JSON.parse(String(file(`${name}.spdx.json`)));
    assert.equal(document.spdxVersion, 'SPDX-2.3');
    const listed = String(file('THIRD-PARTY-LICENSES.txt')).matchAll(/^(\S+) (\d\S*) \(.+\)$/gm);
    const inBundle = [...listed].map(([, module, number]) => `${module} ${number}`);
    const inDocument = document.packages.map((entry) => `${entry.name} ${entry.versionInfo}`);
    assert.deepEqual(
      inBundle.filter((entry) => !inDocument.includes(entry)),
      [],
    );
    assert.ok(inBundle.length > 20, `${inBundle.length} packages`);
    assert.doesNotMatch(inDocument.join('\n'), /^(esbuild|typescript|fast-check) /m);
    const ids = document.packages.map(({ SPDXID }) => SPDXID);
    assert.equal(new Set(ids).size, ids.length, 'an id stands for two packages');
    for (const { relatedSpdxElement } of document.relationships) {
      assert.ok(ids.includes(relatedSpdxElement), `${relatedSpdxElement} is nowhere`);
    }
    assert.equal(
      inDocument.some((entry) => entry.startsWith('libc6 ')),
      withImage,
    );
  });

  test('has an image for both processors, of which nothing is set-user-ID or writable by others', {
    timeout: 60_000,
  }, (t) => {
    if (!withImage) {
      t.skip('buildah or packages of Debian are not to be had here');
      return;
    }
    const layout = join(directory, 'layout');
    mkdirSync(layout);
    assert.equal(spawnSync('tar', ['-xf', join(first, `${name}-image.tar`), '-C', layout]).status, 0);
    const blob = (digest: string): string => join(layout, 'blobs', digest.replace(':', '/'));
    const read = <Content>(path: string): Content => JSON.parse(readFileSync(path, 'utf8'));
    const {
      manifests: [index],
    } = read<{ manifests: [Descriptor] }>(join(layout, 'index.json'));
    const { manifests } = read<{ manifests: Descriptor[] }>(blob(index.digest));
    assert.deepEqual(
      manifests.map(({ platform }) => platform?.architecture),
      ['amd64', 'arm64'],
    );
    for (const { digest } of manifests) {
      const { layers } = read<{ layers: Descriptor[] }>(blob(digest));
      const entries = layers.flatMap((layer) =>
        spawnSync('tar', ['-tzvf', blob(layer.digest)], { encoding: 'utf8' })
          .stdout.trim()
          .split('\n'),
      );
      assert.ok(
        entries.some((line) => / usr\/bin\/mount$/.test(line)),
        'there is no mount',
      );
      assert.ok(
        entries.some((line) => / usr\/local\/lib\/pod-certificate-agent\/koffi\.node$/.test(line)),
        'there is no koffi',
      );
      assert.ok(
        entries.some((line) => / usr\/local\/bin\/node$/.test(line)),
        'there is no node',
      );
      assert.deepEqual(
        entries.filter((line) => /^[-d]..s|^[-d].....s|^-.......w/.test(line)),
        [],
      );
      assert.deepEqual(
        entries.filter((line) => /bin\/(sh|bash|dash|npm|apt|env)( |$)/.test(line)),
        [],
      );
    }
  });
});

test('each tool that is missing is told in one line, with a way to get it', (t) => {
  const directory = makeDirectory(t);
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  const place = { PATH: bin, HOME: directory, REVISION: 'none', SOURCE_DATE_EPOCH: '1' };
  const output = join(directory, 'output');
  assert.match(
    release(['--output', output], { ...place, REVISION: undefined }).stderr,
    /^git is not here: install git, .+\n$/,
  );
  assert.match(release(['--output', output], place).stderr, /^tar is not here: install GNU tar\n$/);
});

test('a directory with something else in it is left alone', (t) => {
  const directory = makeDirectory(t);
  writeFileSync(join(directory, 'thesis.txt'), '');
  const { status, stderr } = release(['--output', directory]);
  assert.equal(status, 1);
  assert.match(stderr, /has something else in it than a release: name another directory with --output\n$/);
  assert.ok(statSync(join(directory, 'thesis.txt')).isFile(), 'it is gone');
});

test('arguments that would publish under a name that nobody serves, or half of a release, are refused', () => {
  const message = (...args: readonly string[]): string => release(args).stderr;
  assert.match(message('--publish'), /^--publish needs --registry: .+\n$/);
  assert.match(message('--publish', '--registry', 'registry.test', '--no-image'), /^--publish goes with neither .+\n$/);
  assert.match(
    message('--registry', 'https://registry.test'),
    /^--registry https:.+: a host, and parts of a path .+\n$/,
  );
  assert.match(message('--everything'), /^Unknown option '--everything'.* \(--help lists the options\)\n$/);
  assert.match(release(['--help']).stdout, /npm run release -- \[options\]/);
});

test('the chart, its documents and the release agree on the image’s name', () => {
  const values = readFileSync(join(root, 'deploy/helm/pod-certificate-agent/values.yaml'), 'utf8');
  for (const image of images) {
    const repository = repositoryOf(image, defaultRegistry);
    const found = image.chartValue.reduce<unknown>((part, key) => Reflect.get(Object(part), key), parse(values));
    assert.equal(Reflect.get(Object(found), 'repository'), repository);
    for (const document of ['docs/install.md', 'Dockerfile', 'deploy/manifest.yaml']) {
      if (image === agent || document === 'Dockerfile') {
        assert.ok(readFileSync(join(root, document), 'utf8').includes(repository), `${document} has another name`);
      }
    }
  }
  const notes = readFileSync(join(root, 'deploy/helm/pod-certificate-agent/templates/NOTES.txt'), 'utf8');
  assert.ok(notes.includes(`hasPrefix "${defaultRegistry}/"`), 'NOTES looks for another name');
});

test('values get the names of a release, and lose nothing else', () => {
  const digest = `sha256:${'5'.repeat(64)}`;
  const values = readFileSync(join(root, 'deploy/helm/pod-certificate-agent/values.yaml'), 'utf8');
  const named = withImages(values, 'registry.test/team', new Map([['pod-certificate-agent', digest]]));
  const changed = named.split('\n').filter((line, index) => line !== values.split('\n')[index]);
  assert.deepEqual(changed, [
    '  repository: registry.test/team/pod-certificate-agent',
    `  digest: ${digest}`,
    '    repository: registry.test/team/pod-certificate-trial-signer',
  ]);
});

interface Descriptor {
  readonly digest: string;
  readonly platform?: { readonly architecture: string };
}

interface Sbom {
  readonly spdxVersion: string;
  readonly packages: readonly { readonly SPDXID: string; readonly name: string; readonly versionInfo: string }[];
  readonly relationships: readonly { readonly relatedSpdxElement: string }[];
}

function imageIn(yaml: string): string {
  return /^ +(?:- )?image: "?([^"\n]+)/m.exec(yaml)?.[1] ?? '';
}

function overlayOf(base: string): string {
  return `resources: [${base}]
images:
  - name: registry.example/pod-certificate-agent
    newName: registry.test/mine
    newTag: '9'
    digest: ''
`;
}
