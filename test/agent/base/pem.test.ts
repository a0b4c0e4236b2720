import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readCertificateBlocks } from '../../../agent/base/pem.ts';

const block = (body: string, label = 'CERTIFICATE') => `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
const read = (text: string) => readCertificateBlocks(text).map((bytes) => Buffer.from(bytes).toString());

describe('reading certificates from PEM', () => {
  it('gives each block, in order', () => {
    assert.deepEqual(read(block('b25l') + block('dHdvCg==')), ['one', 'two\n']);
    assert.deepEqual(read(''), []);
  });

  it('drops text between blocks and headers within them', () => {
    const text = `subject: CN=x\n${block('Name: value\n  goes on\nOther: x\n\nb25l')}\ntext -----BEGIN it\n${block('dHdv')}end`;
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

  it('refuses a block that does not end, or ends as another', () => {
    assert.throws(() => read('-----BEGIN CERTIFICATE-----\nb25l\n'), { message: 'block 1 has no END line' });
    assert.throws(() => read(`-----BEGIN CERTIFICATE-----\nb25l\n${block('dHdv')}`), {
      message: 'block 1 has no END line of its own',
    });
    assert.throws(() => read('-----BEGIN CERTIFICATE-----\nb25l\n-----END X-----\n'), {
      message: 'block 1 has no END line of its own',
    });
  });

  it('refuses what is not base64', () => {
    for (const body of ['b25l!', 'b25', 'b2=5', 'b25l====']) {
      assert.throws(() => read(block(body)), { message: 'block 1 is not base64' });
    }
  });

  it('reads a megabyte of lines that begin blocks in one pass', () => {
    const text = '-----BEGIN CERTIFICATE----\n'.repeat(40_000);
    assert.deepEqual(read(text), []);
  });
});
