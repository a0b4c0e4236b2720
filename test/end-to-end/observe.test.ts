/**
 * What operators see of each state that a certificate can be in: one log line, an event on the pod, metrics and status that
 * agree, from a whole node.
 */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { runCommand } from '../../agent/cli/commands.ts';
import type { CredentialEntry, StatusDocument } from '../../agent/observe/status/document.ts';
import { asSent } from '../../sandbox/base/client.ts';
import { agentAccount, agentNamespace } from '../../sandbox/cluster/permissions.ts';
import { podVolume } from '../../sandbox/kubelet/pod.ts';
import type { Behaviour } from '../../sandbox/signers/behaviours.ts';
import { until } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { call } from '../volumes/csi/support.ts';
import { signerName, startNode, type TestNode, usualSources, written } from './node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];

async function status(node: TestNode): Promise<StatusDocument> {
  return JSON.parse(await node.get('/statusz?format=json'));
}

/** The one credential of the one volume. */
async function entry(node: TestNode): Promise<CredentialEntry> {
  const [credential] = (await status(node)).volumes[0]?.credentials ?? [];
  return credential ?? assert.fail('there is no credential');
}

interface State {
  readonly name: string;
  readonly behaviour: Behaviour;
  readonly flags?: readonly string[];
  readonly sources?: readonly object[];
  readonly event: readonly [type: string, reason: string, message: RegExp];
  /** Message of the log line, and fields that it has. */
  readonly line: readonly [message: string, fields: Readonly<Record<string, unknown>>];
  /** Samples, without the agent's prefix; `S` is the signer's label. */
  readonly samples: readonly string[];
  readonly status: (credential: CredentialEntry) => void;
}

const no = { reason: 'Policy', message: 'ask the platform team' };
const notAllowed = '--allowed-signers=[{namespaces: [other], signers: ["*"]}]';

