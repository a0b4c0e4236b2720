/**
 * Metrics in Prometheus' text format. prom-client keeps them, in a registry of this agent's own; nothing else in the agent
 * knows it. They are read and rendered in steps: however many there are, a scrape holds nothing up.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { createWorker, type Steps } from '../../../volumes/base/steps.ts';
import { createTurns } from '../../../volumes/base/turns.ts';
import type { CredentialSnapshot } from '../../lifecycle/notices.ts';
import {
  type ApiLoad,
  createWatchCounter,
  type Sample,
  sampleCredentials,
  sampleExpiries,
  sampleLoad,
  sampleRefusals,
  sampleServed,
  type WatchSnapshot,
} from '../../lifecycle/snapshots.ts';
import type { Served } from '../../lifecycle/uptake.ts';
import { type LabelName, labelLimits, strangerSigners } from './metric-labels.ts';
import { type KeyOf, type Labels, type MetricKey, metricTable } from './metric-table.ts';
import { type MetricValues, metricsText } from './metrics-text.ts';
import { measureProcess } from './process-metrics.ts';

/** What is read at each scrape. The callbacks answer from memory, at once. */
export interface MetricSources {
  /** Every credential on the node. */
  credentials(): readonly CredentialSnapshot[];
  /** Number of volumes on the node. */
  volumes(): number;
  /** Since when each volume that waits for nothing but trust anchors does so, milliseconds since the epoch. */
  anchorWaits(): readonly number[];
  /** How what their programs serve stands to the files, of each volume where that is looked at. */
  served(): readonly Served['state'][];
  /** Number of volumes of an earlier run that nobody looks after. */
  unusableVolumes(): number;
  /** Every list and watch. */
  watches(): readonly WatchSnapshot[];
  /** How busy the way to the API server is. */
  load(): ApiLoad;
  /** Pod events given up since the start. */
  eventsDropped(): number;
  /** Seconds by which this clock is ahead of the API server's; undefined: not known. */
  clockSkew(): number | undefined;
  /** The checks of `/readyz`. */
  readiness(): readonly { readonly name: string; readonly ok: boolean }[];
}

