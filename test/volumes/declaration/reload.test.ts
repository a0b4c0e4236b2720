/** What a pod may say about being told of new files: what is accepted, and that every fault is named by its path. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { maxReloadBytes } from '../../../volumes/declaration/limits.ts';
import { parseDeclaration } from '../../../volumes/declaration/sources.ts';

const sources = '[{ clusterTrustBundle: { name: roots, path: trust/anchors.pem } }]';

function faultsOf(attributes: Record<string, string>): readonly string[] {
  const parsed = parseDeclaration({ sources, ...attributes });
  return parsed.ok ? [] : parsed.faults.map((fault) => `${fault.field}: ${fault.message}`);
}

test('a file to touch is read, and a volume without one says nothing of it', () => {
  const parsed = parseDeclaration({ sources, reload: 'touch: ./generation' });
  assert.ok(parsed.ok, inspect(parsed));
  assert.deepEqual(parsed.declaration.reload, { touch: 'generation' });
  const without = parseDeclaration({ sources });
  assert.ok(without.ok && !('reload' in without.declaration), inspect(without));
});

test('a file to touch can lie nowhere but at the top of the volume, and not where another file is', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['touch: "a/b"', /^reload\.touch: must be a name without "\/", not "a\/b"/],
    ['touch: /etc/passwd', /^reload\.touch: must be relative to the volume/],
    ['touch: ../x', /^reload\.touch: must not hold "\.\."/],
    ['touch: ..agent', /^reload\.touch: must not start with "\.\."/],
    ['touch: "a\\nb"', /^reload\.touch: must not hold control characters/],
    ['touch: 5', /^reload\.touch: must be a string: put "5" in quotes/],
    ['touch: trust', /needs a directory "trust", which reload\.touch writes as a file/],
  ];
  for (const [reload, expected] of cases) {
    const [fault = '', ...more] = faultsOf({ reload });
    assert.match(fault, expected, reload);
    assert.deepEqual(more, [], reload);
  }
  const same = faultsOf({ sources: sources.replace('trust/', ''), reload: 'touch: anchors.pem' });
  assert.match(same.join(), /path: "anchors\.pem" is written by reload\.touch already/);
});

test('a reload that says nothing, is no mapping, too long or no YAML is refused', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['{}', /^reload: needs at least one of touch/],
    ['', /^reload: must be a mapping/],
    ['[touch]', /^reload: must be a mapping/],
    ['touch: { a: b }\nhost: example.com', /^reload\.host: unknown field "host"/],
    ['&a touch: *a', /^reload: must not use YAML/],
    [`touch: ${'a'.repeat(maxReloadBytes)}`, /^reload: must be at most 4096 bytes/],
  ];
  for (const [reload, expected] of cases) {
    assert.match(faultsOf({ reload }).join('\n'), expected, reload.slice(0, 50));
  }
});
