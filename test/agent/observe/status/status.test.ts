import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { VolumeSnapshot } from '../../../../agent/lifecycle/volume-status.ts';
import type { HealthCheck } from '../../../../agent/observe/health.ts';
import { pagePolicy } from '../../../../agent/observe/status/page.ts';
import { statusReplyInSteps } from '../../../../agent/observe/status/status.ts';
import { fromNow, spanText } from '../../../../agent/time/span-text.ts';
import { atOnce } from '../../../../volumes/base/steps.ts';
import { statusSources } from '../subjects.ts';
import { anchorsOnly, fresh, hours, now, podWith } from './volumes.ts';

const unwell: readonly HealthCheck[] = [
  { name: 'node', ok: true, message: 'not shown' },
  { name: 'certificate-api', ok: false, message: 'not served\nhere' },
];

function ask(volumes: readonly VolumeSnapshot[], query: string, accept = '', checks: readonly HealthCheck[] = []) {
  const sources = { ...statusSources(volumes), ready: () => checks };
  return atOnce(statusReplyInSteps(sources, new URLSearchParams(query), accept));
}

/** The pods of the page's lines, in their order. */
function podsOn(body: string): readonly string[] {
  return [...body.matchAll(/<tr(?: class="troubled")?>\n<td class="name">([^<]*)<br>/g)].map(([, pod = '']) => pod);
}

const refused = podWith(
  'web-2',
  { state: 'denied', lastError: 'the request was denied: Policy: not\nyou', nextAttemptAt: now + 90_000 },
  'sources[0]: denied',
);
const expired = podWith('web-3', { ...fresh, state: 'expired', notAfter: now - hours, refreshAt: now - 2 * hours });
const all = [podWith('web-1', fresh), refused, expired, anchorsOnly];

