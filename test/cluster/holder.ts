/**
 * Whoever holds the agent's credentials: a service account with exactly what the chart gives it in one identity mode, as a pod
 * of the suite's node.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentIdentity } from '../../sandbox/cluster/permissions.ts';
import type { Target } from '../sandbox/serving/client.ts';
import type { Caller } from './access.ts';
import { type AgentParts, startAgentParts } from './agent-parts.ts';
import { chartObjects } from './chart.ts';
import type { Ground } from './ground.ts';

/** New roles and policies come into force a little later. */
const patienceMs = 15_000;
const lookAgainMs = 250;

export interface Holder {
  readonly caller: Caller;
  readonly parts: AgentParts;
  /** Plain requests for PodCertificateRequests, as the agent makes them. */
  readonly target: Target;
}

/** Gives a service account what the chart gives it, and becomes a pod of it. Undefined: skipped. */
export async function install(
  t: TestContext,
  ground: Ground,
  mode: AgentIdentity,
  variant = '',
  issuers: readonly object[] = [],
): Promise<Holder | undefined> {
  const chart = chartObjects(mode, [], issuers);
  if (chart.type === 'missing') {
    t.skip(chart.reason);
    return undefined;
  }
  const { access, create: make, names, nodeName, tokenFor } = ground;
  const account = accountOf(ground, mode) + variant;
  const { agentNamespace } = names;
  await make(`/api/v1/namespaces/${agentNamespace}/serviceaccounts`, { metadata: { name: account } });
  for (const { prefix, resource, object } of chart.objects) {
    const renamed = JSON.stringify(object)
      .replaceAll('pod-certificate-agent', account)
      .replaceAll('"namespace":"kube-system"', `"namespace":"${agentNamespace}"`)
      .replaceAll('system:serviceaccount:kube-system:', `system:serviceaccount:${agentNamespace}:`);
    await make(`${prefix}/${resource}`, JSON.parse(renamed));
  }
  const pod = await make(`/api/v1/namespaces/${agentNamespace}/pods`, {
    metadata: { name: account },
    spec: {
      ...{ nodeName, serviceAccountName: account, automountServiceAccountToken: false },
      containers: [{ name: 'none', image: 'registry.k8s.io/pause:3.10' }],
    },
  });
  const token = await tokenFor(agentNamespace, account, pod['metadata'] as { name: string; uid: string });
  const caller = access.withToken(token);
  const impersonateNode = mode === 'impersonatedNode';
  const parts = startAgentParts({ access, caller, nodeName, impersonateNode });
  t.after(parts.stop);
  const headers = impersonateNode ? { 'Impersonate-User': `system:node:${nodeName}` } : {};
  const target = { ...caller.target, headers: { ...caller.target.headers, ...headers } };
  await eventually(async () => assert.equal(parts.requests.health().synced, true, 'the list of the node’s requests'));
  return { caller, parts, target };
}

export function accountOf({ names }: Ground, mode: AgentIdentity): string {
  return `${names.mark}-${mode.toLowerCase()}`;
}

export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const until = Date.now() + patienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() >= until) {
        throw error;
      }
      await sleep(lookAgainMs);
    }
  }
}
