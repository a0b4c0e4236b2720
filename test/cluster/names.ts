/**
 * Names of the suite's own. The cases speak of nodes, namespaces, users and roles with plain names; on a cluster they
 * carry a mark that is new in every run, so that nothing of anybody else's is met.
 */
import type { UserInfo } from '../../sandbox/base/cluster-rules.ts';
import { storedObjects } from '../sandbox/rules/cases/objects.ts';
import type { Names } from '../sandbox/rules/replay.ts';

/** Set on everything that the suite makes: what an interrupted run left can be found by it. */
export const suiteLabel = { key: 'app.kubernetes.io/part-of', value: 'pod-certificate-agent-suite' };

export interface SuiteNames extends Names {
  readonly mark: string;
  readonly namespace: string;
  readonly agentNamespace: string;
  user(user: UserInfo): UserInfo;
}

/** @param mark lower-case letters, digits and dashes */
export function createNames(mark: string): SuiteNames {
  const namespace = mark;
  const agentNamespace = `${mark}-agents`;
  const clusterScoped = storedObjects
    .filter(({ object }) => object.metadata.namespace === undefined && object.kind !== 'Namespace')
    .map(({ object }) => object.metadata.name ?? '');
  const users = ['signer-without-sign', 'signer', 'nobody'];
  // Longer names first: `node-a` is no part of another, `signer` is.
  const marked = [...new Set([...clusterScoped, ...users])].sort((a, b) => b.length - a.length);
  // Whole names only; in a query a name may follow an encoded equals sign.
  const plain = new RegExp(`(?<=%3D|(?<![\\w.-]))(${marked.join('|')})(?![\\w.-])`, 'g');
  const outgoing = (text: string): string =>
    text
      .replaceAll('agent-system', agentNamespace)
      .replaceAll(/"namespace":"default"/g, `"namespace":"${namespace}"`)
      .replaceAll(/("kind":"Namespace","metadata":\{"name":")default"/g, `$1${namespace}"`)
      .replaceAll(/\/namespaces\/default(?=[/?]|$)/g, `/namespaces/${namespace}`)
      .replaceAll(plain, `${mark}-$1`);
  return {
    mark,
    namespace,
    agentNamespace,
    outgoing,
    incoming: (text) =>
      text.replaceAll(agentNamespace, 'agent-system').replaceAll(`${mark}-`, '').replaceAll(mark, 'default'),
    user: (user) => ({ ...user, username: outgoing(user.username) }),
  };
}
