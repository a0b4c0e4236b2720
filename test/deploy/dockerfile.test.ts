import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { makeDirectory } from '../support/directory.ts';

const root = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

interface Instruction {
  readonly word: string;
  readonly rest: string;
}

/** Instructions without comments, continuation lines joined. */
const instructions: readonly Instruction[] = read('Dockerfile')
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => ({ word: line.split(' ', 1)[0] ?? '', rest: line.slice(line.indexOf(' ') + 1) }));
const all = (word: string): readonly string[] => instructions.filter((i) => i.word === word).map(({ rest }) => rest);

/** Instructions of the stage that begins with the FROM line that the predicate accepts. */
function stage(accept: (from: string) => boolean): readonly Instruction[] {
  const start = instructions.findIndex(({ word, rest }) => word === 'FROM' && accept(rest));
  const length = instructions.slice(start + 1).findIndex(({ word }) => word === 'FROM');
  return instructions.slice(start, length < 0 ? undefined : start + 1 + length);
}

/** What a build without a target makes: the last stage. */
const agentStage = instructions.slice(instructions.findLastIndex(({ word }) => word === 'FROM'));
const signerStage = stage((from) => from.endsWith(' AS signer'));
const inStage = (part: readonly Instruction[], word: string): readonly string[] =>
  part.filter((i) => i.word === word).map(({ rest }) => rest);

/** What the first stage copies from the context. */
const copied = all('COPY')
  .filter((rest) => !rest.startsWith('--from'))
  .flatMap((rest) => rest.split(' ').slice(0, -1));

describe('the Dockerfile', () => {
  test('has its stages on one base, which a release pins by digest', () => {
    assert.deepEqual(all('FROM'), [
      `--platform=$BUILDPLATFORM ${'$'}{NODE_IMAGE} AS bundle`,
      `${'$'}{NODE_IMAGE} AS signer`,
      `${'$'}{NODE_IMAGE}`,
    ]);
    assert.ok(all('ARG').includes('NODE_IMAGE=node:24-slim'), `NODE_IMAGE=node:24-slim is not in:\n${all('ARG')}`);
    assert.match(read('Dockerfile'), /NODE_IMAGE=node:24-slim@sha256:…/);
  });

  test('starts the bundle without a shell, as root, with room for file operations', () => {
    const [entrypoint = ''] = inStage(agentStage, 'ENTRYPOINT');
    const words: readonly string[] = JSON.parse(entrypoint);
    assert.equal(words[0], '/usr/local/bin/node');
    const script = words.at(-1) ?? '';
    assert.deepEqual(all('CMD'), []);
    assert.deepEqual(inStage(agentStage, 'USER'), ['0:0']);
    assert.match(inStage(agentStage, 'ENV').join(' '), /UV_THREADPOOL_SIZE=6/);
    const [destination = ''] = inStage(agentStage, 'COPY').flatMap((rest) =>
      rest.startsWith('--from') ? (rest.split(' ').at(-1) ?? '') : [],
    );
    assert.equal(`${destination}${basename(script)}`, script);
    // The flags are known to the Node that the agent is made for.
    const flags = words.slice(1, -1);
    assert.equal(spawnSync(process.execPath, [...flags, '-e', '0']).status, 0);
    // A debugger would read the keys.
    const signalled = spawnSync(process.execPath, [
      ...flags,
      '-e',
      "process.kill(process.pid, 'SIGUSR1'); setTimeout(() => {}, 500)",
    ]);
    assert.doesNotMatch(String(signalled.stderr), /Debugger listening/);
  });

  test('leaves no package manager behind, adds nothing from the network, and checks that mount is there', () => {
    const text = agentStage.map(({ rest }) => rest).join('\n');
    assert.doesNotMatch(text, /apt-get|curl|wget|npm (ci|install)/);
    for (const name of ['npm', 'npx', 'corepack', 'yarn']) {
      assert.match(text, new RegExp(`/usr/local/bin/${name}\\b`));
    }
    assert.match(text, /mount --version && umount --version/);
    assert.deepEqual(all('ADD'), []);
  });

  test('makes the trial signer as an image of its own, which runs as nobody', () => {
    const words: readonly string[] = JSON.parse(inStage(signerStage, 'ENTRYPOINT')[0] ?? '[]');
    const copies = inStage(signerStage, 'COPY').join(' ');
    assert.match(
      copies,
      /^--from=bundle \/source\/dist\/signer\.mjs .* \/usr\/local\/lib\/pod-certificate-trial-signer\/$/,
    );
    assert.equal(words.at(-1), '/usr/local/lib/pod-certificate-trial-signer/signer.mjs');
    assert.equal(spawnSync(process.execPath, [...words.slice(1, -1), '-e', '0']).status, 0);
    assert.deepEqual(inStage(signerStage, 'USER'), ['65532:65532']);
  });

  test('says what the image is, from arguments of the build', () => {
    const labels = all('LABEL').join(' ');
    for (const label of ['title', 'description', 'licenses', 'version', 'revision']) {
      assert.match(labels, new RegExp(`org\\.opencontainers\\.image\\.${label}="[^"]+"`));
    }
    assert.ok(
      all('ARG').some((rest) => rest.startsWith('VERSION=')),
      `no VERSION among ${all('ARG')}`,
    );
  });

  test('copies what the bundle is made from, all of it and through .dockerignore', (t) => {
    const directory = makeDirectory(t);
    const [everything, ...allowed] = read('.dockerignore')
      .replace(/^#.*\n/gm, '')
      .trimEnd()
      .split('\n');
    assert.equal(everything, '*');
    assert.deepEqual(allowed.toSorted(), copied.map((path) => `!${path.replace(/\/$/, '')}`).toSorted());
    for (const path of copied) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      cpSync(join(root, path), join(directory, path), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
    const result = spawnSync(process.execPath, ['deploy/bundle.ts'], { cwd: directory, encoding: 'utf8' });
    assert.equal(result.status, 0, result.stderr);
    for (const file of ['agent.mjs', 'signer.mjs', 'THIRD-PARTY-LICENSES.txt']) {
      assert.equal(existsSync(join(directory, 'dist', file)), true, `${join(directory, 'dist', file)} is missing`);
    }
  });
});
