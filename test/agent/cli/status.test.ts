import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { runCommand } from '../../../agent/cli/commands.ts';
import { findSockets } from '../../../agent/cli/sockets.ts';
import { createObserveServer } from '../../../agent/observe/endpoint/http.ts';
import { openProbeSocket } from '../../../agent/observe/endpoint/probe-socket.ts';
import { createRoutes } from '../../../agent/observe/endpoint/routes.ts';
import { createMetrics } from '../../../agent/observe/metrics/metrics.ts';
import { lineStateNames } from '../../../agent/observe/status/state-words.ts';
import { eventOf, until } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';
import { fresh, podWith } from '../observe/status/volumes.ts';
import { createLogProbe, statusSources } from '../observe/subjects.ts';

/** An agent that serves its status on a socket only. */
async function onSocket(t: TestContext): Promise<string> {
  return (await openSocket(t)).path;
}

async function openSocket(t: TestContext) {
  const path = join(makeDirectory(t), 'csi.sock.probe');
  const { log } = createLogProbe();
  const health = { live: () => [], ready: () => [] };
  const volumes = [podWith('web-1', fresh), podWith('web-2', { state: 'denied', lastError: 'no' })];
  const retry = { volumes: () => [], wake: () => [] };
  const close = await openProbeSocket({ path, health, retry, status: statusSources(volumes), log });
  t.after(close);
  return { path, close };
}

async function agent(t: TestContext): Promise<string> {
  const metrics = createMetrics({ version: '1' });
  const health = { live: () => [], ready: () => [] };
  const routes = createRoutes({ metrics, health, status: statusSources(), flags: () => [] });
  const { log } = createLogProbe();
  const server = await createObserveServer({ address: { host: '127.0.0.1', port: 0 }, routes, log });
  t.after(() => server.close());
  return `127.0.0.1:${server.address.port}`;
}

function surroundings(isTTY = false, size: { readonly rows?: number; readonly columns?: number } = {}) {
  const stopping = new AbortController();
  const printed: string[] = [];
  const faults: string[] = [];
  return {
    stopping,
    printed,
    faults,
    whenPrinted: (count: number) =>
      until(
        () => printed.length >= count,
        () => `${count} prints, of ${printed.length} so far`,
      ),
    given: {
      stdout: {
        isTTY,
        ...size,
        write: (text: string) => {
          printed.push(text);
        },
      },
      stderr: { write: (text: string) => faults.push(text) },
      stopping: stopping.signal,
    },
  };
}

