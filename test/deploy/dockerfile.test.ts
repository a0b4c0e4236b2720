import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Image, images } from '../../deploy/release/images.ts';

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

/** Instructions of the stage of an image. */
function stage(target: string): (word: string) => readonly string[] {
  const start = instructions.findIndex(({ word, rest }) => word === 'FROM' && rest === `base AS ${target}`);
  const length = instructions.slice(start + 1).findIndex(({ word }) => word === 'FROM');
  const part = instructions.slice(start, length < 0 ? undefined : start + 1 + length);
  return (word) => part.filter((i) => i.word === word).map(({ rest }) => rest);
}

/** The program that an image starts. */
const programOf = (wanted: string): string => {
  const [{ name, programs }] = images.filter(({ target }) => target === wanted) as [Image];
  return `/usr/local/lib/${name}/${programs[0]}`;
};

describe('the Dockerfile', () => {
  test('is built upon nothing, runs nothing, and has a stage for each image of a release', () => {
    assert.deepEqual(all('FROM'), ['scratch AS base', ...images.map(({ target }) => `base AS ${target}`)]);
    for (const word of ['RUN', 'ADD', 'SHELL', 'ONBUILD']) {
      assert.deepEqual(all(word), [], word);
    }
    const ofProcessor = (name: string) => `${name}-${'$'}{TARGETARCH}/ /`;
    assert.deepEqual(all('COPY'), [
      ofProcessor('system'),
      ...images.flatMap(({ target, mounts }) => [`${target}/ /`, ...(mounts ? [ofProcessor(target)] : [])]),
    ]);
  });

  test('starts the bundle without a shell, as root, with room for file operations', () => {
    const ofAgent = stage('agent');
    const [entrypoint = ''] = ofAgent('ENTRYPOINT');
    const words: readonly string[] = JSON.parse(entrypoint);
    assert.equal(words[0], '/usr/local/bin/node');
    const script = words.at(-1) ?? '';
    assert.deepEqual(all('CMD'), []);
    assert.deepEqual(ofAgent('USER'), ['0:0']);
    assert.match(ofAgent('ENV').join(' '), /UV_THREADPOOL_SIZE=6/);
    assert.equal(script, programOf('agent'));
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

  test('makes the trial signer as an image of its own, which runs as nobody', () => {
    const ofSigner = stage('signer');
    const words: readonly string[] = JSON.parse(ofSigner('ENTRYPOINT')[0] ?? '[]');
    assert.equal(words.at(-1), programOf('signer'));
    assert.equal(spawnSync(process.execPath, [...words.slice(1, -1), '-e', '0']).status, 0);
    assert.deepEqual(ofSigner('USER'), ['65532:65532']);
  });

  for (const { target } of images) {
    test(`says what the image of the ${target} is, from arguments of the build`, () => {
      const labels = stage(target)('LABEL').join(' ');
      for (const label of ['title', 'description', 'licenses', 'version', 'revision']) {
        assert.match(labels, new RegExp(`org\\.opencontainers\\.image\\.${label}="[^"]+"`));
      }
      assert.ok(
        stage(target)('ARG').some((rest) => rest.startsWith('VERSION=')),
        `no VERSION among ${all('ARG')}`,
      );
    });
  }
});
