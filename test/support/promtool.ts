/**
 * promtool (Debian package `prometheus`): Prometheus' own judgement on alert rules, over series that an agent exported.
 *
 * https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { makeDirectory } from './directory.ts';

export interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What an agent exported, and how long it stays like that. */
export interface Stage {
  /** In Prometheus' text format. */
  readonly text: string;
  /** When it was scraped, milliseconds since the epoch. */
  readonly at: number;
  readonly minutes: number;
}

/** Whether rules say that an alert fires, some minutes after the first scrape. */
export interface Expectation {
  readonly alert: string;
  readonly atMinute: number;
  /** Labels of each alert that fires, and the value of its expression; none: it does not fire. */
  readonly fires: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: string }[];
}

export function hasPromtool(): boolean {
  return spawnSync('promtool', ['--version']).status === 0;
}

/** The instance that each series has, as Prometheus adds it when it scrapes. */
export const instance = '10.0.0.1:9808';

const step = 'podcert_agent_watch_last_event_timestamp_seconds';

/**
 * Series of the agent's own as promtool takes them, a sample a minute. Its time starts at 0, so moments are shifted by the
 * time of the first scrape.
 * @param hears true when watches go on hearing from the API server
 */
export function inputSeries(stages: readonly Stage[], hears: boolean): readonly object[] {
  const start = (stages[0]?.at ?? 0) / 1_000;
  const total = new Map<string, string[]>();
  for (const [index, { text, minutes }] of stages.entries()) {
    const seen = new Map(
      [...text.matchAll(/^(podcert_agent_\w+)(?:\{(.*)\})? (\S+)$/gm)].map((line) => [line[0], line]),
    );
    for (const [, name = '', labels = '', value] of seen.values()) {
      if (name.endsWith('_bucket')) {
        continue;
      }
      const series = `${name}{${labels === '' ? '' : `${labels},`}instance="${instance}"}`;
      const known = total.get(series) ?? stages.slice(0, index).map((stage) => `_x${stage.minutes - 1}`);
      const shifted = name.endsWith('_timestamp_seconds') ? Number(value) - start : Number(value);
      known.push(`${shifted}+${hears && name === step ? 60 : 0}x${minutes - 1}`);
      total.set(series, known);
    }
    endOthers(total, index, minutes);
  }
  return [...total].map(([series, values]) => ({ series, values: values.join(' ') }));
}

/** Marks the series that a stage does not have any more as Prometheus does. */
function endOthers(total: ReadonlyMap<string, string[]>, index: number, minutes: number): void {
  for (const known of total.values()) {
    if (known.length === index) {
      known.push(minutes === 1 ? 'stale' : `stale _x${minutes - 2}`);
    }
  }
}

/** Runs `promtool test rules`. @throws Error with promtool's words when an expectation does not hold */
export function testRules(
  rulesPath: string,
  rules: readonly Rule[],
  series: readonly object[],
  expectations: readonly Expectation[],
): void {
  const alertTests = expectations.map(({ alert, atMinute, fires }) => {
    const rule = rules.find((candidate) => candidate.alert === alert);
    if (rule === undefined) {
      throw new Error(`there is no alert ${alert}`);
    }
    const alerts = fires.map(({ labels, value }) => ({
      exp_labels: { ...labels, ...rule.labels },
      exp_annotations: Object.fromEntries(
        Object.entries(rule.annotations).map(([name, text]) => [name, filled(text, labels, value)]),
      ),
    }));
    return { eval_time: `${atMinute}m`, alertname: alert, exp_alerts: alerts };
  });
  const path = join(makeDirectory(), 'test.yaml');
  const suite = { interval: '1m', input_series: series, alert_rule_test: alertTests };
  writeFileSync(path, stringify({ rule_files: [rulesPath], evaluation_interval: '1m', tests: [suite] }));
  const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', path], { encoding: 'utf8' });
  if (status !== 0) {
    throw new Error(`${stdout}${stderr}`);
  }
}

/** An annotation as Prometheus fills it in; a label that the alert does not have is a fault of the annotation. */
function filled(text: string, labels: Readonly<Record<string, string>>, value: string): string {
  return text.replace(/\{\{ \$(?:labels\.(\w+)|value) \}\}/g, (_, label: string | undefined) => {
    const known = label === undefined ? value : labels[label];
    if (known === undefined) {
      throw new Error(`the alert has no label ${label}: ${text}`);
    }
    return known;
  });
}
