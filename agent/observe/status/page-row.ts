/**
 * One line of the status page: a credential with its volume, with a bar from notBefore to notAfter on which the refresh and
 * now are marked. What is wrong with it stands below, as wide as the table.
 */
import { fromNow } from '../../time/span-text.ts';
import { withoutMilliseconds } from '../../time/time-text.ts';
import type { CredentialEntry, VolumeEntry } from './document.ts';
import { type Html, html } from './html.ts';
import { type Row, stateOf } from './selection.ts';
import { lineStates } from './state-words.ts';

const columnCount = 7;

/** @param now milliseconds since the epoch */
export function tableRow(row: Row, now: number): Html {
  const { volume, credential } = row;
  const { words, weight } = lineStates[stateOf(row)];
  const trouble = troubleOf(volume, credential);
  return html`<tr${trouble === undefined ? undefined : html` class="troubled"`}>
<td class="name">${volume.pod}<br><span class="soft">${volume.namespace}</span></td>
<td class="name">${volume.volume}${credential === undefined ? undefined : html`<span class="soft">[${credential.source}]</span>`}${fileList(volume, credential)}</td>
<td class="name">${signerOf(volume, credential)}</td>
<td class="tight">${credential?.keyType}${serialLine(credential)}</td>
<td class="state"><span class="${weight}">${words}</span></td>
<td class="tight">${validity(credential, now)}</td>
<td class="tight">${nextStep(credential, now)}</td>
</tr>
${
  trouble === undefined
    ? undefined
    : html`<tr class="trouble"><td colspan="${columnCount}"><span class="${weight}">${trouble}</span></td></tr>
`
}`;
}

/** What keeps the line from being well: its credential's last error, else what its volume waits for, else what its program serves. */
function troubleOf(volume: VolumeEntry, credential: CredentialEntry | undefined): string | undefined {
  return credential?.lastError ?? volume.message ?? volume.served?.message;
}

function signerOf(volume: VolumeEntry, credential: CredentialEntry | undefined): string | undefined {
  return credential?.signerName ?? volume.trustAnchors[0]?.of;
}

/** All files of the volume that this line speaks of; more than one fold into the first. */
function fileList(volume: VolumeEntry, credential: CredentialEntry | undefined): Html {
  const own = (credential?.files ?? []).map((file) => html`<code>${file}</code>`);
  const signer = signerOf(volume, credential);
  const anchors = volume.trustAnchors.map(({ of, file, trustDomains, expired = 0 }) => {
    const apart = trustDomains === undefined ? '' : `, ${trustDomains.length} trust domains`;
    const about = `${of === signer ? '' : ` of ${of}`}${apart}${expired === 0 ? '' : `, ${expired} expired`}`;
    return html`<code>${file}</code> <span class="soft">anchors${about}</span>`;
  });
  const [first, ...more] = [...own, ...anchors];
  if (first === undefined || more.length === 0) {
    return html`<br>${first}`;
  }
  const id = `files-${volume.podUID}-${volume.volume}-${credential?.source ?? ''}`;
  return html`
<details id="${id}"><summary id="${id}-fold">${first} <span class="soft">+${more.length}</span></summary>
${more.map((file, index) => (index === 0 ? file : html`<br>${file}`))}</details>`;
}

function serialLine(credential: CredentialEntry | undefined): Html | undefined {
  const serial = credential?.serial;
  if (serial === undefined) {
    return undefined;
  }
  const shown = serial.length <= 16 ? serial : `${serial.slice(0, 8)}…${serial.slice(-6)}`;
  return html`<br><code class="soft" title="serial number ${serial}">${shown}</code>`;
}

function nextStep(credential: CredentialEntry | undefined, now: number): Html | undefined {
  const time = credential?.nextAttemptAt ?? credential?.refreshAt;
  if (credential === undefined || time === undefined) {
    return undefined;
  }
  const at = Date.parse(time);
  const text = fromNow(at, now);
  return html`${nextWord(credential, at < now)}<br><span class="soft" title="${withoutMilliseconds(time)}">${text}</span>`;
}

function nextWord({ state, nextAttemptAt }: CredentialEntry, isPast: boolean): string {
  if (nextAttemptAt !== undefined) {
    return state === 'ended' ? 'look for pod' : 'attempt';
  }
  return isPast ? 'refresh was due' : 'refresh';
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
  const [from, to] = [withoutMilliseconds(notBefore), withoutMilliseconds(notAfter)];
  const refresh = refreshAt === undefined ? 'an unknown time' : withoutMilliseconds(refreshAt);
  const label = `from ${from} to ${to}, refresh at ${refresh}`;
  return html`<svg viewBox="0 0 ${barWidth} 14" role="img" class="${now >= end ? 'gone' : ''}" aria-label="${label}">
<title>${label}</title>
<rect class="left" y="3" width="${barWidth}" height="8"></rect>
<rect class="spent" y="3" width="${spent}" height="8"></rect>
${due === undefined ? undefined : html`<rect class="due" x="${Math.min(due, barWidth - 2)}" width="2" height="14"></rect>`}
<rect class="now" x="${Math.min(spent, barWidth - 2)}" width="2" height="14"></rect>
</svg><span class="soft" title="${to}">${now >= end ? 'expired' : 'expires'} ${fromNow(end, now)}</span>`;
}