describe('the status', () => {
  test('comes in the form that is asked for, or that the Accept header prefers', () => {
    const typeOf = (query: string, accept?: string): string => ask([], query, accept).contentType.split(';')[0] ?? '';
    assert.equal(typeOf('', 'text/html,application/xhtml+xml,*/*;q=0.8'), 'text/html');
    assert.equal(typeOf('', 'application/json'), 'application/json');
    assert.equal(typeOf('', '*/*'), 'text/plain');
    assert.equal(typeOf(''), 'text/plain');
    assert.equal(typeOf('format=json', 'text/html'), 'application/json');
    assert.deepEqual(
      [ask([], 'format=xml').status, ask([], 'format=xml').body],
      [400, 'format must be one of text, json, html\n'],
    );
  });

  test('as JSON names agent, checks, states, and each volume with its pod and sources', () => {
    const document = JSON.parse(ask(all, 'format=json', '', unwell).body);
    assert.deepEqual([document.version, document.node, document.driver], ['1.2.3', 'node-1', 'csi.example.com']);
    assert.deepEqual([document.startedAt, document.now], ['2026-11-22T09:00:00.000Z', '2026-11-22T10:00:00.000Z']);
    assert.equal(document.ready, false);
    assert.deepEqual(document.checks, [
      { name: 'node', ok: true },
      { name: 'certificate-api', ok: false, message: 'not served here' },
    ]);
    assert.deepEqual(document.states, {
      not_yet_issued: 0,
      fresh: 1,
      overdue_for_refresh: 0,
      expired: 1,
      denied: 1,
      failed: 0,
      ended: 0,
    });
    const pod = { namespace: 'shop', podUID: 'u-1', volume: 'mtls' };
    const trustAnchors = [{ source: 1, of: 'example.com/mesh', optional: true, file: 'ca.pem' }];
    const common = { source: 0, signerName: 'example.com/mesh', keyType: 'ECDSAP256', files: ['credentials.pem'] };
    assert.deepEqual(document.volumes[0], {
      ...{ ...pod, pod: 'web-1', status: 'ready', trustAnchors },
      credentials: [
        {
          ...common,
          state: 'fresh',
          request: 'pc-1',
          serial: '4ABCDEF0123456789ABCDEF012345678',
          notBefore: '2026-11-22T04:00:00.000Z',
          notAfter: '2026-11-23T04:00:00.000Z',
          refreshAt: '2026-11-22T20:03:00.000Z',
        },
      ],
    });
    assert.deepEqual(document.volumes[1], {
      ...{ ...pod, pod: 'web-2', status: 'refused', message: 'sources[0]: denied', trustAnchors },
      credentials: [
        {
          ...common,
          state: 'denied',
          lastError: 'the request was denied: Policy: not you',
          nextAttemptAt: '2026-11-22T10:01:30.000Z',
        },
      ],
    });
    assert.deepEqual(document.volumes[3].credentials, []);
    assert.equal(document.volumes[3].trustAnchors[0].of, 'example.com:mesh:roots');
  });

  test('shows a source that nobody has looked at yet as not yet issued', () => {
    const unseen = { ...podWith('web-1', {}), credentials: [] };
    const [volume] = JSON.parse(ask([unseen], 'format=json').body).volumes;
    assert.equal(volume.credentials[0].state, 'not_yet_issued');
  });

  test('as text is a table with a line for each credential and each volume without one', () => {
    const lines = ask(all, '', '', unwell).body.split('\n');
    assert.deepEqual(lines.slice(0, 6), [
      'pod-certificate-agent 1.2.3, node node-1, driver csi.example.com',
      'started 1 h ago, told at 2026-11-22T10:00:00Z',
      'not ready',
      '  certificate-api: not served here',
      '4 volumes: 1 expired, 1 denied, 1 waits for anchors, 1 fresh',
      '',
    ]);
    const cells = lines.slice(6, -1).map((line) => line.trim().split(/ {2,}/));
    assert.deepEqual(cells, [
      ['POD', 'VOLUME', 'SIGNER', 'STATE', 'EXPIRES', 'NEXT'],
      ['shop/web-3', 'mtls[0]', 'example.com/mesh', 'expired', '1 h ago', '2 h ago'],
      ['shop/web-2', 'mtls[0]', 'example.com/mesh', 'denied', '-', 'in 1 min 30 s'],
      ['the request was denied: Policy: not you'],
      ['shop/client', 'trust', 'example.com:mesh:roots', 'waits for anchors', '-', '-'],
      ['sources[0]: no ClusterTrustBundle of this name'],
      ['shop/web-1', 'mtls[0]', 'example.com/mesh', 'fresh', 'in 18 h', 'in 10 h 3 min'],
    ]);
    assert.deepEqual(ask([], '').body.split('\n').slice(2), ['ready', ...ask([], '').body.split('\n').slice(3)]);
  });
});

describe('the status as text', () => {
  const longName = `payments-api-${'x'.repeat(60)}-7d9c6f5b8-x2x9p`;
  const longError = `signer example.com/mesh: the request was denied: Policy: ${'a sentence of many words '.repeat(8)}${'y'.repeat(130)}`;
  const long = [podWith(longName, { ...fresh, state: 'overdue_for_refresh', lastError: longError }), ...all];

  test('fits 100 columns, whatever names and errors there are, and cuts the widest names in their middle', () => {
    const lines = ask(long, '', '', unwell).body.split('\n');
    for (const line of lines) {
      assert.ok(line.length <= 100, `${line.length} columns: ${line}`);
    }
    const row = lines.find((line) => line.includes('overdue for refresh ')) ?? '';
    assert.match(row, /^shop\/pay\S*…\S*b8-x2x9p {2}mtls\[0\] {2}exam/);
    assert.ok(
      lines.join('').replaceAll(' ', '').includes(longError.slice(0, 450).replaceAll(' ', '')),
      'the error is whole',
    );
  });

  test('in its wide form leaves nothing out', () => {
    const { body } = ask(long, 'format=text&wide');
    assert.ok(body.includes(`shop/${longName} `), body);
    assert.match(body, / KEY TYPE +SERIAL\n/);
    assert.match(body, / ECDSAP256 +4ABCDEF0123456789ABCDEF012345678\n/);
  });

  test('and as JSON is narrowed by words and state, and says of how many', () => {
    const text = (query: string) => ask(all, `format=text&${query}`).body;
    assert.match(text('state=denied'), /\n1 of 4 lines\n\nPOD.*\nshop\/web-2 .*\n {4}the request was denied/);
    assert.match(text('state=waiting'), /\nshop\/client +trust +/);
    assert.match(text('filter=nowhere'), /\n0 of 4 lines\n$/);
    assert.match(text('sort=pod'), /\nshop\/client .*\n.*\nshop\/web-1 .*\nshop\/web-2 /);
    const pods = (query: string) =>
      JSON.parse(ask(all, `format=json&${query}`).body).volumes.map(({ pod }: { pod: string }) => pod);
    assert.deepEqual(pods('filter=web&state=expired'), ['web-3']);
    assert.deepEqual(pods('filter=roots'), ['client']);
  });
});

