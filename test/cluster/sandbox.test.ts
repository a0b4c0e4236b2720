/**
 * The suite passes against the sandbox: what it proves on a cluster is what tests against the sandbox count on.
 */
import { after, before, describe } from 'node:test';
import { kubernetesVersions } from '../../sandbox/base/cluster-rules.ts';
import { agentPermissions } from '../../sandbox/cluster/permissions.ts';
import { startIssuers } from '../end-to-end/cert-manager-issuer.ts';
import { startNode, type TestNode } from '../end-to-end/node.ts';
import { clusterSuite } from './suite.ts';

for (const kubernetes of kubernetesVersions) {
  describe(`The suite against the sandbox as Kubernetes ${kubernetes}`, () => {
    const closers: (() => unknown)[] = [];
    let node: TestNode | undefined;
    before(async () => {
      const canImpersonate = kubernetes === '1.36' || kubernetes === '1.37';
      const closing = { after: (closer: () => unknown) => void closers.unshift(closer) };
      // Nodes get no permission of their own: the suite gives them what it needs, as on any cluster.
      const agentObjects = agentPermissions(canImpersonate ? 'impersonatedNode' : 'serviceAccount');
      node = await startNode(closing, { kubernetes, agentObjects, certManager: true });
      if (kubernetes === '1.37') {
        // Beside cert-manager at work, whose approver is faster than the suite.
        await startIssuers(closing, node, { approver: 'approve', issuer: 'sign' });
      }
    });
    after(async () => {
      for (const close of closers) {
        await close();
      }
    });
    clusterSuite({
      kubeconfig: () => node?.cluster.kubeconfigs.admin ?? '',
      compact: () => node?.cluster.apiServer.faults.compact(),
      withAgent: { driverName: 'csi.podcert.io' },
    });
  });
}
