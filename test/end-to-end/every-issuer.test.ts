/**
 * What the kubelet does with podCertificate sources, and what this agent promises beyond, through every certificate API
 * alike. Files and volumes are in `kubelet-parity.test.ts`.
 */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { startIssuerNode, throughEach } from './issuers.ts';
import { signerName, usualSources, written } from './node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];
const fast = { timeScale: 600, lifetimeSeconds: 20, refreshAfter: 0.1 };

throughEach('every key type gives a pod a key, a chain and anchors that belong together', async (t, issuer) => {
  const { node } = await startIssuerNode(t, issuer);
  const paths = { keyPath: 'key.pem', certificateChainPath: 'chain.pem', leafPath: 'leaf.pem' };
  for (const keyType of issuer.can.keyTypes) {
    const files = { credentialBundlePath: 'tls.pem', intermediatesPath: 'ca/int.pem', ...paths };
    const sources = [{ podCertificate: { signerName, keyType, ...files } }, usualSources[1] ?? {}];
    await node.cluster.admin.createPod({ name: keyType.toLowerCase(), volumes: [{ name: 'mtls', sources }] });
  }
  for (const keyType of issuer.can.keyTypes) {
    const pod = await node.cluster.admin.podRunning('default', keyType.toLowerCase());
    const key = createPrivateKey(node.read(pod, 'key.pem'));
    assert.equal(node.leaf(pod, 'leaf.pem').checkPrivateKey(key), true, 'the key does not belong to the leaf');
    assert.equal(node.read(pod, 'tls.pem'), node.read(pod, 'key.pem') + node.read(pod, 'chain.pem'));
    assert.equal(node.read(pod, 'chain.pem'), node.read(pod, 'leaf.pem') + node.read(pod, 'ca/int.pem'));
    assert.match(node.read(pod, 'ca.pem'), /BEGIN CERTIFICATE/);
  }
});

throughEach(
  'a reply that is lost leaves no duplicate: the request is found again under its name',
  async (t, issuer) => {
    const { node, made } = await startIssuerNode(t, issuer);
    node.cluster.apiServer.faults.add({
      kind: 'loseReply',
      match: { verb: 'create', resource: issuer.resource },
      count: 2,
    });
    await node.cluster.admin.createPod({ name: 'web', volumes });
    await node.cluster.admin.podRunning('default', 'web');
    assert.equal(made.length, 1);
  },
);

throughEach('a pod whose first request is denied is told why, and starts with the next one', async (t, issuer) => {
  const { node, setAnswering } = await startIssuerNode(t, issuer);
  setAnswering('deny');
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const denied = await node.event('web', 'Denied');
  assert.match(denied.message ?? '', issuer.says.deny);
  setAnswering('issue');
  await node.cluster.admin.podRunning('default', 'web');
  assert.ok(!node.reasons('web').includes('FailedMount'), node.reasons('web').join());
});

throughEach('a signer that fails is an event of its own, and a state in the metrics', async (t, issuer) => {
  const { node, setAnswering } = await startIssuerNode(t, issuer);
  setAnswering('fail');
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const failed = await node.event('web', 'Failed');
  assert.match(failed.message ?? '', issuer.says.fail);
  assert.match(await node.metrics(), stateOf('failed'));
});

throughEach('a refresh comes between its time and its jitter’s end, whoever named that time', async (t, issuer) => {
  const { node } = await startIssuerNode(t, issuer, fast);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const first = await node.logged(written('web', true));
  const [begin, end, planned] = ['notBefore', 'notAfter', 'refreshAt'].map((field) => Date.parse(String(first[field])));
  assert.ok(begin !== undefined && end !== undefined && planned !== undefined, JSON.stringify(first));
  const earliest = begin + (end - begin) * fast.refreshAfter;
  assert.ok(planned >= earliest && planned <= earliest + (end - earliest) / 10 + 1000, `${planned - earliest}`);
  const renewed = await node.logged(written('web', false));
  const lateMs = Date.parse(String(renewed['time'])) - planned;
  assert.ok(lateMs >= 0 && lateMs < (end - planned) / 2, `${lateMs}`);
  assert.equal(node.leaf(pod).serialNumber, String(renewed['serial']));
  assert.notEqual(String(renewed['serial']), String(first['serial']));
  await node.event('web', 'Rotated');
});

throughEach('a refresh that is denied leaves the certificate, and succeeds when it is answered', async (t, issuer) => {
  const { node, setAnswering } = await startIssuerNode(t, issuer, fast);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const before = node.read(pod, 'tls.pem');
  setAnswering('deny');
  await node.event('web', 'Denied');
  assert.equal(node.read(pod, 'tls.pem'), before);
  setAnswering('issue');
  await node.logged(written('web', false));
  assert.notEqual(node.read(pod, 'tls.pem'), before);
});

throughEach(
  'a certificate that nobody renews is called overdue, then expired, and stays in the files',
  async (t, issuer) => {
    const { node, setAnswering } = await startIssuerNode(t, issuer, { ...fast, lifetimeSeconds: 12 });
    await node.cluster.admin.createPod({ name: 'web', volumes });
    const pod = await node.cluster.admin.podRunning('default', 'web');
    const before = node.read(pod, 'tls.pem');
    setAnswering('silent');
    await node.event('web', 'CertificateOverdueForRefresh');
    assert.match(await node.metrics(), stateOf('overdue_for_refresh'));
    await node.event('web', 'CertificateExpired');
    assert.match(await node.metrics(), stateOf('expired'));
    assert.equal(node.read(pod, 'tls.pem'), before);
  },
);

throughEach('a request that is deleted while pending is noticed by the watch and made anew', async (t, issuer) => {
  const { node, setAnswering, stored, remove, made } = await startIssuerNode(t, issuer);
  setAnswering('silent');
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const asked = await node.logged((line) => line.message === 'certificate requested');
  const name = String(asked['request']);
  assert.deepEqual(stored(), [name]);
  remove(name);
  const lost = await node.logged((line) => line.message === 'request lost' && line['request'] === name);
  assert.equal(lost['reason'], 'deleted');
  setAnswering('issue');
  await node.cluster.admin.podRunning('default', 'web');
  assert.equal(made.length, 2);
  assert.equal(new Set(made).size, 2);
});

throughEach('a restart asks for nothing that is valid, and takes up what is pending', async (t, issuer) => {
  const { node, setAnswering, made } = await startIssuerNode(t, issuer);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const before = node.read(pod, 'tls.pem');
  setAnswering('silent');
  await node.cluster.admin.createPod({ name: 'later', volumes });
  await node.logged((line) => line.message === 'certificate requested' && line['pod'] === 'later');
  await node.stopAgent();
  await node.startAgent();
  await node.logged((line) => line.message === 'request resumed' && line['pod'] === 'later');
  setAnswering('issue');
  await node.cluster.admin.podRunning('default', 'later');
  assert.equal(made.length, 2);
  assert.equal(node.read(pod, 'tls.pem'), before);
});

function stateOf(state: string): RegExp {
  return new RegExp(`podcert_agent_credentials\\{signer_name="${signerName}",state="${state}"\\} 1`);
}
