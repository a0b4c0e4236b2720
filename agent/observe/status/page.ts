/**
 * The status as a page for a person: one line for each credential, with a bar from notBefore to notAfter on which the
 * refresh and now are marked. Everything stands in the one document; without scripts only live update is missing.
 *
 * https://www.w3.org/TR/CSP3/
 */

import { createHash } from 'node:crypto';
import { cut } from '../../base/cut.ts';
import { fromNow } from '../../time/span-text.ts';
import type { CredentialEntry, StatusDocument, TrustAnchorEntry, VolumeEntry } from './document.ts';
import { type Html, html, verbatim } from './html.ts';
import { pageScript } from './page-script.ts';
import { pageStyle } from './page-style.ts';
import { type Row, type Selection, type SortKey, selectRows, stateOf } from './selection.ts';

/** Most lines of one page; a filter finds the others. */
const maxRows = 1_000;
/** Characters of a signer's or server's text that a line shows; `/statusz` as JSON and text has all that the agent keeps. */
const maxShownText = 500;

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

const stateNames = ['not_yet_issued', 'fresh', 'overdue_for_refresh', 'expired', 'denied', 'failed', 'ended'] as const;
const stateClasses: Readonly<Record<string, string>> = {
  fresh: 'good',
  ready: 'good',
  not_yet_issued: 'warn',
  waiting: 'warn',
  ended: 'warn',
  overdue_for_refresh: 'warn',
  refused: 'bad',
  expired: 'bad',
  denied: 'bad',
  failed: 'bad',
};

const columns: readonly (readonly [name: string, sort: SortKey])[] = [
  ['Pod', 'pod'],
  ['Volume and files', 'pod'],
  ['Signer', 'signer'],
  ['Key', 'key'],
  ['State', 'state'],
  ['Validity', 'expiry'],
  ['Next', 'next'],
];

