/** What the approver finds wrong with requests that differ from what a pod may have, one thing at a time. */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';
import {
  type ApprovalRules,
  type ApprovedPod,
  defaultUris,
  defaultUsages,
  faultsOf,
  type StampedRequest,
  saysItIsForAPod,
} from '../../../sandbox/signers/approval.ts';
import { parseApproverOptions } from '../../../sandbox/signers/approver-options.ts';
import { eventOf, withinBound } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';

const spiffeId = 'spiffe://mesh.example/ns/shop/sa/web-account';
const pod: ApprovedPod = {
  metadata: { namespace: 'shop', name: 'web', uid: 'uid-1' },
  spec: { nodeName: 'node-a', serviceAccountName: 'web-account' },
  status: { phase: 'Pending', podIPs: [{ ip: '10.1.2.3' }] },
};
const rules: ApprovalRules = {
  ...{ uris: defaultUris, dnsNames: [], allowPodIPs: false, usages: defaultUsages, trustDomain: 'mesh.example' },
  ...{ maxLifetimeSeconds: 3600, agentAccount: 'agents/agent', allowPodAccounts: true },
};
const elliptic = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

interface Contents {
  readonly names?: JsonGeneralName[];
  readonly subject?: string;
  readonly extended?: readonly ExtendedKeyUsage[];
  readonly isAuthority?: boolean;
  readonly algorithm?: object;
}

