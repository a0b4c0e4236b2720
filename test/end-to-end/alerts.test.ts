/**
 * The alerts, judged by Prometheus itself over what agents in each state really export; the dashboard and the runbooks beside
 * them.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { exportedMetrics } from '../agent/observe/metrics-document.ts';
import { boundMs, until } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import {
  type Expectation,
  hasPromtool,
  inputSeries,
  instance,
  type Rule,
  type Stage,
  testRules,
} from '../support/promtool.ts';
import { signerName, startNode, type TestNode, usualSources } from './node.ts';

const root = new URL('../../', import.meta.url);
const files = new URL('deploy/helm/pod-certificate-agent/files/', root);
const rulesPath = fileURLToPath(new URL('alerts.yaml', files));
const rules: readonly Rule[] = parse(readFileSync(rulesPath, 'utf8')).groups[0].rules;
const dashboard = JSON.parse(readFileSync(new URL('dashboard.json', files), 'utf8'));
const noPromtool = hasPromtool() ? false : 'there is no promtool on this machine';

const volumes = [{ name: 'mtls', sources: usualSources }];
const signer_name = signerName;

/** A scrape, held for some minutes. */
async function scrape(node: TestNode, minutes: number): Promise<Stage> {
  return { text: await node.metrics(), at: Date.now(), minutes };
}

function judge(stages: readonly Stage[], expectations: readonly Expectation[], hears = true): void {
  testRules(rulesPath, rules, inputSeries(stages, hears), expectations);
}

function silence(alert: string, atMinute: number): Expectation {
  return { alert, atMinute, fires: [] };
}

async function withPod(t: TestContext, options?: Parameters<typeof startNode>[1]): Promise<TestNode> {
  const node = await startNode(t, options);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.cluster.admin.podRunning('default', 'web');
  return node;
}

test('nobody is woken by an agent that is well', { skip: noPromtool }, async (t) => {
  const node = await withPod(t);
  const stages = [await scrape(node, 30)];
  judge(
    stages,
    rules.flatMap(({ alert }) => [silence(alert, 5), silence(alert, 25)]),
  );
});

test('certificates that are overdue, then expired, are alerts', { skip: noPromtool }, async (t) => {
  const signers = [{ signerName, lifetimeSeconds: 8, refreshAtFraction: 0.2 }];
  const node = await withPod(t, { timeScale: 600, signers });
  node.cluster.signer(signerName).setBehaviour({ type: 'silent' });
  await node.event('web', 'CertificateOverdueForRefresh');
  const overdue = await scrape(node, 10);
  await node.event('web', 'CertificateExpired');
  const expired = await scrape(node, 10);
  const labels = { signer_name, instance };
  const alert = 'PodCertificateOverdueForRefresh';
  const fires = [{ labels: { ...labels, state: 'overdue_for_refresh' }, value: '1' }];
  judge(
    [overdue, expired],
    [
      silence(alert, 0),
      { alert, atMinute: 2, fires },
      silence(alert, 12),
      silence('PodCertificateExpired', 9),
      {
        alert: 'PodCertificateExpired',
        atMinute: 12,
        fires: [{ labels: { ...labels, state: 'expired' }, value: '1' }],
      },
    ],
  );
});

test('a certificate that nobody refreshes is an alert minutes before it expires', { skip: noPromtool }, async (t) => {
  const node = await withPod(t, { signers: [{ signerName, lifetimeSeconds: 3_600 }] });
  const alert = 'PodCertificateExpiringSoon';
  judge(
    [await scrape(node, 70)],
    [
      silence(alert, 50),
      { alert, atMinute: 55, fires: [{ labels: { signer_name, instance }, value: '' }] },
      silence(alert, 62),
    ],
  );
});

test('a certificate of ten minutes that nobody refreshes is an alert before it expires', {
  skip: noPromtool,
}, async (t) => {
  const signers = [{ signerName, lifetimeSeconds: 600, refreshAtFraction: 2 / 3 }];
  const node = await withPod(t, { timeScale: 6, signers });
  const alert = 'PodCertificateExpiringSoon';
  judge(
    [await scrape(node, 12)],
    [silence(alert, 7), { alert, atMinute: 9, fires: [{ labels: { signer_name, instance }, value: '' }] }],
  );
});

