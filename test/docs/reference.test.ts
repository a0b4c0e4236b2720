import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { parse } from 'yaml';
import { optionsTable } from '../../agent/configuration/help.ts';
import { keyTypes } from '../../volumes/declaration/key-types.ts';
import { maxSourcesBytes } from '../../volumes/declaration/limits.ts';
import { parseDeclaration } from '../../volumes/declaration/sources.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const reference = read('docs/reference.md');

test('the reference has the table of options as it is; `node test/docs/options-table.ts` prints it', () => {
  assert.ok(reference.includes(optionsTable().trim()), `${optionsTable().trim()} is not in:\n${reference}`);
});

test('the reference names every event that a pod can get', () => {
  const source = ['anchor', 'credential', 'pod', 'volume']
    .map((each) => read(`agent/observe/notices/${each}-events.ts`))
    .join('\n');
  const reasons = [...source.matchAll(/(?:warning|normal)\('(\w+)'|reason: '(\w+)'/g)].map(
    (match) => match[1] ?? match[2],
  );
  assert.ok(reasons.length > 10, `${reasons.length} is not more than 10`);
  for (const reason of reasons) {
    assert.ok(reference.includes(`\`${reason}\``), `${reason} is not in docs/reference.md`);
  }
});

test('the reference names every field of a source and every key type', () => {
  const fields = ['signerName', 'maxExpirationSeconds', 'userAnnotations', 'labelSelector', 'optional', 'name', 'path'];
  const names = ['dnsNames', 'uris', 'ipAddresses', 'commonName'];
  const paths = ['credentialBundlePath', 'keyPath', 'certificateChainPath', 'leafPath', 'intermediatesPath', 'caPath'];
  const keystores = ['keystorePath', 'truststorePath', 'passwordPath', 'password'];
  const access = [
    'layout',
    'trustDomain',
    'canarying',
    'roots',
    'expired',
    'user',
    'mode',
    'defaultUser',
    'defaultMode',
  ];
  const told = ['reload', 'touch', 'http', 'port', 'method', 'scheme', 'signal', 'process', 'probe', 'serverName'];
  for (const word of [...fields, ...names, ...paths, ...keystores, ...access, ...told, ...keyTypes]) {
    assert.ok(reference.includes(`\`${word}\``), word);
  }
});

test('the pod in the README asks for what the agent accepts', () => {
  const [, yaml = ''] = /```yaml\n([\s\S]+?)```/.exec(read('README.md')) ?? [];
  const pod: { spec: { volumes: { csi: { volumeAttributes: Record<string, string> } }[] } } = parse(yaml);
  const parsed = parseDeclaration(pod.spec.volumes[0]?.csi.volumeAttributes ?? {});
  assert.ok(parsed.ok, inspect(parsed));
  assert.deepEqual(
    parsed.declaration.sources.map(({ kind }) => kind),
    ['podCertificate', 'clusterTrustBundle'],
  );
});

/** What GitHub makes of a heading for links to lead to. */
function anchorsOf(markdown: string): ReadonlySet<string> {
  const headings = [...markdown.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.+)$/gm)];
  return new Set(
    headings.map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}

test('every link between the documents leads somewhere, to a heading where it names one', () => {
  const documents = ['README.md', 'ARCHITECTURE.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];
  for (const document of documents.filter((name) => name.endsWith('.md'))) {
    for (const [, target = '', anchor] of read(document).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)) {
      const file = target === '' ? document : join(dirname(document), target);
      assert.ok(existsSync(join(root, file)), `${document} → ${target}`);
      assert.ok(anchor === undefined || anchorsOf(read(file)).has(anchor), `${document} → ${target}#${anchor}`);
    }
  }
});

test('the limit of sources is the same wherever it is named, and bounds annotations', () => {
  const limit = `${maxSourcesBytes / 1024} KiB`;
  for (const row of [/^\| `sources` \|.*$/m, /^\| `userAnnotations` \|.*$/m]) {
    assert.ok(row.exec(reference)?.[0].includes(limit), `${limit} is not in the row ${row}`);
  }
  assert.ok(read('docs/security.md').includes(`| ${limit} | \`maxSourcesBytes\``), limit);
  const readers = globSync('{agent,volumes}/**/*.ts', { cwd: root }).filter((file) => /256 KiB/.test(read(file)));
  assert.deepEqual(readers, [], 'no file of the agent speaks of more annotations than sources can hold');
});

test('the page of what is not planned gives a reason for each no, and is found from the README', () => {
  assert.ok(read('README.md').includes('](docs/not-planned.md)'), 'the README links to it');
  const rows = [...read('docs/not-planned.md').matchAll(/^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].slice(1);
  for (const wish of [/post-quantum/, /HSM.*TPM/, /revocation/, /Windows/, /ACME/]) {
    assert.ok(
      rows.some(([, title = '']) => wish.test(title)),
      `${wish} is not there`,
    );
  }
  for (const [row, title = '', answer = '', why = ''] of rows.slice(1)) {
    assert.match(answer, /^n(o|ot .*)$/, row);
    assert.ok(why.length > 60, `${title}: ${why} is no reason`);
  }
});
