/**
 * The status page in a browser, with 9 volumes in every state and with 300. SCREENSHOTS=DIR keeps pictures of it, in light and
 * dark and in the widths of a phone, a tablet and a desk.
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

const longError =
  'signer example.com/mesh: the request was denied: Policy: workloads of namespace shop may ask for names below ' +
  'shop.svc.example.com only, and this request asks for admin.example.com; ask the platform team (https://wiki.example.com/mtls)';

/** One volume in each state that there is, with long names among them. */
function mixedVolumes(): VolumeSnapshot[] {
  const [expired = {}, denied = {}, failed = {}, overdue = {}, silent = {}] = troubles;
  const mismatch = 'the chain does not lead to any of the 2 trust anchors of signer example.com/mesh in the volume';
  return [
    podWith('payments-api-7d9c6f5b8-x2x9p', { ...expired, lastError: longError }),
    podWith('web-1', { ...denied, lastError: longError }),
    podWith('web-2', failed),
    podWith('web-3', { ...overdue, lastError: 'the API server does not answer: connect ECONNREFUSED 10.96.0.1:443' }),
    podWith('web-4', silent),
    podWith('web-5', { ...fresh, lastError: mismatch, trustMismatchSince: now - hours }),
    podWith('batch-29384756-zzzzz', { ...fresh, state: 'ended', nextAttemptAt: now + 300_000 }),
    podWith('web-6', fresh),
    anchorsOnly,
  ];
}

async function open(t: TestContext, volumes = manyVolumes()) {
  const browser = await startChromium();
  if (browser === undefined) {
    return t.skip('there is no chromium on this machine');
  }
  t.after(() => browser.close());
  const metrics = createMetrics({ version: '1' });
  const health = { live: () => [], ready: () => [{ name: 'node', ok: true }] };
  const routes = createRoutes({ metrics, health, status: statusSources(volumes), flags: () => [] });
  const { log } = createLogProbe();
  const server = await createObserveServer({ address: { host: '127.0.0.1', port: 0 }, routes, log });
  t.after(() => server.close());
  return { browser, volumes, url: `http://127.0.0.1:${server.address.port}/statusz` };
}

const lines = `document.querySelectorAll('tbody tr:not(.trouble)')`;
const firstPods = `[...${lines}].slice(0, 3).map((row) => row.cells[0].firstChild.data)`;
const lineCount = `${lines}.length`;
const schemes = ['light', 'dark'] as const;
/** A phone, a tablet held upright, a desk. */
const sizes = [
  [390, 844],
  [820, 1180],
  [1440, 900],
] as const;

async function keepPicture(page: Page, name: string): Promise<void> {
  const directory = process.env['SCREENSHOTS'];
  if (directory !== undefined) {
    writeFileSync(join(directory, `status-${name}.png`), await page.screenshot());
  }
}

/** Texts that are too faint on what lies behind them, by the formula of WCAG 2.2 (success criterion 1.4.3). */
const faintTexts = `(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return light(colour);
    }
    return 1;
  };
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.getClientRects().length > 0 && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''))
    .map((element) => {
      const [one, other] = [light(numbers(getComputedStyle(element).color)), behind(element)];
      const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      return { text: element.textContent.trim().slice(0, 40), ratio };
    })
    .filter(({ ratio }) => !(ratio >= 4.5));
})()`;

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
  for (const scheme of schemes) {
    await page.setColours(scheme);
    await page.open(opened.url);
    assert.equal(await page.evaluate(lineCount), 300);
    assert.equal(await page.evaluate(`document.getElementById('notice').textContent`), 'live');
    assert.deepEqual(await page.evaluate(firstPods), ['web-000', 'web-001', 'web-002']);
    const ground = await page.evaluate<string>(`getComputedStyle(document.body).backgroundColor`);
    assert.equal(ground, scheme === 'light' ? 'rgb(251, 251, 250)' : 'rgb(20, 23, 27)');
  }
  assert.deepEqual(page.complaints, []);
});