test('a signer that does not answer a first request for ten minutes is an alert', { skip: noPromtool }, async (t) => {
  const node = await startNode(t);
  node.cluster.signer(signerName).setBehaviour({ type: 'silent' });
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.logged((line) => line.message === 'certificate requested');
  const alert = 'PodCertificateNotIssued';
  const fires = [{ labels: { signer_name, state: 'not_yet_issued', instance }, value: '1' }];
  judge([await scrape(node, 20)], [silence(alert, 9), { alert, atMinute: 12, fires }]);
});

test('pods that come and go all the time are no alert, however many of them wait at any moment', {
  skip: noPromtool,
}, async (t) => {
  const node = await startNode(t);
  node.cluster.signer(signerName).setBehaviour({ type: 'silent' });
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.logged((line) => line.message === 'certificate requested');
  const { text, at } = await scrape(node, 1);
  // Each minute others wait, and none of them has waited for long.
  const stages = Array.from({ length: 30 }, (_, minute): Stage => {
    const since = at / 1_000 + 60 * minute - 30;
    return {
      text: text.replace(/^(podcert_agent_oldest_wait_timestamp_seconds\{.*\}) .*$/m, `$1 ${since}`),
      at: at + 60_000 * minute,
      minutes: 1,
    };
  });
  assert.match(text, /^podcert_agent_oldest_wait_timestamp_seconds\{signer_name="example.com\/mesh"\} 1\d+/m);
  judge(stages, [silence('PodCertificateNotIssued', 15), silence('PodCertificateNotIssued', 28)]);
});

test('a volume that has its certificate and no anchors for ten minutes is an alert of its own, and no other', {
  skip: noPromtool,
}, async (t) => {
  const node = await startNode(t);
  const missing = { clusterTrustBundle: { name: 'example.com:mesh:none', path: 'ca.pem' } };
  const sources = [usualSources[0] ?? {}, missing];
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  await until(
    async () => /^podcert_agent_volumes_waiting_for_anchors 1$/m.test(await node.metrics()),
    'the volume to wait for nothing but anchors',
  );
  const alert = 'PodCertificateAnchorsMissing';
  judge(
    [await scrape(node, 20)],
    [
      silence(alert, 9),
      { alert, atMinute: 12, fires: [{ labels: { instance }, value: '1' }] },
      silence('PodCertificateNotIssued', 19),
    ],
  );
});

for (const [type, alert] of [
  ['denying', 'PodCertificateSignerDenies'],
  ['failing', 'PodCertificateSignerFails'],
] as const) {
  test(`a signer that is ${type} is an alert once it goes on`, { skip: noPromtool }, async (t) => {
    const node = await startNode(t);
    const reason = 'Policy';
    node.cluster.signer(signerName).setBehaviour({ type, reason, message: 'no' });
    await node.cluster.admin.createPod({ name: 'web', volumes });
    await node.logged((line) => line['reason'] === reason && line['pod'] === 'web');
    const refused = await scrape(node, 18);
    const outcome = type === 'denying' ? 'denied' : 'failed';
    const fires = [{ labels: { signer_name, reason, outcome, instance }, value: '1' }];
    // However long the pause before the next attempt is.
    const on = [19, 22, 60, 119].map((minute) =>
      minute < 20 ? silence(alert, minute) : { alert, atMinute: minute, fires },
    );
    judge([{ ...refused, minutes: 120 }], on);
    // One refusal that is mended before anybody has to wake up.
    node.cluster.signer(signerName).setBehaviour({ type: 'instant' });
    await node.cluster.admin.podRunning('default', 'web');
    const mended = await scrape(node, 50);
    judge(
      [refused, mended],
      [12, 20, 30, 40, 50].map((minute) => silence(alert, minute)),
    );
  });
}

