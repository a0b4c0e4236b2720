/** What the tests keep to, so that whoever reads a failure knows what failed, and so that none waits for ever. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

const root = join(import.meta.dirname, '..');

/** Where something is to be found, as `file:line`. */
function places(finds: (text: string) => readonly number[], except: readonly string[] = []): string[] {
  return globSync('test/**/*.ts', { cwd: root })
    .filter((file) => file !== 'test/conventions.test.ts' && !except.includes(file))
    .flatMap((file) => {
      const text = readFileSync(join(root, file), 'utf8');
      return finds(text).map((index) => `${file}:${text.slice(0, index).split('\n').length}`);
    });
}

const matches =
  (pattern: RegExp) =>
  (text: string): number[] =>
    [...text.matchAll(pattern)].map(({ index }) => index);

test('an assertion of truth has a message, since "false" tells nobody what is wrong', () => {
  assert.deepEqual(places(silentAssertions), [], 'say what is wrong, or compare values, which are shown');
});

test('an assertion without a message is seen, and one with a message is not taken for it', () => {
  const found = (text: string): number => silentAssertions(text).length;
  for (const silent of [
    'assert(a);',
    'assert.ok(f(a, b));',
    "assert.ok(\n  [a, b].includes('x, y'),\n);",
    'assert.ok(/a,b/.test(c));',
  ]) {
    assert.equal(found(silent), 1, silent);
  }
  for (const telling of [
    "assert.ok(f(a), 'b');",
    'assert(a, `(b`);',
    'assert.equal(a, b);',
    "assert.ok(\n  a,\n  'b',\n);",
  ]) {
    assert.equal(found(telling), 0, telling);
  }
});

test('directories are made by test/support/directory.ts, which sees to their removal', () => {
  assert.deepEqual(places(matches(/\bmkdtemp/g), ['test/support/directory.ts']), []);
});

test('no type is forced on a value by way of unknown', () => {
  assert.deepEqual(places(matches(/\bas unknown as\b/g)), []);
});

test('an event is awaited within a bound', () => {
  assert.deepEqual(
    places(matches(/await once\(|await new Promise[^;]*\.once\(/g)),
    [],
    'eventOf of test/support/bounded.ts does',
  );
});

/** Positions of `assert(x)` and `assert.ok(x)` with one argument. */
function silentAssertions(text: string): number[] {
  return [...text.matchAll(/(?<![\w.'"`])assert(?:\.ok)?\(/g)]
    .filter(({ 0: call, index }) => argumentsIn(text.slice(index + call.length, index + 5_000)) === 1)
    .map(({ index }) => index);
}

/** How many arguments there are before the closing parenthesis; text and regular expressions are passed over. */
function argumentsIn(text: string): number {
  const bare = text.replace(
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|(?<=^\s*|[(,=!&|?:]\s*)\/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\n])+\//g,
    '0',
  );
  let depth = 0;
  let count = 1;
  for (const [index, character] of [...bare].entries()) {
    if ('([{'.includes(character)) {
      depth += 1;
    } else if (depth === 0 && character === ',') {
      count += /^,\s*\)/.test(bare.slice(index, index + 200)) ? 0 : 1;
    } else if (')]}'.includes(character)) {
      depth -= 1;
    }
    if (depth < 0) {
      break;
    }
  }
  return count;
}