describe('the status page', () => {
  test('shows what needs a person first, and sorts by any column', () => {
    const sorted = (sort: string): readonly string[] => podsOn(ask(all, `format=html&sort=${sort}`).body);
    assert.deepEqual(podsOn(ask(all, 'format=html').body), ['web-3', 'web-2', 'client', 'web-1']);
    assert.deepEqual(sorted('pod'), ['client', 'web-1', 'web-2', 'web-3']);
    assert.deepEqual(sorted('expiry'), ['web-3', 'web-1', 'client', 'web-2']);
    assert.deepEqual(sorted('next'), ['web-3', 'web-2', 'web-1', 'client']);
    assert.deepEqual(sorted('state'), ['web-2', 'web-3', 'web-1', 'client']);
    assert.deepEqual(sorted('signer'), ['web-1', 'web-2', 'web-3', 'client']);
    assert.deepEqual(sorted('key'), ['web-1', 'web-2', 'web-3', 'client']);
    assert.deepEqual(sorted('nonsense'), ['web-3', 'web-2', 'client', 'web-1']);
  });

  test('shows a chain that leads to no anchor before those that are well, and since when', () => {
    const lastError = 'the chain does not lead to the one trust anchor';
    const since = now - hours;
    const pods = [podWith('web-1', fresh), podWith('web-2', { ...fresh, lastError, trustMismatchSince: since })];
    assert.deepEqual(podsOn(ask(pods, 'format=html').body), ['web-2', 'web-1']);
    const [, { credentials }] = JSON.parse(ask(pods, 'format=json').body).volumes;
    assert.equal(credentials[0].lastError, lastError);
    assert.equal(credentials[0].trustMismatchSince, new Date(since).toISOString());
  });

  test('filters by words in any column and by state, and keeps both in its form', () => {
    const found = (query: string): readonly string[] => podsOn(ask(all, `format=html&${query}`).body);
    assert.deepEqual(found('filter=WEB-1'), ['web-1']);
    assert.deepEqual(found('filter=shop+policy'), ['web-2']);
    assert.deepEqual(found('filter=4abcdef'), ['web-3', 'web-1']);
    assert.deepEqual(found('filter=nowhere'), []);
    assert.deepEqual(found('state=expired'), ['web-3']);
    const { body } = ask(all, 'format=html&filter=web&state=expired&sort=expiry');
    assert.match(body, /name="filter" value="web"/);
    assert.match(body, /<option value="expired" selected>expired<\/option>/);
    assert.match(body, /<th scope="col" aria-sort="ascending"><a href="\?filter=web&amp;state=expired&amp;sort=expiry/);
    assert.match(body, /1 of 4 lines/);
  });

  test('marks on a bar from notBefore to notAfter how much has passed, the refresh and now', () => {
    const { body } = ask([podWith('web-1', fresh)], 'format=html');
    // 6 of 24 hours have passed, the refresh comes after 16.05 of them; the bar is 190 wide.
    assert.match(body, /<rect class="spent" y="3" width="47.5"/);
    assert.match(body, /<rect class="due" x="127.1"/);
    assert.match(body, /<rect class="now" x="47.5"/);
    assert.match(
      body,
      /aria-label="from 2026-11-22T04:00:00Z to 2026-11-23T04:00:00Z, refresh at 2026-11-22T20:03:00Z"/,
    );
    const late = ask([expired], 'format=html').body;
    assert.match(late, /class="gone"/);
    assert.match(late, /expired 1 h ago/);
    assert.match(late, /<rect class="now" x="188"/);
  });

  test('escapes whatever others wrote', () => {
    const hostile = '<script>alert("1")</script>&\'';
    const volume = podWith(hostile, { ...fresh, lastError: hostile, serialNumber: hostile }, hostile);
    const { body } = ask([volume], `format=html&filter=${encodeURIComponent(hostile)}`, '', [
      { name: hostile, ok: false, message: hostile },
    ]);
    assert.ok(!body.includes('<script>alert'), `<script>alert is in:\n${body}`);
    assert.match(body, /&lt;script&gt;alert\(&quot;1&quot;\)&lt;\/script&gt;&amp;&#39;/);
  });

  test('allows nothing but its own style and script, by their hashes, and no page to frame it', () => {
    const { headers, body } = ask(all, 'format=html');
    assert.equal(headers?.['Content-Security-Policy'], pagePolicy);
    assert.match(pagePolicy, /^default-src 'none'; script-src 'sha256-[^']+='; style-src 'sha256-[^']+=';/);
    assert.match(pagePolicy, /frame-ancestors 'none'$/);
    assert.doesNotMatch(body, /\bstyle="|\bon[a-z]+="|https?:\/\//);
  });

  test('shows at most a thousand lines and says how many there are', () => {
    const many = Array.from({ length: 1_002 }, (_, index) => podWith(`web-${index}`, fresh));
    const { body } = ask(many, 'format=html');
    assert.equal(podsOn(body).length, 1_000);
    assert.match(body, /1002 of 1002 lines/);
    assert.match(body, /2 more lines: narrow the filter/);
  });
});

test('a program that does not serve the certificate in its files is told in every form, one that does in none that people read', () => {
  const since = now - 600_000;
  for (const state of ['other', 'unknown', 'looking', 'current'] as const) {
    const volumes = [{ ...podWith('web-1', fresh), served: { state, since } }];
    const trouble = {
      other: 'the program does not serve the certificate in its files; its files changed at 2026-11-22T09:50:00.000Z',
      unknown:
        'it cannot be seen whether the program serves the certificate in its files; its files changed at 2026-11-22T09:50:00.000Z',
      looking: undefined,
      current: undefined,
    }[state];
    const message = trouble === undefined ? {} : { message: trouble };
    const [volume] = JSON.parse(ask(volumes, 'format=json').body).volumes;
    assert.deepEqual(volume.served, { state, since: '2026-11-22T09:50:00.000Z', ...message });
    for (const format of ['text', 'html']) {
      const body = ask(volumes, `format=${format}`).body.replaceAll(/\s+/g, ' ');
      const isTold = body.includes(trouble ?? 'the certificate in its files');
      assert.equal(isTold, trouble !== undefined, `${state} as ${format}: ${body}`);
    }
  }
});

test('spans of time are told in their two largest units', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0 s'],
    [999, '0 s'],
    [65_000, '1 min 5 s'],
    [3_600_000, '1 h'],
    [90_061_000, '1 d 1 h'],
    [86_405_000, '1 d'],
  ];
  for (const [ms, text] of cases) {
    assert.equal(spanText(ms), text);
  }
  assert.equal(fromNow(5_000, 0), 'in 5 s');
  assert.equal(fromNow(0, 5_000), '5 s ago');
  assert.equal(fromNow(5_000, 4_500), 'now');
});

test('the status of many credentials with long texts is made in steps, none of which tells of many', () => {
  const text = 'x'.repeat(8_000);
  const many = Array.from({ length: 300 }, (_, index) => podWith(`web-${index}`, { state: 'denied', lastError: text }));
  for (const [format, least] of [
    ['json', 600],
    ['text', 300],
    ['html', 300],
  ] as const) {
    const steps = statusReplyInSteps(
      { ...statusSources(many), ready: () => [] },
      new URLSearchParams(`format=${format}`),
      '',
    );
    let count = 0;
    for (let step = steps.next(); step.done !== true; step = steps.next()) {
      count += 1;
    }
    assert.ok(count >= least, `${format} is made in ${count} steps`);
  }
});
