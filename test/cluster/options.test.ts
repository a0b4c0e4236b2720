import assert from 'node:assert/strict';
import { test } from 'node:test';
import { help, parseOptions } from './options.ts';

test('the kubeconfig is the one named, else the first of KUBECONFIG, else the user’s', () => {
  const kubeconfigOf = (args: readonly string[], environment: NodeJS.ProcessEnv): string => {
    const options = parseOptions(args, environment);
    return options === 'help' ? 'help' : options.kubeconfig;
  };
  assert.equal(kubeconfigOf(['--kubeconfig', '/a'], { KUBECONFIG: '/b' }), '/a');
  assert.equal(kubeconfigOf([], { KUBECONFIG: '/b:/c' }), '/b');
  assert.match(kubeconfigOf([], {}), /\/\.kube\/config$/);
});

test('pods are run when they are asked for only', () => {
  const run = (args: readonly string[]) => {
    const options = parseOptions(args, {});
    return options === 'help' ? undefined : options.withAgent;
  };
  assert.equal(run(['--image', 'x']), undefined);
  assert.deepEqual(run(['--with-agent', '--driver-name', 'csi.example.com', '--image', 'x']), {
    driverName: 'csi.example.com',
    image: 'x',
  });
});

test('the help names every option, and what is not known is refused', () => {
  assert.equal(parseOptions(['--help'], {}), 'help');
  for (const option of ['--kubeconfig', '--with-agent', '--driver-name', '--image', '--help']) {
    assert.ok(help.includes(`  ${option} `), option);
  }
  assert.throws(() => parseOptions(['--nope'], {}), TypeError);
});
