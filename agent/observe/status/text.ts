/**
 * The status as text for a terminal: the agent, what is not ready, and a table with one line for each credential. Also
 * what `pod-certificate-agent status` prints.
 */

import { atOnce, type Steps } from '../../../volumes/base/steps.ts';
import { fromNow } from '../../time/span-text.ts';
import type { StatusDocument, VolumeEntry } from './document.ts';

type Cells = readonly string[];

const header: Cells = [
  'NAMESPACE',
  'POD',
  'VOLUME',
  'SIGNER',
  'KEY TYPE',
  'STATE',
  'EXPIRES',
  'NEXT',
  'SERIAL',
  'LAST ERROR',
];

/** @returns lines, each with its line break */
export function statusText(document: StatusDocument): string {
  return atOnce(statusTextInSteps(document));
}

/** The same in steps, a volume in each. */
export function* statusTextInSteps(document: StatusDocument): Steps<string> {
  const now = Date.parse(document.now);
  const states = Object.entries(document.states).map(([state, count]) => `${state} ${count}`);
  const failing = document.checks.filter(({ ok }) => !ok);
  const rows: Cells[] = [];
  for (const volume of document.volumes) {
    rows.push(...rowsOf(volume, now));
    yield;
  }
  const table = rows.length === 0 ? [] : ['', ...(yield* aligned([header, ...rows]))];
  return [
    `pod-certificate-agent ${document.version}, node ${document.node}, driver ${document.driver}`,
    `started ${fromNow(Date.parse(document.startedAt), now)}, told at ${document.now}`,
    document.ready ? 'ready' : 'not ready',
    ...failing.map(({ name, message }) => `  ${name}: ${message ?? 'no reason given'}`),
    `${document.volumes.length} volumes; credentials: ${states.join(', ')}`,
    ...table,
    '',
  ].join('\n');
}

function rowsOf(volume: VolumeEntry, now: number): readonly Cells[] {
  const { namespace, pod, message = '' } = volume;
  const after = (time: string | undefined): string => (time === undefined ? '-' : fromNow(Date.parse(time), now));
  const rows = volume.credentials.map((credential) => [
    namespace,
    pod,
    `${volume.volume}[${credential.source}]`,
    credential.signerName,
    credential.keyType,
    credential.state,
    after(credential.notAfter),
    after(credential.nextAttemptAt ?? credential.refreshAt),
    credential.serial ?? '-',
    credential.lastError ?? message,
  ]);
  if (rows.length > 0) {
    return rows;
  }
  // A volume of trust anchors alone has no credential to speak of.
  const [anchors] = volume.trustAnchors;
  return [[namespace, pod, volume.volume, anchors?.of ?? '-', '-', volume.status, '-', '-', '-', message]];
}

/** Rows that are laid out in one step. */
const rowsPerStep = 64;

/** Columns as wide as their widest cell; no blanks at the ends of lines. */
function* aligned(rows: readonly Cells[]): Steps<readonly string[]> {
  const widths = header.map(() => 0);
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
  }
  const lines: string[] = [];
  for (const row of rows) {
    const cells = row.map((cell, column) => cell.padEnd(widths[column] ?? 0));
    lines.push(cells.join('  ').trimEnd());
    if (lines.length % rowsPerStep === 0) {
      yield;
    }
  }
  return lines;
}
