/**
 * Every case of the rules, in every version of Kubernetes and of the API that it holds for.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRules } from '../../../sandbox/cluster/rules.ts';
import { allCases } from '../rules/cases/all.ts';
import type { RuleCase } from '../rules/cases/case.ts';
import { createKeys } from '../rules/cases/keys.ts';
import { createCertificates, createWorld, expectedIn, judge, servedVersions } from '../rules/world.ts';

const now = Date.UTC(2026, 10, 21, 10);
const keys = createKeys();
const certificates = createCertificates(now);
const rules = createRules();

function run(title: string, cases: readonly RuleCase[]): void {
  describe(title, () => {
    for (const one of cases) {
      test(`The API server ${one.name}`, async () => {
        const served = servedVersions.filter(({ kubernetes }) => one.kubernetes?.includes(kubernetes) ?? true);
        assert.notEqual(served.length, 0, 'the case holds for some version');
        for (const version of served) {
          const world = createWorld(version, keys, certificates, now);
          const expected = expectedIn(one, world);
          const judged = judge(rules, one, await one.request(world), world);
          const where = `Kubernetes ${version.kubernetes}, ${version.requestVersion}: ${judged.message}`;
          assert.equal(judged.code, expected.code, where);
          if (expected.causes !== undefined) {
            assert.deepEqual(judged.causes, expected.causes, where);
          }
          if (expected.says !== undefined) {
            assert.ok(judged.message.includes(expected.says), `${where} says: ${expected.says}`);
          }
        }
      });
    }
  });
}

for (const [title, cases] of Object.entries(allCases)) {
  run(title, cases);
}
