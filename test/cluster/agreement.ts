/**
 * Agreement: every good and bad request that the sandbox's rules are tested with is judged the same by this server. That is
 * what allows to believe tests against the sandbox.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isObject } from '../../sandbox/base/objects.ts';
import { allCases } from '../sandbox/rules/cases/all.ts';
import type { RuleCase, World } from '../sandbox/rules/cases/case.ts';
import { createKeys } from '../sandbox/rules/cases/keys.ts';
import { difference, replay } from '../sandbox/rules/replay.ts';
import { createCertificates, createWorld, expectedIn } from '../sandbox/rules/world.ts';
import { call } from '../sandbox/serving/client.ts';
import type { Ground } from './ground.ts';
import { type Offers, versionsOf } from './server.ts';

/** A server's caches learn of new objects a little later; a node is refused until then. */
const patienceMs = 5_000;
const lookAgainMs = 200;

export function agreement(ground: () => Ground): void {
  describe('The server judges as the sandbox does', () => {
    const keys = createKeys();
    for (const [title, cases] of Object.entries(allCases)) {
      test(title, async (t) => {
        const { offers, replayTarget, uid } = ground();
        const hasBundles = offers.bundleApi !== undefined;
        if (title === 'ClusterTrustBundles' && !hasBundles) {
          return t.skip('the server serves none');
        }
        for (const world of worlds(offers, keys)) {
          const asked = cases.filter(({ kubernetes }) => kubernetes?.includes(world.kubernetes) ?? true);
          if (title === 'Restriction of nodes' && (await nodesMayAskAnySigner(replayTarget))) {
            t.diagnostic('nodes may ask any signer here: cases about signers that pods do not name are not asked');
            asked.splice(0, asked.length, ...asked.filter((one) => !isAboutSigners(one)));
          }
          const others = cases.length - asked.length;
          if (others > 0) {
            t.diagnostic(`${others} cases are not about Kubernetes ${world.kubernetes}`);
          }
          assert.deepEqual(
            await differences(asked, { ...world, uid }, replayTarget, hasBundles),
            [],
            world.requestVersion,
          );
        }
      });
    }
  });
}

async function differences(
  cases: readonly RuleCase[],
  world: World,
  target: Ground['replayTarget'],
  hasBundles: boolean,
): Promise<string[]> {
  const all: string[] = [];
  for (const one of cases) {
    const request = await one.request(world);
    const isAboutBundles = 'resource' in request && request.resource.startsWith('clustertrustbundles.');
    const found = isAboutBundles && !hasBundles ? undefined : await lastingDifference(world, one, target);
    if (found !== undefined) {
      all.push(`${one.name}: ${found}`);
    }
  }
  return all;
}

/** From 1.37 on a node may only ask the signers that a pod names, but for a permission. */
const isAboutSigners = ({ kubernetes = [] }: RuleCase): boolean => kubernetes.length === 1 && kubernetes[0] === '1.37';

async function nodesMayAskAnySigner(target: Ground['replayTarget']): Promise<boolean> {
  const { body } = await call(target, '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
    method: 'POST',
    body: {
      spec: {
        ...{ user: 'system:node:anyone', groups: ['system:nodes'] },
        resourceAttributes: {
          ...{ group: 'certificates.k8s.io', resource: 'example.com/other' },
          verb: 'request-podcertificate-signer',
        },
      },
    },
  });
  return isObject(body['status']) && body['status']['allowed'] === true;
}

/** As of now: certificates of the cases are minutes old, or that far in the future. */
function worlds(offers: Offers, keys: ReturnType<typeof createKeys>): World[] {
  const now = Math.floor(Date.now() / 1000) * 1000;
  const certificates = createCertificates(now);
  const bundleVersion = offers.bundleApi?.apiVersion.replace(/^.*\//, '') ?? 'v1beta1';
  return versionsOf(offers).map((requestVersion) =>
    createWorld({ kubernetes: offers.kubernetes, requestVersion, bundleVersion }, keys, certificates, now),
  );
}

async function lastingDifference(
  world: World,
  one: RuleCase,
  target: Ground['replayTarget'],
): Promise<string | undefined> {
  const until = Date.now() + patienceMs;
  for (;;) {
    const found = difference(expectedIn(one, world), await replay(target, one, world));
    if (found === undefined || Date.now() >= until) {
      return found;
    }
    await sleep(lookAgainMs);
  }
}
