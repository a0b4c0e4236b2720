import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AgentConfiguration, parseConfiguration } from '../../../agent/configuration/configuration.ts';

const environment = { NODE_NAME: 'node-1' };

function noFile(path: string): string {
  throw new Error(`ENOENT: no such file or directory, open '${path}'`);
}

function configure(argv: readonly string[], file?: string, env: Readonly<Record<string, string>> = environment) {
  return parseConfiguration(argv, env, file === undefined ? noFile : () => file);
}

function run(argv: readonly string[], file?: string): AgentConfiguration {
  const parsed = configure(argv, file);
  assert.equal(parsed.type, 'run', JSON.stringify(parsed));
  return parsed.configuration;
}

function faults(argv: readonly string[], file?: string, env?: Readonly<Record<string, string>>): readonly string[] {
  const parsed = configure(argv, file, env);
  assert.equal(parsed.type, 'invalid', JSON.stringify(parsed));
  return parsed.faults;
}

describe('the configuration', () => {
  test('needs no more than the name of the node', () => {
    assert.deepEqual(run([]), {
      nodeName: 'node-1',
      kubeconfig: undefined,
      impersonateNode: false,
      driverName: 'csi.podcert.io',
      kubeletRoot: '/var/lib/kubelet',
      csiSocket: '/var/lib/kubelet/plugins/csi.podcert.io/csi.sock',
      probeSocket: '/var/lib/kubelet/plugins/csi.podcert.io/csi.sock.probe',
      registrationDir: '/var/lib/kubelet/plugins_registry',
      startupTaint: undefined,
      volumeMode: 'tmpfs',
      volumeCondition: false,
      publishTimeoutMs: 110_000,
      requestsPerSecond: 20,
      burst: 50,
      maxConcurrentRequests: 16,
      maxConcurrentRsa: 1,
      allowedSigners: [{ namespaces: ['*'], signers: ['*'] }],
      issuers: [],
      trustDomain: 'cluster.local',
      followSuggestedKeyType: false,
      issueAhead: false,
      reloadSignals: false,
      logLevel: 'info',
      logFormat: 'auto',
      metricsAddress: { host: '127.0.0.1', port: 9808 },
      localAddress: undefined,
      metricsAuth: 'auto',
      tlsCertFile: undefined,
      tlsKeyFile: undefined,
      podMetrics: false,
      shutdownGraceMs: 10_000,
      configFile: undefined,
    });
  });

  test('takes every option as a flag', () => {
    const given = run([
      ...[
        '--node-name',
        'node-2',
        '--kubeconfig',
        'agent.kubeconfig',
        '--impersonate-node',
        '--driver-name=csi.example.com',
      ],
      ...[
        '--kubelet-root',
        '/k/',
        '--csi-socket=/s/csi.sock',
        '--probe-socket=/s/probe.sock',
        '--registration-dir',
        '/r/../reg',
        '--startup-taint=example.com/new',
        '--volume-mode=directory',
        '--volume-condition',
      ],
      ...['--publish-timeout=1m30s', '--requests-per-second=0.5', '--burst=1', '--max-concurrent-requests=3'],
      ...[
        '--max-concurrent-rsa=2',
        '--follow-suggested-key-type',
        '--issue-ahead',
        '--reload-signals',
        '--trust-domain=mesh.example',
        '--log-level=debug',
        '--log-format=text',
      ],
      '--allowed-signers=[{namespaces: [shop], signers: [example.com/*]}]',
      ...['--metrics-address=[::1]:0', '--pod-metrics', '--metrics-auth=token', '--local-address=127.0.0.1:9809'],
      ...['--tls-cert-file=/tls/tls.crt', '--tls-key-file=/tls/tls.key', '--shutdown-grace=0s'],
    ]);
    assert.deepEqual(given, {
      nodeName: 'node-2',
      kubeconfig: `${process.cwd()}/agent.kubeconfig`,
      impersonateNode: true,
      driverName: 'csi.example.com',
      kubeletRoot: '/k',
      csiSocket: '/s/csi.sock',
      probeSocket: '/s/probe.sock',
      registrationDir: '/reg',
      startupTaint: 'example.com/new',
      volumeMode: 'directory',
      volumeCondition: true,
      publishTimeoutMs: 90_000,
      requestsPerSecond: 0.5,
      burst: 1,
      maxConcurrentRequests: 3,
      maxConcurrentRsa: 2,
      allowedSigners: [{ namespaces: ['shop'], signers: ['example.com/*'] }],
      issuers: [],
      trustDomain: 'mesh.example',
      followSuggestedKeyType: true,
      issueAhead: true,
      reloadSignals: true,
      logLevel: 'debug',
      logFormat: 'text',
      metricsAddress: { host: '::1', port: 0 },
      localAddress: { host: '127.0.0.1', port: 9809 },
      metricsAuth: 'token',
      tlsCertFile: '/tls/tls.crt',
      tlsKeyFile: '/tls/tls.key',
      podMetrics: true,
      shutdownGraceMs: 0,
      configFile: undefined,
    });
  });

  test('wants a certificate with its key, or neither', () => {
    for (const flag of ['--tls-cert-file=a', '--tls-key-file=a']) {
      const parsed = parseConfiguration(['--node-name=node-1', flag], {}, () => '');
      const faults = ['--tls-cert-file and --tls-key-file belong together, and only one of them is given'];
      assert.deepEqual(parsed, { type: 'invalid', faults });
    }
  });

  test('takes every option from the file, by its name in camelCase', () => {
    const given = run(
      ['--config', '/etc/agent/config.yaml'],
      `
nodeName: node-2
kubeconfig: /etc/kubeconfig
impersonateNode: true
kubeletRoot: /k
noRegistration: true
publishTimeout: 2m
requestsPerSecond: 1.5
burst: "7"
metricsAddress: ""
`,
    );
    assert.equal(given.nodeName, 'node-2');
    assert.equal(given.kubeconfig, '/etc/kubeconfig');
    assert.equal(given.impersonateNode, true);
    assert.equal(given.csiSocket, '/k/plugins/csi.podcert.io/csi.sock');
    assert.equal(given.registrationDir, undefined);
    assert.equal(given.publishTimeoutMs, 120_000);
    assert.equal(given.requestsPerSecond, 1.5);
    assert.equal(given.burst, 7);
    assert.equal(given.metricsAddress, undefined);
    assert.equal(given.configFile, '/etc/agent/config.yaml');
  });

  test('prefers the flag to the file, the file to the environment, the environment to the default', () => {
    const file = 'nodeName: from-file\nimpersonateNode: true\nburst: 3';
    const given = run(['--config=c.yaml', '--impersonate-node=false', '--burst=4'], file);
    assert.deepEqual([given.nodeName, given.impersonateNode, given.burst], ['from-file', false, 4]);
    assert.equal(run(['--config=c.yaml'], 'burst: 3').nodeName, 'node-1');
    assert.equal(run(['--config=c.yaml'], '').burst, 50);
    assert.equal(run(['--config=c.yaml'], '# nothing\n').configFile, `${process.cwd()}/c.yaml`);
  });

  test('asks for help and version before anything else', () => {
    for (const argv of [['--help'], ['-h'], ['--nonsense', '--help'], ['--help', '--version']]) {
      const parsed = configure(argv, undefined, {});
      assert.equal(parsed.type, 'help');
      assert.match(parsed.text, /^Usage: /);
    }
    assert.deepEqual(configure(['--version'], undefined, {}), { type: 'version' });
  });

  test('is refused without the name of the node', () => {
    const missing = ['--node-name: is required (or NODE_NAME in the environment)'];
    assert.deepEqual(faults([], undefined, {}), missing);
    assert.deepEqual(faults([], undefined, { NODE_NAME: '' }), missing);
    assert.deepEqual(faults(['--config=c'], 'burst: 3', {}), missing);
  });

  test('is refused with every fault at once, one line each, naming flag, file key or variable', () => {
    const given = faults(
      ['--config=/c.yaml', '--volume-mode=nfs', '--burst=0', '--frobnicate', 'hard', 'extra', '-q'],
      'logLevel: loud\nmaxConcurrentRsa: 3\nlog-level: info\nburst: none\nshutdownGrace: 10\nnoRegistration: maybe\n',
      { NODE_NAME: 'Node_1' },
    );
    assert.deepEqual(given, [
      '--frobnicate: is not an option, see --help',
      '"extra": is not an option, see --help',
      '-q: is not an option, see --help',
      '/c.yaml: log-level: is not an option',
      'NODE_NAME (environment): must be a DNS subdomain name of at most 253 characters (lower-case letters, digits, "-" and "."), not "Node_1"',
      '/c.yaml: noRegistration: must be true or false, not "maybe"',
      '--volume-mode: must be one of tmpfs, directory, not "nfs"',
      '--burst: must be a whole number from 1 to 10000, not "0"',
      '/c.yaml: maxConcurrentRsa: must be a whole number from 1 to 2, not 3',
      '/c.yaml: logLevel: must be one of debug, info, warn, error, not "loud"',
      '/c.yaml: shutdownGrace: must be a duration with its unit, such as 90s, 2m or 1h, not 10',
    ]);
    for (const line of given) {
      assert.doesNotMatch(line, /\n/);
    }
  });

  test('is refused with one fault for a file that cannot be read or understood, and no guesses about its content', () => {
    const message = "/c.yaml: cannot be read: ENOENT: no such file or directory, open '/c.yaml'";
    assert.deepEqual(faults(['--config=/c.yaml'], undefined, {}), [message]);
    const unreadable: readonly (readonly [string, RegExp])[] = [
      ['a: b: c\n- x', /^\/c\.yaml: Nested mappings .* at line 1, column 4$/],
      ['burst: 3\nburst: 4', /^\/c\.yaml: Map keys must be unique at line 2, column 1$/],
      ['- nodeName', /^\/c\.yaml: must hold keys and values$/],
      ['just text', /^\/c\.yaml: must hold keys and values$/],
      ['burst: *other', /^\/c\.yaml: Unresolved alias/],
      ['a: 1\n---\nb: 2', /^\/c\.yaml: Source contains multiple documents/],
      [`#${'x'.repeat(1_000_001)}`, /^\/c\.yaml: is longer than 1000000 characters$/],
    ];
    for (const [text, expected] of unreadable) {
      const given = faults(['--config=/c.yaml'], text, {});
      assert.equal(given.length, 1, JSON.stringify(given));
      assert.match(given[0] ?? '', expected);
    }
  });

  test('names what was thrown by a reader that throws no error', () => {
    const parsed = parseConfiguration(['--config=/c.yaml'], {}, () => {
      throw 'nothing';
    });
    assert.deepEqual(parsed, { type: 'invalid', faults: ['/c.yaml: cannot be read: unknown error'] });
  });

  test('does not let a file full of references grow', () => {
    const levels = Array.from({ length: 12 }, (_, level) => {
      const reference = level === 0 ? 'x' : `*a${level - 1}`;
      return `k${level}: &a${level} [${Array.from({ length: 10 }, () => reference).join(', ')}]`;
    });
    assert.match(faults(['--config=/c.yaml'], levels.join('\n'))[0] ?? '', /^\/c\.yaml: Excessive alias count/);
  });

  test('does not blame a default for the fault of the value it stands on', () => {
    assert.deepEqual(faults(['--kubelet-root=kubelet']), ['--kubelet-root: must be an absolute path, not "kubelet"']);
  });

  test('checks a default that stands on other values: the socket path must fit', () => {
    const root = `/${'k'.repeat(80)}`;
    const [fault, ...more] = faults(['--kubelet-root', root]);
    assert.deepEqual(more, []);
    assert.match(fault ?? '', /^--csi-socket: must be at most 107 bytes long, and is 113: /);
    assert.equal(run(['--kubelet-root', root, '--csi-socket=/run/csi.sock']).kubeletRoot, root);
  });

  test('serves metrics at IP addresses, since a name could lead elsewhere tomorrow', () => {
    for (const address of ['node-1:9808', 'localhost:1', '127.evil.example:1', '10.0.0:80']) {
      const parsed = parseConfiguration(['--node-name=node-1', `--metrics-address=${address}`], {}, () => '');
      assert.ok(parsed.type === 'invalid' && parsed.faults[0]?.startsWith('--metrics-address: must be'), address);
    }
  });
});
