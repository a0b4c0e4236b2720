/**
 * Requests that others make under the label of this node, by the thousand, keep no pod from its certificate: not a new one, and
 * not one whose request an earlier run of the agent has made.
 */
import assert from 'node:assert/strict';
import { startIssuerNode, throughEach } from './issuers.ts';
import { usualSources } from './node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];
const many = 2_000;

throughEach(
  'a request among thousands of others is taken up by the next agent, and its answer heard',
  async (t, issuer) => {
    const { node, setAnswering, made, deny } = await startIssuerNode(t, issuer);
    setAnswering('silent');
    await node.cluster.admin.createPod({ name: 'web', volumes });
    const asked = await node.logged((line) => line.message === 'certificate requested');
    await node.stopAgent();
    const { store } = node.cluster.apiServer;
    const own = store.list(issuer.storedAs)[0] ?? assert.fail('there is a request');
    for (let index = 0; index < many; index += 1) {
      const { uid: _, resourceVersion: __, ...metadata } = own.metadata;
      // Before and after the agent's own, in the order of a list.
      const name = `${index % 2 === 0 ? 'a' : 'z'}-${index}`;
      store.create(issuer.storedAs, { ...own, metadata: { ...metadata, name } });
    }
    const madeBefore = made.length;
    await node.startAgent();
    await node.logged((line) => line.message === 'request resumed' && line['request'] === asked['request']);
    await node.cluster.admin.createPod({ name: 'later', volumes });
    await node.logged((line) => line.message === 'certificate requested' && line['pod'] === 'later');
    assert.equal(made.length, madeBefore + 1, 'the earlier request is not made again');
    deny('Policy', 'not here');
    for (const pod of ['web', 'later']) {
      assert.match((await node.event(pod, 'Denied')).message ?? '', /not here/);
    }
    assert.ok(!node.lines.some((line) => line.message === 'request lost'), 'none was taken for gone');
  },
);
