/**
 * Metrics in Prometheus' text format. prom-client keeps and renders them, in a registry of this agent's own; nothing
 * else in the agent knows it.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { CredentialSnapshot } from '../../lifecycle/notices.ts';
import {
  type ApiLoad,
  createWatchCounter,
  type Sample,
  sampleCredentials,
  sampleExpiries,
  sampleLoad,
  sampleServed,
  type WatchSnapshot,
} from '../../lifecycle/snapshots.ts';
import type { Served } from '../../lifecycle/uptake.ts';
import { type LabelName, labelLimits, strangerSigners } from './metric-labels.ts';
import { type KeyOf, type Labels, type MetricKey, metricTable } from './metric-table.ts';

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
  collectDefaultMetrics({ register: registry });
  const labelBounds = createLabelBounds();
  const { bound } = labelBounds;
  const count = (key: MetricKey, labels: Readonly<Record<string, string>>, by: number): void => {
    if (Number.isFinite(by) && by > 0) {
      counters.get(key)?.inc(bound(labels), by);
    }
  };
  const replaceAll = (key: MetricKey, samples: readonly Sample[]): void => {
    gauges.get(key)?.reset();
    // A gauge without labels is 0 after that; what is not known has no sample at all.
    if (samples.length === 0) {
      gauges.get(key)?.remove({});
    }
    for (const { labels, value } of samples) {
      gauges.get(key)?.set({ ...labels }, value);
    }
  };
  gauges.get('buildInfo')?.set(bound({ version: options.version, node_version: process.version }), 1);

  const restarts = createWatchCounter();
  let sources: MetricSources | undefined;
  let eventsDropped = 0;

  const collectSources = (given: MetricSources): void => {
    const credentials = given.credentials();
    const samples = sampleCredentials(credentials, (signerName) => bound({ signer_name: signerName }));
    replaceAll('credentials', samples.states);
    replaceAll('oldestWait', samples.oldestWait);
    replaceAll('trustMismatches', samples.trustMismatches);
    replaceAll('nearestExpiry', samples.nearestExpiry);
    replaceAll('nearestRefresh', samples.nearestRefresh);
    replaceAll('volumes', [{ labels: {}, value: given.volumes() }]);
    const waits = given.anchorWaits();
    replaceAll('anchorWaits', [{ labels: {}, value: waits.length }]);
    replaceAll('oldestAnchorWait', waits.length === 0 ? [] : [{ labels: {}, value: Math.min(...waits) / 1_000 }]);
    replaceAll('probedVolumes', sampleServed(given.served()));
    replaceAll('unusableVolumes', [{ labels: {}, value: given.unusableVolumes() }]);
    // What names pods is made anew at each scrape, so that no pod is remembered here.
    if (options.podMetrics) {
      replaceAll('credentialExpiry', sampleExpiries(credentials));
    }
    for (const [key, value] of entries(sampleLoad(given.load()))) {
      replaceAll(key, [{ labels: {}, value }]);
    }
    const dropped = given.eventsDropped();
    count('eventsDropped', {}, dropped - eventsDropped);
    eventsDropped = dropped;
    const skew = given.clockSkew();
    replaceAll('clockSkew', skew === undefined ? [] : [{ labels: {}, value: skew }]);
    replaceAll(
      'readiness',
      given.readiness().map(({ name, ok }) => ({ labels: bound({ check: name }), value: ok ? 1 : 0 })),
    );
    const current = restarts(given.watches(), (watch) => bound({ watch }));
    for (const { labels, value } of current.restarts) {
      counters.get('watchRestarts')?.inc({ ...labels }, value);
    }
    replaceAll('watchLastEvent', current.lastEvents);
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
    render: async () => {
      if (sources !== undefined) {
        collectSources(sources);
      }
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
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
