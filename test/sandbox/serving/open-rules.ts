/**
 * Rules that allow everything but what a test asks them to refuse: the server's own behaviour is tested with them.
 */
import type { Rules, UserInfo } from '../../../sandbox/base/cluster-rules.ts';

export const admin: UserInfo = { username: 'admin', groups: ['system:masters'], extra: {} };

/** @param overrides the rules that a test is about */
export function openRules(overrides: Partial<Rules> = {}): Rules {
  return {
    impersonate: (_headers, attributes) => ({ user: attributes.user }),
    authorize: ({ user }) =>
      user.groups.includes('system:unauthenticated') ? { allowed: false, reason: '' } : { allowed: true },
    rulesFor: () => ({
      resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
      nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
    }),
    default: () => {},
    admit: () => undefined,
    validateCreate: () => [],
    validateUpdate: () => [],
    validateStatusUpdate: () => [],
    ...overrides,
  };
}
