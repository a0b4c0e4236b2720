/**
 * The part of docs/metrics.md that is made from the metric table. Run this file to print it.
 */
import { labelLimits, type MetricRow, metricTable } from '../../../agent/observe/metrics/metric-table.ts';

export function metricsDocument(): string {
  const rows: readonly MetricRow[] = Object.values(metricTable);
  const metrics = rows.map(({ name, kind, labels, help }) => {
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

if (import.meta.main) {
  process.stdout.write(metricsDocument());
}