const states: readonly State[] = [
  {
    name: 'issued',
    behaviour: { type: 'instant' },
    event: ['Normal', 'Issued', /valid until/],
    line: ['certificate written', { first: true }],
    samples: [
      'credentials{S,state="fresh"} 1',
      'requests_total{S} 1',
      'request_outcomes_total{S,outcome="issued",reason="Issued"} 1',
      'first_certificate_duration_seconds_count{S,key_type="ECDSAP256",phase="total"} 1',
      'propagation_duration_seconds_count 1',
    ],
    status: (credential) => {
      assert.equal(credential.state, 'fresh');
      assert.ok(
        credential.serial !== undefined && credential.notAfter !== undefined && credential.refreshAt !== undefined,
        inspect(credential),
      );
    },
  },
  {
    name: 'waiting for the signer',
    behaviour: { type: 'silent' },
    event: ['Normal', 'WaitingForSigner', /whether example.com\/mesh runs/],
    line: ['waiting for the signer', {}],
    samples: ['credentials{S,state="not_yet_issued"} 1', 'slow_requests_total{S} 1', 'requests_total{S} 1'],
    status: (credential) => {
      assert.equal(credential.state, 'not_yet_issued');
      assert.match(credential.request ?? '', /^mtls-0-/);
    },
  },
  ...(['denying', 'failing'] as const).map((type): State => {
    const word = type === 'denying' ? 'denied' : 'failed';
    return {
      name: word,
      behaviour: { type, ...no },
      event: [
        'Warning',
        type === 'denying' ? 'Denied' : 'Failed',
        /Policy: ask the platform team\. Correct the source/,
      ],
      line: [`the signer ${word} the request`, { reason: 'Policy', detail: 'ask the platform team' }],
      samples: [
        `credentials{S,state="${word}"} 1`,
        `request_outcomes_total{S,outcome="${word}",reason="Policy"} 1`,
        `retries_total{S,cause="${word}"} 1`,
      ],
      status: (credential) => {
        assert.equal(credential.state, word);
        assert.match(credential.lastError ?? '', /Policy: ask the platform team/);
        assert.ok(
          Date.parse(credential.nextAttemptAt ?? '') > Date.now(),
          `the next attempt is not to come: ${credential.nextAttemptAt}`,
        );
      },
    };
  }),
  {
    name: 'answered with an invalid chain',
    behaviour: { type: 'wrongKey' },
    event: ['Warning', 'InvalidChain', /does not hold the public key of the request.*Ask whoever runs the signer/],
    line: ['attempt failed', { errorCode: 'InvalidChain' }],
    samples: ['credentials{S,state="not_yet_issued"} 1', 'retries_total{S,cause="error"} 1'],
    status: (credential) => {
      assert.equal(credential.state, 'not_yet_issued');
      assert.match(credential.lastError ?? '', /public key/);
    },
  },
  {
    name: 'denied for its key type',
    behaviour: { type: 'onlyKeyTypes', supported: ['ED25519'] },
    event: ['Warning', 'UnsupportedKeyType', /Set keyType: ED25519 in the source/],
    line: ['signer suggests another key type', { suggested: 'ED25519', followed: false }],
    samples: ['request_outcomes_total{S,outcome="denied",reason="UnsupportedKeyType"} 1'],
    status: (credential) => assert.equal(credential.state, 'denied'),
  },
  {
    name: 'not allowed to ask its signer',
    behaviour: { type: 'instant' },
    flags: [notAllowed],
    event: ['Warning', 'SignerNotAllowed', /example.com\/mesh/],
    line: ['attempt failed', { errorCode: 'SignerNotAllowed' }],
    samples: ['credentials{S,state="not_yet_issued"} 1', 'retries_total{S,cause="error"} 1'],
    status: (credential) => assert.match(credential.lastError ?? '', /example.com\/mesh/),
  },
  {
    name: 'without its trust bundle',
    behaviour: { type: 'instant' },
    sources: [usualSources[0] ?? {}, { clusterTrustBundle: { name: 'example.com:mesh:none', path: 'ca.pem' } }],
    event: ['Warning', 'TrustBundleMissing', /example.com:mesh:none.*Correct the source/],
    line: ['trust anchors missing', { source: 1 }],
    samples: ['trust_anchor_failures_total{error="missing"} 1'],
    status: () => undefined,
  },
];

/** Every line about a credential names it with these fields. */
const identifying = ['namespace', 'pod', 'podUID', 'volume', 'source'];

