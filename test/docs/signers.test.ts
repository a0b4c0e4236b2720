/** docs/signers.md says of the trial signer what its code says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { metricRows } from '../../signer/metrics.ts';
import { optionRows } from '../../signer/options.ts';

const document = readFileSync(join(import.meta.dirname, '../../docs/signers.md'), 'utf8');

test('every option of the trial signer is in its table, and nothing else', () => {
  const rows = optionRows.map(({ flag, default: usual, description }) => {
    const shown = usual === '' ? '–' : `\`${usual}\``;
    return `| \`${flag}\` | ${shown} | ${description.replaceAll('|', '\\|')} |`;
  });
  assert.equal(part('options'), ['| flag | default | what it does |', '|---|---|---|', ...rows].join('\n'));
});

test('every metric of the trial signer is in its table, and nothing else', () => {
  const rows = Object.values(metricRows).map(({ name, help }) => `| \`${name}\` | ${help} |`);
  assert.equal(part('metrics'), ['| metric | what it counts |', '|---|---|', ...rows].join('\n'));
});

/** What stands between the marks of a part. */
function part(name: string): string {
  const [, text = ''] =
    new RegExp(`<!-- ${name}: [^\\n]*-->\\n([\\s\\S]*?)\\n<!-- end of ${name} -->`).exec(document) ?? [];
  return text;
}
