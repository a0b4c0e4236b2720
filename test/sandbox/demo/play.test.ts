/** The demonstration as a place to play: pods of one's own, switches for the signer, and nothing left behind however it ends. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { parse } from 'yaml';
import type { KubernetesObject } from '../../../agent/kubernetes/objects.ts';
import { createSandboxClient } from '../../../sandbox/base/client.ts';
import { removeLeftovers, startCaretaker } from '../../../sandbox/demo/caretaker.ts';
import { readSwitches, switches } from '../../../sandbox/demo/switches.ts';
import type { Behaviour } from '../../../sandbox/signers/behaviours.ts';
import { eventOf, until, withinBound } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';

const root = join(import.meta.dirname, '../../..');
const startMs = 180_000;

interface Played {
  readonly child: ChildProcess;
  readonly directory: string;
  output(): string;
  /** Resolves when that was printed. */
  printed(text: string): Promise<void>;
}

function play(t: TestContext): Played {
  const directory = join(makeDirectory(t), 'demo');
  const child = spawn(process.execPath, ['sandbox/main.ts', '--lifetime', '3600', '--dir', directory], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const printed = async (text: string): Promise<void> => {
    const seen = async () => {
      while (!output.includes(text) && child.exitCode === null) {
        await pause(50);
      }
    };
    await withinBound(seen(), () => `"${text}" in:\n${output}`, startMs);
    assert.ok(output.includes(text), `"${text}" is not in:\n${output}`);
  };
  return { child, directory, output: () => output, printed };
}

/** Processes that were started for a directory. */
function processesOf(directory: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return words.some((word) => word.startsWith(directory)) ? [words.join(' ')] : [];
      } catch {
        return [];
      }
    });
}

async function gone({ directory, output }: Played): Promise<void> {
  const isGone = () => !existsSync(directory) && processesOf(directory).length === 0;
  await until(
    isGone,
    () => `the end of ${directory}: ${processesOf(directory)}\n${output()}`,
    () => pause(50),
  );
}

test('the README’s own pod runs as written and is taken down, its signer can be switched, and SIGKILL leaves nothing', async (t) => {
  const played = play(t);
  await played.printed('Not served:');
  for (const words of [/status +npm run agent -- status --address 127\.0\.0\.1:\d+/, /page +http:\S+\/statusz/]) {
    assert.match(played.output(), words);
  }
  const client = createSandboxClient(join(played.directory, 'admin.kubeconfig'), 'player');
  t.after(() => client.close());
  const pods = '/api/v1/namespaces/default/pods';
  const [, yaml = ''] = /```yaml\n([\s\S]+?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
  const get = async (path: string): Promise<{ status?: { phase?: string }; metadata?: { uid?: string } } | undefined> =>
    await client.request({ method: 'GET', path, decode: (value: unknown) => value as object }).catch(() => undefined);
  await client.request({ method: 'POST', path: pods, body: parse(yaml) });
  await until(
    async () => (await get(`${pods}/web`))?.status?.phase === 'Running',
    'the pod to run',
    () => pause(50),
  );
  const uid = (await get(`${pods}/web`))?.metadata?.uid ?? '';
  const volume = join(played.directory, 'kubelet/pods', uid, 'volumes/kubernetes.io~csi/mtls/mount');
  assert.match(readFileSync(join(volume, 'credentials.pem'), 'utf8'), /^-----BEGIN PRIVATE KEY/);
  await client.request({ method: 'DELETE', path: `${pods}/web` });
  await until(
    async () => (await get(`${pods}/web`)) === undefined,
    'the pod to go',
    () => pause(50),
  );
  assert.ok(!existsSync(volume), 'its volume is taken down before it goes');

  played.child.stdin?.write('deny\n');
  await played.printed(switches.deny.said);
  await client.request({ method: 'POST', path: pods, body: parse(yaml) });
  const denied = async (): Promise<boolean> => {
    const path = '/api/v1/namespaces/default/events';
    const decode = (value: unknown) => value as { items?: readonly (KubernetesObject & { reason?: string })[] };
    const { items = [] } = await client.request({ method: 'GET', path, decode });
    return items.some(({ reason }) => reason === 'Denied');
  };
  await until(denied, 'the event Denied', () => pause(50));

  assert.ok(processesOf(played.directory).length >= 4, 'the agent, two workloads and who clears up');
  played.child.kill('SIGKILL');
  await gone(played);
});

test('a terminal that is closed leaves no directory and no process behind', async (t) => {
  const played = play(t);
  await played.printed('Look around:');
  const ended = eventOf(played.child, 'exit', 'its end');
  // What is printed from now on finds nobody, as in a terminal that is gone.
  played.child.stdout?.destroy();
  played.child.stderr?.destroy();
  played.child.kill('SIGHUP');
  await ended;
  await gone(played);
});

test('what a killed demonstration has left is removed by the next one, and nothing else', async (t) => {
  const parent = makeDirectory(t);
  const made = (name: string, owner?: object, mode = 0o700): string => {
    const directory = join(parent, name);
    mkdirSync(directory, { mode });
    if (owner !== undefined) {
      writeFileSync(join(directory, 'demonstration.json'), JSON.stringify(owner));
    }
    return directory;
  };
  const left = made('podcert-left', { pid: 1, startedAt: 'an earlier boot 1' });
  made('podcert-foreign');
  made('podcert-open', { pid: 1, startedAt: 'an earlier boot 1' }, 0o755);
  made('podcert-odd', { pid: 'x' });
  made('other', { pid: 1, startedAt: 'an earlier boot 1' });
  const running = made('podcert-running');
  const caretaker = await startCaretaker(running);
  assert.deepEqual(await removeLeftovers(parent, 'podcert-'), [left]);
  assert.deepEqual(readdirSync(parent).toSorted(), [
    'other',
    'podcert-foreign',
    'podcert-odd',
    'podcert-open',
    'podcert-running',
  ]);
  await withinBound(caretaker.dismiss(), 'the caretaker to go');
  assert.ok(existsSync(running), 'one that is dismissed removes nothing');
});

test('each switch sets the signer’s behaviour, and what is none is explained', async () => {
  const input = new PassThrough();
  const set: Behaviour[] = [];
  const said: string[] = [];
  const stop = readSwitches(input, { setBehaviour: (behaviour) => set.push(behaviour) }, (text) => said.push(text));
  input.write('Deny\n\nsilent\nslow\nhelp me\ngood\n');
  await until(
    () => said.length === 5,
    () => said.join(),
  );
  assert.deepEqual(
    set.map(({ type }) => type),
    ['denying', 'silent', 'slow', 'instant'],
  );
  assert.match(said[3] ?? '', /^Type deny, silent, slow, good and Enter/);
  stop();
});
