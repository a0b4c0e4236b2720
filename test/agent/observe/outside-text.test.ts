/** What signers, servers and pods' authors write, on its way to people: the log, events, and the status page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { singleLine } from '../../../agent/base/redact.ts';
import { formatLine } from '../../../agent/observe/log/log-text.ts';
import { statusDocumentInSteps } from '../../../agent/observe/status/document.ts';
import { statusPage } from '../../../agent/observe/status/page.ts';
import { readSelection } from '../../../agent/observe/status/selection.ts';
import { atOnce } from '../../../volumes/base/steps.ts';
import { podWith } from './status/volumes.ts';
import { statusSources } from './subjects.ts';

const bidirectional = ['\u061c', '\u200e', '\u200f', '\u202a', '\u202e', '\u2066', '\u2069'];
const controls = ['\u0000', '\n', '\r', '\u001b', '\u009b', '\u2028', '\u2029'];
const hostile = `denied${[...bidirectional, ...controls].join('x')}<script>alert(1)</script>"'&`;

function pageOf(lastError: string, query = '', pods = 1): string {
  const volumes = Array.from({ length: pods }, (_, index) => podWith(`web-${index}`, { state: 'denied', lastError }));
  const document = atOnce(statusDocumentInSteps({ ...statusSources(volumes), ready: () => [] }));
  return statusPage(document, readSelection(new URLSearchParams(query)));
}

/** The processor's time, milliseconds, in the best of three. */
function costOf(work: () => unknown): number {
  const rounds = [1, 2, 3].map(() => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  });
  return Math.min(...rounds);
}

test('no text from outside turns a line round, moves a cursor, forges a line or becomes markup', () => {
  const line = `${JSON.stringify({ level: 'warn', time: '2026-11-21T10:00:00.000Z', message: hostile, error: hostile })}\n`;
  const page = pageOf(hostile, `filter=${encodeURIComponent(hostile)}&state=${encodeURIComponent(hostile)}`);
  const shown = { log: formatLine(line, false).trimEnd(), event: singleLine(hostile, 1000), page };
  for (const [where, text] of Object.entries(shown)) {
    for (const mark of bidirectional) {
      assert.ok(!text.includes(mark), `${where} has U+${mark.codePointAt(0)?.toString(16)}`);
    }
  }
  for (const where of ['log', 'event'] as const) {
    for (const mark of controls) {
      assert.ok(!shown[where].includes(mark), `${where} has U+${mark.codePointAt(0)?.toString(16)}`);
    }
  }
  assert.ok(!page.includes('<script>alert'), 'the page has the markup of a message');
  assert.ok(!page.includes(`"'&`), 'the page has quotes of a message as they are');
});

test('of a filter 200 characters and eight words are kept, of a message on the page 500 characters', () => {
  const filterOf = (filter: string) => readSelection(new URLSearchParams({ filter }));
  assert.equal(filterOf('x'.repeat(201)).filter, 'x'.repeat(200));
  assert.deepEqual(filterOf('1 2 3 4 5 6 7 8 9').words, ['1', '2', '3', '4', '5', '6', '7', '8']);
  assert.match(pageOf('y'.repeat(500), '', 1), /y{500}(?!…)/);
  assert.match(pageOf('y'.repeat(501), '', 1), /(?<!y)y{499}…/);
});

test('a query and texts of any length cost the status page work in proportion to what is kept of them', () => {
  const [short, long] = ['x'.repeat(500), 'x '.repeat(4096)];
  const words = Array.from({ length: 100 }, () => 'x').join('+');
  const unit = costOf(() => pageOf(short, 'filter=x', 500));
  const cost = costOf(() => pageOf(long, `filter=${words}&${'state=&'.repeat(10_000)}`, 500));
  assert.ok(cost < 20 * unit, `${cost} ms, and ${unit} ms with short texts`);
  assert.ok(pageOf(long, '', 500).length < 2 * pageOf(short, '', 500).length, 'a long message makes the page long');
  assert.equal(readSelection(new URLSearchParams(`filter=${words}`)).words.length, 8);
});
