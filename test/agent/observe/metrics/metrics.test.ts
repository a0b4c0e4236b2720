import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { CredentialSnapshot } from '../../../../agent/lifecycle/notices.ts';
import { createCallObserver } from '../../../../agent/observe/metrics/api-calls.ts';
import { type MetricRow, metricTable } from '../../../../agent/observe/metrics/metric-table.ts';
import { createMetrics, type MetricSources, type Metrics } from '../../../../agent/observe/metrics/metrics.ts';
import { metricsText } from '../../../../agent/observe/metrics/metrics-text.ts';
import { createServerClock } from '../../../../agent/time/server-clock.ts';
import { atOnce } from '../../../../volumes/base/steps.ts';
import { turnsOf } from '../../../support/processor-time.ts';
import { exportedMetrics, metricsDocument } from '../metrics-document.ts';
import { credential } from '../subjects.ts';

function open(podMetrics = false): Metrics {
  return createMetrics({ version: '1.2.3', podMetrics });
}

/** The samples of one metric, as they are exported. */
async function samples(metrics: Metrics, name: string): Promise<readonly string[]> {
  const { body } = await metrics.render();
  return body.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

const sources = (given: Partial<MetricSources>): MetricSources => ({
  credentials: () => [],
  volumes: () => 0,
  unusableVolumes: () => 0,
  served: () => [],
  anchorWaits: () => [],
  watches: () => [],
  load: () => ({ waiting: 0, active: 0, pausedForMs: 0 }),
  eventsDropped: () => 0,
  clockSkew: () => undefined,
  readiness: () => [],
  ...given,
});

describe('the metric table', () => {
  const rows: readonly MetricRow[] = Object.values(metricTable);

  test('is what docs/metrics.md lists', () => {
    const document = readFileSync(new URL('../../../../docs/metrics.md', import.meta.url), 'utf8');
    const [, listed] = document.split('## All metrics\n\n');
    assert.equal(listed, metricsDocument(), 'print the new list with: node test/agent/observe/metrics-document.ts');
  });

  test('is what is exported, with kind and help', async () => {
    const { body, contentType } = await open().render();
    assert.match(contentType, /^text\/plain; version=0\.0\.4/);
    const exported = [...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => `${name} ${kind}`);
    assert.deepEqual(
      exported,
      exportedMetrics().map(({ name, kind }) => `${name} ${kind}`),
    );
    for (const { name, help } of exportedMetrics()) {
      assert.ok(body.includes(`# HELP ${name} ${help}\n`), name);
    }
  });

  test('names metrics by the conventions', () => {
    assert.equal(new Set(rows.map(({ name }) => name)).size, rows.length);
    for (const { name, kind, help } of rows) {
      assert.match(name, /^podcert_agent_[a-z0-9_]+$/);
      assert.equal(name.endsWith('_total'), kind === 'counter', name);
      if (kind === 'histogram') {
        assert.match(name, /_seconds$/);
      }
      assert.match(help, /\.$/);
    }
  });

  test('every expression in docs/metrics.md names metrics that exist', () => {
    const document = readFileSync(new URL('../../../../docs/metrics.md', import.meta.url), 'utf8');
    const names = new Set(
      exportedMetrics().flatMap(({ name }) => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]),
    );
    for (const [name] of document.matchAll(/\b(podcert|process|nodejs)_\w+/g)) {
      assert.ok(names.has(name), name);
    }
  });
});

