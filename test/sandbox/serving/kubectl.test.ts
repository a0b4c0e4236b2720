/**
 * A stock kubectl against the sandbox. Skipped where there is no kubectl.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { type ApiServer, startApiServer } from '../../../sandbox/serving/server.ts';
import { makeDirectory } from '../../support/directory.ts';
import { admin, openRules } from './open-rules.ts';

const run = promisify(execFile);
const hasKubectl = await run('kubectl', ['version', '--client']).then(
  () => true,
  () => false,
);

const podYaml = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: node-a
  containers:
  - {name: main, image: registry.example/web}
`;
const requestYaml = `
apiVersion: certificates.k8s.io/v1beta1
kind: PodCertificateRequest
metadata: {name: req-1}
spec:
  signerName: example.com/mesh
  podName: web
  podUID: pod-uid
  serviceAccountName: default
  serviceAccountUID: account-uid
  nodeName: node-a
  nodeUID: node-uid
  pkixPublicKey: AAAA
  proofOfPossession: AAAA
  unverifiedUserAnnotations: {example.com/team: blue}
`;

describe('a stock kubectl', { skip: hasKubectl ? false : 'there is no kubectl here', timeout: 60_000 }, () => {
  const home = makeDirectory();
  const env = { ...process.env, HOME: home, KUBECONFIG: join(home, 'config') };
  let server: ApiServer | undefined;

  before(async () => {
    server = await startApiServer({ rules: openRules(), kubernetes: '1.36' });
    writeFileSync(env.KUBECONFIG, server.kubeconfig(admin), { mode: 0o600 });
    writeFileSync(join(home, 'pod.yaml'), podYaml);
    writeFileSync(join(home, 'request.yaml'), requestYaml);
  });
  after(async () => {
    await server?.close();
  });

  /** What kubectl prints; rejects when it fails. */
  const kubectl = async (...args: readonly string[]): Promise<string> =>
    (await run('kubectl', args, { env, cwd: home })).stdout;
  /** What kubectl complains of. */
  const complaint = async (...args: readonly string[]): Promise<string> => {
    const error = await run('kubectl', args, { env, cwd: home }).then(
      () => undefined,
      (failure) => failure,
    );
    assert.ok(error !== undefined, 'kubectl should have failed');
    return String(error.stderr);
  };

  test('knows who it is and what it may do', async () => {
    assert.match(await kubectl('auth', 'whoami'), /Username\s+admin\n/);
    assert.equal(await kubectl('auth', 'can-i', 'create', 'pods'), 'yes\n');
    assert.match(await kubectl('auth', 'can-i', '--list'), /\*\.\*/);
    assert.match(await kubectl('version'), /Server Version: v1\.36\.0\+sandbox/);
  });

  test('finds the resources, and their fields', async () => {
    const resources = await kubectl('api-resources', '--api-group=certificates.k8s.io', '-o', 'name');
    assert.deepEqual(resources.trim().split('\n').sort(), [
      'certificatesigningrequests.certificates.k8s.io',
      'clustertrustbundles.certificates.k8s.io',
      'podcertificaterequests.certificates.k8s.io',
    ]);
    const explained = await kubectl('explain', 'podcertificaterequests.spec');
    assert.match(explained, /stubPKCS10Request\s+<string>/);
    assert.match(explained, /signerName\s+<string> -required-/);
  });

  test('makes namespaces, service accounts, tokens, roles and bindings', async () => {
    await kubectl('create', 'namespace', 'team');
    await kubectl('create', 'serviceaccount', 'builder', '-n', 'team');
    assert.match(await kubectl('create', 'token', 'builder', '-n', 'team', '--audience=a'), /^eyJ/);
    await kubectl('create', 'role', 'reader', '--verb=get,list', '--resource=pods', '-n', 'team');
    await kubectl('create', 'rolebinding', 'reads', '--role=reader', '--serviceaccount=team:builder', '-n', 'team');
    const binding = server?.store.get('rolebindings.rbac.authorization.k8s.io', 'team', 'reads');
    assert.deepEqual(binding?.roleRef, { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' });
    assert.deepEqual(binding?.subjects, [{ kind: 'ServiceAccount', name: 'builder', namespace: 'team' }]);
    assert.deepEqual(server?.store.get('roles.rbac.authorization.k8s.io', 'team', 'reader')?.rules, [
      { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] },
    ]);
    await kubectl('delete', 'namespace', 'team');
  });

  test('creates, shows, labels, annotates, applies, describes and deletes', async () => {
    await kubectl('create', '-f', 'pod.yaml');
    assert.match(
      await kubectl('get', 'pods', '-o', 'wide'),
      /^NAME +READY +STATUS .*NODE.*\nweb +0\/1 +Pending .* node-a /,
    );
    await kubectl('label', 'pod', 'web', 'tier=front');
    await kubectl('annotate', 'pod', 'web', 'note=x');
    writeFileSync(join(home, 'changed.yaml'), podYaml.replace('{app: web}', '{app: web, colour: red}'));
    assert.equal(await kubectl('apply', '--server-side=false', '-f', 'changed.yaml'), 'pod/web configured\n');
    assert.equal(await kubectl('apply', '--server-side=false', '-f', 'changed.yaml'), 'pod/web unchanged\n');
    const described = await kubectl('describe', 'pod', 'web');
    assert.match(described, /app=web/);
    assert.match(described, /colour=red/);
    assert.match(described, /tier=front/);
    assert.match(await kubectl('get', 'pods', '-l', 'tier=front', '-o', 'name'), /^pod\/web$/m);
    assert.match(await kubectl('get', 'pods', '-A', '--field-selector', 'spec.nodeName=node-a'), /web/);
    await kubectl('delete', 'pod', 'web', '--force', '--grace-period=0');
    assert.match(await complaint('get', 'pod', 'web'), /pods "web" not found/);
  });

  test('shows certificate requests with their state, as a table and whole', async () => {
    await kubectl('create', '-f', 'request.yaml');
    const table = await kubectl('get', 'podcertificaterequests');
    assert.match(table, /^NAME +PODNAME +SERVICEACCOUNTNAME +NODENAME +SIGNERNAME +STATE +UNVERIFIEDUSERANNOTATIONS\n/);
    assert.match(table, /req-1 +web +default +node-a +example.com\/mesh +Pending +example.com\/team=blue\n/);
    const conditions = [
      {
        type: 'Denied',
        status: 'True',
        reason: 'No',
        message: 'not today',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      },
    ];
    const patch = JSON.stringify({ status: { conditions } });
    await kubectl('patch', 'podcertificaterequest', 'req-1', '--subresource=status', '--type=merge', '-p', patch);
    assert.match(await kubectl('get', 'podcertificaterequest', 'req-1', '--no-headers'), / Denied /);
    assert.match(await kubectl('describe', 'podcertificaterequest', 'req-1'), /not today/);
    assert.match(await kubectl('get', 'podcertificaterequest', 'req-1', '-o', 'jsonpath={.spec.podUID}'), /^pod-uid$/);
    assert.equal(
      await kubectl('delete', 'podcertificaterequest', 'req-1'),
      'podcertificaterequest.certificates.k8s.io "req-1" deleted\n',
    );
  });

  test('refuses a file with an unknown field, and says which', async () => {
    writeFileSync(join(home, 'typo.yaml'), requestYaml.replace('podUID', 'podUid'));
    assert.match(await complaint('create', '-f', 'typo.yaml'), /strict decoding error: unknown field "spec.podUid"/);
  });

  test('watches', async () => {
    const child = spawn('kubectl', ['get', 'serviceaccounts', '-w', '-o', 'name'], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    try {
      assert.equal((await lines.next()).value, 'serviceaccount/default');
      await kubectl('create', 'serviceaccount', 'late');
      assert.equal((await lines.next()).value, 'serviceaccount/late');
    } finally {
      child.kill();
    }
  });

  test('shows the events of a pod', async () => {
    await kubectl('create', '-f', 'pod.yaml');
    const uid = await kubectl('get', 'pod', 'web', '-o', 'jsonpath={.metadata.uid}');
    server?.store.create('events', {
      metadata: { name: 'web.1', namespace: 'default', uid: 'e', creationTimestamp: '2026-01-01T00:00:00Z' },
      involvedObject: { kind: 'Pod', namespace: 'default', name: 'web', uid },
      reason: 'Denied',
      message: 'the signer said no',
      type: 'Warning',
      count: 1,
      lastTimestamp: '2026-01-01T00:00:00Z',
    });
    assert.match(await kubectl('describe', 'pod', 'web'), /Warning\s+Denied.*the signer said no/);
    assert.match(await kubectl('get', 'events'), /Warning +Denied +pod\/web +the signer said no/);
  });
});
