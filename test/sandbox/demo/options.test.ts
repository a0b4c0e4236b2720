import assert from 'node:assert/strict';
import { test } from 'node:test';
import { helpText, parseDemoOptions } from '../../../sandbox/demo/options.ts';

test('without options the demonstration plays Kubernetes 1.36 until it is stopped', () => {
  assert.deepEqual(parseDemoOptions([]), {
    type: 'demo',
    options: {
      once: false,
      issuer: 'podCertificateRequest',
      kubernetes: '1.36',
      lifetimeSeconds: 15,
      directory: undefined,
      keep: false,
      verbose: false,
    },
  });
});

test('--kubeconfig and --in-cluster hand all other arguments to the agent', () => {
  for (const [argv, handed] of [
    [
      ['--kubeconfig', '/k', '--node-name', 'n'],
      ['--kubeconfig', '/k', '--node-name', 'n'],
    ],
    [
      ['--kubeconfig=/k', '--help'],
      ['--kubeconfig=/k', '--help'],
    ],
    [
      ['--in-cluster', '--node-name', 'n'],
      ['--node-name', 'n'],
    ],
  ] as const) {
    assert.deepEqual(parseDemoOptions(argv), { type: 'agent', argv: handed });
  }
});

test('every fault of the options is named', () => {
  assert.deepEqual(parseDemoOptions(['--issuer', 'vault', '--kubernetes', '1.33', '--lifetime', '5']), {
    type: 'invalid',
    faults: [
      '--issuer: must be one of podCertificateRequest, certificateSigningRequest, certManager',
      '--kubernetes: must be one of 1.34, 1.35, 1.36, 1.37',
      '--lifetime: must be a whole number from 10 to 86400',
    ],
  });
  for (const argv of [['--lifetime', '15.5'], ['--lifetime', 'x'], ['--what'], ['stray'], ['--dir']]) {
    assert.equal(parseDemoOptions(argv).type, 'invalid', argv.join(' '));
  }
});

test('--help explains every option', () => {
  assert.equal(parseDemoOptions(['--help']).type, 'help');
  for (const option of [
    'once',
    'issuer',
    'kubernetes',
    'lifetime',
    'dir',
    'keep',
    'verbose',
    'help',
    'kubeconfig',
    'in-cluster',
  ]) {
    assert.match(helpText, new RegExp(`^  --${option}\\b`, 'm'));
  }
});
