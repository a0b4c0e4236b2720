/** docs/issuers.md says of each certificate API what the code says of it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { type Capabilities, capabilities } from '../../agent/issuance/capabilities.ts';
import { issuerFor, readIssuerRules } from '../../agent/issuance/issuer-rules.ts';
import { templateVariables } from '../../agent/issuance/template-variables.ts';
import { keyTypes } from '../../volumes/declaration/key-types.ts';
import { withFields } from '../support/fields.ts';

const document = readFileSync(join(import.meta.dirname, '../../docs/issuers.md'), 'utf8');

interface Policy {
  readonly spec: {
    readonly selector: { readonly issuerRef: { readonly name: string } };
    readonly constraints: { readonly maxDuration: string };
  };
}

const yesOr = (can: boolean): string => (can ? 'yes' : '–');
const rows: Readonly<Record<string, (of: Capabilities) => string>> = {
  '': ({ title }) => title,
  'key types (as far as the signer takes them)': (of) =>
    of.keyTypes === keyTypes ? 'all six' : of.keyTypes.join(', '),
  'names from the rule and the pod': ({ names }) => yesOr(names),
  'trust anchors with the certificate, `caPath`': ({ anchors }) => yesOr(anchors),
  '`userAnnotations`': ({ userAnnotations }) => yesOr(userAnnotations),
  'shortest lifetime in seconds': ({ shortestLifetimeSeconds }) => String(shortestLifetimeSeconds),
  'refresh time from': ({ refreshTime }) => (refreshTime === 'signer' ? 'signer' : `\`${refreshTime}\``),
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

/** The YAML blocks, as far as they hold something of this kind. */
function blocksWith(word: string): readonly unknown[] {
  const blocks = [...document.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);
  return blocks
    .filter((text) => text.includes(word))
    .flatMap((text) => parseAllDocuments(text).map((each) => each.toJS()));
}

test('the rule for cert-manager asks for no longer a lifetime than the policy allows, which denies those that name none', () => {
  const written = blocksWith('trustDomain:').map((block) => withFields<{ issuers: unknown }>(block, 'issuers').issuers);
  const rules = readIssuerRules(written[0]);
  assert.ok(rules.ok, 'the example is read');
  const choice = issuerFor(rules.value, 'shop', 'example.com/mesh');
  assert.ok(choice.api === 'certManager', 'the example asks cert-manager');
  const [policy] = blocksWith('kind: CertificateRequestPolicy');
  const { spec } = withFields<Policy>(policy, 'spec');
  assert.equal(choice.issuer.name, spec.selector.issuerRef.name);
  const hours = Number(/^(\d+)h$/.exec(spec.constraints.maxDuration)?.[1]);
  assert.ok((choice.lifetimeSeconds ?? Number.POSITIVE_INFINITY) <= hours * 3600, `${choice.lifetimeSeconds} s`);
});