test('pods whose certificates lead to none of their signer’s anchors are an alert', { skip: noPromtool }, async (t) => {
  const node = await withPod(t);
  const signer = node.cluster.signer(signerName);
  await signer.publishNextRoot();
  signer.issueFromNext();
  await signer.withdrawOldRoots();
  const isMismatch = /^podcert_agent_trust_mismatches\{.*\} 1$/m;
  await node.logged((line) => line.message === 'trust anchors changed' && line['certificates'] === 1);
  // The comparison comes some turns of the event loop after the files.
  const giveUpAt = performance.now() + boundMs;
  while (!isMismatch.test(await node.metrics())) {
    assert.ok(performance.now() < giveUpAt, 'the mismatch is counted');
  }
  const alert = 'PodCertificateTrustMismatch';
  judge(
    [await scrape(node, 20)],
    [silence(alert, 4), { alert, atMinute: 6, fires: [{ labels: { signer_name, instance }, value: '1' }] }],
  );
});

test('programs that do not serve the certificates in their files are an alert', { skip: noPromtool }, async (t) => {
  const node = await startNode(t);
  const alert = 'PodCertificateOldCertificateServed';
  const { text, ...when } = await scrape(node, 20);
  const none = 'podcert_agent_probed_volumes{state="other"} 0';
  assert.ok(text.includes(none), `${none} is not in:\n${text}`);
  const stale = { ...when, text: text.replace(none, none.replace(/0$/, '2')) };
  judge([{ ...when, text }], [silence(alert, 10)]);
  const labels = { instance, state: 'other' };
  judge([stale], [silence(alert, 0), { alert, atMinute: 3, fires: [{ labels, value: '2' }] }]);
});

test('calls of the kubelet that go on failing are an alert, and those that a pod’s author has to correct are none', {
  skip: noPromtool,
}, async (t) => {
  const node = await startNode(t);
  const match = { verb: 'get', resource: 'pods' };
  const message = 'pods "web" is forbidden: no rule';
  node.cluster.apiServer.faults.add({ kind: 'error', code: 403, reason: 'Forbidden', message, match });
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.cluster.admin.createPod({ name: 'faulty', volumes: [{ name: 'mtls', sources: [{}] }] });
  const refusal = 'a call of the kubelet was refused';
  const refused = await node.logged((line) => line.message === refusal && line['pod'] === 'web');
  assert.deepEqual([refused.level, refused['namespace'], refused['method']], ['warn', 'default', 'NodePublishVolume']);
  assert.match(String(refused['detail']), /forbidden: no rule/);
  await node.logged((line) => line.message === refusal && line['pod'] === 'faulty');
  const { text, at } = await scrape(node, 2);
  const series =
    /^(podcert_agent_refused_calls_total\{method="NodePublishVolume",code="(?:UNAVAILABLE|INVALID_ARGUMENT)"\}) \d+$/gm;
  assert.equal(text.match(series)?.length, 2, text);
  // Each of them once more every two minutes, as the kubelet calls.
  const stages = Array.from(
    { length: 20 },
    (_, index): Stage => ({ text: text.replace(series, `$1 ${index + 1}`), at: at + 120_000 * index, minutes: 2 }),
  );
  const alert = 'PodCertificateCallsRefused';
  const labels = { instance, method: 'NodePublishVolume', code: 'UNAVAILABLE' };
  judge(stages, [silence(alert, 10), { alert, atMinute: 30, fires: [{ labels, value: '' }] }]);
});

test('a volume that an agent cannot take up is an alert', { skip: noPromtool }, async (t) => {
  const node = await startNode(t);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  await node.stopAgent();
  writeFileSync(join(node.volume(pod), '..agent', 'volume.json'), 'damaged');
  // It would be made anew from its pod.
  node.cluster.apiServer.faults.add({ kind: 'error', code: 503, match: { resource: 'pods' } });
  await node.startAgent();
  const alert = 'PodCertificateVolumeUnusable';
  judge(
    [await scrape(node, 20)],
    [silence(alert, 4), { alert, atMinute: 6, fires: [{ labels: { instance }, value: '1' }] }],
  );
});

test('a volume that a crash left without a record comes right without a line of the log that calls for somebody', async (t) => {
  const node = await startNode(t);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  await node.stopAgent();
  rmSync(join(node.volume(pod), '..agent', 'volume.json'));
  await node.startAgent();
  const { level } = await node.logged(({ message }) =>
    message.startsWith('a volume of an earlier run cannot be taken up'),
  );
  assert.equal(level, 'warn');
  await node.logged(({ message }) => message === 'volume made anew from its pod and taken up');
  assert.deepEqual(
    node.lines.filter((line) => line.level === 'error'),
    [],
  );
});

