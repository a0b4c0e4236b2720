import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { type AgentConfiguration, parseConfiguration } from '../../../agent/configuration/configuration.ts';
import { type ConfigurationChange, watchConfiguration } from '../../../agent/configuration/reload.ts';
import { withinBound } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';

/** Starts to watch the file; `next` gives the changes one by one, in their order. */
async function open(t: TestContext, file: string) {
  const parse = () =>
    parseConfiguration(['--config', file], { NODE_NAME: 'node-1' }, (path) => readFileSync(path, 'utf8'));
  const parsed = parse();
  assert.equal(parsed.type, 'run');
  const { configuration } = parsed;
  const changes: ConfigurationChange[] = [];
  const errors: unknown[] = [];
  let wake = (): void => undefined;
  let reads = Promise.withResolvers<void>();
  const watch = await watchConfiguration({
    configuration,
    parse: () => {
      reads.resolve();
      return parse();
    },
    listener: (change) => {
      changes.push(change);
      wake();
    },
    onError: (error) => errors.push(error),
  });
  t.after(() => watch.close());
  const next = async (): Promise<ConfigurationChange> => {
    for (;;) {
      const change = changes.shift();
      if (change !== undefined) {
        return change;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await withinBound(promise, 'a change of the configuration');
    }
  };
  /** Waits until the file has been read once more. */
  const readAgain = async (): Promise<void> => {
    reads = Promise.withResolvers();
    await withinBound(reads.promise, 'the file to be read once more');
  };
  return { watch, next, changes, errors, configuration, readAgain };
}

/** Replaces a file as careful editors do. */
function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

const valuesOf = ({ logLevel, burst, volumeMode }: AgentConfiguration) => [logLevel, burst, volumeMode];

describe('watching the configuration', { timeout: 60_000 }, () => {
  test('reports new values of options that may change, again and again, however the file is written', async (t) => {
    const file = join(makeDirectory(t), 'config.yaml');
    writeFileSync(file, 'logLevel: info\n');
    const { next } = await open(t, file);
    const write = [replace, writeFileSync, replace, writeFileSync];
    for (const [index, level] of ['debug', 'warn', 'error', 'info'].entries()) {
      write[index]?.(file, `logLevel: ${level}\nburst: ${index + 1}\n`);
      const change = await next();
      assert.equal(change.type, 'changed');
      if (change.type !== 'changed') {
        return;
      }
      assert.deepEqual(change.options, ['--burst', '--log-level']);
      assert.deepEqual(valuesOf(change.configuration), [level, index + 1, 'tmpfs']);
    }
  });

  test('sees the swaps of a mounted ConfigMap, one after another', async (t) => {
    const directory = makeDirectory(t);
    const publish = (version: number, text: string): void => {
      mkdirSync(join(directory, `..v${version}`));
      writeFileSync(join(directory, `..v${version}`, 'config.yaml'), text);
      symlinkSync(`..v${version}`, join(directory, '..data_tmp'));
      renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
      rmSync(join(directory, `..v${version - 1}`), { recursive: true, force: true });
    };
    publish(1, 'burst: 1');
    symlinkSync('..data/config.yaml', join(directory, 'config.yaml'));
    const { next } = await open(t, join(directory, 'config.yaml'));
    for (const version of [2, 3, 4]) {
      publish(version, `burst: ${version}`);
      const change = await next();
      assert.ok(change.type === 'changed' && change.configuration.burst === version, inspect(change));
    }
  });

  test('notices what changed between the start and the beginning of the watch', async (t) => {
    const file = join(makeDirectory(t), 'config.yaml');
    writeFileSync(file, 'burst: 1');
    const parsed = parseConfiguration(['--config', file], { NODE_NAME: 'n' }, () => 'burst: 1');
    assert.equal(parsed.type, 'run');
    const change = await new Promise<ConfigurationChange>((listener, onError) => {
      const parse = () => parseConfiguration(['--config', file], { NODE_NAME: 'n' }, () => 'burst: 2');
      const watch = watchConfiguration({ configuration: parsed.configuration, parse, listener, onError });
      t.after(async () => (await watch).close());
    });
    assert.ok(change.type === 'changed' && change.configuration.burst === 2, inspect(change));
  });

  test('keeps the old configuration when the new file has faults, tells them once, and goes on when they are mended', async (t) => {
    const file = join(makeDirectory(t), 'config.yaml');
    writeFileSync(file, 'burst: 1');
    const { next, changes, readAgain } = await open(t, file);
    replace(file, 'burst: none\nlogLevel: loud\n');
    const rejected = await next();
    assert.deepEqual(rejected, {
      type: 'rejected',
      faults: [
        `${file}: burst: must be a whole number from 1 to 10000, not "none"`,
        `${file}: logLevel: must be one of debug, info, warn, error, not "loud"`,
      ],
    });
    const read = readAgain();
    replace(file, 'burst: none\nlogLevel: loud # still\n');
    await read;
    assert.deepEqual(changes, []);
    rmSync(file);
    const gone = await next();
    assert.ok(gone.type === 'rejected' && gone.faults[0]?.includes('cannot be read: ENOENT'), inspect(gone));
    replace(file, 'burst: 2');
    const mended = await next();
    assert.ok(
      mended.type === 'changed' && mended.configuration.burst === 2 && mended.configuration.logLevel === 'info',
      inspect(mended),
    );
  });

  test('says which changes need a restart, once, and applies the others', async (t) => {
    const file = join(makeDirectory(t), 'config.yaml');
    writeFileSync(file, 'burst: 1');
    const { next, changes, configuration, readAgain } = await open(t, file);
    replace(file, 'burst: 2\nvolumeMode: directory\npublishTimeout: 10s\n');
    const changed = await next();
    assert.ok(changed.type === 'changed', inspect(changed));
    assert.deepEqual(changed.options, ['--burst']);
    assert.deepEqual(changed.configuration, { ...configuration, burst: 2 });
    const restart = { type: 'restartNeeded', options: ['--volume-mode', '--publish-timeout'] };
    assert.deepEqual(await next(), restart);
    const read = readAgain();
    replace(file, 'burst: 2\nvolumeMode: directory\npublishTimeout: 20s\n');
    await read;
    assert.deepEqual(changes, []);
    // Taken back, and asked for again: that is news.
    replace(file, 'burst: 3');
    assert.equal((await next()).type, 'changed');
    replace(file, 'burst: 3\nvolumeMode: directory\npublishTimeout: 10s\n');
    assert.deepEqual(await next(), restart);
  });

  test('is silent after close, and closes twice', async (t) => {
    const file = join(makeDirectory(t), 'config.yaml');
    writeFileSync(file, 'burst: 1');
    const { watch, changes } = await open(t, file);
    replace(file, 'burst: 2');
    await watch.close();
    await watch.close();
    const other = await open(t, file);
    replace(file, 'burst: 3');
    await other.next();
    assert.deepEqual(changes, []);
  });

  test('watches nothing when there is no file', async () => {
    const parsed = parseConfiguration([], { NODE_NAME: 'n' }, () => '');
    assert.equal(parsed.type, 'run');
    const never = (): never => assert.fail('nothing is watched');
    const watch = await watchConfiguration({
      configuration: parsed.configuration,
      parse: never,
      listener: never,
      onError: never,
    });
    await watch.close();
  });
});
