import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { main } from '../../agent/main.ts';
import { until } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';

interface Run {
  readonly code: Promise<number>;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves when standard output holds the text. */
  printed(text: string): Promise<void>;
  stop(): void;
}

function run(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Run {
  const stopping = new AbortController();
  const waiting = new Set<() => void>();
  let stdout = '';
  let stderr = '';
  const code = main({
    argv,
    env,
    stdout: {
      write(text) {
        stdout += text;
        for (const look of [...waiting]) {
          look();
        }
      },
    },
    stderr: {
      write(text) {
        stderr += text;
      },
    },
    stopping: stopping.signal,
  });
  return {
    code,
    stdout: () => stdout,
    stderr: () => stderr,
    printed: (text) =>
      until(
        () => stdout.includes(text),
        () => `"${text}" to be printed, in:\n${stdout}${stderr}`,
      ),
    stop: () => stopping.abort(),
  };
}

/** Flags of an agent that finds no API server, in a directory of its own. */
function lonely(t: TestContext, socket = 'csi.sock'): { readonly directory: string; readonly argv: readonly string[] } {
  const directory = makeDirectory(t);
  const kubeconfig = join(directory, 'kubeconfig');
  const cluster = { name: 'c', cluster: { server: 'https://127.0.0.1:9' } };
  const user = { name: 'u', user: { token: 'none' } };
  const context = { name: 'x', context: { cluster: 'c', user: 'u' } };
  const config = { clusters: [cluster], users: [user], contexts: [context], 'current-context': 'x' };
  writeFileSync(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...config }));
  const argv = [
    ...['--kubeconfig', kubeconfig, '--node-name', 'node-a', '--volume-mode', 'directory', '--no-registration'],
    ...['--kubelet-root', directory, '--csi-socket', join(directory, socket), '--metrics-address', '127.0.0.1:0'],
  ];
  return { directory, argv };
}

test('--help explains every option and --version prints the version, with exit code 0', async () => {
  const help = run(['--help']);
  assert.equal(await help.code, 0);
  assert.match(help.stdout(), /--follow-suggested-key-type/);
  const version = run(['--version']);
  assert.equal(await version.code, 0);
  assert.match(version.stdout(), /^\d+\.\d+\.\d+\n$/);
});

test('faults of the command line stop the start with exit code 2 and one line each', async () => {
  const faulty = run(['--node-name', 'UPPER', '--burst', 'many', '--nonsense']);
  assert.equal(await faulty.code, 2);
  const lines = faulty.stderr().trimEnd().split('\n');
  assert.equal(lines.length, 4);
  for (const flag of ['--node-name: ', '--burst: ', '--nonsense: ']) {
    assert.equal(lines.filter((line) => line.startsWith(flag)).length, 1, flag);
  }
});

test('an agent whose socket cannot be made ends with exit code 1 and says which', async (t) => {
  const { directory, argv } = lonely(t, 'file/csi.sock');
  const blocked = join(directory, 'file');
  writeFileSync(blocked, '');
  const agent = run(argv);
  assert.equal(await agent.code, 1);
  assert.match(agent.stdout(), /the agent cannot start/);
  assert.ok(agent.stdout().includes(blocked), `${blocked} is not in:\n${agent.stdout()}`);
});

test('a second agent on the same node ends with exit code 1 and leaves the first alone', async (t) => {
  const { argv } = lonely(t);
  const first = run(argv);
  await first.printed('the agent runs');
  const second = run(argv);
  assert.equal(await second.code, 1);
  assert.match(second.stdout(), /the agent cannot start/);
  first.stop();
  assert.equal(await first.code, 0);
});

test('without an API server the agent stays up, says what it cannot reach, and stops in order', async (t) => {
  const { argv } = lonely(t);
  const agent = run(argv);
  await agent.printed('the agent runs');
  await agent.printed('the agent cannot work yet: the check of node fails');
  agent.stop();
  assert.equal(await agent.code, 0);
});

test('a changed configuration file takes effect where it can, and is reported where it cannot', async (t) => {
  const { directory, argv } = lonely(t);
  const file = join(directory, 'agent.yaml');
  writeFileSync(file, 'logLevel: info\n');
  const agent = run([...argv, '--config', file]);
  await agent.printed('the agent runs');
  writeFileSync(file, 'logLevel: debug\nburst: 7\n');
  await agent.printed('the configuration file has changed"');
  writeFileSync(file, 'logLevel: debug\nburst: 7\nmaxConcurrentRsa: 2\n');
  await agent.printed('take effect at the next start');
  writeFileSync(file, 'logLevel: loud\n');
  await agent.printed('the configuration file has faults');
  agent.stop();
  assert.equal(await agent.code, 0);
});
