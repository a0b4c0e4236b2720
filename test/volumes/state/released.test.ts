/**
 * State that lies in volumes while agents are exchanged: what every release has written is read by the present agent, and what the
 * present agent writes is read by the last release. The files in released/ were written by the releases they are named after.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import packageJson from '../../../package.json' with { type: 'json' };
import { atOnce } from '../../../volumes/base/steps.ts';
import type { IssuedChain, VolumeRecord } from '../../../volumes/base/volume.ts';
import { openState, readRecord } from '../../../volumes/state/state.ts';
import { encodeCurrent, encodePending, encodeRecord, type StoredPending } from '../../../volumes/state/state-format.ts';
import { temporaryDirectory } from '../support.ts';
import { readByRelease010 } from './released/reader-0.1.0.ts';

const released = path.join(import.meta.dirname, 'released');
const releases = fs.readdirSync(released).filter((name) => !name.endsWith('.ts'));

const chain: IssuedChain = {
  certificates: [Uint8Array.of(0x30, 1), Uint8Array.of(0x30, 2)],
  serialNumber: '5BE0',
  notBefore: 1_790_000_000_000,
  notAfter: 1_790_086_400_000,
  beginRefreshAt: 1_790_057_600_000,
};

test('there are files of every release, and a new one brings its own', () => {
  const changelog = fs.readFileSync(path.join(import.meta.dirname, '../../../CHANGELOG.md'), 'utf8');
  const versions = [...changelog.matchAll(/^## \[(\d+\.\d+\.\d+)\]/gm)].map(([, version = '']) => version);
  assert.ok(versions.includes(packageJson.version), `CHANGELOG.md has no ${packageJson.version}`);
  assert.deepEqual(releases.toSorted(), versions.toSorted());
});

for (const release of releases) {
  test(`what ${release} left in a volume is taken up: whose it is, what is wanted, what waits, what is in the files`, (t) => {
    const root = temporaryDirectory(t);
    const agent = path.join(root, '..agent');
    fs.cpSync(path.join(released, release), agent, { recursive: true });
    for (const key of ['pending-0.00112233445566aa.key', 'pending-1.ffeeddccbbaa0099.key']) {
      fs.writeFileSync(path.join(agent, key), Uint8Array.of(7), { mode: 0o600 });
    }
    const volume = fs.lstatSync(root);
    const problems: string[] = [];
    const state = openState(root, volume, (problem) => problems.push(problem));
    const record = readRecord(root, volume);
    assert.equal(record?.pod.uid, '0f2b6a51-6a4e-4cb4-9a53-6f8e0d7c7a10');
    assert.deepEqual(record?.owner, { kind: 'group', gid: 2000 });
    assert.equal(record?.declaration.defaultMode, 0o440);
    // Every field that was stored is one that is still understood.
    const { record: stored } = JSON.parse(fs.readFileSync(path.join(agent, 'volume.json'), 'utf8'));
    assert.deepEqual(JSON.parse(JSON.stringify(record)), stored);
    assert.deepEqual(state.pending(0)?.answer, chain);
    assert.equal(state.pending(1)?.requestName, 'mtls-1-77c1');
    assert.equal(state.pending(1)?.answer, undefined);
    assert.deepEqual([...state.readPendingKey(1)], [7]);
    assert.equal(state.current(0)?.refreshAt, 1_790_057_712_345.5);
    assert.equal(state.setback(0), undefined);
    assert.equal(state.trust(0), undefined);
    atOnce(state.repair());
    assert.deepEqual(problems, []);
    assert.equal(state.pending(0)?.requestName, 'mtls-0-e8a5');
  });
}

test('what the present agent writes is read by 0.1.0, which looks after the volume as after its own', () => {
  const pending: StoredPending = {
    pending: {
      requestName: 'mtls-0-e8a5',
      keyType: 'ED25519',
      publicKey: Uint8Array.of(4),
      createdAt: 1,
      answer: { ...chain, anchors: [Uint8Array.of(5)], podIPs: ['10.0.0.7'] },
    },
    keyFile: 'pending-0.00112233445566aa.key',
  };
  const { certificates, ...times } = chain;
  const certificate = { requestName: 'r', keyType: 'RSA4096', ...times, refreshAt: 2.5, podIPs: [] } as const;
  const trust = { earlyRefreshes: 1, isTold: true, mismatch: { since: 1, refreshAt: 2 } };
  assert.deepEqual(readByRelease010('volume.json', encodeRecord(fullRecord)), []);
  assert.deepEqual(readByRelease010('pending.json', encodePending(pending)), []);
  assert.deepEqual(
    readByRelease010('pending.json', encodePending({ ...pending, pending: withoutAnswer(pending) })),
    [],
  );
  assert.deepEqual(readByRelease010('issued.json', encodeCurrent({ certificate, chain: certificates, trust })), []);
});

test('a reader that misses something says so', () => {
  assert.deepEqual(readByRelease010('issued.json', Buffer.from('{"version":2,"issued":{}}')).slice(0, 2), [
    'version is not 1',
    'issued.requestName is not a string',
  ]);
  const file = (name: string): Buffer => fs.readFileSync(path.join(released, '0.1.0', name));
  assert.deepEqual(readByRelease010('volume.json', file('volume.json')), []);
  assert.deepEqual(readByRelease010('pending.json', file('pending-0.json')), []);
  assert.deepEqual(readByRelease010('issued.json', file('issued-0.json')), []);
});

/** With everything that a record can hold. */
const fullRecord: VolumeRecord = {
  volumeId: 'csi-1',
  targetPath: '/var/lib/kubelet/pods/u/volumes/kubernetes.io~csi/mtls/mount',
  volumeName: 'mtls',
  pod: { namespace: 'shop', name: 'web', uid: 'u', serviceAccountName: 'web' },
  owner: { kind: 'user', uid: 1000 },
  declaration: {
    defaultMode: 0o440,
    sources: [
      {
        kind: 'podCertificate',
        index: 0,
        signerName: 'example.com/mesh',
        keyType: 'ED25519',
        userAnnotations: {},
        maxExpirationSeconds: 86_400,
        names: { dnsNames: ['a'], uris: [], ipAddresses: [] },
        credentialBundlePath: 'credentials.pem',
        caPath: 'ca.pem',
        keystorePath: 'keystore.p12',
        truststorePath: 'truststore.p12',
        passwordPath: 'password',
      },
      {
        kind: 'clusterTrustBundle',
        index: 1,
        select: { by: 'signer', signerName: 'example.com/mesh' },
        optional: false,
        path: 'trust-anchors.pem',
        truststorePath: 'trust-anchors.p12',
      },
      {
        kind: 'clusterTrustBundle',
        index: 2,
        select: { by: 'signer', signerName: 'example.com/mesh' },
        optional: false,
        path: 'a.example.spiffe-trust-bundle.pem',
        trustDomains: { own: 'a.example', canarying: 'live', as: 'filePerTrustDomain', needsOwn: false },
      },
    ],
  },
};

function withoutAnswer({ pending: { answer: _answer, ...rest } }: StoredPending): StoredPending['pending'] {
  return rest;
}
