/**
 * The limits of a declaration at their edges: exactly as much as a limit lets in passes, one more is refused, and the message says the limit.
 * The numbers are written out, so that a limit cannot change without being noticed here.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lexer } from 'yaml';
import { createDeclarationReader, parseDeclaration } from '../../../volumes/declaration/sources.ts';

interface Edge {
  readonly limit: string;
  /** Attributes of a volume that ask for so much. */
  readonly ask: (amount: number) => Record<string, string>;
  readonly most: number;
  readonly refusal: RegExp;
}

const anchors = { clusterTrustBundle: { name: 'a', path: 'p' } };

function withSources(sources: readonly unknown[]): Record<string, string> {
  return { sources: JSON.stringify(sources) };
}

function withCertificate(fields: Record<string, unknown>): Record<string, string> {
  const source = { signerName: 'example.com/mesh', keyType: 'ED25519', keyPath: 'key.pem', ...fields };
  return withSources([{ podCertificate: source }]);
}

function withReload(reload: unknown): Record<string, string> {
  return { ...withSources([anchors]), reload: JSON.stringify(reload) };
}

/** A text that YAML reads like the given one, so many bytes long. */
function padded(text: string, bytes: number): string {
  return `${text} #${'x'.repeat(bytes - text.length - 2)}`;
}

/** A path of so many bytes, of 13 parts. */
function longPath(bytes: number): string {
  const directories = Array(12).fill('d'.repeat(250)).join('/');
  return `${directories}/${'f'.repeat(bytes - directories.length - 1)}`;
}

/** Sources with so many tokens of YAML: every blank line is one. */
function manyTokens(tokens: number): string {
  const text = JSON.stringify([anchors]);
  return text + '\n#'.repeat((tokens - countTokens(text)) / 2) + ((tokens - countTokens(text)) % 2 === 1 ? '\n' : '');
}

function countTokens(text: string): number {
  return [...new Lexer().lex(text)].length;
}

/** Sources of which one holds mappings or lists in each other, so many levels deep with those that a source has. */
function nested(levels: number, [open, close]: readonly [string, string]): string {
  return `[{x: ${open.repeat(levels - 2)}${close.repeat(levels - 2)}}]`;
}

const edges: readonly Edge[] = [
  {
    limit: 'bytes of sources',
    ask: (bytes) => ({ sources: padded(JSON.stringify([anchors]), bytes) }),
    most: 65_536,
    refusal: /^sources: must be at most 65536 bytes of YAML$/,
  },
  {
    limit: 'bytes of reload',
    ask: (bytes) => ({ ...withSources([anchors]), reload: padded('touch: a', bytes) }),
    most: 4_096,
    refusal: /^reload: must be at most 4096 bytes of YAML$/,
  },
  {
    limit: 'bytes of probe',
    ask: (bytes) => ({ ...withCertificate({}), probe: padded('port: 1', bytes) }),
    most: 4_096,
    refusal: /^probe: must be at most 4096 bytes of YAML$/,
  },
  {
    limit: 'characters of the path in reload.http',
    ask: (length) => withReload({ http: { port: 1, path: `/${'a'.repeat(length - 1)}` } }),
    most: 1_024,
    refusal: /^reload\.http\.path: must be a path .* 1024/,
  },
  {
    limit: "characters of a process' name",
    ask: (length) => withReload({ signal: { process: 'a'.repeat(length) } }),
    most: 15,
    refusal: /^reload\.signal\.process: must be .* at most 15/,
  },
  {
    limit: 'sources in one volume',
    ask: (count) =>
      withSources(
        Array.from({ length: count }, (_, index) => ({ clusterTrustBundle: { name: 'a', path: `p${index}` } })),
      ),
    most: 256,
    refusal: /^sources: must hold at most 256 sources, not 257$/,
  },
  {
    limit: 'names of a kind',
    ask: (count) => withCertificate({ dnsNames: Array(count).fill('a.example') }),
    most: 32,
    refusal: /^sources\[0\]\.podCertificate\.dnsNames: must hold at most 32 names, not 33$/,
  },
  {
    limit: 'characters of a name',
    ask: (length) => withCertificate({ commonName: 'x'.repeat(length) }),
    most: 2_048,
    refusal: /^sources\[0\]\.podCertificate: asks for a name of more than 2048 characters$/,
  },
  {
    limit: 'sources that keep trust domains apart',
    ask: (count) =>
      withSources(
        Array.from({ length: count }, (_, index) => ({
          clusterTrustBundle: {
            signerName: 'example.com/mesh',
            layout: 'spiffe',
            trustDomain: 'a.example',
            path: `p${index}/a.example.spiffe-trust-bundle.pem`,
          },
        })),
      ),
    most: 8,
    refusal: /^sources: must hold at most 8 sources that keep trust domains apart, not 9$/,
  },
  {
    limit: 'tokens of YAML',
    ask: (tokens) => ({ sources: manyTokens(tokens) }),
    most: 16_384,
    refusal: /^sources: must hold at most 16384 YAML tokens$/,
  },
  {
    limit: 'backslashes',
    ask: (count) => ({ sources: `${JSON.stringify([anchors])} #${'\\'.repeat(count)}` }),
    most: 1_024,
    refusal: /^sources: must hold at most 1024 backslashes$/,
  },
  {
    limit: 'parts of a path',
    ask: (count) => withCertificate({ keyPath: Array(count).fill('d').join('/') }),
    most: 16,
    refusal: /^sources\[0\]\.podCertificate\.keyPath: must have at most 16 parts, not/,
  },
  {
    limit: 'bytes of a path',
    ask: (bytes) => withCertificate({ keyPath: longPath(bytes) }),
    most: 3_072,
    refusal: /^sources\[0\]\.podCertificate\.keyPath: must be at most 3072 bytes long, not/,
  },
  {
    limit: 'bytes of a part of a path',
    ask: (bytes) => withCertificate({ keyPath: `d/${'f'.repeat(bytes)}` }),
    most: 255,
    refusal: /^sources\[0\]\.podCertificate\.keyPath: must have parts of at most 255 bytes, not/,
  },
];