describe('metrics', () => {
  test('say which agent this is', async () => {
    assert.deepEqual(await samples(open(), 'podcert_agent_build_info'), [
      `podcert_agent_build_info{version="1.2.3",node_version="${process.version}"} 1`,
    ]);
  });

  test('count credentials by signer and state, with every state of a signer, and forget a signer without credentials', async () => {
    const metrics = open();
    let credentials = [
      { ...credential, state: 'fresh' as const, notAfter: 9_000_000, refreshAt: 6_000_000 },
      { ...credential, state: 'fresh' as const, notAfter: 8_000_000, refreshAt: 7_000_000 },
      { ...credential, state: 'denied' as const },
      { ...credential, signerName: 'example.com/other', state: 'not_yet_issued' as const },
    ];
    metrics.collectFrom(sources({ credentials: () => credentials, volumes: () => 3, unusableVolumes: () => 2 }));
    const label = 'signer_name="example.com/mesh"';
    const states = await samples(metrics, 'podcert_agent_credentials');
    assert.equal(states.length, 14);
    assert.ok(
      states.includes(`podcert_agent_credentials{${label},state="fresh"} 2`),
      `${`podcert_agent_credentials{${label},state="fresh"} 2`} is not in:\n${states}`,
    );
    assert.ok(
      states.includes(`podcert_agent_credentials{${label},state="denied"} 1`),
      `${`podcert_agent_credentials{${label},state="denied"} 1`} is not in:\n${states}`,
    );
    assert.ok(
      states.includes(`podcert_agent_credentials{${label},state="expired"} 0`),
      `${`podcert_agent_credentials{${label},state="expired"} 0`} is not in:\n${states}`,
    );
    assert.ok(
      states.includes('podcert_agent_credentials{signer_name="example.com/other",state="not_yet_issued"} 1'),
      `podcert_agent_credentials{signer_name="example.com/other",state="not_yet_issued"} 1 is not in:\n${states}`,
    );
    const expiry = 'podcert_agent_nearest_expiry_timestamp_seconds';
    assert.deepEqual(await samples(metrics, expiry), [`${expiry}{${label}} 8000`]);
    const refresh = 'podcert_agent_nearest_refresh_timestamp_seconds';
    assert.deepEqual(await samples(metrics, refresh), [`${refresh}{${label}} 6000`]);
    assert.deepEqual(await samples(metrics, 'podcert_agent_volumes'), ['podcert_agent_volumes 3']);
    assert.deepEqual(await samples(metrics, 'podcert_agent_unusable_volumes'), ['podcert_agent_unusable_volumes 2']);

    credentials = [];
    assert.deepEqual(await samples(metrics, 'podcert_agent_credentials'), []);
    assert.deepEqual(await samples(metrics, expiry), []);
  });

  test('say since when the first waits for a certificate of a signer, and for nothing but anchors, and nothing where none does', async () => {
    const metrics = open();
    let credentials = [
      { ...credential, state: 'not_yet_issued' as const, waitingSince: 7_000_000 },
      { ...credential, state: 'not_yet_issued' as const, waitingSince: 6_000_000 },
      { ...credential, state: 'not_yet_issued' as const },
      { ...credential, state: 'denied' as const, waitingSince: 1_000_000 },
    ];
    let waits = [9_000_000, 8_000_000];
    metrics.collectFrom(sources({ credentials: () => credentials, anchorWaits: () => waits }));
    const oldest = 'podcert_agent_oldest_wait_timestamp_seconds';
    const count = 'podcert_agent_volumes_waiting_for_anchors';
    const oldestAnchors = 'podcert_agent_oldest_anchor_wait_timestamp_seconds';
    assert.deepEqual(await samples(metrics, oldest), [`${oldest}{signer_name="example.com/mesh"} 6000`]);
    assert.deepEqual(await samples(metrics, count), [`${count} 2`]);
    assert.deepEqual(await samples(metrics, oldestAnchors), [`${oldestAnchors} 8000`]);
    credentials = credentials.slice(2);
    waits = [];
    assert.deepEqual(await samples(metrics, oldest), []);
    assert.deepEqual(await samples(metrics, count), [`${count} 0`]);
    assert.deepEqual(await samples(metrics, oldestAnchors), []);
  });

  test('count the chains that lead to no anchor, and each signer’s none', async () => {
    const metrics = open();
    const signer = (name: string) => ({ ...credential, signerName: `example.com/${name}`, state: 'fresh' as const });
    let credentials = [signer('mesh'), { ...signer('mesh'), trustMismatchSince: 1 }, signer('other')];
    metrics.collectFrom(sources({ credentials: () => credentials }));
    const name = 'podcert_agent_trust_mismatches';
    const series = (value: number): readonly string[] => [
      `${name}{signer_name="example.com/mesh"} ${value}`,
      `${name}{signer_name="example.com/other"} 0`,
    ];
    assert.deepEqual(await samples(metrics, name), series(1));
    credentials = [signer('mesh'), signer('other')];
    assert.deepEqual(await samples(metrics, name), series(0));
  });

  test('count restarts of watches as they happen, and keep them when the watch is gone', async () => {
    const metrics = open();
    const name = 'podcert_agent_watch_restarts_total';
    let watches = [
      { name: 'podcertificaterequests', restarts: 2, lastEventAt: 5_000 as number | undefined },
      { name: 'clustertrustbundles', restarts: 1, lastEventAt: undefined },
    ];
    metrics.collectFrom(sources({ watches: () => watches }));
    const series = (watch: string, value: number): string => `${name}{watch="${watch}"} ${value}`;
    assert.deepEqual(await samples(metrics, name), [
      series('podcertificaterequests', 2),
      series('clustertrustbundles', 1),
    ]);
    assert.deepEqual(await samples(metrics, 'podcert_agent_watch_last_event_timestamp_seconds'), [
      'podcert_agent_watch_last_event_timestamp_seconds{watch="podcertificaterequests"} 5',
    ]);
    watches = [{ name: 'podcertificaterequests', restarts: 5, lastEventAt: 6_000 }];
    assert.deepEqual(await samples(metrics, name), [
      series('podcertificaterequests', 5),
      series('clustertrustbundles', 1),
    ]);
    // A watch that was ended and made anew starts to count from 0.
    watches = [{ name: 'podcertificaterequests', restarts: 1, lastEventAt: 7_000 }];
    assert.deepEqual(await samples(metrics, name), [
      series('podcertificaterequests', 6),
      series('clustertrustbundles', 1),
    ]);
    assert.equal((await samples(metrics, 'podcert_agent_watch_last_event_timestamp_seconds')).length, 1);
  });

  test('give each label a limited number of values, and count the rest as other', async () => {
    const metrics = open();
    for (let index = 0; index < 300; index += 1) {
      metrics.signerIssued(`example.com/s${index}`);
      metrics.count('requests', { signer_name: `example.com/s${index}` });
    }
    metrics.count('requests', { signer_name: 'example.com/s0' });
    metrics.count('expired', { signer_name: `example.com/${'x'.repeat(1_000)}` });
    const series = await samples(metrics, 'podcert_agent_requests_total');
    assert.equal(series.length, 101);
    assert.ok(
      series.includes('podcert_agent_requests_total{signer_name="example.com/s0"} 2'),
      `podcert_agent_requests_total{signer_name="example.com/s0"} 2 is not in:\n${series}`,
    );
    assert.ok(
      series.includes('podcert_agent_requests_total{signer_name="other"} 200'),
      `podcert_agent_requests_total{signer_name="other"} 200 is not in:\n${series}`,
    );
    assert.deepEqual(await samples(metrics, 'podcert_agent_expired_total'), [
      'podcert_agent_expired_total{signer_name="other"} 1',
    ]);
  });

  test('keep a value of 316 characters, and count a longer one as other', async () => {
    const metrics = open();
    const longest = 'x'.repeat(316);
    metrics.count('expired', { signer_name: longest });
    metrics.count('expired', { signer_name: `${longest}x` });
    assert.deepEqual(await samples(metrics, 'podcert_agent_expired_total'), [
      `podcert_agent_expired_total{signer_name="${longest}"} 1`,
      'podcert_agent_expired_total{signer_name="other"} 1',
    ]);
  });

  test('every outcome that the agent knows keeps its own series', async () => {
    const metrics = open();
    for (const outcome of ['issued', 'denied', 'failed', 'lost']) {
      metrics.count('requestOutcomes', { signer_name: 'example.com/mesh', outcome, reason: 'none' });
    }
    for (const outcome of ['kept', 'dropped']) {
      metrics.count('anchorsExpired', { outcome });
    }
    for (const outcome of ['done', 'failed', 'given_up']) {
      metrics.count('reloads', { way: 'http', outcome });
    }
    for (const name of ['request_outcomes_total', 'trust_anchor_expiries_total', 'reloads_total']) {
      const series = await samples(metrics, `podcert_agent_${name}`);
      assert.ok(!series.some((line) => line.includes('outcome="other"')), `${name} counts under other:\n${series}`);
    }
  });

  test('count refused credentials with the reason, bounded like any other label, and nothing once they are answered', async () => {
    const metrics = open();
    const refused = (reason: string): CredentialSnapshot => ({
      ...{ ...credential, state: 'denied', refusal: { outcome: 'denied', reason } },
    });
    let credentials: readonly CredentialSnapshot[] = [
      refused(''),
      refused('Policy'),
      { ...credential, state: 'fresh' },
    ];
    metrics.collectFrom(sources({ credentials: () => credentials }));
    const name = 'podcert_agent_refused_credentials';
    const series = (reason: string) => `${name}{signer_name="example.com/mesh",outcome="denied",reason="${reason}"} 1`;
    assert.deepEqual(await samples(metrics, name), [series('none'), series('Policy')]);
    credentials = Array.from({ length: 100 }, (_, index) => refused(`Reason${index}`));
    const bounded = await samples(metrics, name);
    assert.equal(bounded.length, 49);
    assert.equal(bounded.at(-1), `${name}{signer_name="example.com/mesh",outcome="denied",reason="other"} 52`);
    credentials = [];
    assert.deepEqual(await samples(metrics, name), []);
  });

  test('leave signers that issue their own series, however many names pods make up', async () => {
    const metrics = open();
    for (let index = 0; index < 500; index += 1) {
      metrics.count('requests', { signer_name: `made-up.example/${index}` });
    }
    metrics.signerIssued('example.com/real');
    metrics.count('requests', { signer_name: 'example.com/real' });
    const series = await samples(metrics, 'podcert_agent_requests_total');
    assert.ok(
      series.includes('podcert_agent_requests_total{signer_name="example.com/real"} 1'),
      `podcert_agent_requests_total{signer_name="example.com/real"} 1 is not in:\n${series}`,
    );
    assert.ok(
      series.includes('podcert_agent_requests_total{signer_name="other"} 450'),
      `podcert_agent_requests_total{signer_name="other"} 450 is not in:\n${series}`,
    );
  });

  test('add up what falls under other: counts are summed, the nearest time wins', async () => {
    const metrics = open();
    const credentials = Array.from({ length: 103 }, (_, index) => ({
      ...credential,
      signerName: `example.com/s${index}`,
      state: 'fresh' as const,
      notAfter: 1_000_000 - index * 1_000,
    }));
    for (const { signerName } of credentials) {
      metrics.signerIssued(signerName);
    }
    metrics.collectFrom(sources({ credentials: () => credentials }));
    const states = await samples(metrics, 'podcert_agent_credentials');
    assert.ok(
      states.includes('podcert_agent_credentials{signer_name="other",state="fresh"} 3'),
      `podcert_agent_credentials{signer_name="other",state="fresh"} 3 is not in:\n${states}`,
    );
    const expiry = await samples(metrics, 'podcert_agent_nearest_expiry_timestamp_seconds');
    assert.ok(
      expiry.includes('podcert_agent_nearest_expiry_timestamp_seconds{signer_name="other"} 898'),
      `podcert_agent_nearest_expiry_timestamp_seconds{signer_name="other"} 898 is not in:\n${expiry}`,
    );
  });

  test('show how busy the way to the API server is, how far the clocks are apart, and what is ready', async () => {
    const metrics = open();
    let skew: number | undefined;
    metrics.collectFrom(
      sources({
        load: () => ({ waiting: 7, active: 2, pausedForMs: 1_500 }),
        clockSkew: () => skew,
        readiness: () => [
          { name: 'node', ok: true },
          { name: 'watch', ok: false },
        ],
      }),
    );
    const own = async (name: string) => (await samples(metrics, `podcert_agent_${name}`)).map((line) => line.slice(14));
    assert.deepEqual(await own('api_queue_length'), ['api_queue_length 7']);
    assert.deepEqual(await own('api_calls_in_flight'), ['api_calls_in_flight 2']);
    assert.deepEqual(await own('api_pause_seconds'), ['api_pause_seconds 1.5']);
    assert.deepEqual(await own('readiness_check'), [
      'readiness_check{check="node"} 1',
      'readiness_check{check="watch"} 0',
    ]);
    assert.deepEqual(await own('clock_skew_seconds'), []);
    skew = -2;
    assert.deepEqual(await own('clock_skew_seconds'), ['clock_skew_seconds -2']);
  });

  test('name pods and volumes only where that is switched on, and forget them when they are gone', async () => {
    const name = 'podcert_agent_credential_expiry_timestamp_seconds';
    let credentials = Array.from({ length: 1_001 }, (_, index) => ({
      ...credential,
      source: index,
      state: 'fresh' as const,
      notAfter: 9_000_000,
    }));
    for (const podMetrics of [false, true]) {
      const metrics = open(podMetrics);
      metrics.collectFrom(sources({ credentials: () => credentials }));
      const series = await samples(metrics, name);
      assert.equal(series.length, podMetrics ? 1_000 : 0);
      if (!podMetrics) {
        continue;
      }
      const labels = 'namespace="shop",pod="web-0",volume="mtls",source="0",signer_name="example.com/mesh"';
      assert.equal(series[0], `${name}{${labels}} 9000`);
      credentials = [];
      assert.deepEqual(await samples(metrics, name), []);
    }
  });

  test('keep a label value from breaking the format', async () => {
    const metrics = open();
    metrics.count('requests', { signer_name: 'a"b\nc\\d' });
    assert.deepEqual(await samples(metrics, 'podcert_agent_requests_total'), [
      'podcert_agent_requests_total{signer_name="a\\"b\\nc\\\\d"} 1',
    ]);
  });

  test('are rendered to the byte as prom-client does it', async () => {
    const registry = new Registry();
    const labelNames = ['one', 'two'];
    const registers = [registry];
    const nasty = ['', 'a"b', 'back\\slash', 'line\nend', '{,}=', 'ünï'];
    const gauge = new Gauge({ name: 'a_gauge', help: 'odd \\ and\nlong', labelNames, registers });
    const histogram = new Histogram({ name: 'a_histogram', help: 'h', labelNames, registers, buckets: [0.1, 1, 2.5] });
    const counter = new Counter({ name: 'a_total', help: 'c', registers });
    new Gauge({ name: 'an_empty_gauge', help: 'e', labelNames, registers });
    new Gauge({ name: 'a_plain_gauge', help: 'p', registers }).set(1e21);
    const numbers = [0, -0, 1 / 3, 1e-9, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const [index, value] of numbers.entries()) {
      gauge.set({ one: nasty[index % nasty.length] ?? '', two: String(index) }, value);
      gauge.set({ two: 'first' }, value);
      histogram.observe({ two: nasty[index % nasty.length] ?? '', one: 'x' }, index / 3);
    }
    counter.inc(3);
    const told = await registry.metrics();
    assert.equal(atOnce(metricsText(await registry.getMetricsAsJSON())), told);
    assert.ok(told.length > 500, 'there is something to compare');
  });

  test('of a thousand pods, and of tens of thousands of series, hold the event loop up no longer than a few of them', async () => {
    const metrics = open(true);
    const volumes = Array.from({ length: 1_000 }, (_, index) => ({
      ...credential,
      volume: { ...credential.volume, pod: { ...credential.volume.pod, name: `web-${index}` } },
      state: 'fresh' as const,
      notAfter: 1_000 * index,
    }));
    metrics.collectFrom(sources({ credentials: () => volumes }));
    for (let signer = 0; signer < 50; signer += 1) {
      for (let reason = 0; reason < 40; reason += 1) {
        for (const outcome of ['issued', 'denied', 'failed', 'lost']) {
          const labels = { signer_name: `example.com/${signer}`, outcome, reason: `Reason${reason}` };
          metrics.count('requestOutcomes', labels);
        }
      }
    }
    await metrics.render();
    const ratios: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const { longest, all } = await turnsOf(() => metrics.render());
      ratios.push(all / longest);
    }
    assert.ok(Math.max(...ratios) > 3, `the longest turn has one part in ${ratios.join(', ')} of the work`);
    const [one, other] = await Promise.all([metrics.render(), metrics.render()]);
    const series = (body: string) => body.match(/^podcert_agent_credential_expiry\S*\{.*$/gm);
    assert.equal(series(one.body)?.length, 1_000);
    assert.deepEqual(series(other.body), series(one.body), 'two at a time do not mix');
  });

  test('take no harm from durations that a clock change spoiled', async () => {
    const metrics = open();
    for (const seconds of [-5, Number.NaN, Number.POSITIVE_INFINITY, 0.02]) {
      metrics.observe('propagation', {}, seconds);
    }
    for (const by of [-1, Number.NaN, 0]) {
      metrics.count('eventsDropped', {}, by);
    }
    assert.deepEqual(await samples(metrics, 'podcert_agent_propagation_duration_seconds_count'), [
      'podcert_agent_propagation_duration_seconds_count 2',
    ]);
    assert.deepEqual(await samples(metrics, 'podcert_agent_propagation_duration_seconds_sum'), [
      'podcert_agent_propagation_duration_seconds_sum 0.02',
    ]);
  });

  test('do not share anything between two agents in one process', async () => {
    const [one, other] = [open(), open()];
    one.count('requests', { signer_name: 'example.com/mesh' });
    assert.deepEqual(await samples(other, 'podcert_agent_requests_total'), []);
  });

  test('measure this process', async () => {
    const metrics = open();
    const value = async (name: string): Promise<number> => Number((await samples(metrics, name))[0]?.split(' ')[1]);
    const before = await value('process_cpu_seconds_total');
    assert.ok(before > 0, `${before} is not more than 0`);
    assert.ok((await value('process_cpu_seconds_total')) >= before, 'less processor time than before');
    assert.ok((await value('process_resident_memory_bytes')) > 1e6, 'less memory than any process takes');
    assert.ok(
      Math.abs((await value('process_start_time_seconds')) - (Date.now() / 1_000 - process.uptime())) < 5,
      'not the time at which this process began',
    );
    assert.ok((await value('process_open_fds')) > 2, 'fewer open files than any process has');
    assert.ok((await value('nodejs_eventloop_lag_p99_seconds')) >= 0, 'no lag of the event loop');
  });

  test('count the events that were dropped, each once', async () => {
    const metrics = open();
    let dropped = 3;
    metrics.collectFrom(sources({ eventsDropped: () => dropped }));
    const name = 'podcert_agent_events_dropped_total';
    assert.deepEqual(await samples(metrics, name), [`${name} 3`]);
    dropped = 5;
    await metrics.render();
    assert.deepEqual(await samples(metrics, name), [`${name} 5`]);
  });

  test('measure calls to the API server, those without a reply under code error', async () => {
    const metrics = open();
    let now = 0;
    const serverClock = createServerClock(
      () => 10_000,
      () => now,
    );
    const observe = createCallObserver(metrics, serverClock);
    observe({ verb: 'create', resource: 'podcertificaterequests', status: 201, tookMs: 30, waitedMs: 200 });
    observe({ verb: 'create', resource: 'podcertificaterequests', status: 0, tookMs: 3_000, waitedMs: 0 });
    assert.equal(serverClock.skewSeconds(), undefined);
    observe({ verb: 'get', resource: 'pods', status: 200, tookMs: 0, waitedMs: 0, serverTime: 6_500 });
    assert.equal(serverClock.skewSeconds(), 3);
    observe({ verb: 'get', resource: 'pods', status: 200, tookMs: 1_001, waitedMs: 0, serverTime: 1_000 });
    assert.equal(serverClock.skewSeconds(), 3);
    now = 15 * 60_000 - 1;
    assert.equal(serverClock.skewSeconds(), 3);
    now += 1;
    assert.equal(serverClock.skewSeconds(), undefined, 'the last measurement is too old');
    const name = 'podcert_agent_api_request_duration_seconds_sum';
    const labels = 'verb="create",resource="podcertificaterequests"';
    assert.deepEqual(await samples(metrics, name), [
      `${name}{${labels},code="201"} 0.03`,
      `${name}{${labels},code="error"} 3`,
      `${name}{verb="get",resource="pods",code="200"} 1.001`,
    ]);
    assert.deepEqual(await samples(metrics, 'podcert_agent_api_throttle_duration_seconds_sum'), [
      'podcert_agent_api_throttle_duration_seconds_sum 0.2',
    ]);
  });
});
