/**
 * The chart's permissions are enough and no more: with exactly them the agent issues, refreshes and reports; with any one
 * verb of any one rule taken away, something that it does is refused.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { KubernetesVersion, UserInfo } from '../../sandbox/base/cluster-rules.ts';
import type { AgentIdentity, ClusterObject } from '../../sandbox/cluster/permissions.ts';
import { signerName, startNode, usualSources } from '../end-to-end/node.ts';
import { boundRules, chartObjects, without } from './chart.ts';
import { agentUsersOn, watchRefusals } from './refusals.ts';

const nodeName = 'node-1';
const agentUsers = agentUsersOn(nodeName);
const admin: UserInfo = { username: 'admin', groups: ['system:masters'], extra: {} };
const requests = 'podcertificaterequests';

interface Setting {
  readonly kubernetes: KubernetesVersion;
  readonly mode: AgentIdentity;
  readonly nodeSigners: readonly string[];
  /** Which verbs are taken away, one after the other. */
  readonly verbs: RegExp;
}

/** All that the agent does at an API server. @returns what was refused first, or nothing when all of it went well */
async function live(
  t: TestContext,
  { kubernetes, mode: agentIdentity }: Setting,
  agentObjects: readonly ClusterObject[],
): Promise<string | undefined> {
  const refusals = watchRefusals(agentUsers);
  const node = await startNode(t, {
    ...{ kubernetes, nodeName, agentIdentity, agentObjects, authorizer: refusals.authorizer },
    timeScale: 600,
    signers: [{ signerName, lifetimeSeconds: 6, refreshAtFraction: 0.2 }],
    flags: ['--metrics-auth', 'token'],
  });
  const { admin: kubectl, apiServer } = node.cluster;
  const everything = async (): Promise<undefined> => {
    const Authorization = `Bearer ${apiServer.userToken(admin)}`;
    assert.match(await node.get('/metrics', { Authorization }), /^# HELP /);
    const nobodys = [{ clusterTrustBundle: { name: 'not-there', path: 'ca.pem' } }];
    await kubectl.createPod({ name: 'waiting', volumes: [{ name: 'trust', sources: nobodys }] });
    await kubectl.createPod({ name: 'web', volumes: [{ name: 'mtls', sources: usualSources }] });
    await kubectl.podRunning('default', 'web');
    await node.event('web', 'Issued');
    await node.event('web', 'Rotated');
    // However many renewals there have been by now, right after one no request is under way.
    await lines('certificate renewed', count('certificate renewed') + 1);
    // The reply to a request is lost, and until the signer answers the watch does not show it: it is looked up.
    node.cluster.signer(signerName).setBehaviour({ type: 'silent' });
    const [requested, renewed] = [count('certificate requested'), count('certificate renewed')];
    const match = { resource: requests, user: agentUsers[agentIdentity === 'kubelet' ? 1 : 0] ?? '' };
    apiServer.faults.add({ kind: 'loseReply', match: { ...match, verb: 'create' }, count: 1 });
    apiServer.faults.add({ kind: 'dropWatchEvents', match: { ...match, verb: 'watch' } });
    await lines('certificate requested', requested + 1);
    apiServer.faults.clear();
    node.cluster.signer(signerName).setBehaviour({ type: 'instant' });
    await lines('certificate renewed', renewed + 1);
    // It has waited for longer than a moment by now, so the agent has looked whether it is being deleted.
    await kubectl.deletePod('default', 'waiting');
    // A repetition is counted in the event that is there. A stop would send it too, but waits no longer than it may.
    await node.event('web', 'Rotated', ({ count = 0 }) => count > 1);
    await node.stopAgent();
  };
  const count = (message: string): number => node.lines.filter((line) => line.message === message).length;
  /** The agent has logged this so often. */
  const lines = async (message: string, times: number): Promise<void> => {
    await node.logged(() => count(message) >= times);
  };
  return await Promise.race([refusals.first, everything()]);
}

const settings: readonly Setting[] = [
  ...(['impersonatedNode', 'serviceAccount', 'kubelet'] as const).map((mode) => ({
    ...{ mode, kubernetes: '1.36' as const, nodeSigners: [], verbs: /./ },
  })),
  // What is different from 1.37 on: nodes may not ask any signer.
  ...(['impersonatedNode', 'kubelet'] as const).map((mode) => ({
    ...{ mode, kubernetes: '1.37' as const, nodeSigners: [signerName], verbs: /^request-podcertificate-signer$/ },
  })),
];

// Each has a cluster of its own and mostly waits.
describe('With the permissions of the chart', { concurrency: 4 }, () => {
  for (const setting of settings) {
    const { kubernetes, mode, nodeSigners, verbs } = setting;
    const chart = chartObjects(mode, nodeSigners);
    const title = `on ${kubernetes} in identity mode ${mode}`;
    if (chart.type === 'missing') {
      test(`${title} the agent does all its work`, { skip: chart.reason }, () => {});
      continue;
    }
    const { objects } = chart;
    test(`${title} the agent issues, refreshes, reports events and shows metrics`, async (t) => {
      assert.equal(await live(t, setting, objects), undefined, 'refused');
    });

    for (const { rule, verb, words } of singleVerbs(objects).filter((each) => verbs.test(each.verb))) {
      test(`${title}, but not ${words}, the agent cannot do all its work`, async (t) => {
        assert.equal(await live(t, setting, without(objects, rule, verb)), words);
      });
    }
  }
});

/** Every verb of every rule on its own, in the words of a refusal. */
function singleVerbs(objects: readonly ClusterObject[]) {
  return boundRules(objects).flatMap((rule) =>
    rule.verbs.flatMap((verb) =>
      rule.resources.map((resource) => {
        const group = rule.apiGroups.find((each) => each !== '');
        return { rule, verb, words: `${verb} ${group === undefined ? resource : `${resource}.${group}`}` };
      }),
    ),
  );
}
