/**
 * Metrics as text, in steps: with a series for each pod there are thousands of lines, and prom-client makes those of a metric in one go.
 * What it would write is written, to the byte.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
import type { Steps } from '../../../volumes/base/steps.ts';

/** A metric as prom-client tells it. */
export interface MetricValues {
  readonly name: string;
  readonly help: string;
  readonly type: unknown;
  readonly values: readonly {
    readonly value: number;
    readonly labels: Readonly<Record<string, string | number | undefined>>;
    /** Of a histogram, whose series have names of their own. */
    readonly metricName?: string;
  }[];
}

/** Lines that are made in one step: a fraction of a millisecond. */
const linesPerStep = 64;

export function* metricsText(metrics: readonly MetricValues[]): Steps<string> {
  const texts: string[] = [];
  for (const { name, help, type, values } of metrics) {
    const lines = [`# HELP ${escaped(name)} ${escaped(help)}`, `# TYPE ${escaped(name)} ${type}`];
    for (const { value, labels, metricName = escaped(name) } of values) {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${labelValue(text)}"`);
      lines.push(`${metricName}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${numberText(value)}`);
      if (lines.length % linesPerStep === 0) {
        yield;
      }
    }
    texts.push(lines.join('\n'));
    yield;
  }
  return `${texts.join('\n\n')}\n`;
}

function labelValue(value: string | number | undefined): string {
  return typeof value === 'string' ? escaped(value).replaceAll('"', '\\"') : String(value);
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (Number.isNaN(value)) {
    return 'Nan';
  }
  return Number.isFinite(value) ? String(value) : `${value < 0 ? '-' : '+'}Inf`;
}
