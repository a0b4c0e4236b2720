/** Hostile YAML: every text is answered with a value or a message, soon. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { Composer } from 'yaml';
import { atOnce } from '../../../volumes/base/steps.ts';
import { readYamlInSteps } from '../../../volumes/declaration/yaml.ts';

const readYaml = (text: string) => atOnce(readYamlInSteps(text));

function messageOf(text: string): string {
  const read = readYaml(text);
  return read.ok ? 'accepted' : read.message;
}

test('ordinary YAML becomes strings, numbers, lists and maps', () => {
  assert.deepEqual(readYaml('- a: 1\n  b: [x, true, null]'), {
    ok: true,
    value: [
      new Map<string, unknown>([
        ['a', 1],
        ['b', ['x', true, null]],
      ]),
    ],
  });
});

test('aliases are refused, so that no text grows when it is read', () => {
  assert.match(messageOf('a: &x [1, 2]\nb: *x'), /must not use YAML anchors/);
  assert.match(messageOf('b: *x'), /must not use YAML aliases/);
  const levels = Array.from({ length: 20 }, (_, level) => `a${level + 1}: &a${level + 1} [*a${level}, *a${level}]`);
  assert.match(messageOf(`a0: &a0 [x, x]\n${levels.join('\n')}`), /must not use YAML anchors/);
});

test('duplicate keys, several documents, unknown tags and broken syntax are refused with a reason', () => {
  assert.equal(messageOf('a: 1\na: 2'), 'has the key "a" twice in one mapping');
  const [longest, longer] = ['k'.repeat(64), 'k'.repeat(70)];
  assert.equal(messageOf(`${longer}: 1\n${longer}: 2`), `has the key "${longest}" twice in one mapping`);
  assert.equal(messageOf('- {x: {b: 1, b: 2}}'), 'has the key "b" twice in one mapping');
  assert.equal(messageOf('a: 1\n---\nb: 2'), 'must be one YAML document, remove the "---"');
  for (const tag of ['!!js/function x', '!!binary aGk=', '!!str 1', '!x y']) {
    assert.equal(messageOf(`a: ${tag}`), 'must not use YAML tags ("!name")', tag);
  }
  assert.match(messageOf('%YAML 1.1\n---\na: yes'), /must not use YAML directives/);
  assert.match(messageOf('? a\n: b'), /must not use explicit YAML keys/);
  const unended = 'Flow sequence in block collection must be sufficiently indented and end with a ]';
  assert.equal(messageOf('b: 1\na: [1'), `is not valid YAML: ${unended} at line 2`);
  const twoLines = 'Implicit keys of flow sequence pairs need to be on a single line';
  assert.equal(messageOf('[a\n b: c]'), `is not valid YAML: ${twoLines} at line 1`);
  assert.match(messageOf('\tx: 1'), /^is not valid YAML: /);
});

test('a text with nothing in it is read as nothing', () => {
  for (const text of ['', '\n', '# a comment', '---', 'null']) {
    assert.deepEqual(readYaml(text), { ok: true, value: null }, JSON.stringify(text));
  }
});

test('whatever the library throws is a fault of the text, and repeats no password', (t) => {
  t.mock.method(Composer.prototype, 'compose', () => {
    throw thrown;
  });
  let thrown: unknown = new TypeError('cannot read this: hunter2:\n  in the second line');
  assert.equal(messageOf('a: 1'), 'cannot be read as YAML: cannot read this: hunter2');
  assert.equal(messageOf('password: 1'), 'cannot be read as YAML: cannot read this');
  thrown = 'x'.repeat(201);
  assert.equal(messageOf('a: 1'), `cannot be read as YAML: ${'x'.repeat(200)}`);
});

test('two separators in a row are refused before the parser sees them, whatever blanks lie between', () => {
  for (const [text, separator] of [
    ['[a,,b]', ','],
    ['[a, ,b]', ','],
    ['[a,\n,b]', ','],
    ['[a, # why\n ,b]', ','],
    ['{a: : b}', ':'],
  ] as const) {
    assert.equal(messageOf(text), `is not valid YAML: ${JSON.stringify(separator)} twice in a row`, text);
  }
  assert.equal(messageOf('{a: [b, {c: d}, e], f: g}'), 'accepted');
});

test('a value that looks like a directive, an alias or a key is the value that it is', () => {
  assert.match(messageOf('a: %b'), /^is not valid YAML: Plain value cannot start with directive indicator/);
  assert.deepEqual(readYaml('- |\n  *b\n- ?b\n- "&c"'), { ok: true, value: ['*b\n', '?b', '&c'] });
});

test('reading a text pauses after every 256 tokens, before the parser and in it', () => {
  const pauses = (tokens: number): number => {
    const steps = readYamlInSteps('\n'.repeat(tokens));
    let count = 0;
    while (steps.next().done !== true) {
      count += 1;
    }
    return count;
  };
  // Three more: before the parser's result is composed, before it is looked at, and before it is made into values.
  for (const [tokens, expected] of [
    [0, 3],
    [255, 4],
    [256, 5],
    [257, 6],
    [2_560, 23],
    [16_384, 131],
  ] as const) {
    assert.equal(pauses(tokens), expected, `${tokens} tokens`);
  }
});

test('a text beyond 64 KiB is refused unread', () => {
  assert.match(messageOf(`a: ${'x'.repeat(64 * 1024)}`), /at most 65536 bytes/);
});

test('deep nesting is refused, flow and block alike', () => {
  for (const text of ['['.repeat(65_000), '{a: '.repeat(16_000), '- '.repeat(32_000), '- '.repeat(40)]) {
    assert.match(messageOf(text), /must not be nested deeper than 32 levels/, text.slice(0, 8));
  }
  assert.match(messageOf(`${'['.repeat(40)}${']'.repeat(40)}`), /must not be nested deeper than 32 levels/);
  assert.match(messageOf(`${'{a: '.repeat(40)}1${'}'.repeat(40)}`), /must not be nested deeper than 32 levels/);
  // A list may be the level too many, though no mapping is.
  const alternating = Array.from({ length: 16 }, (_, level) => `${'  '.repeat(level)}- x:\n`).join('');
  assert.equal(messageOf(`${alternating}${'  '.repeat(16)}a: b`), 'accepted');
  assert.equal(messageOf(`${alternating}${'  '.repeat(16)}- a`), 'must not be nested deeper than 32 levels');
  // What lies beside each other is no deeper for it.
  for (const text of [`[${'[],'.repeat(40)}]`, `[${'{},'.repeat(40)}]`, '- a\n'.repeat(40)]) {
    assert.equal(messageOf(text), 'accepted', text.slice(0, 8));
  }
});

test('a mapping with thousands of keys is read without comparing every key with every other', () => {
  const keys = Array.from({ length: 4_000 }, (_, index) => `k${index}`);
  const read = readYaml(`{${keys.join(',')}}`);
  assert.ok(read.ok && read.value instanceof Map, inspect(read));
  assert.equal(read.value.size, 4_000);
});

test('what has too many tokens or backslashes is refused at the limit', () => {
  const list = (length: number) => `[${Array.from({ length }, () => 'a').join(',')}]`;
  assert.equal(messageOf(list(5_000)), 'accepted');
  assert.equal(messageOf(list(6_000)), 'must hold at most 16384 YAML tokens');
  assert.equal(messageOf(`"${'\\\\'.repeat(512)}"`), 'accepted');
  assert.equal(messageOf(`"${'\\\\'.repeat(512)}\\n"`), 'must hold at most 1024 backslashes');
});

/** Texts of 64 KiB over which the parser takes many times as long as over a declaration of the same length. */
const hostile: Readonly<Record<string, (bytes: number) => string>> = {
  'commas in a list': (bytes) => `[${','.repeat(bytes - 1)}`,
  'commas in a mapping': (bytes) => `{${','.repeat(bytes - 1)}`,
  anchors: (bytes) => '&a '.repeat(bytes / 3),
  tags: (bytes) => '!a '.repeat(bytes / 3),
  directives: (bytes) => '%a\n'.repeat(bytes / 3),
  escapes: (bytes) => `"${'\\x'.repeat(bytes / 2)}`,
  'line ends': (bytes) => '\n'.repeat(bytes),
  'lists in lists': (bytes) => '[[],'.repeat(bytes / 4),
  colons: (bytes) => ': '.repeat(bytes / 2),
};

test('no hostile text of the greatest length takes longer than ten declarations of it', () => {
  const ordinary = Array.from(
    { length: 250 },
    (_, index) => `- clusterTrustBundle: {name: n${index}, path: p${index}}`,
  );
  const text = ordinary.join('\n');
  const best = (run: () => void): number =>
    Math.min(
      ...Array.from({ length: 5 }, () => {
        const start = process.cpuUsage();
        run();
        const { user, system } = process.cpuUsage(start);
        return user + system;
      }),
    );
  assert.equal(messageOf(text), 'accepted');
  const unit = best(() => readYaml(text));
  for (const [name, make] of Object.entries(hostile)) {
    const spent = best(() => assert.notEqual(messageOf(make(65_536)), 'accepted', name));
    assert.ok(spent < 10 * unit, `${name}: ${spent} µs, an ordinary text ${unit} µs`);
  }
});