describe('status', () => {
  test('prints the table of the agent at an address, or its document as JSON', async (t) => {
    const address = await agent(t);
    const { given, printed } = surroundings();
    assert.equal(await runCommand('status', ['--address', address], given), 0);
    assert.match(printed[0] ?? '', /^pod-certificate-agent 1\.2\.3, node node-1/);
    assert.equal(await runCommand('status', [`--address=${address}`, '--output=json'], given), 0);
    assert.equal(JSON.parse(printed[1] ?? '').node, 'node-1');
  });

  test('says which addresses it tried when no agent answers, and ends with 1', async (t) => {
    const refusing = createServer((_, response) => response.writeHead(401).end('a bearer token is needed\n'));
    t.after(() => refusing.close());
    await eventOf(refusing.listen(0, '127.0.0.1'), 'listening', 'the server to listen');
    const address = `127.0.0.1:${(refusing.address() as AddressInfo).port}`;
    const { given, faults, printed } = surroundings();
    assert.equal(await runCommand('status', ['--address', address], given), 1);
    assert.deepEqual(faults, [`no agent answers on this machine:\n  ${address}: 401 a bearer token is needed\n`]);
    assert.equal(await runCommand('status', ['--address', '127.0.0.1:1'], given), 1);
    assert.match(faults[1] ?? '', /127\.0\.0\.1:1: .*ECONNREFUSED|bad port/);
    assert.deepEqual(printed, []);
  });

  test('prints again and again until it is stopped, over the last picture in a terminal', async (t) => {
    const address = await agent(t);
    const { given, printed, stopping, whenPrinted } = surroundings(true);
    const code = runCommand('status', ['--watch', '--address', address], given);
    await whenPrinted(2);
    stopping.abort();
    assert.equal(await code, 0);
    const [first = '', second = ''] = printed;
    // Home, every line erased to its end, nothing below: the picture is never empty, and what was above it stays.
    assert.ok(first.startsWith('\u001b[2J\u001b[Hpod-certificate-agent'), JSON.stringify(first));
    assert.ok(second.startsWith('\u001b[Hpod-certificate-agent'), JSON.stringify(second));
    assert.ok(second.endsWith('\u001b[K\n\u001b[J'), JSON.stringify(second));
    assert.equal(second.match(/\n/g)?.length, second.split('\u001b[K\n').length - 1);
  });

  test('draws no more than the window holds, and goes on when the agent is away', async (t) => {
    const { path, close } = await openSocket(t);
    const { given, printed, stopping, whenPrinted } = surroundings(true, { rows: 6, columns: 30 });
    const code = runCommand('status', ['--watch', '--socket', path], given);
    await whenPrinted(1);
    const lines = (printed[0] ?? '').split('\u001b[K\n');
    assert.equal(lines.length, 6);
    assert.match(lines[4] ?? '', /^… \d more lines; --filter and/);
    for (const line of lines.slice(1)) {
      assert.ok(line.length <= 30, line);
    }
    await close();
    await whenPrinted(2);
    await until(
      () => printed.at(-1)?.includes('no agent answers') === true,
      () => `the fault, after ${JSON.stringify(printed.at(-1))}`,
    );
    stopping.abort();
    assert.equal(await code, 0);
  });

  test('finds the agent by its socket, wherever that serves its metrics, and narrows what it shows', async (t) => {
    const socket = await onSocket(t);
    const show = async (...argv: readonly string[]): Promise<string> => {
      const { given, printed, faults } = surroundings();
      assert.equal(await runCommand('status', ['--socket', socket, ...argv], given), 0, faults.join(''));
      return printed.join('');
    };
    assert.match(await show(), /\nshop\/web-2 .*denied.*\n {4}no\nshop\/web-1 .* fresh /);
    assert.match(await show('--state', 'fresh'), /1 of 2 lines\n\nPOD.*\nshop\/web-1 /);
    assert.match(await show('--filter', 'web-2 no'), /1 of 2 lines\n\nPOD.*\nshop\/web-2 /);
    assert.match(await show('--sort', 'pod'), /\nshop\/web-1 .*\nshop\/web-2 /);
    assert.match(await show('--output', 'wide'), /KEY TYPE/);
    assert.equal(JSON.parse(await show('--output=json', '--state=denied')).volumes.length, 1);
  });

  test('looks for the sockets of drivers of any name', (t) => {
    const directory = makeDirectory(t);
    for (const name of ['a.example.com', 'b.example.com']) {
      mkdirSync(join(directory, name));
      writeFileSync(join(directory, name, 'csi.sock.probe'), '');
    }
    const found = findSockets(join(directory, '*', 'csi.sock.probe'));
    assert.deepEqual(found.slice(1).toSorted(), [
      join(directory, 'a.example.com/csi.sock.probe'),
      join(directory, 'b.example.com/csi.sock.probe'),
    ]);
    assert.equal(found[0], '/var/lib/kubelet/plugins/csi.podcert.io/csi.sock.probe');
  });

  test('knows the states and columns that the agent knows', async () => {
    for (const state of lineStateNames) {
      const { given, faults } = surroundings();
      assert.equal(
        await runCommand('status', ['--state', state, '--address', '127.0.0.1:1'], given),
        1,
        faults.join(''),
      );
    }
    const { given, faults, printed } = surroundings();
    assert.equal(await runCommand('status', ['--state', 'lost'], given), 2);
    for (const address of ['127.0.0.1', '127.0.0.1:0', 'host:', ':9808', 'a/b:1', 'user@host:1', '127.0.0.1:123456']) {
      assert.equal(await runCommand('status', ['--address', address], given), 2, address);
    }
    for (const address of ['127.0.0.1:1', '[::1]:1', 'localhost:1']) {
      assert.equal(await runCommand('status', ['--address', address], given), 1, address);
    }
    assert.equal(await runCommand('status', ['--sort', 'colour'], given), 2);
    assert.match(faults[0] ?? '', new RegExp(`^--state must be one of ${lineStateNames.join(', ')}\n`));
    assert.equal(await runCommand('status', ['--help'], given), 0);
    for (const state of lineStateNames) {
      assert.ok(printed.join('').includes(state), state);
    }
  });

  test('refuses what it does not know, and explains itself', async () => {
    const { given, faults, printed } = surroundings();
    for (const argv of [['--output=xml'], ['--colour'], ['more']]) {
      assert.equal(await runCommand('status', argv, given), 2);
    }
    assert.match(faults[0] ?? '', /^--output must be table, wide or json\npod-certificate-agent status --help/);
    assert.equal(await runCommand('status', ['--help'], given), 0);
    assert.match(printed[0] ?? '', /^Usage: pod-certificate-agent status/);
  });
});