for (const { limit, ask, most, refusal } of edges) {
  test(`exactly the limit of ${limit} is accepted, and one more refused with the limit's number`, () => {
    assert.deepEqual(faultsOf(ask(most)), [], `${most} pass`);
    assert.match(faultsOf(ask(most + 1))[0] ?? '', refusal);
  });
}

test('lists and mappings alike may be 32 levels deep, and no level more', () => {
  for (const pair of [
    ['[', ']'],
    ['{x: ', '}'],
  ] as const) {
    const depth = /nested deeper/;
    assert.doesNotMatch(faultsOf({ sources: nested(32, pair) }).join(), depth, pair[0]);
    assert.match(
      faultsOf({ sources: nested(33, pair) })[0] ?? '',
      /^sources: must not be nested deeper than 32 levels$/,
    );
  }
  const dashes = (levels: number) => ({ sources: `${'- '.repeat(levels)}a` });
  assert.doesNotMatch(faultsOf(dashes(32)).join(), /nested deeper/);
  assert.match(faultsOf(dashes(33))[0] ?? '', /nested deeper than 32 levels$/);
  const indented = (levels: number) => ({
    sources: Array.from({ length: levels }, (_, level) => `${' '.repeat(level)}x:`).join('\n'),
  });
  assert.doesNotMatch(faultsOf(indented(32)).join(), /nested deeper/);
  assert.match(faultsOf(indented(33))[0] ?? '', /nested deeper than 32 levels$/);
});

test('a path that leads out of the volume, names no file or hides what it is, is refused with its reason', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['/etc/passwd', 'must be relative to the volume'],
    ['a/../b', 'must not hold ".." as a part'],
    ['..data/a', 'must not start with ".."'],
    ['./..agent', 'must not start with ".."'],
    ['a/', 'must name a file'],
    ['.', 'must name a file'],
    ['a\u0001b', 'must not hold control characters or invisible ones'],
    ['a\u202eb', 'must not hold control characters or invisible ones'],
    ['a\ud800b', 'must be valid Unicode'],
  ];
  for (const [keyPath, message] of cases) {
    const [fault = '', ...more] = faultsOf(withCertificate({ keyPath }));
    assert.ok(fault.startsWith(`sources[0].podCertificate.keyPath: ${message}, not `), `${keyPath}: ${fault}`);
    assert.deepEqual(more, [], keyPath);
  }
});

test('the last 128 verdicts are remembered, and not one more', () => {
  const own = withSources([anchors]);
  const afterOthers = (others: number): boolean => {
    const read = createDeclarationReader();
    const first = read(own);
    for (let index = 0; index < others; index += 1) {
      read({ sources: String(index) });
    }
    return read(own) === first;
  };
  assert.equal(afterOthers(127), true);
  assert.equal(afterOthers(128), false);
});

/** The faults of a declaration as `field: message` lines. */
function faultsOf(attributes: Record<string, string>): readonly string[] {
  const parsed = parseDeclaration(attributes);
  return parsed.ok ? [] : parsed.faults.map((fault) => `${fault.field}: ${fault.message}`);
}
