import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import { readCertificateBlocks, readPemBlocks } from '../../../agent/base/pem.ts';
import { buildGoProgram, goIsMissing } from '../../support/go.ts';

const block = (body: string, label = 'CERTIFICATE') => `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
const read = (text: string) => readCertificateBlocks(text).map((bytes) => Buffer.from(bytes).toString());
const begin = '-----BEGIN CERTIFICATE-----\n';

describe('reading certificates from PEM', () => {
  it('gives each block, in order', () => {
    assert.deepEqual(read(block('b25l') + block('dHdvCg==')), ['one', 'two\n']);
    assert.deepEqual(read(''), []);
  });

  it('drops text between blocks and headers within them', () => {
    const text = `subject: CN=x\n${block('Name: value\nOther: x\n\nb25l')}\ntext -----BEGIN it\n${block('dHdv')}end`;
    assert.deepEqual(read(text), ['one', 'two']);
  });

  it('accepts CRLF, trailing spaces and any line length', () => {
    assert.deepEqual(read(block('b2\r\n5 l  \r\n').replaceAll('-\n', '-\r\n')), ['one']);
  });

  it('refuses a block of another kind without quoting it', () => {
    assert.throws(() => read(block('b25l') + block('c2VjcmV0', 'PRIVATE KEY')), {
      message: 'block 2 is not a CERTIFICATE',
    });
  });

  it('skips what is no block, and reads on', () => {
    const parts = {
      'a block that does not end': `${begin}b25l\n`,
      'a block that ends as another': `${begin}b25l\n-----END X-----\n`,
      'a stray BEGIN line': begin,
      'a stray END line': '-----END CERTIFICATE-----\n',
      'a comment inside a block': block('b25l\n# until spring\ndHdv'),
      'a header that goes on in a second line': block('Name: value\n  goes on\n\nb25l'),
      'a headed block without an empty line at its end': '-----BEGIN X-----\nA: b\n-----END X-----\n',
    };
    for (const [what, part] of Object.entries(parts)) {
      assert.deepEqual(read(block('YQ==') + part + block('Yg==')), ['a', 'b'], what);
    }
    for (const body of ['b25l!', 'b25', 'b2=5', 'b25l====', 'b25l\u00a0']) {
      assert.deepEqual(read(block(body) + block('dHdv')), ['two'], body);
    }
  });
});

test('texts of every shape are read as Go reads them', { skip: goIsMissing, timeout: 300_000 }, () => {
  const whole = [block('b25l'), block('Name: value\n\ndHdv'), block('c2VjcmV0', 'X'), block(''), block('b2\n5l')];
  const lines = [begin, '-----BEGIN X-----\n', '-----END CERTIFICATE-----\n', '-----END X-----\n', 'b25l\n', 'A: b\n'];
  const scraps = ['-----BEGIN ', '-----END ', '-----', 'CERTIFICATE', 'X', ':', '=', '==', 'b25l', 'b', '#', 'é', '😀'];
  const space = ['\n', '\r\n', '\r', ' ', '\t', '\u00a0', '\u000b'];
  const text = fc
    .array(fc.oneof(...[whole, lines, scraps, space].map((kind) => fc.constantFrom(...kind))), { maxLength: 24 })
    .map((parts) => parts.join(''));
  const texts = fc.sample(text, { numRuns: 20_000, seed: 20261125 });
  const program = buildGoProgram('pem');
  const answers = program.ask(texts);
  assert.ok(
    Array.isArray(answers) && answers.length === texts.length,
    'Go answered something else than one answer for each text',
  );
  let blocks = 0;
  for (const [index, text] of texts.entries()) {
    const ours = readPemBlocks(text);
    blocks += ours.length;
    const written = ours.map(({ label, bytes }) => ({ label, bytes: Buffer.from(bytes).toString('base64') }));
    assert.deepEqual(written, answers[index], JSON.stringify(text));
  }
  // The corpus is worth something only while it has many blocks among its rubbish.
  assert.ok(blocks > 10_000, `${blocks} blocks`);
});

test('a megabyte of any one line is read in one pass: every agent of the cluster reads it', () => {
  const ordinary = block(`${'QUJD'.repeat(16)}\n`.repeat(16)).repeat(950);
  const unitMs = spanOf(ordinary);
  const pieces = [
    begin,
    '\n-----END ',
    '-----END X-----\n',
    '-----BEGIN X-----\nA: b\n-----END X-----\n',
    'A: b\n',
    ' \n',
  ];
  for (const piece of [
    ...pieces,
    `${begin}!\n-----END CERTIFICATE-----\n`,
    `${begin}A:b\n`,
    '-----BEGIN ',
    ' ',
    'QUJD',
  ]) {
    const whole = piece.repeat(Math.floor(1_000_000 / piece.length));
    const tookMs = Math.max(spanOf(whole), spanOf(`${begin}${whole}\n-----END CERTIFICATE-----\n`));
    // A second pass for each line would cost thousands of times as much.
    assert.ok(tookMs < 100 * unitMs + 100, `${JSON.stringify(piece)}: ${tookMs} ms, and ${unitMs} ms for a bundle`);
  }
});

/** Processor time, milliseconds, the best of three: neither other processes nor a collection of garbage count. */
function spanOf(text: string): number {
  const spans = Array.from({ length: 3 }, () => {
    const startedAt = process.cpuUsage();
    readPemBlocks(text);
    const { user, system } = process.cpuUsage(startedAt);
    return (user + system) / 1000;
  });
  return Math.min(...spans);
}