export interface Metrics {
  /** Adds to a counter. Never throws. */
  count<K extends KeyOf<'counter'>>(key: K, labels: Labels<K>, by?: number): void;
  /** Adds a duration in seconds to a histogram; one that a clock change made negative counts as 0. Never throws. */
  observe<K extends KeyOf<'histogram'>>(key: K, labels: Labels<K>, seconds: number): void;
  /** The signer has issued a certificate: from now on its name stands among those that made-up names cannot push out. */
  signerIssued(signerName: string): void;
  /** Names what the gauges are read from; before that they show an agent that holds nothing. */
  collectFrom(sources: MetricSources): void;
  /** All metrics as they stand now. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Series that are set in one step: a fraction of a millisecond. */
const seriesPerStep = 64;
/** A metric with more series takes long enough to read that the next one waits for another turn of the event loop. */
const manySeries = 1_000;

/** Longest label value; a longer one is counted as `other`. */
const maxLabelLength = 316;

/**
 * Creates all metrics of the table, and those of the process under the names that prom-client gives them everywhere.
 * @param options.version the agent's version, for the build information
 * @param options.podMetrics true for series that name pods and volumes
 */
export function createMetrics(options: { readonly version: string; readonly podMetrics?: boolean }): Metrics {
  const registry = new Registry();
  const counters = new Map<MetricKey, Counter>();
  const gauges = new Map<MetricKey, Gauge>();
  const histograms = new Map<MetricKey, Histogram>();
  for (const [key, row] of entries(metricTable)) {
    const settings = { name: row.name, help: row.help, labelNames: row.labels, registers: [registry] };
    if (row.kind === 'counter') {
      counters.set(key, new Counter(settings));
    } else if (row.kind === 'gauge') {
      gauges.set(key, new Gauge(settings));
    } else {
      histograms.set(key, new Histogram({ ...settings, buckets: [...row.buckets] }));
    }
  }
  measureProcess(registry);
  const labelBounds = createLabelBounds();
  const { bound } = labelBounds;
  const count = (key: MetricKey, labels: Readonly<Record<string, string>>, by: number): void => {
    if (Number.isFinite(by) && by > 0) {
      counters.get(key)?.inc(bound(labels), by);
    }
  };
  const replaceAll = function* (key: MetricKey, samples: readonly Sample[]): Steps<void> {
    gauges.get(key)?.reset();
    // A gauge without labels is 0 after that; what is not known has no sample at all.
    if (samples.length === 0) {
      gauges.get(key)?.remove({});
    }
    for (const [index, { labels, value }] of samples.entries()) {
      gauges.get(key)?.set({ ...labels }, value);
      if (index % seriesPerStep === 0) {
        yield;
      }
    }
  };
  gauges.get('buildInfo')?.set(bound({ version: options.version, node_version: process.version }), 1);

  const restarts = createWatchCounter();
  let sources: MetricSources | undefined;
  let eventsDropped = 0;

  const collectInSteps = function* (given: MetricSources): Steps<void> {
    const credentials = given.credentials();
    yield;
    const samples = sampleCredentials(credentials, (signerName) => bound({ signer_name: signerName }));
    yield* replaceAll('credentials', samples.states);
    yield* replaceAll('oldestWait', samples.oldestWait);
    yield* replaceAll('trustMismatches', samples.trustMismatches);
    yield* replaceAll('nearestExpiry', samples.nearestExpiry);
    yield* replaceAll('nearestRefresh', samples.nearestRefresh);
    const refusals = sampleRefusals(credentials, (signerName, outcome, reason) =>
      bound({ signer_name: signerName, outcome, reason: reason === '' ? 'none' : reason }),
    );
    yield* replaceAll('refusedCredentials', refusals);
    yield* replaceAll('volumes', [{ labels: {}, value: given.volumes() }]);
    const waits = given.anchorWaits();
    yield* replaceAll('anchorWaits', [{ labels: {}, value: waits.length }]);
    yield* replaceAll(
      'oldestAnchorWait',
      waits.length === 0 ? [] : [{ labels: {}, value: Math.min(...waits) / 1_000 }],
    );
    yield* replaceAll('probedVolumes', sampleServed(given.served()));
    yield* replaceAll('unusableVolumes', [{ labels: {}, value: given.unusableVolumes() }]);
    // What names pods is made anew at each scrape, so that no pod is remembered here.
    if (options.podMetrics) {
      yield* replaceAll('credentialExpiry', sampleExpiries(credentials));
    }
    for (const [key, value] of entries(sampleLoad(given.load()))) {
      yield* replaceAll(key, [{ labels: {}, value }]);
    }
    const dropped = given.eventsDropped();
    count('eventsDropped', {}, dropped - eventsDropped);
    eventsDropped = dropped;
    const skew = given.clockSkew();
    yield* replaceAll('clockSkew', skew === undefined ? [] : [{ labels: {}, value: skew }]);
    yield* replaceAll(
      'readiness',
      given.readiness().map(({ name, ok }) => ({ labels: bound({ check: name }), value: ok ? 1 : 0 })),
    );
    const current = restarts(given.watches(), (watch) => bound({ watch }));
    for (const { labels, value } of current.restarts) {
      counters.get('watchRestarts')?.inc({ ...labels }, value);
    }
    yield* replaceAll('watchLastEvent', current.lastEvents);
  };

  const worker = createWorker();
  const carryOut = <Result>(steps: Steps<Result>): Promise<Result> => worker.carryOut(steps, () => undefined);
  const inTurn = createTurns();

  const render = async () => {
    if (sources !== undefined) {
      await carryOut(collectInSteps(sources));
    }
    const metrics: MetricValues[] = [];
    for (const { name } of registry.getMetricsAsArray()) {
      const metric = await registry.getSingleMetric(name)?.get();
      if (metric === undefined) {
        continue;
      }
      metrics.push(metric);
      if (metric.values.length > manySeries) {
        await nextTurn();
      }
    }
    return { contentType: registry.contentType, body: await carryOut(metricsText(metrics)) };
  };

  return {
    count: (key, labels, by = 1) => count(key, labels, by),
    observe: (key, labels, seconds) => {
      if (Number.isFinite(seconds)) {
        histograms.get(key)?.observe(bound(labels), Math.max(0, seconds));
      }
    },
    signerIssued: labelBounds.signerIssued,
    collectFrom: (given) => {
      sources = given;
    },
    // One at a time: the gauges are emptied and filled again over several turns of the event loop.
    render: () => inTurn('all', render),
  };
}

/** `Object.entries` with the keys' own type; the objects given here have no other keys. */
function entries<K extends string, V>(object: Readonly<Record<K, V>>): readonly (readonly [K, V])[] {
  return Object.entries(object) as [K, V][];
}

interface LabelBounds {
  /** Replaces label values beyond the limit of their label by `other`; values seen once keep their own series. */
  bound(labels: Readonly<Record<string, string>>): Record<string, string>;
  signerIssued(signerName: string): void;
}

function createLabelBounds(): LabelBounds {
  const seen = new Map(entries(labelLimits).map(([label, limit]) => [label, { limit, values: new Set<string>() }]));
  const proven = new Set<string>();
  let strangers = 0;

  const boundOne = (label: string, value: string): string => {
    const known = seen.get(label as LabelName);
    if (known === undefined || value.length > maxLabelLength) {
      return 'other';
    }
    if (known.values.has(value)) {
      return value;
    }
    const isStranger = label === 'signer_name' && !proven.has(value);
    if (known.values.size >= known.limit || (isStranger && strangers >= strangerSigners)) {
      return 'other';
    }
    if (isStranger) {
      strangers += 1;
    }
    known.values.add(value);
    return value;
  };

  return {
    bound: (labels) =>
      Object.fromEntries(Object.entries(labels).map(([label, value]) => [label, boundOne(label, value)])),
    signerIssued(signerName) {
      if (proven.has(signerName) || proven.size >= labelLimits.signer_name) {
        return;
      }
      proven.add(signerName);
      if (seen.get('signer_name')?.values.has(signerName)) {
        strangers -= 1;
      }
    },
  };
}
