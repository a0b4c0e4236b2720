/** Hostile YAML: every text is answered with a value or a message, soon. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readYaml } from '../../../volumes/declaration/yaml.ts';

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
  assert.match(messageOf('a: &x [1, 2]\nb: *x'), /must not use YAML aliases/);
  const levels = Array.from({ length: 20 }, (_, level) => `a${level + 1}: &a${level + 1} [*a${level}, *a${level}]`);
  assert.match(messageOf(`a0: &a0 [x, x]\n${levels.join('\n')}`), /must not use YAML aliases/);
});

test('duplicate keys, several documents, unknown tags and broken syntax are refused with a reason', () => {
  assert.equal(messageOf('a: 1\na: 2'), 'has the key "a" twice in one mapping');
  assert.equal(messageOf('- {x: {b: 1, b: 2}}'), 'has the key "b" twice in one mapping');
  assert.equal(messageOf('a: 1\n---\nb: 2'), 'must be one YAML document, remove the "---"');
  assert.match(messageOf('a: !!js/function x'), /^is not valid YAML: Unresolved tag/);
  assert.match(messageOf('a: [1'), /^is not valid YAML: /);
  assert.match(messageOf('\tx: 1'), /^is not valid YAML: /);
});

test('a text beyond 64 KiB is refused unread', () => {
  assert.match(messageOf(`a: ${'x'.repeat(64 * 1024)}`), /at most 65536 bytes/);
});

test('deep nesting is refused, flow and block alike', () => {
  assert.match(messageOf('['.repeat(65_000)), /YAML/);
  assert.match(messageOf('{a: '.repeat(16_000)), /YAML/);
  assert.match(messageOf('- '.repeat(32_000)), /./);
  assert.match(messageOf(`${'['.repeat(40)}${']'.repeat(40)}`), /must not be nested deeper than 32 levels/);
  assert.match(messageOf(`${'{a: '.repeat(40)}1${'}'.repeat(40)}`), /must not be nested deeper than 32 levels/);
});

test('a mapping with thousands of keys is read without comparing every key with every other', () => {
  const keys = Array.from({ length: 10_000 }, (_, index) => `k${index}`);
  const read = readYaml(`{${keys.join(',')}}`);
  assert(read.ok && read.value instanceof Map);
  assert.equal(read.value.size, 10_000);
});
