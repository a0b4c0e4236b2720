/** docs/migration.md gives what the agent takes, and forgets nothing of what pods may have had before. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { parse } from 'yaml';
import { issuerFor, readIssuerRules } from '../../agent/issuance/issuer-rules.ts';
import { parseDeclaration } from '../../volumes/declaration/sources.ts';
import { withFields } from '../support/fields.ts';

const document = readFileSync(join(import.meta.dirname, '../../docs/migration.md'), 'utf8');
const blocks = [...document.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);

interface Volumes {
  readonly volumes: readonly { readonly csi: { readonly volumeAttributes: Record<string, string> } }[];
}

/** The right column of a block that shows two side by side; the whole of any other. */
function ours(block: string): string {
  const lines = block.split('\n');
  const column = lines[0]?.indexOf('# This driver') ?? -1;
  return column <= 0 ? block : lines.map((line) => line.slice(column)).join('\n');
}

test('every volume of this driver in it is one that the agent takes', () => {
  const volumes = blocks.map(ours).filter((text) => text.includes('csi.podcert.io'));
  assert.equal(volumes.length, 3);
  for (const text of volumes) {
    const { volumes: written } = withFields<Volumes>(parse(text), 'volumes');
    const parsed = parseDeclaration(written[0]?.csi.volumeAttributes ?? {});
    assert.ok(parsed.ok, inspect(parsed));
  }
});

test('the rule in it is taken, and gives the lifetime and usages of the driver that it stands for', () => {
  const [text = ''] = blocks.filter((block) => block.startsWith('issuers:'));
  const rules = readIssuerRules(withFields<{ issuers: unknown }>(parse(text), 'issuers').issuers);
  assert.ok(rules.ok, inspect(rules));
  const choice = issuerFor(rules.value, 'shop', 'clusterissuers.cert-manager.io/mesh-ca');
  assert.ok(choice.api === 'certManager', 'the rule asks cert-manager');
  assert.equal(choice.lifetimeSeconds, 90 * 24 * 3600);
  assert.deepEqual(choice.usages, ['digital signature', 'key encipherment']);
});

/** Those of csi-driver, by its documentation: https://cert-manager.io/docs/usage/csi-driver/ */
const attributes = [
  ...['issuer-name', 'issuer-kind', 'issuer-group', 'dns-names', 'uri-sans', 'ip-sans', 'common-name', 'organizations'],
  ...[
    'literal-subject',
    'serialnumber',
    'organizationalunits',
    'countries',
    'provinces',
    'localities',
    'streetaddresses',
  ],
  ...['postalcodes', 'duration', 'renew-before', 'key-usages', 'key-algorithm', 'key-size', 'key-encoding', 'is-ca'],
  ...['certificate-file', 'privatekey-file', 'ca-file', 'fs-group', 'reuse-private-key'],
  ...['pkcs12-enable', 'pkcs12-filename', 'pkcs12-password'],
];

test('every attribute of csi-driver is told what becomes of it', () => {
  for (const attribute of attributes) {
    assert.match(document, new RegExp(`^\\| [^|]*\`${attribute}\`[^|]* \\| [^|]+ \\|$`, 'm'));
  }
});
