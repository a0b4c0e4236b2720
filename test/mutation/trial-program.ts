/**
 * Tries one change after the other: each time the changed file, the tests and whatever else is ours is loaded anew, so that nothing is left
 * from the change before; what is not ours stays. Given the path of the changed file, that of the text with all changes, and the tests' paths.
 */
import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import fc from 'fast-check';
import type { Answer, Ending, Hits, TestName, Wish } from './messages.ts';
import { runSuite, type Suite, suiteOf } from './node-test.ts';

const root = pathToFileURL(`${join(import.meta.dirname, '../..')}/`).href;
const instead = new URL('node-test.ts', import.meta.url).href;
const [changed = '', changedText = '', ...tests] = process.argv.slice(2);

/** What the changed text asks for; the names are Stryker's. */
interface Switches {
  activeMutant?: string | undefined;
  currentTestId?: TestName | undefined;
  hitCount?: number;
  hitLimit?: number;
  mutantCoverage?: { readonly static: Hits; readonly perTest: Readonly<Record<TestName, Hits>> };
}

const switches: Switches = {};
(globalThis as { __stryker__?: Switches }).__stryker__ = switches;

const texts = new Map([[pathToFileURL(changed).href, plain(changedText)]]);
let turn = 0;
let stop: ((ending: Ending, message: string) => void) | undefined;

registerHooks({
  resolve: (specifier, context, next) => {
    if (specifier === 'node:test' && context.parentURL !== instead) {
      return { url: instead, shortCircuit: true };
    }
    const found = next(specifier, context);
    const ours = found.url.startsWith(root) && !found.url.includes('/node_modules/') && found.url.endsWith('.ts');
    return ours ? { ...found, url: `${found.url}?turn=${turn}` } : found;
  },
  load: (url, context, next) => {
    const [file = ''] = url.split('?turn=');
    if (file === url) {
      return next(url, context);
    }
    const source = texts.get(file) ?? plain(fileURLToPath(file));
    texts.set(file, source);
    return { format: 'module', source, shortCircuit: true };
  },
});

// The same histories each time, or what survives would be chance, and not too many; and the shortest that fails is of no use here.
fc.configureGlobal({ seed: 1, numRuns: 100, endOnFailure: true });
process.setMaxListeners(0);
process.on('uncaughtException', (error) => stop?.('uncaught', textOf(error)));
process.on('unhandledRejection', (error) => stop?.('uncaught', textOf(error)));
process.on('beforeExit', () => stop?.('stuck', 'nothing is left that could end the test'));
process.on('message', (wish: Wish) => void answer(wish));

async function answer(wish: Wish): Promise<void> {
  const took: Record<TestName, number> = {};
  const mutantCoverage = { static: {}, perTest: {} };
  turn += 1;
  Object.assign(switches, {
    activeMutant: wish.change,
    currentTestId: undefined,
    hitCount: 0,
    hitLimit: wish.hits,
    mutantCoverage,
  });
  // Only what the tests themselves wait for keeps the process now.
  process.channel?.unref();
  const [ending, message] = await Promise.race([
    new Promise<[Ending, string]>((resolve) => {
      stop = (...how) => resolve(how);
    }),
    run(wish.tests, took).then(
      (): [Ending, string] => ['passed', ''],
      (error: unknown): [Ending, string] => ['failed', textOf(error)],
    ),
  ]);
  stop = undefined;
  process.channel?.ref();
  const told: Answer = {
    ending,
    message,
    outside: mutantCoverage.static,
    inTests: mutantCoverage.perTest,
    took,
    residentBytes: process.memoryUsage.rss(),
  };
  process.send?.(told);
}

async function run(wanted: readonly TestName[] | undefined, took: Record<TestName, number>): Promise<void> {
  for (const [file, path] of tests.entries()) {
    if (wanted?.some((name) => name.startsWith(`${file}:`)) === false) {
      continue;
    }
    const suite: Suite = await suiteOf(() => import(pathToFileURL(path).href));
    const isWanted = (number: number): boolean => wanted?.includes(`${file}:${number}`) !== false;
    await runSuite(suite, isWanted, async (number, name, runTest) => {
      const id: TestName = `${file}:${number}`;
      const beganAt = performance.now();
      switches.currentTestId = id;
      try {
        await runTest();
      } catch (error) {
        throw new Error(`${name}: ${textOf(error)}`, { cause: error });
      } finally {
        switches.currentTestId = undefined;
        took[id] = performance.now() - beganAt;
      }
    });
  }
}

function plain(path: string): string {
  return stripTypeScriptTypes(readFileSync(path, 'utf8'));
}

function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 300);
}
