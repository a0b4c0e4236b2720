/**
 * The suite passes against the sandbox: what it proves on a cluster is what tests against the sandbox count on.
 */
import { after, before, describe } from 'node:test';
import { startNode, type TestNode } from '../end-to-end/node.ts';
import { clusterSuite } from './suite.ts';

describe('The suite against the sandbox', () => {
  const closers: (() => unknown)[] = [];
  let node: TestNode | undefined;
  before(async () => {
    node = await startNode({ after: (closer) => void closers.push(closer) });
  });
  after(async () => {
    for (const close of closers) await close();
  });
  clusterSuite({
    kubeconfig: () => node?.cluster.kubeconfigs.admin ?? '',
    compact: () => node?.cluster.apiServer.faults.compact(),
    withAgent: { driverName: 'csi.podcert.io' },
  });
});