for (const [name, volumes] of [
  ['9', mixedVolumes],
  ['300', manyVolumes],
] as const) {
  test(`the status page of ${name} volumes fits a phone, a tablet and a desk, and every text stands out from its ground`, async (t) => {
    const opened = await open(t, volumes());
    if (opened === undefined) {
      return;
    }
    const page = await opened.browser.newPage();
    for (const [width, height] of sizes) {
      for (const scheme of schemes) {
        await page.setSize(width, height);
        await page.setColours(scheme);
        await page.open(opened.url);
        const overflow = await page.evaluate(`document.documentElement.scrollWidth - innerWidth`);
        assert.ok(Number(overflow) <= 0, `the page is ${overflow} pixels too wide for ${width}`);
        if (name === '9') {
          assert.deepEqual(await page.evaluate(faintTexts), [], `${width} ${scheme}`);
        }
        await keepPicture(page, `${name}-${width}-${scheme}`);
      }
    }
  });
}

test('a line of the status page is two lines of text high on a desk, an error below it as wide as the table, and the head stays in sight', async (t) => {
  const opened = await open(t);
  if (opened === undefined) {
    return;
  }
  const page = await opened.browser.newPage();
  for (const [width, height] of sizes) {
    await page.setSize(width, height);
    await page.open(opened.url);
    const heights = await page.evaluate<number[]>(`[...${lines}].map((line) => line.offsetHeight)`);
    const limit = width === 390 ? 160 : width === 820 ? 80 : 52;
    assert.ok(Math.max(...heights) <= limit, `a line is ${Math.max(...heights)} pixels high in a window of ${width}`);
    const error = await page.evaluate<number>(
      `document.querySelector('tr.trouble td').offsetWidth / document.querySelector('table').clientWidth`,
    );
    assert.ok(error > 0.9, `the error has ${error} of the table's width in a window of ${width}`);
    await page.evaluate(`scrollTo(0, 4000)`);
    const top = await page.evaluate<number>(`document.getElementById('sort-state').getBoundingClientRect().top`);
    assert.ok(top >= 0 && top < 80, `the head of the table is at ${top} in a window of ${width}`);
    await keepPicture(page, `scrolled-${width}`);
  }
});

test('the counters of the status page filter by click and by key, and the one that is chosen lets go again', async (t) => {
  const opened = await open(t);
  if (opened === undefined) {
    return;
  }
  const page = await opened.browser.newPage();
  await page.open(opened.url);
  await page.evaluate(`document.getElementById('count-denied').click()`);
  assert.ok(
    await becomes(page, `${lineCount} === 1 && ${firstPods}[0] === 'web-001'`),
    'not only what is denied stays',
  );
  assert.equal(await page.evaluate(`document.querySelector('select').value`), 'denied');
  assert.match(await page.evaluate('location.search'), /state=denied/);
  assert.equal(await page.evaluate(`document.querySelector('[aria-current]').id`), 'count-denied');
  await page.evaluate(`document.querySelector('select').focus()`);
  const focused = `document.activeElement.id`;
  for (let presses = 0; (await page.evaluate(focused)) !== 'count-denied'; presses += 1) {
    assert.ok(presses < 10, 'the counter is not reached with the key Tab');
    await page.press('Tab');
  }
  assert.equal(await page.evaluate(`getComputedStyle(document.activeElement).outlineStyle`), 'solid');
  await page.press('Enter');
  assert.ok(await becomes(page, `${lineCount} === 300 && ${focused} === 'count-denied'`), 'not all lines come back');
  assert.deepEqual(page.complaints, []);
});

test('what is folded open on the status page stays open when the page is updated', async (t) => {
  const opened = await open(t, mixedVolumes());
  if (opened === undefined) {
    return;
  }
  const page = await opened.browser.newPage();
  await page.open(opened.url);
  await page.evaluate(`document.querySelector('summary').click()`);
  opened.volumes.push(podWith('a-new-pod', fresh));
  await page.evaluate(`document.querySelector('form').requestSubmit()`);
  assert.ok(await becomes(page, `${lineCount} === 10 && document.querySelector('details').open`), 'it is folded again');
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
  assert.equal(html.match(/<tr(?: class="troubled")?>/g)?.length, 1 + 10);
  assert.match(html, /<button name="apply">Show<\/button>/);
  assert.match(html, /as of when it was loaded/);
  assert.match(html, /href="\?filter=web-00&amp;state=&amp;sort=signer/);
  assert.match(html, /href="\?filter=web-00&amp;state=denied&amp;sort=pod/);
});
