import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchesLabels } from '../../../agent/trust/label-selector.ts';
import type { LabelRequirement, LabelSelector } from '../../../volumes/declaration/types.ts';

const labels = { env: 'prod', tier: 'web' };

function where(...matchExpressions: LabelRequirement[]): LabelSelector {
  return { matchLabels: {}, matchExpressions };
}

test('an absent selector matches nothing and an empty one everything', () => {
  assert.equal(matchesLabels(undefined, labels), false);
  assert.equal(matchesLabels(where(), labels), true);
  assert.equal(matchesLabels(where(), undefined), true);
});

test('every matchLabels entry must be there with its value', () => {
  const select = (matchLabels: Record<string, string>): LabelSelector => ({ matchLabels, matchExpressions: [] });
  assert.equal(matchesLabels(select({ env: 'prod' }), labels), true);
  assert.equal(matchesLabels(select({ env: 'prod', tier: 'db' }), labels), false);
  assert.equal(matchesLabels(select({ other: '' }), labels), false);
  assert.equal(matchesLabels(select({ toString: 'x' }), labels), false);
});

test('each operator holds as Kubernetes defines it', () => {
  const rows: [LabelRequirement, boolean][] = [
    [{ key: 'env', operator: 'In', values: ['test', 'prod'] }, true],
    [{ key: 'env', operator: 'In', values: ['test'] }, false],
    [{ key: 'none', operator: 'In', values: ['test'] }, false],
    [{ key: 'env', operator: 'NotIn', values: ['test'] }, true],
    [{ key: 'env', operator: 'NotIn', values: ['prod'] }, false],
    [{ key: 'none', operator: 'NotIn', values: ['prod'] }, true],
    [{ key: 'env', operator: 'Exists', values: [] }, true],
    [{ key: 'none', operator: 'Exists', values: [] }, false],
    [{ key: 'env', operator: 'DoesNotExist', values: [] }, false],
    [{ key: 'constructor', operator: 'DoesNotExist', values: [] }, true],
  ];
  for (const [requirement, expected] of rows) {
    assert.equal(matchesLabels(where(requirement), labels), expected, JSON.stringify(requirement));
  }
});

test('all requirements must hold together', () => {
  const exists: LabelRequirement = { key: 'env', operator: 'Exists', values: [] };
  const absent: LabelRequirement = { key: 'tier', operator: 'DoesNotExist', values: [] };
  assert.equal(matchesLabels({ matchLabels: { tier: 'web' }, matchExpressions: [exists] }, labels), true);
  assert.equal(matchesLabels(where(exists, absent), labels), false);
});