async function pemOf(contents: Contents = {}): Promise<string> {
  const { names = [{ type: 'url', value: spiffeId }], subject, isAuthority = false } = contents;
  const { extended = [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth], algorithm = elliptic } = contents;
  const keys = await webcrypto.subtle.generateKey(algorithm as typeof elliptic, true, ['sign', 'verify']);
  const csr = await Pkcs10CertificateRequestGenerator.create({
    ...(subject === undefined ? {} : { name: subject }),
    keys,
    signingAlgorithm: algorithm as typeof elliptic,
    extensions: [
      new SubjectAlternativeNameExtension(names, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
      new ExtendedKeyUsageExtension([...extended]),
      ...(isAuthority ? [new BasicConstraintsExtension(true)] : []),
    ],
  });
  return csr.toString('pem');
}

function requestOf(pem: string, spec: Partial<StampedRequest['spec']> = {}, metadata: object = {}): StampedRequest {
  return {
    metadata: {
      name: 'mtls-0-abc.csr',
      labels: { 'podcert.io/node': 'node-a', 'podcert.io/pod-uid': 'uid-1' },
      annotations: { 'podcert.io/pod': 'shop/web' },
      ...metadata,
    },
    spec: {
      request: Buffer.from(pem).toString('base64'),
      signerName: 'example.org/a',
      ...{ usages: defaultUsages, username: 'system:node:node-a', ...spec },
    },
  };
}

const good = await pemOf();
const node = 'authentication.kubernetes.io/node-name';
const podName = 'authentication.kubernetes.io/pod-name';
const podUID = 'authentication.kubernetes.io/pod-uid';

test('the node of the pod, its agent and the pod itself may ask for what is the pod’s', async () => {
  const requesters = [
    { username: 'system:node:node-a' },
    { username: 'system:serviceaccount:agents:agent', extra: { [node]: ['node-a'] } },
    { username: 'system:serviceaccount:shop:web-account', extra: { [podName]: ['web'], [podUID]: ['uid-1'] } },
  ];
  for (const requester of requesters) {
    assert.deepEqual(await faultsOf(requestOf(good, requester), pod, rules), []);
  }
});

test('a requester that nothing ties to the pod and its node is denied', async () => {
  const strangers = [
    {},
    { username: 'system:node:node-b' },
    { username: 'jane' },
    { username: 'system:serviceaccount:agents:agent' },
    { username: 'system:serviceaccount:agents:agent', extra: { [node]: ['node-b'] } },
    { username: 'system:serviceaccount:agents:agent', extra: { [node]: ['node-b', 'node-a'] } },
    { username: 'system:serviceaccount:shop:web-account' },
    { username: 'system:serviceaccount:shop:web-account', extra: { [podName]: ['web'], [podUID]: ['uid-2'] } },
    { username: 'system:serviceaccount:shop:other', extra: { [podName]: ['web'], [podUID]: ['uid-1'] } },
  ].map((each) => ({ username: '', ...each }));
  for (const stranger of strangers) {
    const [fault, ...others] = await faultsOf(requestOf(good, stranger), pod, rules);
    assert.match(fault ?? '', /may not ask for a pod on node "node-a"/, stranger.username);
    assert.deepEqual(others, []);
  }
  const { agentAccount: _, ...strict } = { ...rules, allowPodAccounts: false };
  for (const username of ['system:serviceaccount:agents:agent', 'system:serviceaccount:shop:web-account']) {
    const extra = { [node]: ['node-a'], [podName]: ['web'], [podUID]: ['uid-1'] };
    assert.equal((await faultsOf(requestOf(good, { username, extra }), pod, strict)).length, 1);
  }
});

test('a pod that is gone, another one, ended or on another node is denied', async () => {
  const cases: readonly (readonly [ApprovedPod | undefined, RegExp])[] = [
    [undefined, /"shop\/web" does not exist/],
    [{ ...pod, metadata: { ...pod.metadata, uid: 'uid-2' } }, /has UID uid-2, not "uid-1"/],
    [{ ...pod, status: { phase: 'Succeeded' } }, /has ended/],
    [{ ...pod, spec: { ...pod.spec, nodeName: 'node-b' } }, /on node "node-b", not on "node-a"/],
    [{ ...pod, spec: {} }, /on node "", not on "node-a"/],
  ];
  for (const [found, message] of cases) {
    assert.match((await faultsOf(requestOf(good), found, rules)).join('; '), message);
  }
});

test('a request that names its pod in part or wrongly is denied, and one that names none is somebody else’s', async () => {
  const labels = { 'podcert.io/node': 'node-a', 'podcert.io/pod-uid': 'uid-1' };
  for (const metadata of [
    { labels: {} },
    { annotations: {} },
    { labels: { 'podcert.io/node': 'node-a' } },
    ...['web', 'shop/web/x', '../web', 'shop/web?x=y', '/'].map((text) => ({
      labels,
      annotations: { 'podcert.io/pod': text },
    })),
  ]) {
    const request = requestOf(good, {}, metadata);
    assert.ok(saysItIsForAPod(request), JSON.stringify(metadata));
    assert.match((await faultsOf(request, pod, rules)).join(), /does not say rightly/, JSON.stringify(metadata));
  }
  assert.equal(saysItIsForAPod(requestOf(good, {}, { labels: { app: 'x' }, annotations: {} })), false);
});

test('names that are not the pod’s are denied, each by its name', async () => {
  const own = { type: 'url', value: spiffeId } as const;
  const cases: readonly (readonly [JsonGeneralName[], RegExp])[] = [
    [[{ type: 'url', value: 'spiffe://mesh.example/ns/bank/sa/admin' }], /not "spiffe:\/\/mesh\.example\/ns\/bank/],
    [[own, { type: 'url', value: 'spiffe://mesh.example/ns/bank/sa/admin' }], /its pod is/],
    [[own, own], /its pod is/],
    [[], /its pod is/],
    [[own, { type: 'dns', value: 'bank.svc' }], /may not be called "bank\.svc"/],
    [[own, { type: 'ip', value: '10.1.2.3' }], /may not be called "10\.1\.2\.3"/],
    [[own, { type: 'email', value: 'root@example.com' }], /may not be called "root@example\.com"/],
  ];
  for (const [names, message] of cases) {
    assert.match((await faultsOf(requestOf(await pemOf({ names })), pod, rules)).join('; '), message);
  }
  const subject = await faultsOf(requestOf(await pemOf({ subject: 'CN=admin,O=system:masters' })), pod, rules);
  assert.match(subject.join(), /has subject "CN=admin, O=system:masters"/);
});

test('names by the rules are approved, and whoever writes pods does not choose where a DNS name begins', async () => {
  const dnsNames = ['$' + '{podName}.$' + '{namespace}.svc'];
  const names: JsonGeneralName[] = [
    { type: 'url', value: spiffeId },
    { type: 'dns', value: 'web.shop.svc' },
    { type: 'ip', value: '10.1.2.3' },
  ];
  const wide = { ...rules, dnsNames, allowPodIPs: true };
  assert.deepEqual(await faultsOf(requestOf(await pemOf({ names })), pod, wide), []);
  const dotted: ApprovedPod = { ...pod, metadata: { ...pod.metadata, name: 'web.evil' } };
  const pem = await pemOf({
    names: [
      { type: 'url', value: spiffeId },
      { type: 'dns', value: 'web.evil.shop.svc' },
    ],
  });
  const request = requestOf(pem, {}, { annotations: { 'podcert.io/pod': 'shop/web.evil' } });
  assert.match((await faultsOf(request, dotted, wide)).join(), /may not be called/);
});

test('usages, lifetimes, keys and extensions that pods do not have are denied', async () => {
  const isDenied = async (request: StampedRequest, message: RegExp) =>
    assert.match((await faultsOf(request, pod, rules)).join('; '), message);
  await isDenied(requestOf(good, { usages: [...defaultUsages, 'cert sign'] }), /usages "cert sign" are not for pods/);
  await isDenied(requestOf(good, { usages: ['digital signature'] }), /usages in it are not those beside it/);
  await isDenied(requestOf(await pemOf({ extended: [ExtendedKeyUsage.codeSigning] })), /usages in it/);
  await isDenied(requestOf(good, { expirationSeconds: 3601 }), /3601 seconds is longer than 3600/);
  await isDenied(requestOf(await pemOf({ isAuthority: true })), /more than names and usages/);
  const rsa = {
    ...{ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    ...{ modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
  };
  await isDenied(requestOf(await pemOf({ algorithm: rsa })), /its key \(rsa 2048\)/);
});

test('what is no request, two at once, too long or signed by another key is denied', async () => {
  const bytes = Buffer.from(good.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] ?? 0) ^ 1;
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  for (const pem of ['', 'x', forged, `${good}\n${good}`, good + ' '.repeat(70_000)]) {
    assert.deepEqual(await faultsOf(requestOf(pem), pod, rules), [
      'it holds no PKCS#10 request that is signed with its own key',
    ]);
  }
});

test('the command line is checked before anything starts, and explained by --help', () => {
  const run = (...argv: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, '../../../sandbox/approver.ts'), ...argv], {
      encoding: 'utf8',
    });
  const help = run('--help');
  assert.equal(help.status, 0, help.stderr);
  assert.match(help.stdout, /--trust-domain NAME/);
  const wrong = run('--signer', 'example.org/a');
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /--kubeconfig: is missing/);
  const faulty: readonly (readonly string[])[] = [
    [],
    ['--signer', 'nothing'],
    ['--signer', 'a.example/b', '--uri', 'spiffe://$' + '{clusterName}'],
    ['--signer', 'a.example/b', '--usage', 'everything'],
    ['--signer', 'a.example/b', '--max-lifetime', '60'],
    ['--signer', 'a.example/b', '--agent-account', 'agent'],
    ['--signer', 'a.example/b', '--unknown'],
  ];
  for (const argv of faulty) {
    assert.equal(parseApproverOptions(['--kubeconfig', 'x', ...argv]).type, 'invalid', argv.join(' '));
  }
  assert.equal(parseApproverOptions(['--kubeconfig', 'x', '--signer', 'a.example/*']).type, 'run');
});

test('an approver whose API server is away goes on asking for it until it is interrupted', async (t) => {
  const kubeconfig = join(makeDirectory(t), 'kubeconfig');
  const [cluster, user, context] = ['{server: "https://127.0.0.1:1"}', '{token: t}', '{cluster: a, user: a}'];
  writeFileSync(
    kubeconfig,
    `{clusters: [{name: a, cluster: ${cluster}}], users: [{name: a, user: ${user}}], contexts: [{name: a, context: ${context}}], current-context: a}`,
  );
  const program = join(import.meta.dirname, '../../../sandbox/approver.ts');
  const child = spawn(process.execPath, [program, '--kubeconfig', kubeconfig, '--signer', 'a.example/b']);
  t.after(() => child.kill('SIGKILL'));
  const ended = eventOf(child, 'exit', 'the approver to end');
  const problems = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
  for (const time of [1, 2]) {
    const { value } = await withinBound(problems.next(), `complaint ${time}`);
    assert.match(value ?? '', /^cannot list certificatesigningrequests/);
  }
  child.kill('SIGINT');
  assert.deepEqual(await ended, [0, null]);
});
