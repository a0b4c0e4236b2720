/**
 * What a cluster's agents ask of the API server over simulated days, when all is well and after faults.
 * `npm run bench -- fleet [--agents N] [--json FILE] [--plot FILE]`; the figures of docs/scale.md are from it.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { plot } from './plot.ts';
import { type Outcome, refreshAfter, type Scenario, simulate } from './simulation.ts';

const minutes = 60_000;
const hours = 60 * minutes;
const podsPerAgent = 20;
/** Peaks are taken over this many minutes: with long lifetimes a single minute has few requests, and chance decides. */
const windowMinutes = 5;

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: { agents: { type: 'string', default: '5000' }, json: { type: 'string' }, plot: { type: 'string' } },
});
const agents = Number(values.agents);
if (!Number.isInteger(agents) || agents < 1) {
  throw new Error(`--agents wants a whole number from 1, not ${values.agents}`);
}

interface Row {
  readonly lifetime: string;
  readonly scenario: string;
  /** Requests in a minute: as all certificates need it, and in the busiest minutes. */
  readonly mean: number;
  readonly peak: number;
  readonly ratio: number;
  readonly issued: number;
  readonly expired: number;
  readonly requests: readonly number[];
}

/** @param lifetimeHours of the certificates @param days how long it is looked at */
function scenarios(lifetimeHours: number, days: number): readonly Scenario[] {
  const lifetimeMs = lifetimeHours * hours;
  const durationMs = days * 24 * hours;
  const at = Math.floor(durationMs / 5);
  const all = { agents, podsPerAgent, lifetimeMs, durationMs, seed: 7 };
  const short = Math.min(hours, lifetimeMs / 6);
  const long = lifetimeMs / 4;
  const span = (ms: number): string => (ms < hours ? `${ms / minutes} min` : `${ms / hours} h`);
  return [
    { ...all, name: 'nothing happens' },
    { ...all, name: 'all agents restart', restartAt: at },
    ...[short, long].flatMap((length) => [
      {
        ...all,
        name: `API server away ${span(length)}`,
        fault: { kind: 'apiServerAway', from: at, until: at + length },
      } as const,
      {
        ...all,
        name: `signer silent ${span(length)}`,
        fault: { kind: 'signerSilent', from: at, until: at + length },
      } as const,
      {
        ...all,
        name: `signer fails ${span(length)}`,
        fault: { kind: 'signerFails', from: at, until: at + length },
      } as const,
    ]),
    { ...all, name: 'another CA, no overlap', authorityChangedAt: at },
  ];
}

function rowOf(scenario: Scenario, { requests, issued, expired }: Outcome): Row {
  const mean = (agents * podsPerAgent * minutes) / (scenario.lifetimeMs * refreshAfter);
  const windows = requests
    .slice(windowMinutes - 1)
    .map((_, end) => sum(requests.slice(end, end + windowMinutes)) / windowMinutes);
  const peak = Math.max(...windows);
  const lifetime = `${scenario.lifetimeMs / hours} h`;
  return { lifetime, scenario: scenario.name, mean, peak, ratio: peak / mean, issued, expired, requests };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

const header = ['lifetime', 'what happens', 'mean/min', 'peak/min', 'peak/mean', 'issued', 'expired'];
const widths = [9, 26, 10, 10, 10, 10, 8];
const line = (cells: readonly string[]): string =>
  cells
    .map((cell, index) => (index < 2 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
    .join('');

process.stdout.write(
  `${agents} agents with ${podsPerAgent} certificates each; requests that reach the API server\n\n${line(header)}\n`,
);
const rows: Row[] = [];
for (const scenario of [...scenarios(1, 0.25), ...scenarios(24, 2.5), ...scenarios(168, 10)]) {
  const row = rowOf(scenario, simulate(scenario));
  rows.push(row);
  const figures = [
    row.mean.toFixed(1),
    row.peak.toFixed(1),
    row.ratio.toFixed(1),
    String(row.issued),
    String(row.expired),
  ];
  process.stdout.write(`${line([row.lifetime, row.scenario, ...figures])}\n`);
}
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ agents, podsPerAgent, windowMinutes, rows })}\n`);
}
if (values.plot !== undefined) {
  writeFileSync(values.plot, plot(rows.filter(({ lifetime }) => lifetime === '24 h')));
}
