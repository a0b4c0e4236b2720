/** What the agent is not allowed in a cluster, in the words of its rules: `create pods/status`, `get nodes.example.com`. */
import type { RequestAttributes } from '../../sandbox/base/cluster-rules.ts';
import { agentAccount, agentNamespace } from '../../sandbox/cluster/permissions.ts';
import type { Authorizer } from '../../sandbox/identity/access.ts';

/** As whom the agent of a node calls: its own account, and its node. */
export function agentUsersOn(nodeName: string): readonly [account: string, node: string] {
  return [`system:serviceaccount:${agentNamespace}:${agentAccount}`, `system:node:${nodeName}`];
}

/** Takes note of what the cluster's own authorizers do not allow these users, and allows nothing itself. */
export function watchRefusals(users: readonly string[]) {
  const { promise: first, resolve } = Promise.withResolvers<string>();
  const authorizer: Authorizer = (attributes) => {
    if (users.includes(attributes.user.username)) {
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
