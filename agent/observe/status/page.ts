/**
 * The status as a page for a person: counters that filter, and one line for each credential. Everything stands in the one
 * document; without scripts only live update is missing.
 *
 * https://www.w3.org/TR/CSP3/
 */

import { createHash } from 'node:crypto';
import { fromNow } from '../../time/span-text.ts';
import { withoutMilliseconds } from '../../time/time-text.ts';
import type { StatusDocument } from './document.ts';
import { type Html, html, verbatim } from './html.ts';
import { tableRow } from './page-row.ts';
import { pageScript } from './page-script.ts';
import { pageStyle } from './page-style.ts';
import { rowsOf, type Selection, type SortKey, selectRows, stateOf } from './selection.ts';
import { type LineState, lineStateNames, lineStates } from './state-words.ts';

/** Most lines of one page; a filter finds the others. */
const maxRows = 1_000;

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Nothing but the page's own style and script, and the page itself again. */
export const pagePolicy = [
  "default-src 'none'",
  `script-src ${hashOf(pageScript)}`,
  `style-src ${hashOf(pageStyle)}`,
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const columns: readonly (readonly [name: string, sort: SortKey])[] = [
  ['Pod', 'pod'],
  ['Volume and files', 'pod'],
  ['Signer', 'signer'],
  ['Key', 'key'],
  ['State', 'state'],
  ['Validity', 'expiry'],
  ['Next', 'next'],
];

/** What is counted even where it is nothing: the states of a credential on a node that is well, and those to be afraid of. */
const standing: ReadonlySet<LineState> = new Set([
  'expired',
  'denied',
  'failed',
  'overdue_for_refresh',
  'not_yet_issued',
  'fresh',
]);

/** @returns a whole HTML document */
export function statusPage(document: StatusDocument, selection: Selection): string {
  const rows = selectRows(document, selection);
  const all = rowsOf(document);
  const counts = new Map<LineState, number>();
  for (const row of all) {
    counts.set(stateOf(row), (counts.get(stateOf(row)) ?? 0) + 1);
  }
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${document.node}: pod certificates</title>
<style>${verbatim(pageStyle)}</style>
</head>
<body>
<h1>Pod certificates on ${document.node}</h1>
${filterForm(selection)}
<div id="live">
${summary(document)}
<ul class="states">${lineStateNames.map((state) => counter(state, counts.get(state) ?? 0, selection))}</ul>
<p class="soft">${rows.length} of ${all.length} lines${legend()}</p>
<table>
<thead><tr>${columns.map((column) => headCell(column, selection))}</tr></thead>
<tbody>${rows.slice(0, maxRows).map((row) => tableRow(row, Date.parse(document.now)))}</tbody>
</table>
${remark(rows.length, all.length, document.driver)}
</div>
<script>${verbatim(pageScript)}</script>
</body>
</html>
`.html;
}

/** What the table does not show. */
function remark(shown: number, all: number, driver: string): Html | undefined {
  if (all === 0) {
    return html`<p>No pod on this node has a volume of ${driver}.</p>`;
  }
  if (shown === 0) {
    return html`<p>No line matches. <a href="?format=html">Show every line</a></p>`;
  }
  return shown > maxRows ? html`<p>${shown - maxRows} more lines: narrow the filter.</p>` : undefined;
}

function filterForm({ filter, state, sort }: Selection): Html {
  const option = (name: LineState): Html => {
    const { words } = lineStates[name];
    return state === name
      ? html`<option value="${name}" selected>${words}</option>`
      : html`<option value="${name}">${words}</option>`;
  };
  return html`<form method="get">
<input type="search" name="filter" value="${filter}" placeholder="pod, volume, signer, serial, error" aria-label="Filter">
<select name="state" aria-label="State"><option value="">every state</option>${lineStateNames.map(option)}</select>
<input type="hidden" name="sort" value="${sort}"><input type="hidden" name="format" value="html">
<button name="apply">Show</button>
<span id="notice" class="soft" role="status">as of when it was loaded</span>
</form>`;
}

function summary({ driver, version, startedAt, now, ready, checks, volumes }: StatusDocument): Html {
  const at = Date.parse(now);
  const verdict = ready ? html`<span class="good">ready</span>` : html`<span class="bad">not ready</span>`;
  const failing = checks.filter(({ ok }) => !ok);
  const entries = failing.map(
    ({ name, message }) => html`<li class="bad">${name}: ${message ?? 'no reason given'}</li>`,
  );
  return html`<p>${verdict}, ${volumes.length} ${volumes.length === 1 ? 'volume' : 'volumes'}, ${driver}
<span class="soft">· version ${version}, started ${fromNow(Date.parse(startedAt), at)}, <span class="now-text">as of ${withoutMilliseconds(now)}</span></span></p>
${failing.length === 0 ? undefined : html`<ul class="checks">${entries}</ul>`}`;
}

/** A link to the lines in this state; the one that is chosen leads back to all of them. */
function counter(state: LineState, count: number, { filter, state: chosen, sort }: Selection): Html {
  const isChosen = state === chosen;
  if (count === 0 && !isChosen && !standing.has(state)) {
    return html``;
  }
  const next = isChosen ? '' : state;
  const query = new URLSearchParams({ filter, state: next, sort, format: 'html' });
  const { words, weight } = lineStates[state];
  const current = isChosen ? html` aria-current="true"` : undefined;
  return html`<li><a href="?${String(query)}" id="count-${state}" data-field="state" data-value="${next}" class="${count === 0 ? 'soft' : weight}"${current}><b>${count}</b>${words}</a></li>`;
}

function legend(): Html {
  const swatch = (kind: string): Html =>
    html`<svg viewBox="0 0 10 10" aria-hidden="true"><rect class="${kind}" width="10" height="10"></rect></svg>`;
  const entries = (['spent', 'left', 'due', 'now'] as const).map(
    (kind) => html`<span>${swatch(kind)}${legendNames[kind]}</span> `,
  );
  return html` <span class="legend">${entries}</span>`;
}

const legendNames = { spent: 'time spent', left: 'time left', due: 'refresh', now: 'now' } as const;

function headCell([name, key]: (typeof columns)[number], { filter, state, sort }: Selection): Html {
  const query = new URLSearchParams({ filter, state, sort: key, format: 'html' });
  const id = `sort-${name.toLowerCase().replace(/\W+/g, '-')}`;
  const link = html`<a href="?${String(query)}" id="${id}" data-field="sort" data-value="${key}">${name}</a>`;
  // Two columns may sort by the same key; the first of them says so.
  const isSorted = key === sort && columns.find(([, other]) => other === key)?.[0] === name;
  return isSorted ? html`<th scope="col" aria-sort="ascending">${link}</th>` : html`<th scope="col">${link}</th>`;
}
