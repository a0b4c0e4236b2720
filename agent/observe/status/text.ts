/**
 * The status as text for a terminal: the agent, what is not ready, and a table with one line for each credential, what is wrong
 * with it below. It fits 100 columns; `wide` leaves nothing out. Also what `pod-certificate-agent status` prints.
 */

import { fromNow } from '../../time/span-text.ts';
import { withoutMilliseconds } from '../../time/time-text.ts';
import type { StatusDocument } from './document.ts';
import { type Row, rowsOf, type Selection, selectRows, stateOf } from './selection.ts';
import { lineStateNames, lineStates } from './state-words.ts';

const width = 100;
const gap = 2;
const header = ['POD', 'VOLUME', 'SIGNER', 'STATE', 'EXPIRES', 'NEXT'];
const wideHeader = [...header, 'KEY TYPE', 'SERIAL'];
/** Columns that are cut where the table is too wide: names. Nothing narrower than this. */
const cutColumns = [0, 1, 2];
const narrowest = 8;

/** @returns lines, each with its line break */
export function statusText(document: StatusDocument, selection: Selection, wide: boolean): string {
  const now = Date.parse(document.now);
  const failing = document.checks.filter(({ ok }) => !ok);
  const all = rowsOf(document);
  const rows = selectRows(document, selection);
  const counts = lineStateNames.flatMap((state) => {
    const count = all.filter((row) => stateOf(row) === state).length;
    return count === 0 ? [] : [`${count} ${lineStates[state].words}`];
  });
  const volumes = `${document.volumes.length} volume${document.volumes.length === 1 ? '' : 's'}`;
  return [
    `pod-certificate-agent ${document.version}, node ${document.node}, driver ${document.driver}`,
    `started ${fromNow(Date.parse(document.startedAt), now)}, told at ${withoutMilliseconds(document.now)}`,
    document.ready ? 'ready' : 'not ready',
    ...failing.flatMap(({ name, message }) => wrapped(`${name}: ${message ?? 'no reason given'}`, 2)),
    ...wrapped([volumes, counts.join(', ')].filter((part) => part !== '').join(': '), 0),
    ...(rows.length === all.length ? [] : [`${rows.length} of ${all.length} lines`]),
    ...(rows.length === 0 ? [] : ['', ...table(rows, now, wide)]),
    '',
  ].join('\n');
}

function table(rows: readonly Row[], now: number, wide: boolean): readonly string[] {
  const head = wide ? wideHeader : header;
  const cells = rows.map((row) => cellsOf(row, now, wide));
  const widths = widthsOf([head, ...cells], wide);
  return [
    aligned(head, widths),
    ...rows.flatMap((row, index) => {
      const trouble = row.credential?.lastError ?? row.volume.message ?? row.volume.served?.message;
      return [
        aligned(cells[index] ?? [], widths),
        ...(trouble === undefined ? [] : wide ? [`    ${trouble}`] : wrapped(trouble, 4)),
      ];
    }),
  ];
}

function cellsOf(row: Row, now: number, wide: boolean): readonly string[] {
  const { volume, credential } = row;
  const after = (time: string | undefined): string => (time === undefined ? '-' : fromNow(Date.parse(time), now));
  return [
    `${volume.namespace}/${volume.pod}`,
    credential === undefined ? volume.volume : `${volume.volume}[${credential.source}]`,
    credential?.signerName ?? volume.trustAnchors[0]?.of ?? '-',
    lineStates[stateOf(row)].words,
    after(credential?.notAfter),
    after(credential?.nextAttemptAt ?? credential?.refreshAt),
    ...(wide ? [credential?.keyType ?? '-', credential?.serial ?? '-'] : []),
  ];
}

/** As wide as the widest cell; where that is too much, the widest names give way first. */
function widthsOf(rows: readonly (readonly string[])[], wide: boolean): readonly number[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const tooMuch = (): number => widths.reduce((sum, each) => sum + each, gap * (widths.length - 1)) - width;
  while (!wide && tooMuch() > 0) {
    const widest = cutColumns.reduce((one, other) => ((widths[other] ?? 0) > (widths[one] ?? 0) ? other : one));
    if ((widths[widest] ?? 0) <= narrowest) {
      break;
    }
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

/** No blanks at the end. */
function aligned(row: readonly string[], widths: readonly number[]): string {
  return row
    .map((cell, column) => shortened(cell, widths[column] ?? 0).padEnd(widths[column] ?? 0))
    .join(' '.repeat(gap))
    .trimEnd();
}

/** Beginning and end of a name tell it from others: what follows the last dash of a pod's is its own. */
function shortened(text: string, length: number): string {
  if (text.length <= length) {
    return text;
  }
  const end = Math.floor((length - 1) / 2);
  return `${text.slice(0, length - 1 - end)}…${text.slice(text.length - end)}`;
}

/** Lines of whole words; a word that is longer than a line is broken. */
function wrapped(text: string, indent: number): readonly string[] {
  const room = width - indent;
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((each) => each.match(new RegExp(`.{1,${room}}`, 'gu')) ?? [])) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => ' '.repeat(indent) + each);
}
