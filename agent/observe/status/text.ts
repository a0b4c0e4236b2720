/**
 * The status as text for a terminal: the agent, what is not ready, and a table with one line for each credential. Also
 * what `pod-certificate-agent status` prints.
 */

import { fromNow } from '../../time/span-text.ts';
import type { StatusDocument, VolumeEntry } from './document.ts';

const header = ['NAMESPACE', 'POD', 'VOLUME', 'SIGNER', 'KEY TYPE', 'STATE', 'EXPIRES', 'NEXT', 'SERIAL', 'LAST ERROR'];

/** @returns lines, each with its line break */
export function statusText(document: StatusDocument): string {
  const now = Date.parse(document.now);
  const states = Object.entries(document.states).map(([state, count]) => `${state} ${count}`);
  const failing = document.checks.filter(({ ok }) => !ok);
  const rows = document.volumes.flatMap((volume) => rowsOf(volume, now));
  return [
    `pod-certificate-agent ${document.version}, node ${document.node}, driver ${document.driver}`,
    `started ${fromNow(Date.parse(document.startedAt), now)}, told at ${document.now}`,
    document.ready ? 'ready' : 'not ready',
    ...failing.map(({ name, message }) => `  ${name}: ${message ?? 'no reason given'}`),
    `${document.volumes.length} volumes; credentials: ${states.join(', ')}`,
    ...(rows.length === 0 ? [] : ['', ...aligned([header, ...rows])]),
    '',
  ].join('\n');
}

function rowsOf(volume: VolumeEntry, now: number): readonly (readonly string[])[] {
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

/** Columns as wide as their widest cell; no blanks at the ends of lines. */
function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = header.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
