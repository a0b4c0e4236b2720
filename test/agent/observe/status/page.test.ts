/**
 * The status page in a browser, with 300 volumes. SCREENSHOTS=DIR keeps pictures of it, in light and dark.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { CredentialSnapshot } from '../../../../agent/lifecycle/notices.ts';
import type { VolumeSnapshot } from '../../../../agent/lifecycle/volume-status.ts';
import { createObserveServer } from '../../../../agent/observe/endpoint/http.ts';
import { createRoutes } from '../../../../agent/observe/endpoint/routes.ts';
import { createMetrics } from '../../../../agent/observe/metrics/metrics.ts';
import { type Page, startChromium } from '../../../support/chromium.ts';
import { createLogProbe, statusSources } from '../subjects.ts';
import { anchorsOnly, fresh, hours, now, podWith } from './volumes.ts';

/** What is not fresh of 299 volumes with a credential: one in each state but fresh. */
const troubles: readonly Partial<CredentialSnapshot>[] = [
  { ...fresh, state: 'expired', notBefore: now - 25 * hours, notAfter: now - hours, refreshAt: now - 9 * hours },
  {
    state: 'denied',
    lastError: 'the request was denied: Policy: workloads in shop may not ask for this signer; ask the platform team',
    nextAttemptAt: now + 42_000,
  },
  { state: 'failed', lastError: 'the signer failed: Hsm: the HSM is away', nextAttemptAt: now + 171_000 },
  {
    ...fresh,
    state: 'overdue_for_refresh',
    notBefore: now - 23 * hours,
    notAfter: now + hours,
    refreshAt: now - 5 * hours,
  },
  { state: 'not_yet_issued', requestName: 'pc-2' },
];

function manyVolumes(): VolumeSnapshot[] {
  const volumes = Array.from({ length: 299 }, (_, index) => {
    const spent = ((index * 37) % 160) / 10;
    const notBefore = now - spent * hours;
    const times = { notBefore, notAfter: notBefore + 24 * hours, refreshAt: notBefore + 16.3 * hours };
    const serialNumber = (0x4abc_def0_1234 + index * 7_919).toString(16).toUpperCase().padStart(32, '5');
    const keyType = index % 4 === 0 ? 'ED25519' : 'ECDSAP256';
    return podWith(`web-${String(index).padStart(3, '0')}`, {
      ...(troubles[index] ?? { ...fresh, ...times, serialNumber }),
      keyType,
    });
  });
  return [...volumes, anchorsOnly];
}

async function open(t: TestContext) {
  const browser = await startChromium();
  if (browser === undefined) {
    return t.skip('there is no chromium on this machine');
  }
  t.after(() => browser.close());
  const metrics = createMetrics({ version: '1' });
  const volumes = manyVolumes();
  const health = { live: () => [], ready: () => [{ name: 'node', ok: true }] };
  const routes = createRoutes({ metrics, health, status: statusSources(volumes), flags: () => [] });
  const { log } = createLogProbe();
  const server = await createObserveServer({ address: { host: '127.0.0.1', port: 0 }, routes, log });
  t.after(() => server.close());
  return { browser, volumes, url: `http://127.0.0.1:${server.address.port}/statusz` };
}

const firstPods = `[...document.querySelectorAll('tbody tr')].slice(0, 3).map((row) => row.cells[0].firstChild.data)`;
const lineCount = `document.querySelectorAll('tbody tr').length`;

/** Resolves when the expression is true, after the page has changed. */
function becomes(page: Page, expression: string): Promise<boolean> {
  return page.evaluate(`new Promise((resolve) => {
    const look = () => (${expression}) && (observer.disconnect(), resolve(true));
    const observer = new MutationObserver(look);
    observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
    look();
  })`);
}

test('the status page shows 300 volumes in a browser, in light and dark, and its policy stops nothing of its own', async (t) => {
  const opened = await open(t);
  if (opened === undefined) {
    return;
  }
  const page = await opened.browser.newPage();
  for (const scheme of ['light', 'dark'] as const) {
    await page.setColours(scheme);
    await page.open(opened.url);
    assert.equal(await page.evaluate(lineCount), 300);
    assert.equal(await page.evaluate(`document.getElementById('notice').textContent`), 'live');
    assert.deepEqual(await page.evaluate(firstPods), ['web-000', 'web-001', 'web-002']);
    const ground = await page.evaluate<string>(`getComputedStyle(document.body).backgroundColor`);
    assert.equal(ground, scheme === 'light' ? 'rgb(251, 251, 250)' : 'rgb(20, 23, 27)');
    const overflow = await page.evaluate(`document.documentElement.scrollWidth - innerWidth`);
    assert.ok(Number(overflow) <= 0, `the page is ${overflow} pixels too wide`);
    const directory = process.env['SCREENSHOTS'];
    if (directory !== undefined) {
      writeFileSync(join(directory, `status-${scheme}.png`), await page.screenshot());
    }
  }
  assert.deepEqual(page.complaints, []);
});

test('the status page filters while one types, sorts by a click, and follows what happens', async (t) => {
  const opened = await open(t);
  if (opened === undefined) {
    return;
  }
  const page = await opened.browser.newPage();
  await page.open(opened.url);
  await page.evaluate(`document.querySelector('[type=search]').value = 'denied';
    document.querySelector('[type=search]').dispatchEvent(new Event('input', { bubbles: true }))`);
  assert.ok(await becomes(page, `${lineCount} === 1`), 'the filter does not leave one line');
  assert.match(await page.evaluate('location.search'), /filter=denied/);
  await page.evaluate(`document.querySelector('[type=search]').value = '';
    document.getElementById('sort-pod').click()`);
  assert.ok(
    await becomes(page, `${lineCount} === 300 && ${firstPods}[0] === 'client'`),
    'the page does not go back to all 300 lines',
  );
  opened.volumes.push(podWith('a-new-pod', fresh));
  assert.ok(
    await becomes(page, `${lineCount} === 301 && ${firstPods}[0] === 'a-new-pod'`),
    'the new pod does not come first',
  );
  assert.deepEqual(page.complaints, []);
});

test('without scripts the status page filters and sorts all the same, by its form and its links', async (t) => {
  const opened = await open(t);
  if (opened === undefined) {
    return;
  }
  const page = await opened.browser.newPage();
  await page.setScripts(false);
  await page.open(`${opened.url}?filter=web-00&sort=pod`);
  const html = await page.evaluate<string>('document.documentElement.outerHTML');
  assert.equal(html.match(/<tr>/g)?.length, 1 + 10);
  assert.match(html, /<button name="apply">Show<\/button>/);
  assert.match(html, /as of when it was loaded/);
  assert.match(html, /href="\?filter=web-00&amp;state=&amp;sort=signer/);
});
