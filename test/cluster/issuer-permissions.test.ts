/**
 * The permissions that the chart gives for rules of issuers are enough and no more: with exactly them the agent has requests
 * approved, answered, found again and removed, as itself and as the pod; with any one verb taken away something is refused.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { RequestAttributes } from '../../sandbox/base/cluster-rules.ts';
import type { AgentIdentity, ClusterObject } from '../../sandbox/cluster/permissions.ts';
import { agentAccount, agentNamespace } from '../../sandbox/cluster/permissions.ts';
import type { Authorizer } from '../../sandbox/identity/access.ts';
import { written } from '../end-to-end/node.ts';
import { account, createPod, signerName, startPodAccountNode } from '../end-to-end/pod-account.ts';
import { startSigner, untilRequests } from '../end-to-end/signing-request-signer.ts';
import { boundRules, chartObjects, type Rule, without } from './chart.ts';

const own = `system:serviceaccount:${agentNamespace}:${agentAccount}`;
const agentUsers = [own, 'system:node:node-1'];
const requests = 'certificatesigningrequests';
/** What rules for issuers add to the agent's role. */
const concerned = [requests, 'serviceaccounts/token'];

interface Setting {
  readonly mode: Exclude<AgentIdentity, 'kubelet'>;
  readonly as: 'agent' | 'pod';
}

/** Takes note of what the cluster's own authorizers do not allow the agent, and allows nothing itself. */
function watchRefusals() {
  const { promise: first, resolve } = Promise.withResolvers<string>();
  const authorizer: Authorizer = (attributes) => {
    if (agentUsers.includes(attributes.user.username)) {
      resolve(wordsOf(attributes));
    }
    return { allowed: false, reason: '' };
  };
  return { authorizer, first };
}

function wordsOf(attributes: RequestAttributes): string {
  if (attributes.kind === 'path') {
    return `${attributes.verb} ${attributes.path}`;
  }
  const { verb, apiGroup, resource, subresource } = attributes;
  const whole = subresource === '' ? resource : `${resource}/${subresource}`;
  return `${verb} ${apiGroup === '' ? whole : `${whole}.${apiGroup}`}`;
}

/** All that the agent does with CertificateSigningRequests. @returns what was refused first, or nothing when all went well */
async function live(
  t: TestContext,
  { mode, as }: Setting,
  agentObjects: readonly ClusterObject[],
): Promise<string | undefined> {
  const refusals = watchRefusals();
  const node = await startPodAccountNode(t, {
    ...{ agentIdentity: mode, agentObjects, authorizer: refusals.authorizer, rule: { as } },
    settings: { refreshAfter: 0.1 },
  });
  const { signer } = await startSigner(t, node, signerName, 'approve and sign', 20);
  const { faults } = node.cluster.apiServer;
  const lines = async (message: string, count: number): Promise<void> => {
    await node.logged(() => node.lines.filter((line) => line.message === message).length >= count);
  };
  const everything = async (): Promise<undefined> => {
    await createPod(node);
    await node.logged(written('web', true));
    // The answered one is removed.
    await untilRequests(node, 0);
    // The reply to a request is lost, and until the signer answers the watch does not show it: it is looked up.
    signer.setBehaviour('silent');
    // Whose credentials a call came with, also where it impersonates.
    const maker = as === 'pod' ? `system:serviceaccount:default:${account}` : own;
    faults.add({ kind: 'loseReply', match: { resource: requests, user: maker, verb: 'create' }, count: 1 });
    faults.add({ kind: 'dropWatchEvents', match: { resource: requests, user: own, verb: 'watch' } });
    await lines('certificate requested', 2);
    faults.clear();
    signer.setBehaviour('approve and sign');
    await lines('certificate renewed', 1);
  };
  return await Promise.race([refusals.first, everything()]);
}

const settings: readonly Setting[] = (['impersonatedNode', 'serviceAccount'] as const).flatMap((mode) =>
  (['agent', 'pod'] as const).map((as) => ({ mode, as })),
);

// Each has a cluster of its own and mostly waits.
describe('With the permissions of the chart for a rule of CertificateSigningRequests', { concurrency: 4 }, () => {
  for (const setting of settings) {
    const { mode, as } = setting;
    const chart = chartObjects(mode, [], [{ signers: ['example.org/*'], as, certificateSigningRequest: {} }]);
    const title = `that says "as: ${as}", in identity mode ${mode}`;
    if (chart.type === 'missing') {
      test(`${title} the agent does all its work`, { skip: chart.reason }, () => {});
      continue;
    }
    const { objects } = chart;
    test(`${title} requests are made, found again, answered and removed`, async (t) => {
      assert.equal(await live(t, setting, objects), undefined, 'refused');
    });

    for (const { rule, verb, words } of singleVerbs(objects)) {
      test(`${title}, but not ${words}, the agent cannot do all its work`, async (t) => {
        assert.equal(await live(t, setting, without(objects, rule, verb)), words);
      });
    }
  }
});

/** Every verb on its own of the rules that rules for issuers have added, in the words of a refusal. */
function singleVerbs(objects: readonly ClusterObject[]): { rule: Rule; verb: string; words: string }[] {
  return boundRules(objects)
    .filter(({ resources }) => resources.some((resource) => concerned.includes(resource)))
    .flatMap((rule) =>
      rule.verbs.flatMap((verb) =>
        rule.resources.map((resource) => {
          const group = rule.apiGroups.find((each) => each !== '');
          return { rule, verb, words: `${verb} ${group === undefined ? resource : `${resource}.${group}`}` };
        }),
      ),
    );
}