/** @returns a whole HTML document */
export function statusPage(document: StatusDocument, selection: Selection): string {
  const rows = selectRows(document, selection);
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
<p class="soft">${rows.length} of ${totalRows(document)} lines${legend()}</p>
<div class="frame"><table>
<thead><tr>${columns.map((column) => headCell(column, selection))}</tr></thead>
<tbody>${rows.slice(0, maxRows).map((row) => tableRow(row, Date.parse(document.now)))}</tbody>
</table></div>
${rows.length > maxRows ? html`<p>${rows.length - maxRows} more lines: narrow the filter.</p>` : undefined}
</div>
<script>${verbatim(pageScript)}</script>
</body>
</html>
`.html;
}

function totalRows({ volumes }: StatusDocument): number {
  return volumes.reduce((sum, { credentials }) => sum + Math.max(1, credentials.length), 0);
}

function filterForm({ filter, state, sort }: Selection): Html {
  const option = (name: string): Html =>
    state === name ? html`<option selected>${name}</option>` : html`<option>${name}</option>`;
  return html`<form method="get">
<input type="search" name="filter" value="${filter}" placeholder="pod, volume, signer, serial, error" aria-label="Filter">
<select name="state" aria-label="State"><option value="">every state</option>${stateNames.map(option)}</select>
<input type="hidden" name="sort" value="${sort}"><input type="hidden" name="format" value="html">
<button name="apply">Show</button>
<span id="notice" class="soft">as of when it was loaded</span>
</form>`;
}

function summary({ driver, version, startedAt, now, ready, checks, states, volumes }: StatusDocument): Html {
  const at = Date.parse(now);
  const verdict = ready ? html`<span class="good">ready</span>` : html`<span class="bad">not ready</span>`;
  const failing = checks.filter(({ ok }) => !ok);
  const entries = failing.map(
    ({ name, message }) => html`<li class="bad">${name}: ${message ?? 'no reason given'}</li>`,
  );
  return html`<p>${verdict}, ${volumes.length} volumes, ${driver}
<span class="soft">· version ${version}, started ${fromNow(Date.parse(startedAt), at)}, as of ${now}</span></p>
${failing.length === 0 ? undefined : html`<ul class="checks">${entries}</ul>`}
<ul class="states">${stateNames.map((name) => stateTile(name, states[name]))}</ul>`;
}

function stateTile(name: string, count: number): Html {
  return html`<li class="${count === 0 ? 'soft' : (stateClasses[name] ?? '')}"><b>${count}</b>${name}</li>`;
}

function legend(): Html {
  const swatch = (kind: string): Html =>
    html`<svg viewBox="0 0 10 10" aria-hidden="true"><rect class="${kind}" width="10" height="10"></rect></svg>`;
  const entries = (['spent', 'left', 'due', 'now'] as const).map((kind) => html`${swatch(kind)}${legendNames[kind]}`);
  return html` <span class="legend">${entries}</span>`;
}

const legendNames = { spent: 'time spent', left: 'time left', due: 'refresh', now: 'now' } as const;

function headCell([name, key]: (typeof columns)[number], { filter, state, sort }: Selection): Html {
  const query = new URLSearchParams({ filter, state, sort: key, format: 'html' });
  const id = `sort-${name.toLowerCase().replace(/\W+/g, '-')}`;
  const link = html`<a href="?${String(query)}" id="${id}" data-sort="${key}">${name}</a>`;
  // Two columns may sort by the same key; the first of them says so.
  const isSorted = key === sort && columns.find(([, other]) => other === key)?.[0] === name;
  return isSorted ? html`<th scope="col" aria-sort="ascending">${link}</th>` : html`<th scope="col">${link}</th>`;
}

function tableRow(row: Row, now: number): Html {
  const { volume, credential } = row;
  const state = stateOf(row);
  return html`<tr>
<td class="name">${volume.pod}<br><span class="soft">${volume.namespace}</span></td>
<td class="files">${volume.volume}${credential === undefined ? undefined : html`<span class="soft">[${credential.source}]</span>`}
${credential?.files.map((file) => html`<br><code>${file}</code>`)}${volume.trustAnchors.map(anchorLine)}</td>
<td class="name">${credential?.signerName}</td>
<td class="tight">${credential?.keyType}${serialLine(credential)}</td>
<td><span class="${stateClasses[state] ?? ''}">${state}</span>${troubleLines(volume, credential)}</td>
<td class="tight">${validity(credential, now)}</td>
<td class="tight">${nextStep(credential, now)}</td>
</tr>
`;
}

function anchorLine({ of, file, expired, dropsExpired }: TrustAnchorEntry): Html {
  const handling = dropsExpired === true ? 'left out' : 'kept';
  const note = expired === undefined ? '' : `, ${expired} expired (${handling})`;
  return html`<br><code>${file}</code> <span class="soft">anchors of ${of}${note}</span>`;
}

function serialLine(credential: CredentialEntry | undefined): Html | undefined {
  const serial = credential?.serial;
  if (serial === undefined) {
    return undefined;
  }
  const shown = serial.length <= 16 ? serial : `${serial.slice(0, 8)}…${serial.slice(-6)}`;
  return html`<br><code class="soft" title="serial number ${serial}">${shown}</code>`;
}

function troubleLines(volume: VolumeEntry, credential: CredentialEntry | undefined): readonly Html[] {
  const texts = credential?.lastError === undefined ? [volume.message] : [credential.lastError];
  const kind = credential?.trustMismatchSince === undefined ? 'soft' : 'bad';
  return texts.flatMap((text) =>
    text === undefined ? [] : [html`<br><span class="${kind}">${cut(text, maxShownText)}</span>`],
  );
}

function nextStep(credential: CredentialEntry | undefined, now: number): Html | undefined {
  const attempt = credential?.nextAttemptAt;
  const time = attempt ?? credential?.refreshAt;
  if (time === undefined) {
    return undefined;
  }
  const what = attempt === undefined ? 'refresh' : 'attempt';
  return html`${what}<br><span class="soft" title="${time}">${fromNow(Date.parse(time), now)}</span>`;
}

/** The bar's width in its own units. */
const barWidth = 190;

function validity(credential: CredentialEntry | undefined, now: number): Html | undefined {
  const { notBefore, notAfter, refreshAt } = credential ?? {};
  if (notBefore === undefined || notAfter === undefined) {
    return undefined;
  }
  const [begin, end] = [Date.parse(notBefore), Date.parse(notAfter)];
  const place = (time: number): number =>
    Math.round(Math.min(1, Math.max(0, (time - begin) / Math.max(1, end - begin))) * barWidth * 10) / 10;
  const spent = place(now);
  const due = refreshAt === undefined ? undefined : place(Date.parse(refreshAt));
  const label = `from ${notBefore} to ${notAfter}, refresh at ${refreshAt ?? 'an unknown time'}`;
  return html`<svg viewBox="0 0 ${barWidth} 14" role="img" class="${now >= end ? 'gone' : ''}" aria-label="${label}">
<title>${label}</title>
<rect class="left" y="3" width="${barWidth}" height="8"></rect>
<rect class="spent" y="3" width="${spent}" height="8"></rect>
${due === undefined ? undefined : html`<rect class="due" x="${Math.min(due, barWidth - 2)}" width="2" height="14"></rect>`}
<rect class="now" x="${Math.min(spent, barWidth - 2)}" width="2" height="14"></rect>
</svg><span class="soft" title="${notAfter}">${now >= end ? 'expired' : 'expires'} ${fromNow(end, now)}</span>`;
}
