import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { AgentError } from '../../../../agent/base/errors.ts';
import { createLogger, type LogFormat } from '../../../../agent/observe/log/log.ts';
import { formatLine } from '../../../../agent/observe/log/log-text.ts';
import { createLogProbe } from '../subjects.ts';

describe('JSON log', () => {
  test('writes one line per message, with level, time, fields and message', () => {
    const { log, entries } = createLogProbe();
    log.debug('a');
    log.info('b', { namespace: 'shop', source: 0, first: true, version: undefined });
    log.warn('c', { option: ['--burst'] });
    log.error('d');
    const [a, b, c, d] = entries();
    assert.match(String(a?.['time']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(
      { ...b, time: '' },
      { level: 'info', time: '', namespace: 'shop', source: 0, first: true, message: 'b' },
    );
    assert.deepEqual(c?.['option'], ['--burst']);
    assert.deepEqual([a?.['level'], d?.['level']], ['debug', 'error']);
  });

  test('writes 4096 characters of a text, and cuts off the rest', () => {
    const { log, entries } = createLogProbe();
    log.info('x'.repeat(4_096));
    log.info('x'.repeat(4_097));
    const [whole, part] = entries().map(({ message }) => String(message));
    assert.deepEqual([whole, part], ['x'.repeat(4_096), `${'x'.repeat(4_096)}…`]);
  });

  test('writes what the level admits, and follows a change of the level at once', () => {
    const { log, entries } = createLogProbe('warn');
    log.info('not written');
    log.warn('written');
    log.setLevel('debug');
    log.debug('now written');
    log.setLevel('error');
    log.warn('not written');
    assert.deepEqual(
      entries().map(({ message }) => message),
      ['written', 'now written'],
    );
  });

  test('tells an error with its causes, its code and who must act', () => {
    const { log, entries } = createLogProbe();
    const cause = new Error('read ECONNRESET');
    log.warn('attempt failed', { error: new AgentError('Unavailable', 'no answer', { actor: 'nobody', cause }) });
    const [entry] = entries();
    assert.equal(entry?.['error'], 'no answer: read ECONNRESET');
    assert.equal(entry?.['errorCode'], 'Unavailable');
    assert.equal(entry?.['stack'], undefined);
    assert.ok(!('actor' in (entry ?? {})), 'nobody has to act, and nobody is told of nobody');
    log.warn('attempt failed', { error: new AgentError('Forbidden', 'no', { actor: 'cluster operator' }) });
    assert.equal(entries()[1]?.['actor'], 'cluster operator');
  });

  test('tells where a fault of the agent itself arose', () => {
    const { log, entries } = createLogProbe();
    log.error('a', { error: new TypeError('x is not a function') });
    log.error('b', { error: new AgentError('Internal', 'cannot be', { actor: 'nobody' }) });
    log.error('c', { error: 'thrown text' });
    const [a, b, c] = entries();
    assert.match(String(a?.['stack']), /log\.test\.ts/);
    assert.match(String(b?.['stack']), /log\.test\.ts/);
    assert.deepEqual([c?.['error'], c?.['stack']], ['thrown text', undefined]);
  });

  test('lets no key material through: not in texts, not in errors, not as bytes, not under a telling name', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const der = privateKey.export({ type: 'pkcs8', format: 'der' });
    const lines: string[] = [];
    const log = createLogger({ level: 'debug', format: 'json', destination: { write: (line) => lines.push(line) } });
    const bypass: object = { detail: der, reason: { der }, privateKey: 'short', token: 'abc', option: [pem, der] };
    log.info(`key ${pem}`, { detail: pem, error: new Error(pem, { cause: new Error(pem) }) });
    log.info('bypassing the types', bypass);
    const all = lines.join('');
    const [first = '', second = ''] = der.toString('base64').match(/.{24}/g) ?? [];
    for (const part of [
      first,
      second,
      der.toString('hex').slice(0, 24),
      '"short"',
      '"abc"',
      der.join(',').slice(0, 24),
    ]) {
      assert.equal(all.includes(part), false, part);
    }
    assert.equal(lines.length, 2);
  });

  test('cuts what another side made too long', () => {
    const { log, entries } = createLogProbe();
    log.info('a', { detail: 'x'.repeat(100_000) });
    assert.equal(String(entries()[0]?.['detail']).length, 4_097);
  });
});

describe('text log', () => {
  const write = (format: LogFormat, isTTY: boolean | undefined): string => {
    const lines: string[] = [];
    const destination = { write: (line: string) => lines.push(line), ...(isTTY === undefined ? {} : { isTTY }) };
    createLogger({ level: 'info', format, destination }).info('volume ready', { namespace: 'shop', tookMs: 12 });
    return lines.join('');
  };

  test('is chosen by `text`, and by `auto` in a terminal', () => {
    assert.match(write('text', undefined), /^\d\d:\d\d:\d\d\.\d{3} INFO {2}volume ready namespace=shop tookMs=12\n$/);
    assert.match(write('auto', true), /volume ready/);
    assert.ok(write('auto', true).includes('\u001b[36mINFO'), `${'\u001b[36mINFO'} is not in:\n${write('auto', true)}`);
    assert.ok(!write('text', false).includes('\u001b'), `${'\u001b'} is in:\n${write('text', false)}`);
    assert.equal(write('auto', false).startsWith('{'), true);
    assert.equal(write('json', true).startsWith('{'), true);
  });

  test('quotes what is not one word, and escapes what could command a terminal or forge a line', () => {
    const line = JSON.stringify({
      level: 'warn',
      time: '2026-11-22T10:20:30.456Z',
      detail: 'go \u001b[2J\naway\u009b',
      reason: 'a=b',
      count: 3,
      option: ['x y'],
      message: 'one\ntwo\u2028three',
    });
    assert.equal(
      formatLine(`${line}\n`, false),
      '10:20:30.456 WARN  one\\u000atwo\\u2028three detail="go \\u001b[2J\\naway\\u009b" reason="a=b" count=3 option="[\\"x y\\"]"\n',
    );
  });

  test('puts a stack on lines of its own', () => {
    const line = JSON.stringify({
      level: 'fatal',
      time: '2026-11-22T10:20:30.456Z',
      stack: 'Error: x\n    at y\u001b',
      message: 'm',
    });
    assert.equal(formatLine(line, false), '10:20:30.456 FATAL m\nError: x\n    at y\\u001b\n');
    assert.ok(
      formatLine(line, true).includes('\u001b[0mFATAL'),
      `${'\u001b[0mFATAL'} is not in:\n${formatLine(line, true)}`,
    );
  });

  test('passes on unchanged what is no log line', () => {
    assert.equal(formatLine('Warning: x\n', true), 'Warning: x\n');
    assert.equal(formatLine('7\n', true), '7\n');
  });
});

test('the last line before an exit is written', () => {
  const module = new URL('../../../../agent/observe/log/log.ts', import.meta.url).href;
  const script = `
    import { createLogger } from ${JSON.stringify(module)};
    createLogger({ level: 'info', format: 'auto', destination: process.stdout }).error('the last');
    process.exit(3);`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(status, 3);
  assert.equal((JSON.parse(stdout) as { message: string }).message, 'the last');
});
