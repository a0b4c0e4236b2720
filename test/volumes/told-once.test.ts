/** What is wrong with the node is told with its first volume, and not with each. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { type TestContext, test } from 'node:test';
import { createVolumeStore } from '../../volumes/store.ts';
import { makeRecord, makeTarget, mountSkip, temporaryDirectory } from './support.ts';

/** What is used of koffi. */
interface Library {
  load(file: null): { func(declaration: string): ForeignFunction };
}

interface ForeignFunction {
  async(...values: readonly unknown[]): void;
}

/** Makes two volumes on a node where koffi is loaded like this. */
async function problemsWith(t: TestContext, dlopen: typeof process.dlopen): Promise<readonly string[]> {
  const kubeletRoot = temporaryDirectory(t);
  const problems: string[] = [];
  const onProblem = (targetPath: string, problem: string): void => {
    problems.push(`${targetPath}: ${problem}`.replace(`${kubeletRoot}/`, ''));
  };
  const mock = t.mock.method(process, 'dlopen', dlopen);
  const store = createVolumeStore({ kubeletRoot, driverName: 'csi.test', mode: 'tmpfs', onProblem });
  mock.mock.restore();
  for (const volumeName of ['one', 'two']) {
    await store.create(makeRecord(makeTarget(kubeletRoot, volumeName), { volumeName }));
  }
  return problems.map((problem) => problem.replace(/^.*csi\/(\w+)\/mount: /, '$1: '));
}

test('that programs are started for mounts is told once', { skip: mountSkip }, async (t) => {
  const problems = await problemsWith(t, () => {
    throw new Error('another C library');
  });
  assert.equal(problems.length, 1, problems.join('; '));
  assert.match(problems[0] ?? '', /^one: .* program is started for every mount: another C library$/);
});

test('that keys may be swapped to disk is told once, and not where the kernel keeps them in memory', {
  skip: mountSkip,
}, async (t) => {
  const { dlopen } = process;
  /** Kernels before 6.4 refuse the option. */
  const kernel =
    (knowsNoswap: boolean): typeof process.dlopen =>
    (library: object, file: string) => {
      const loaded: { exports: unknown } = { exports: {} };
      dlopen.call(process, loaded, file);
      const { load } = loaded.exports as Library;
      const func = (declaration: string): ForeignFunction => {
        const real = load(null).func(declaration);
        const async = (...values: readonly unknown[]): void => {
          const options = values.map((value) => (typeof value === 'string' ? value.split(',') : []));
          const hasNoswap = options.some((names) => names.includes('noswap'));
          if (hasNoswap && !knowsNoswap) {
            const done = values.at(-1) as (error: null, result: number) => void;
            done(null, -1);
          } else {
            real.async(...values.map((value) => (typeof value === 'string' ? value.replace(',noswap', '') : value)));
          }
        };
        return { async };
      };
      Object.assign(library, { exports: { load: () => ({ func }), errno: () => constants.errno.EINVAL } });
    };
  assert.deepEqual(await problemsWith(t, kernel(false)), [
    'one: this kernel has no noswap for tmpfs: keys may be swapped to disk',
  ]);
  assert.deepEqual(await problemsWith(t, kernel(true)), []);
});
