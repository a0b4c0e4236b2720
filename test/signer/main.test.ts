/** The trial signer as a process: what its command line takes, and that it goes when it is told to. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startCluster } from '../../sandbox/cluster/cluster.ts';
import { parseOptions } from '../../signer/command-line.ts';
import { eventOf, until } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { namespace, stored } from './replica.ts';

const required = ['--signer-name', 'example.com/mesh', '--namespace', 'kube-system'];

function faultsOf(...more: string[]): readonly string[] {
  const parsed = parseOptions([...required, ...more], {});
  return parsed.type === 'invalid' ? parsed.faults : [];
}

test('what is not written has a default, and the pod says where it is', () => {
  const parsed = parseOptions(['--signer-name=example.com/mesh'], { POD_NAMESPACE: 'here', POD_NAME: 'signer-0' });
  assert.ok(parsed.type === 'run', JSON.stringify(parsed));
  const { settings } = parsed;
  assert.deepEqual([settings.namespace, settings.replica, settings.name], ['here', 'signer-0', 'trial-signer']);
  assert.equal(settings.policy.leafMs, 86_400_000);
  assert.equal(settings.policy.keyTypes[0], 'ECDSAP256', 'the first is what is suggested');
  assert.equal(settings.signingRequests, 'none');
});

test('every fault of the command line is told by its flag', () => {
  assert.deepEqual(faultsOf(), []);
  assert.deepEqual(parseOptions([], {}), {
    type: 'invalid',
    faults: ['--signer-name: is required', '--namespace: is required'],
  });
  assert.match(faultsOf('--key-types', 'RSA1024')[0] ?? '', /^--key-types: must be a list of RSA3072/);
  assert.match(faultsOf('--certificate-lifetime', '30m')[0] ?? '', /^--certificate-lifetime: must be from 1h/);
  assert.match(faultsOf('--ca-lifetime', '48h')[0] ?? '', /a third of --ca-lifetime/);
  assert.match(faultsOf('--agent-account', 'agent')[0] ?? '', /^--agent-account: must be NAMESPACE:NAME/);
  assert.match(faultsOf('--what')[0] ?? '', /^--what: is not an option/);
  assert.match(faultsOf('--name')[0] ?? '', /^--name: needs a value/);
  assert.match(faultsOf('--name=a', '--name=b')[0] ?? '', /^--name: is given twice/);
});

test("Kubernetes' own signer names, and what is none, are refused", () => {
  for (const name of [
    'kubernetes.io/kube-apiserver-client',
    'a.kubernetes.io/b',
    'mesh',
    'example/mesh',
    'example.com/a/b',
    'EXAMPLE.com/a',
  ]) {
    const parsed = parseOptions(['--signer-name', name, '--namespace', 'here'], {});
    assert.equal(parsed.type, 'invalid', name);
  }
});

test('a process answers until it is told to stop, gives the Lease back, and ends well', async (t) => {
  const cluster = await startCluster({ directory: makeDirectory(t), kubelet: 'none' });
  t.after(() => cluster.close());
  const program = join(import.meta.dirname, '../../signer/main.ts');
  const flags = [...required, '--kubeconfig', cluster.kubeconfigs.admin, '--listen-address', ''];
  // As it mostly is: the child inherits it.
  writeFileSync('/proc/self/coredump_filter', '0x33');
  const child = spawn(process.execPath, [program, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const ended = eventOf(child, 'exit', 'the signer to end');
  await until(
    () => output.includes('certificates are signed by this CA'),
    () => `a CA; the log is ${output}`,
    () => new Promise((resolve) => setTimeout(resolve, 50)),
  );
  const lease = () => stored(cluster, 'leases.coordination.k8s.io', 'trial-signer', namespace)?.spec;
  assert.match(String(lease()?.['holderIdentity']), /^signer_/);
  const filter = readFileSync(`/proc/${child.pid}/coredump_filter`, 'utf8');
  assert.equal(Number.parseInt(filter, 16), 0, "a core dump leaves the CA's key out");
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  assert.equal(lease()?.['holderIdentity'], '');
  assert.doesNotMatch(output, /PRIVATE|BEGIN/);
});
