import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { runCommand } from '../../../agent/cli/commands.ts';
import { createObserveServer } from '../../../agent/observe/endpoint/http.ts';
import { createRoutes } from '../../../agent/observe/endpoint/routes.ts';
import { createMetrics } from '../../../agent/observe/metrics/metrics.ts';
import { eventOf, until } from '../../support/bounded.ts';
import { createLogProbe, statusSources } from '../observe/subjects.ts';

async function agent(t: TestContext): Promise<string> {
  const metrics = createMetrics({ version: '1' });
  const health = { live: () => [], ready: () => [] };
  const routes = createRoutes({ metrics, health, status: statusSources(), flags: () => [] });
  const { log } = createLogProbe();
  const server = await createObserveServer({ address: { host: '127.0.0.1', port: 0 }, routes, log });
  t.after(() => server.close());
  return `127.0.0.1:${server.address.port}`;
}

function surroundings(isTTY = false) {
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
    assert.deepEqual(faults, ['no agent answers on this machine:\n', `  ${address}: 401 a bearer token is needed\n`]);
    assert.equal(await runCommand('status', ['--address', '127.0.0.1:1'], given), 1);
    assert.match(faults[3] ?? '', /127\.0\.0\.1:1: .*ECONNREFUSED|bad port/);
    assert.deepEqual(printed, []);
  });

  test('prints again and again until it is stopped, over the last picture in a terminal', async (t) => {
    const address = await agent(t);
    const { given, printed, stopping, whenPrinted } = surroundings(true);
    const code = runCommand('status', ['--watch', '--address', address], given);
    await whenPrinted(2);
    stopping.abort();
    assert.equal(await code, 0);
    for (const text of printed) {
      assert.ok(
        text.startsWith('\u001b[H\u001b[2J\u001b[3Jpod-certificate-agent'),
        `${'\u001b[H\u001b[2J\u001b[3Jpod-certificate-agent'} is not the beginning of:\n${text}`,
      );
    }
  });

  test('refuses what it does not know, and explains itself', async () => {
    const { given, faults, printed } = surroundings();
    for (const argv of [['--output=xml'], ['--colour'], ['more']]) {
      assert.equal(await runCommand('status', argv, given), 2);
    }
    assert.match(faults[0] ?? '', /^--output must be table or json\npod-certificate-agent status --help/);
    assert.equal(await runCommand('status', ['--help'], given), 0);
    assert.match(printed[0] ?? '', /^Usage: pod-certificate-agent status/);
  });
});