test('an agent that is not ready is an alert that names the check', { skip: noPromtool }, async (t) => {
  const node = await startNode(t);
  await node.stopAgent();
  const match = { resource: 'podcertificaterequests' };
  node.cluster.apiServer.faults.add({ kind: 'error', code: 403, match });
  await node.startAgent();
  const alert = 'PodCertificateAgentNotReady';
  const check = 'certificate-request-watch';
  const { text, at, minutes } = await scrape(node, 20);
  // Other checks may not have been made yet at this moment; they are not what this is about.
  const others = /^podcert_agent_readiness_check\{check="(?!certificate-request-watch).*\n/gm;
  judge(
    [{ text: text.replace(others, ''), at, minutes }],
    [silence(alert, 4), { alert, atMinute: 6, fires: [{ labels: { check, instance }, value: '0' }] }],
  );
});

test('a watch that hears nothing, and a clock that is off, are alerts', { skip: noPromtool }, async (t) => {
  const node = await withPod(t);
  const stage = await scrape(node, 20);
  const watches = [...stage.text.matchAll(/^podcert_agent_watch_last_event_timestamp_seconds\{watch="(.*)"\}/gm)];
  assert.equal(watches.length, 2);
  const stale = watches.map(([, watch = '']) => ({ labels: { watch, instance }, value: '' }));
  judge(
    [stage],
    [silence('PodCertificateWatchStale', 6), { alert: 'PodCertificateWatchStale', atMinute: 10, fires: stale }],
    false,
  );
  assert.match(stage.text, /^podcert_agent_clock_skew_seconds -?[\d.]+$/m);
  const text = stage.text.replace(/^(podcert_agent_clock_skew_seconds) .*$/m, '$1 -45.5');
  const fires = [{ labels: { instance }, value: '45.5' }];
  judge(
    [{ ...stage, text }],
    [silence('PodCertificateClockSkew', 9), { alert: 'PodCertificateClockSkew', atMinute: 11, fires }],
  );
});

test('no agent at all is an alert', { skip: noPromtool }, () => {
  const alert = 'PodCertificateAgentsAbsent';
  judge([], [silence(alert, 9), { alert, atMinute: 11, fires: [{ labels: {}, value: '' }] }]);
});

const exported = new Set(
  exportedMetrics().flatMap(({ name, kind }) =>
    kind === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name],
  ),
);

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}
const panels: readonly Panel[] = dashboard.panels;
const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));

test('alerts and panels name metrics that are exported, and no others', () => {
  const variables = dashboard.templating.list.map(({ query }: { query: unknown }) => JSON.stringify(query)).join(' ');
  const texts = [...rules.map(({ expr }) => expr), ...queries.map(({ expr }) => expr), variables];
  for (const text of texts) {
    const names = [...text.matchAll(/\b(?:podcert|process|nodejs)_\w+/g)].map(([name]) => name);
    for (const name of names) {
      assert.ok(exported.has(name), `${name} in ${text}`);
    }
  }
  for (const { title, expr } of queries) {
    assert.match(expr, /\b(podcert|process|nodejs)_/, title);
  }
});

test('every panel’s query is one that Prometheus understands', { skip: noPromtool }, () => {
  const records = queries.map(({ expr }, index) => ({
    record: `panel:${index}`,
    expr: expr.replaceAll('$__rate_interval', '5m').replace(/\$\w+/g, '.*'),
  }));
  const directory = makeDirectory();
  const path = join(directory, 'rules.yaml');
  writeFileSync(path, stringify({ groups: [{ name: 'panels', rules: records }] }));
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', path], { encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
});

test('every alert has a runbook section of its name, and every section an alert', () => {
  const document = readFileSync(new URL('docs/runbooks.md', root), 'utf8');
  const sections = [...document.matchAll(/^## (\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual(
    rules.map(({ alert }) => alert),
    sections,
  );
  for (const { alert, annotations } of rules) {
    const address = new URL(annotations['runbook_url'] ?? '');
    assert.match(address.pathname, /\/docs\/runbooks\.md$/);
    assert.equal(address.hash, `#${alert.toLowerCase()}`);
  }
});
