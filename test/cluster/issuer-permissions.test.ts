/**
 * The permissions that the chart gives for rules of issuers are enough and no more: with exactly them the agent has requests
 * approved, answered, found again and removed, as itself and as the pod; with any one verb taken away something is refused.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { AgentIdentity, ClusterObject } from '../../sandbox/cluster/permissions.ts';
import {
  putIssuer,
  startIssuers,
  untilRequests as untilCertificateRequests,
} from '../end-to-end/cert-manager-issuer.ts';
import { written } from '../end-to-end/node.ts';
import { account, createPod, type PodAccountNode, signerName, startPodAccountNode } from '../end-to-end/pod-account.ts';
import { startSigner, untilRequests } from '../end-to-end/signing-request-signer.ts';
import { boundRules, chartObjects, type Rule, without } from './chart.ts';
import { agentUsersOn, watchRefusals } from './refusals.ts';

const agentUsers = agentUsersOn('node-1');
const [own] = agentUsers;

/** What differs between the APIs. */
interface Way {
  readonly api: 'certificateSigningRequest' | 'certManager';
  readonly resource: string;
  /** Of the rule. */
  readonly settings: object;
  /** What rules for this API add to the agent's role. */
  readonly isAdded: (rule: Rule) => boolean;
  /** Somebody who answers requests, but not yet. */
  start(t: TestContext, node: PodAccountNode): Promise<Answering>;
  /** Resolves when no request is left. */
  untilNone(node: PodAccountNode): Promise<unknown>;
}

interface Answering {
  answer(): void;
  hold(): void;
}

const forTokens = ({ resources }: Rule): boolean => resources.includes('serviceaccounts/token');
const issuer = { name: 'ca', kind: 'ClusterIssuer' };

const ways: readonly Way[] = [
  {
    api: 'certificateSigningRequest',
    resource: 'certificatesigningrequests',
    settings: {},
    isAdded: (rule) => rule.resources.includes('certificatesigningrequests') || forTokens(rule),
    async start(t, node) {
      const { signer } = await startSigner(t, node, signerName, 'silent', 20);
      return { answer: () => signer.setBehaviour('approve and sign'), hold: () => signer.setBehaviour('silent') };
    },
    untilNone: (node) => untilRequests(node, 0),
  },
  {
    api: 'certManager',
    resource: 'certificaterequests',
    settings: { issuer },
    isAdded: (rule) =>
      rule.resources.includes('certificaterequests') ||
      (rule.resources.includes('events') && rule.verbs.includes('list')) ||
      forTokens(rule),
    async start(t, node) {
      await putIssuer(node, issuer.name, true);
      const behaviour = { approver: 'match no policy', issuer: 'sign' } as const;
      const { certManager } = await startIssuers(t, node, behaviour, 20);
      return {
        answer: () => certManager.setBehaviour({ approver: 'approve' }),
        hold: () => certManager.setBehaviour({ approver: 'wait for a command' }),
      };
    },
    untilNone: (node) => untilCertificateRequests(node, 'no request is left', (left) => left.length === 0),
  },
];

interface Setting {
  readonly way: Way;
  readonly mode: Exclude<AgentIdentity, 'kubelet'>;
  readonly as: 'agent' | 'pod';
}

/** All that the agent does with requests of an API. @returns what was refused first, or nothing when all went well */
async function live(
  t: TestContext,
  { way, mode, as }: Setting,
  agentObjects: readonly ClusterObject[],
): Promise<string | undefined> {
  const refusals = watchRefusals(agentUsers);
  const node = await startPodAccountNode(t, {
    ...{ agentIdentity: mode, agentObjects, authorizer: refusals.authorizer, rule: { as } },
    ...{ api: way.api, settings: { ...way.settings, refreshAfter: 0.1 } },
  });
  const { resource: requests } = way;
  const answering = await way.start(t, node);
  const { faults } = node.cluster.apiServer;
  const lines = async (message: string, count: number): Promise<void> => {
    await node.logged(() => node.lines.filter((line) => line.message === message).length >= count);
  };
  const everything = async (): Promise<undefined> => {
    await createPod(node);
    if (way.api === 'certManager') {
      // It is told in an event alone.
      await node.logged(({ detail }) => String(detail).includes('not applicable for any policy'));
    }
    answering.answer();
    await node.logged(written('web', true));
    // The answered one is removed.
    await way.untilNone(node);
    // The reply to a request is lost, and until the signer answers the watch does not show it: it is looked up.
    answering.hold();
    // Whose credentials a call came with, also where it impersonates.
    const maker = as === 'pod' ? `system:serviceaccount:default:${account}` : own;
    faults.add({ kind: 'loseReply', match: { resource: requests, user: maker, verb: 'create' }, count: 1 });
    faults.add({ kind: 'dropWatchEvents', match: { resource: requests, user: own, verb: 'watch' } });
    await lines('certificate requested', 2);
    faults.clear();
    answering.answer();
    await lines('certificate renewed', 1);
  };
  return await Promise.race([refusals.first, everything()]);
}

const settings: readonly Setting[] = ways.flatMap((way) =>
  (['impersonatedNode', 'serviceAccount'] as const).flatMap((mode) =>
    (['agent', 'pod'] as const).map((as) => ({ way, mode, as })),
  ),
);

// Each has a cluster of its own and mostly waits.
describe('With the permissions of the chart for a rule of issuers', { concurrency: 4 }, () => {
  for (const setting of settings) {
    const { way, mode, as } = setting;
    const chart = chartObjects(mode, [], [{ signers: ['example.org/*'], as, [way.api]: way.settings }]);
    const title = `of ${way.api} that says "as: ${as}", in identity mode ${mode}`;
    if (chart.type === 'missing') {
      test(`${title} the agent does all its work`, { skip: chart.reason }, () => {});
      continue;
    }
    const { objects } = chart;
    test(`${title} requests are made, found again, answered and removed`, async (t) => {
      assert.equal(await live(t, setting, objects), undefined, 'refused');
    });

    for (const { rule, verb, words } of singleVerbs(objects, way)) {
      test(`${title}, but not ${words}, the agent cannot do all its work`, async (t) => {
        assert.equal(await live(t, setting, without(objects, rule, verb)), words);
      });
    }
  }
});

/** Every verb on its own of the rules that rules for issuers have added, in the words of a refusal. */
function singleVerbs(
  objects: readonly ClusterObject[],
  { isAdded }: Way,
): { rule: Rule; verb: string; words: string }[] {
  return boundRules(objects)
    .filter(isAdded)
    .flatMap((rule) =>
      rule.verbs.flatMap((verb) =>
        rule.resources.map((resource) => {
          const group = rule.apiGroups.find((each) => each !== '');
          return { rule, verb, words: `${verb} ${group === undefined ? resource : `${resource}.${group}`}` };
        }),
      ),
    );
}
