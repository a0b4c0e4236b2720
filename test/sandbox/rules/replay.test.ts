/**
 * The sandbox's API server answers the cases over HTTP as the rules do, in every version that it plays.
 */
import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import { test } from 'node:test';
import { createRules } from '../../../sandbox/cluster/rules.ts';
import { startApiServer } from '../../../sandbox/serving/server.ts';
import { allCases } from './cases/all.ts';
import type { World } from './cases/case.ts';
import { createKeys } from './cases/keys.ts';
import { users } from './cases/objects.ts';
import { createObjects, difference, replay } from './replay.ts';
import { createCertificates, createWorld, expectedIn, servedVersions } from './world.ts';

const now = Date.UTC(2026, 10, 21, 10);
const keys = createKeys();
const certificates = createCertificates(now);

for (const served of servedVersions) {
  test(`The sandbox plays Kubernetes ${served.kubernetes} with requests as ${served.requestVersion}`, async (t) => {
    const { kubernetes } = served;
    const names = Object.keys(users).filter((name) => name !== 'anonymous');
    const tokens = Object.fromEntries(names.map((name, index) => [name, `token-${index}`]));
    const known = Object.fromEntries(Object.entries(users).map(([name, user]) => [tokens[name] ?? 'none', user]));
    const server = await startApiServer({ rules: createRules(), kubernetes, tokens: known, clock: () => now });
    t.after(() => server.close());
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const targets = Object.entries(tokens).map(([name, token]) => [
      name,
      { url: server.url, caPem: server.caPem, token },
    ]);
    const target = {
      url: server.url,
      caPem: server.caPem,
      token: tokens['admin'] ?? '',
      users: Object.fromEntries(targets),
      agent,
    };
    const uids = await createObjects(target);
    const uid: World['uid'] = (kind, name) => uids.get(`${kind}/${name}`) ?? '';
    const world = { ...createWorld(served, keys, certificates, now), uid };
    const differences: string[] = [];
    for (const one of Object.values(allCases).flat()) {
      if (one.kubernetes?.includes(kubernetes) ?? true) {
        const found = difference(expectedIn(one, world), await replay(target, one, world));
        differences.push(...(found === undefined ? [] : [`${one.name}: ${found}`]));
      }
    }
    assert.deepEqual(differences, []);
  });
}
