import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { runCommand } from '../../../../agent/cli/commands.ts';
import { createObserveServer } from '../../../../agent/observe/endpoint/http.ts';
import { openProbeSocket } from '../../../../agent/observe/endpoint/probe-socket.ts';
import { createRoutes } from '../../../../agent/observe/endpoint/routes.ts';
import type { Health } from '../../../../agent/observe/health.ts';
import { createMetrics } from '../../../../agent/observe/metrics/metrics.ts';
import { eventOf, soon, until } from '../../../support/bounded.ts';
import { makeDirectory } from '../../../support/directory.ts';
import { createLogProbe, statusSources } from '../subjects.ts';

const retry = { volumes: () => [], wake: () => [] };

function socketPath(t: TestContext): string {
  const directory = makeDirectory(t);
  return join(directory, 'plugin', 'csi.sock.probe');
}

async function open(t: TestContext, given: Partial<Health> = {}) {
  const path = socketPath(t);
  const health: Health = { live: () => [], ready: () => [], ...given };
  const { log } = createLogProbe();
  const close = await openProbeSocket({ path, health, retry, status: statusSources(), log });
  t.after(close);
  return { path, close, health, log };
}

/** The command as the kubelet runs it. */
async function probe(...argv: readonly string[]) {
  const told = { stdout: '', stderr: '' };
  const code = await runCommand('probe', argv, {
    stdout: { write: (text) => (told.stdout += text) },
    stderr: { write: (text) => (told.stderr += text) },
    stopping: new AbortController().signal,
  });
  return { code, ...told };
}

describe('the probe socket', () => {
  test('tells the probe of each kind whether all is well, and every check that is not', async (t) => {
    const { path } = await open(t, {
      live: () => [{ name: 'clock', ok: true }],
      ready: () => [
        { name: 'node', ok: true },
        { name: 'watch', ok: false, message: 'the API server is away' },
      ],
    });
    assert.deepEqual(await probe('live', '--socket', path), {
      code: 0,
      stdout: '[+]clock ok\nlivez check passed\n',
      stderr: '',
    });
    const { code, stdout } = await probe('ready', '--socket', path);
    assert.equal(code, 1);
    assert.equal(stdout, '[+]node ok\n[-]watch failed: the API server is away\nreadyz check failed\n');
  });

  test('answers although strangers hold every connection that the metrics port has', async (t) => {
    const { path, health, log } = await open(t);
    const metrics = createMetrics({ version: '1' });
    const routes = createRoutes({ metrics, health, status: statusSources(), flags: () => [] });
    const server = await createObserveServer({ address: { host: '127.0.0.1', port: 0 }, routes, log });
    t.after(() => server.close());
    const { host, port } = server.address;
    const idle = await Promise.all(
      Array.from({ length: 300 }, async () => {
        const socket = connect(port, host);
        socket.on('error', () => undefined);
        t.after(() => socket.destroy());
        await eventOf(socket, 'connect', 'the connection');
        return socket;
      }),
    );
    assert.equal(idle.length, 300);
    for (const what of ['live', 'ready']) {
      assert.equal((await probe(what, '--socket', path)).code, 0, what);
    }
  });

  test('is for root alone, replaces what an earlier run left, which takes nothing back, and goes with the agent', async (t) => {
    const { path, close, health, log } = await open(t);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const next = await openProbeSocket({ path, health, retry, status: statusSources(), log });
    t.after(next);
    assert.equal((await probe('live', '--socket', path)).code, 0);
    await close();
    assert.equal((await probe('live', '--socket', path)).code, 0);
    await soon(next(), 'the stop, which has nobody to wait for');
    assert.equal(existsSync(path), false);
    const { code, stderr } = await probe('live', '--socket', path);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`^the agent does not answer on ${path}: .*ENOENT`));
  });

  test('is put back when it, or the whole directory that it lies in, was removed, again and again', async (t) => {
    const path = socketPath(t);
    const looks: { readonly delayMs: number; readonly look: () => void }[] = [];
    const later = (delayMs: number, look: () => void): (() => void) => {
      looks.push({ delayMs, look });
      return () => undefined;
    };
    const { log, entries } = createLogProbe();
    const told = (what: string): number =>
      entries().filter(({ message }) => message === `the probe socket ${what}`).length;
    const health: Health = { live: () => [], ready: () => [] };
    const close = await openProbeSocket({ path, health, retry, status: statusSources(), log, later });
    t.after(close);
    for (const [index, lost] of [path, dirname(path), path].entries()) {
      rmSync(lost, { recursive: true });
      await until(() => told('was removed, and is put back') > index, `the socket, after ${lost} was removed`);
      assert.equal((await probe('live', '--socket', path)).code, 0, `after ${lost} was removed`);
    }
    rmSync(path);
    writeFileSync(path, 'precious');
    await until(() => looks.at(-1)?.delayMs === 1_000, 'the socket to be tried again in a second');
    assert.equal(told('cannot be put back'), 1);
    assert.equal(readFileSync(path, 'utf8'), 'precious');
    rmSync(path);
    looks.at(-1)?.look();
    await until(() => told('was removed, and is put back') === 4, 'the socket, after nothing was in its way');
    assert.equal((await probe('live', '--socket', path)).code, 0);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    rmSync(path);
    writeFileSync(path, 'precious');
    await close();
    assert.equal(readFileSync(path, 'utf8'), 'precious');
  });

  test('ends a connection whose request never comes, when it stops', async (t) => {
    const { path, close } = await open(t);
    const connection = connect(path);
    t.after(() => connection.destroy());
    await eventOf(connection, 'connect', 'the connection');
    const ended = eventOf(connection.resume(), 'close', 'the end of the connection');
    connection.write('GET /livez HTTP/1.1\r\n');
    await close();
    await ended;
  });

  test('takes nothing away that is not a socket', async (t) => {
    const { path, close, health, log } = await open(t);
    await close();
    writeFileSync(path, 'precious');
    await assert.rejects(
      openProbeSocket({ path, health, retry, status: statusSources(), log }),
      /is there and is not a socket; remove it/,
    );
    assert.equal(existsSync(path), true);
  });

  test('the command says what it wants', async () => {
    for (const argv of [[], ['alive'], ['live', 'ready'], ['live', '--sock=x']]) {
      assert.equal((await probe(...argv)).code, 2, argv.join(' '));
    }
    assert.match((await probe('--help')).stdout, /^Usage: pod-certificate-agent probe live\|ready/);
  });
});
