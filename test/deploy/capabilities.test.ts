/**
 * The capabilities that the chart leaves the agent: enough for everything it does to volumes, and none too many. Volume
 * tests are run by a root that has only these.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { manifestFile } from '../../deploy/manifest.ts';
import { eventOf } from '../support/bounded.ts';
import { objectsIn, one } from './objects.ts';

const root = join(import.meta.dirname, '../..');

const granted: readonly string[] = (() => {
  const spec = one(objectsIn(readFileSync(manifestFile, 'utf8')), 'DaemonSet')['spec'] as {
    template: { spec: { containers: [{ securityContext: { capabilities: { add: string[] } } }] } };
  };
  return spec.template.spec.containers[0].securityContext.capabilities.add;
})();

/** Why this cannot be tried here; false: it can. */
const skip = process.getuid?.() !== 0 ? 'needs root' : mountsWith(granted) ? false : 'needs the right to mount';

function mountsWith(capabilities: readonly string[]): boolean {
  const script = 'mount -t tmpfs test /mnt && umount /mnt';
  return spawnSync('unshare', ['--mount', ...limited(capabilities), 'sh', '-c', script]).status === 0;
}

/** `setpriv` in front of a command: root with these capabilities and no others. */
function limited(capabilities: readonly string[]): readonly string[] {
  const set = ['-all', ...capabilities.map((name) => `+${name.toLowerCase()}`)].join(',');
  return ['setpriv', `--bounding-set=${set}`, '--inh-caps=-all'];
}

/** Runs what the agent does to volumes. @returns the names of the tests that failed */
function failuresWith(capabilities: readonly string[]): readonly string[] {
  const [program = '', ...args] = limited(capabilities);
  const files = ['store', 'atomic-writer'].map((name) => `test/volumes/${name}.test.ts`);
  // The one left out takes the place of a pod's process, and changes its user for that.
  const choice = ['--test-name-pattern=/tmpfs|owner/', "--test-skip-pattern=/^a pod's process/"];
  const flags = ['--test', '--test-reporter=tap', ...choice];
  const result = spawnSync(program, [...args, process.execPath, ...flags, ...files], {
    cwd: root,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    encoding: 'utf8',
  });
  assert.match(result.stdout, /^# pass [1-9]/m, result.stderr);
  return [...result.stdout.matchAll(/^ *not ok \d+ - (.*)$/gm)].map(([, name = '']) => name);
}

describe('signals to processes of pods', { skip }, () => {
  /** Signals a process of another user, as the agent would. @returns what it says */
  function signalWith(capabilities: readonly string[], pid: number): string {
    const [program = '', ...args] = limited(capabilities);
    const script = `try { process.kill(${pid}, 'SIGHUP'); console.log('told'); } catch ({ code }) { console.log(code); }`;
    return spawnSync(program, [...args, process.execPath, '-e', script], { encoding: 'utf8' }).stdout.trim();
  }

  test('take KILL, which is why the chart gives it with reloadSignals only', async (t) => {
    const child = spawn('sleep', ['600'], { uid: 1000, gid: 1000, stdio: 'ignore' });
    t.after(() => child.kill('SIGKILL'));
    await eventOf(child, 'spawn', 'the process of a pod');
    const { pid = 0 } = child;
    assert.ok(pid > 1, 'it runs');
    assert.ok(!granted.includes('KILL'), 'the default has no KILL');
    assert.equal(signalWith(granted, pid), 'EPERM');
    const ended = eventOf(child, 'exit', 'the process to end');
    assert.equal(signalWith([...granted, 'KILL'], pid), 'told');
    assert.deepEqual(await ended, [null, 'SIGHUP']);
  });
});

describe('the capabilities in the chart', { skip }, () => {
  test('are enough to mount, write, hand over and remove volumes', () => {
    assert.deepEqual(failuresWith(granted), []);
  });

  for (const capability of granted.filter((name) => name !== 'SYS_ADMIN')) {
    test(`are too few without ${capability}`, () => {
      assert.notDeepEqual(failuresWith(granted.filter((name) => name !== capability)), []);
    });
  }
});
