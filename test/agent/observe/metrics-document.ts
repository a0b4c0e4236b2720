/**
 * The part of docs/metrics.md that is made from the metric table and from what prom-client says of the process. Run this
 * file to print it.
 */
import assert from 'node:assert/strict';
import { Registry } from 'prom-client';
import { labelLimits } from '../../../agent/observe/metrics/metric-labels.ts';
import { metricTable } from '../../../agent/observe/metrics/metric-table.ts';
import { measureProcess } from '../../../agent/observe/metrics/process-metrics.ts';

/** A metric as Prometheus sees it. */
interface Row {
  readonly name: string;
  readonly kind: string;
  readonly labels: readonly string[];
  readonly help: string;
}

export function metricsDocument(): string {
  const metrics = exportedMetrics().map(({ name, kind, labels, help }) => {
    const labelCell = labels.length === 0 ? '–' : labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${kind} | ${labelCell} | ${help} |`;
  });
  const limits = Object.entries(labelLimits).map(([label, limit]) => `| \`${label}\` | ${limit} |`);
  return [
    '| metric | kind | labels | meaning |',
    '|---|---|---|---|',
    ...metrics,
    '',
    '| label | distinct values at most |',
    '|---|---|',
    ...limits,
    '',
  ].join('\n');
}

/** All that the agent exports: the rows of the table, and what prom-client says of the process. */
export function exportedMetrics(): readonly Row[] {
  const registry = new Registry();
  measureProcess(registry);
  const ofProcess = registry.getMetricsAsArray().map((metric) => {
    assert.ok('labelNames' in metric && Array.isArray(metric.labelNames), `${metric.name} says no labels`);
    return { name: metric.name, kind: String(metric.type), labels: metric.labelNames.map(String), help: metric.help };
  });
  return [...Object.values(metricTable), ...ofProcess];
}

if (import.meta.main) {
  process.stdout.write(metricsDocument());
}
