/** docs/issuers.md says of each certificate API what the code says of it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Capabilities, capabilities } from '../../agent/issuance/capabilities.ts';
import { templateVariables } from '../../agent/issuance/template-variables.ts';
import { keyTypes } from '../../volumes/declaration/key-types.ts';

const document = readFileSync(join(import.meta.dirname, '../../docs/issuers.md'), 'utf8');

const yesOr = (can: boolean): string => (can ? 'yes' : '–');
const rows: Readonly<Record<string, (of: Capabilities) => string>> = {
  '': ({ title }) => title,
  'key types (as far as the signer takes them)': (of) =>
    of.keyTypes === keyTypes ? 'all six' : of.keyTypes.join(', '),
  'names from the rule and the pod': ({ names }) => yesOr(names),
  'trust anchors with the certificate, `caPath`': ({ anchors }) => yesOr(anchors),
  '`userAnnotations`': ({ userAnnotations }) => yesOr(userAnnotations),
  'shortest lifetime in seconds': ({ shortestLifetimeSeconds }) => String(shortestLifetimeSeconds),
  'refresh time from': ({ refreshTime }) => (refreshTime === 'signer' ? 'signer' : '`refreshAfter`'),
  'request goes with its pod': ({ ownedByPod }) => yesOr(ownedByPod),
  'pod and node compared by': ({ identityCheckedBy }) => identityCheckedBy,
};

test('the table of what each API cannot do is the one that the agent goes by', () => {
  for (const [title, cell] of Object.entries(rows)) {
    const row = `|${title === '' ? '' : ` ${title}`} | ${Object.values(capabilities).map(cell).join(' | ')} |`;
    assert.ok(document.includes(row), row);
  }
});

test('every variable of a template is named', () => {
  for (const name of [...templateVariables, 'podIPs']) {
    assert.ok(document.includes(`\`\${${name}}\``), name);
  }
});