for (const state of states) {
  test(`a credential that is ${state.name} shows it in event, log, metrics and status`, async (t) => {
    const node = await startNode(t, { flags: state.flags ?? [] });
    node.cluster.signer(signerName).setBehaviour(state.behaviour);
    await node.cluster.admin.createPod({
      name: 'web',
      volumes: [{ name: 'mtls', sources: state.sources ?? usualSources }],
    });
    const [type, reason, message] = state.event;
    const event = await node.event('web', reason);
    assert.equal(event.type, type);
    assert.match(event.message ?? '', message);
    const [said, fields] = state.line;
    const line = await node.logged((candidate) => candidate.message === said);
    for (const field of identifying) {
      assert.ok(field in line, `${field} is missing in ${JSON.stringify(line)}`);
    }
    assert.deepEqual(Object.fromEntries(Object.keys(fields).map((field) => [field, line[field]])), fields);
    const metrics = await node.metrics();
    for (const sample of state.samples) {
      const expected = `podcert_agent_${sample.replace('{S', `{signer_name="${signerName}"`)}`;
      assert.ok(metrics.includes(`\n${expected}\n`), `${expected} is not in\n${metrics}`);
    }
    state.status(await entry(node));
  });
}

test('a credential that is rotated, then overdue, then expired shows it in event, log, metrics and status', async (t) => {
  const signers = [{ signerName, lifetimeSeconds: 8, refreshAtFraction: 0.2 }];
  const node = await startNode(t, { timeScale: 600, signers, flags: ['--pod-metrics'] });
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const has = async (sample: string): Promise<void> => {
    const expected = `podcert_agent_${sample.replace('{S', `{signer_name="${signerName}"`)}`;
    assert.ok((await node.metrics()).includes(`\n${expected}\n`), expected);
  };

  const renewed = await node.logged(written('web', false));
  node.cluster.signer(signerName).setBehaviour({ type: 'silent' });
  await node.event('web', 'Rotated');
  await has('credentials{S,state="fresh"} 1');
  assert.match(await node.metrics(), /^podcert_agent_renewal_duration_seconds_count\{.*phase="total"\} [12]$/m);
  assert.match(
    await node.metrics(),
    /^podcert_agent_credential_expiry_timestamp_seconds\{namespace="default",pod="web",/m,
  );
  assert.equal(typeof renewed['serial'], 'string');
  assert.equal((await entry(node)).serial, node.leaf(pod).serialNumber);

  await node.event('web', 'CertificateOverdueForRefresh');
  await node.logged((line) => line.message === 'certificate overdue for refresh');
  await has('refresh_overdue_total{S} 1');
  await has('credentials{S,state="overdue_for_refresh"} 1');
  assert.equal((await entry(node)).state, 'overdue_for_refresh');

  await node.event('web', 'CertificateExpired');
  const expired = await node.logged((line) => line.message === 'certificate expired');
  assert.equal(expired.level, 'error');
  await has('expired_total{S} 1');
  await has('credentials{S,state="expired"} 1');
  assert.equal((await entry(node)).state, 'expired');
  assert.equal((await status(node)).states.expired, 1);
  const { volumeId, targetPath } = podVolume(node.cluster.kubeletRoot, pod.metadata.uid ?? '', 'mtls');
  const asked = { volume_id: volumeId, volume_publish_path: targetPath };
  const { response } = await call(node.cluster.csiSocket, 'Node', 'NodeGetVolumeHealth', asked);
  assert.match(
    JSON.stringify(response),
    /"status":"DEGRADED","reason":"CertificateExpired","message":"sources\[0\] \(/,
  );
});

test('a request that is deleted unanswered is lost in event, log, metrics and status', async (t) => {
  const node = await startNode(t);
  node.cluster.signer(signerName).setBehaviour({ type: 'silent' });
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const { request } = await node.logged((line) => line.message === 'certificate requested');
  const path = `/apis/certificates.k8s.io/v1beta1/namespaces/default/podcertificaterequests/${request}`;
  await node.cluster.admin.client.request({ method: 'DELETE', path });
  const event = await node.event('web', 'RequestLost');
  assert.match(event.message ?? '', /was deleted before it was answered/);
  const line = await node.logged(({ message }) => message === 'request lost');
  assert.equal(line['request'], request);
  assert.match(await node.metrics(), /outcome="lost",reason="deleted"\} 1/);
});

test('an ordinary rotation is few lines, and debug adds few', async (t) => {
  const node = await startNode(t);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.cluster.admin.podRunning('default', 'web');
  await node.event('web', 'Issued');
  const about = node.lines.filter((line) => line['pod'] === 'web');
  const messages = (level: string): readonly string[] =>
    about.filter((line) => line.level === level).map(({ message }) => message);
  assert.deepEqual(messages('info').toSorted(), [
    'certificate requested',
    'certificate written',
    'trust anchors written',
    'volume ready',
    'volume requested by the kubelet',
  ]);
  assert.deepEqual(messages('debug').toSorted(), ['certificate accepted', 'key made']);
  assert.deepEqual([...messages('warn'), ...messages('error')], []);
});

test('the level of the log changes while the agent runs, and /flagz tells it', async (t) => {
  const directory = makeDirectory(t);
  const file = join(directory, 'agent.yaml');
  writeFileSync(file, 'logLevel: debug\n');
  const node = await startNode(t, { flags: ['--config', file] });
  assert.match(await node.get('/flagz'), /^--log-level=debug$/m);
  writeFileSync(file, 'logLevel: warn\n');
  const { admin } = node.cluster;
  await until(async () => /^--log-level=warn$/m.test(await node.get('/flagz')), 'the new level in /flagz');
  await admin.createPod({ name: 'web', volumes });
  await admin.podRunning('default', 'web');
  assert.deepEqual(
    node.lines.filter((line) => line['pod'] === 'web'),
    [],
  );
});

test('the status command and inspect find a node and its volume well', async (t) => {
  const node = await startNode(t);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  let printed = '';
  const given = {
    stdout: {
      write: (text: string) => {
        printed += text;
      },
    },
    stderr: { write: assert.fail },
    stopping: new AbortController().signal,
  };
  const flags = await node.get('/flagz');
  assert.match(flags, /^--volume-mode=directory$/m);
  assert.equal(await runCommand('inspect', [node.volume(pod), '--strict'], given), 0, printed);
  assert.match(printed, /the chain leads to the trust anchor/);
  assert.match(await node.get('/statusz'), /^default\/web +mtls\[0\] +example\.com\/mesh +fresh/m);
});

/** A service account and a token of its own, as Prometheus has. */
async function tokenFor(node: TestNode, name: string): Promise<string> {
  const { admin } = node.cluster;
  await admin.create('/api/v1', { namespace: 'default', resource: 'serviceaccounts' }, { metadata: { name } });
  const path = `/api/v1/namespaces/default/serviceaccounts/${name}/token`;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const reply = await admin.client.request({
    decode: asSent<{ readonly status: { readonly token: string } }>,
    ...{ method: 'POST', path, body },
  });
  return reply.status.token;
}

async function allow(node: TestNode, name: string, namespace: string, account: string, rules: readonly object[]) {
  const { admin } = node.cluster;
  const prefix = '/apis/rbac.authorization.k8s.io/v1';
  await admin.create(prefix, { resource: 'clusterroles' }, { metadata: { name }, rules });
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
  const subjects = [{ kind: 'ServiceAccount', namespace, name: account }];
  await admin.create(prefix, { resource: 'clusterrolebindings' }, { metadata: { name }, roleRef, subjects });
}

async function nodeWithTokens(t: TestContext) {
  const node = await startNode(t, { flags: ['--metrics-auth=token'] });
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const review = (group: string, resource: string) => ({
    apiGroups: [group],
    resources: [resource],
    verbs: ['create'],
  });
  await allow(node, 'delegator', agentNamespace, agentAccount, [
    review('authentication.k8s.io', 'tokenreviews'),
    review('authorization.k8s.io', 'subjectaccessreviews'),
  ]);
  await allow(node, 'reader', 'default', 'prometheus', [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }]);
  return node;
}

test('who may look is what the cluster’s own rules say: 401 for nobody, 403 without permission, and it fails closed', async (t) => {
  const node = await nodeWithTokens(t);
  const { address } = await node.logged((line) => line.message === 'serving metrics and health');
  const code = async (path: string, token?: string): Promise<number> => {
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const reply = await fetch(`http://${address}${path}`, { headers });
    await reply.arrayBuffer();
    return reply.status;
  };
  const prometheus = await tokenFor(node, 'prometheus');
  const stranger = await tokenFor(node, 'stranger');
  assert.equal(await code('/metrics'), 401);
  assert.equal(await code('/metrics', 'made.up.token'), 401);
  assert.equal(await code('/metrics', stranger), 403);
  assert.equal(await code('/metrics', prometheus), 200);
  assert.equal(await code('/statusz', prometheus), 403);
  assert.equal(await code('/livez'), 200);
  node.cluster.apiServer.faults.add({ kind: 'drop', match: { resource: 'tokenreviews' } });
  assert.equal(await code('/metrics', await tokenFor(node, 'another')), 503);
  await node.logged((line) => line.message === 'the API server cannot be asked who may read metrics and status');
});
