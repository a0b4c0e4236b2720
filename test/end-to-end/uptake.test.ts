/**
 * A pod's program is told of a renewed certificate and seen to serve it, on a whole node: the agent as in its container, the program in the
 * control group and the network of its pod.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { corePrefix, resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent } from '../../sandbox/base/client.ts';
import { until, withinBound } from '../support/bounded.ts';
import { inGroup, makePodGroups, makePodNetwork, surroundingsSkip } from '../support/pod-surroundings.ts';
import { runProgram } from '../support/programs.ts';
import { mountSkip } from '../volumes/support.ts';
import { signerName, usualSources } from './node.ts';
import { startRealNode } from './real-node.ts';

test("a pod's program is told of a renewed certificate by request, signal and file, and is seen to serve it", {
  skip: mountSkip || surroundingsSkip(),
  timeout: 240_000,
}, async (t) => {
  // The last one made is ended first, and all of them after the node: a group is removed once its processes have ended.
  const endings: (() => void | Promise<void>)[] = [];
  const owner = { after: (end: () => void | Promise<void>) => void endings.unshift(end) };
  const groupOf = makePodGroups(owner);
  const network = makePodNetwork(owner);
  const signers = [{ signerName, lifetimeSeconds: 120, refreshAtFraction: 0.1 }];
  const node = await startRealNode(t, { signers, timeScale: 60, group: groupOf(randomUUID()) });
  t.after(async () => {
    for (const end of endings) {
      await end();
    }
  });
  const agent = await node.startAgent(['--reload-signals']);
  const attributes = {
    reload: '{touch: changed, http: {port: 8080, path: /reload}, signal: {process: told-program}}',
    probe: '{port: 8443}',
  };
  const { admin } = node.cluster;
  await admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources: usualSources, attributes }] });
  const pod = await withinBound(admin.podRunning('default', 'web'), 'the pod to run');
  const group = groupOf(pod.metadata.uid ?? '');
  const server = [...network.prefix, process.execPath, join(import.meta.dirname, 'told-program.ts'), node.volume(pod)];
  const program = runProgram(owner, inGroup(group, server));
  // One of the same name that is not the pod's: a signal would end it.
  const stranger = runProgram(owner, ['sh', '-c', 'echo told-program > /proc/self/comm; sleep 600 & wait']);
  await program.said(/listening/);
  const setAddress = async (ip: string): Promise<void> => {
    await admin.client.request({
      method: 'PATCH',
      path: `${resourcePath(corePrefix, { namespace: 'default', resource: 'pods', name: 'web' })}/status`,
      body: { status: { podIP: ip, podIPs: [{ ip }] } },
      contentType: 'application/merge-patch+json',
      decode: asSent,
    });
  };
  await setAddress(network.ip);
  const touched = node.read(pod, 'changed');

  await program.said(/asked: POST \/reload/);
  await program.said(/signalled/);
  await agent.logged((line) => line.message === 'program serves the certificate in its files');
  await until(
    async () => /podcert_agent_probed_volumes\{state="current"\} 1/.test((await agent.get('/metrics')).text),
    'the metric',
  );
  for (const way of ['http', 'signal', 'touch']) {
    await agent.logged((line) => line.message === 'program told of new files' && line['way'] === way);
  }
  assert.notEqual(node.read(pod, 'changed'), touched);
  assert.equal(await Promise.race([stranger.exit, 'runs']), 'runs', 'a process of nobody’s pod is left alone');

  // Where the status names an address of the node itself, nobody is asked there.
  await setAddress('127.0.0.1');
  await agent.logged((line) => line['way'] === 'http' && /none that a pod has/.test(JSON.stringify(line)));
});
