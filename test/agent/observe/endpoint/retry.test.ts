import assert from 'node:assert/strict';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { runCommand } from '../../../../agent/cli/commands.ts';
import type { CredentialSnapshot } from '../../../../agent/lifecycle/notices.ts';
import type { PodName } from '../../../../agent/lifecycle/volume-manager.ts';
import { createObserveServer } from '../../../../agent/observe/endpoint/http.ts';
import { openProbeSocket } from '../../../../agent/observe/endpoint/probe-socket.ts';
import { createRoutes } from '../../../../agent/observe/endpoint/routes.ts';
import { createMetrics } from '../../../../agent/observe/metrics/metrics.ts';
import { makeDirectory } from '../../../support/directory.ts';
import { createWorld, podCertificate } from '../../lifecycle/world.ts';
import { createLogProbe, statusSources } from '../subjects.ts';

const failed = { type: 'failed', reason: 'Down', message: 'no connection to the authority' } as const;
const health = { live: () => [], ready: () => [] };

/** A volume whose first attempt has failed, and the socket of its agent. */
async function open(
  t: TestContext,
  shown = (woken: readonly CredentialSnapshot[]): readonly CredentialSnapshot[] => woken,
) {
  const world = await createWorld(t);
  void world.publish(world.request('mtls', [podCertificate(0, 'tls.pem')]), 10_000);
  await world.answer(failed);
  const directory = makeDirectory(t);
  const path = join(directory, 'csi.sock.probe');
  const retry = {
    volumes: () => world.manager.describe(),
    wake: (pod?: PodName) => shown(world.manager.relieve({ type: 'operatorAsks' }, pod)),
  };
  const { log } = createLogProbe();
  t.after(await openProbeSocket({ path, health, retry, status: statusSources(), log }));
  const [held] = world.manager.describe();
  assert.ok(held !== undefined, 'there is no held');
  const pod = `${held.volume.pod.namespace}/${held.volume.pod.name}`;
  return { world, path, pod };
}

async function retry(...argv: readonly string[]) {
  const told = { stdout: '', stderr: '' };
  const code = await runCommand('retry', argv, {
    stdout: { write: (text) => (told.stdout += text) },
    stderr: { write: (text) => (told.stderr += text) },
    stopping: new AbortController().signal,
  });
  return { code, ...told };
}

type Target = { readonly socketPath: string } | { readonly host: string; readonly port: number };

function statusOf(target: Target, method: string, path: string, body = ''): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = body === '' ? {} : { 'Content-Length': Buffer.byteLength(body), Expect: '100-continue' };
    const outgoing = request({ ...target, method, path, headers, timeout: 10_000 }, (reply) => {
      resolve(reply.statusCode);
      outgoing.destroy();
    });
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')));
    outgoing.once('error', reject);
    if (body === '') {
      outgoing.end();
    } else {
      outgoing.flushHeaders();
    }
    outgoing.once('continue', () => outgoing.end(body));
  });
}

describe('retry', () => {
  for (const whom of ['all', 'pod'] as const) {
    test(`whoever pauses tries again at once, asked with --${whom}, and is listed`, async (t) => {
      const { world, path, pod } = await open(t);
      world.clock.advance(1_000);
      const { code, stdout } = await retry(...(whom === 'all' ? ['--all'] : ['--pod', pod]), '--socket', path);
      assert.equal(code, 0);
      assert.ok(stdout.startsWith(`${pod} volume mtls sources[0] of `), stdout);
      assert.match(stdout, /: tries again now\n0 other credentials did not pause/);
      await world.answer('issue');
      assert.equal(world.manager.describe()[0]?.status.type, 'ready');
    });
  }

  test('however often it is asked, an attempt comes no sooner than a second after the failure', async (t) => {
    const { world, path } = await open(t);
    const due = new Date(world.clock.now() + 1_000).toISOString();
    for (let count = 0; count < 20; count += 1) {
      const { code, stdout } = await retry('--all', '--socket', path);
      assert.equal(code, 0);
      assert.ok(stdout.includes(`tries again ${due}`), stdout);
    }
    assert.equal(world.submitted.length, 1);
    world.clock.advance(1_000);
    await world.answer('issue');
    assert.equal(world.submitted.length, 2);
  });

  test('a pod that is not here and a pod that does not pause are told apart, and nobody is woken', async (t) => {
    const { world, path, pod } = await open(t);
    world.clock.advance(1_000);
    const wrong = await retry('--pod', 'elsewhere/nobody', '--socket', path);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /no pod elsewhere\/nobody has a volume of this node's agent/);
    assert.equal(world.submitted.length, 1);
    assert.equal((await retry('--pod', pod, '--socket', path)).code, 0);
    await world.answer('issue');
    const idle = await retry('--pod', pod, '--socket', path);
    assert.equal(idle.code, 1);
    assert.match(idle.stderr, /nothing pauses; 1 other credential did not pause/);
  });

  test('one that tries again at a moment that no date can express is listed with the others', async (t) => {
    const { world, path: socketPath } = await open(t, (woken) => woken.map((one) => ({ ...one, nextAttemptAt: 9e15 })));
    world.clock.advance(1_000);
    const { code, stdout } = await retry('--all', '--socket', socketPath);
    assert.equal(code, 0);
    assert.match(stdout, /: tries again unknown\n0 other credentials did not pause/);
  });

  test('a body, another method and a query that names nobody wake nobody', async (t) => {
    const { world, path: socketPath } = await open(t);
    world.clock.advance(1_000);
    assert.equal(await statusOf({ socketPath }, 'GET', '/retry?all'), 405);
    assert.equal(await statusOf({ socketPath }, 'POST', '/retry?all', 'x'.repeat(1_048_576)), 413);
    for (const query of ['', '?pod=', '?pod=web', '?pod=a/b/c', '?pod=a/b%0a', '?all&pod=a/b']) {
      assert.equal(await statusOf({ socketPath }, 'POST', `/retry${query}`), 400, query);
    }
    assert.equal(world.manager.credentials()[0]?.lastError === undefined, false);
    assert.equal(world.submitted.length, 1);
  });

  test('the network cannot wake anybody', async (t) => {
    const metrics = createMetrics({ version: '1' });
    const routes = createRoutes({ metrics, health, status: statusSources(), flags: () => [] });
    const { log } = createLogProbe();
    const server = await createObserveServer({ address: { host: '127.0.0.1', port: 0 }, routes, log });
    t.after(() => server.close());
    assert.equal(await statusOf(server.address, 'POST', '/retry?all'), 404);
  });

  test('the command says what it wants, and when no agent answers', async () => {
    for (const argv of [[], ['--all', '--pod', 'a/b'], ['--pod', 'web'], ['--all', 'web'], ['--every']]) {
      assert.equal((await retry(...argv)).code, 2, argv.join(' '));
    }
    assert.match((await retry('--help')).stdout, /^Usage: pod-certificate-agent retry --pod/);
    const { code, stderr } = await retry('--all', '--socket', '/nowhere/socket');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^the agent does not answer on \/nowhere\/socket: .*ENOENT.*; where kubelet-root .* is another, say --socket /,
    );
  });
});
