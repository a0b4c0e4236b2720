/** What a volume knows about itself: kept whole, closed to others, and read with distrust. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import type { CertificateRecord, IssuedChain, PendingRequest } from '../../../volumes/base/volume.ts';
import type { VolumeDeclaration } from '../../../volumes/declaration/types.ts';
import { hasState, openState, readRecord } from '../../../volumes/state/state.ts';
import {
  decodeCurrent,
  decodePending,
  decodeRecord,
  encodePending,
  encodeRecord,
} from '../../../volumes/state/state-format.ts';
import { makeRecord, modeOf, rootSkip, temporaryDirectory } from '../support.ts';

const pending: PendingRequest = { requestName: 'req-1', keyType: 'ECDSAP256', createdAt: 1_790_000_000_000 };
const answer: IssuedChain = {
  certificates: [Uint8Array.of(1, 2), Uint8Array.of(3)],
  serialNumber: '0A',
  notBefore: 1,
  notAfter: 3,
  beginRefreshAt: 2,
  anchors: [Uint8Array.of(4)],
  podIPs: [],
};
const status: CertificateRecord = {
  requestName: 'req-1',
  keyType: 'ECDSAP256',
  serialNumber: '0A',
  notBefore: 1,
  notAfter: 3,
  beginRefreshAt: 2,
  refreshAt: 2.5,
  podIPs: ['10.0.0.7'],
};

function open(t: TestContext) {
  const root = temporaryDirectory(t);
  const problems: string[] = [];
  const volume = fs.lstatSync(root);
  const state = () => openState(root, volume, (problem) => problems.push(problem));
  const stored = () => readRecord(root, volume);
  return { root, stored, agent: path.join(root, '..agent'), state, problems };
}

const keyFiles = (directory: string) => fs.readdirSync(directory).filter((name) => name.endsWith('.key'));

test('a record is read back as it was written', (t) => {
  const { root, state, stored } = open(t);
  assert.equal(hasState(root), false, 'there is a state');
  assert.equal(stored(), undefined);
  state();
  assert.equal(stored(), undefined, 'a state without a record');
  const owners = [{ kind: 'none' }, { kind: 'group', gid: 0 }, { kind: 'user', uid: 4_294_967_294 }] as const;
  for (const owner of owners) {
    const { sources } = makeRecord(root).declaration;
    const record = makeRecord(root, { owner, declaration: { sources, defaultMode: 0o440 } });
    state().writeRecord(record);
    assert.deepEqual(stored(), record);
  }
  const labelled = makeRecord(root, { seLinuxContext: 'system_u:object_r:container_file_t:s0:c1,c2' });
  state().writeRecord(labelled);
  assert.deepEqual(stored(), labelled);
  assert.equal(hasState(root), true, 'there is no state');
});

test('a request, its key and its answer are read back by the next run', (t) => {
  const { state, problems } = open(t);
  assert.equal(state().pending(0), undefined);
  assert.deepEqual(problems, []);
  state().savePending(0, pending, Uint8Array.of(9, 8, 7));
  assert.deepEqual(state().pending(0), pending);
  assert.deepEqual([...state().readPendingKey(0)], [9, 8, 7]);
  assert.deepEqual(state().pendingWithKey(0), { pending, privateKey: Buffer.of(9, 8, 7) });
  assert.throws(() => state().pendingWithKey(1), { code: 'Corrupt' });
  state().saveAnswer(0, pending.requestName, answer);
  assert.deepEqual(state().pending(0), { ...pending, answer });
  assert.deepEqual([...state().readPendingKey(0)], [9, 8, 7]);
  assert.equal(state().pending(1), undefined);
  const { anchors: _a, podIPs: _p, ...plain } = answer;
  const named = { ...pending, publicKey: Uint8Array.of(5, 6) };
  state().savePending(1, named, Uint8Array.of(1));
  assert.deepEqual(state().pending(1), named);
  state().saveAnswer(1, pending.requestName, plain);
  assert.deepEqual(state().pending(1), { ...named, answer: plain });
});

test('all that is kept of a source is read in one look, as each part of it is', (t) => {
  const { state } = open(t);
  const nothing = { current: undefined, trust: undefined, pending: undefined, setback: undefined };
  assert.deepEqual(state().kept(0), nothing);
  state().savePending(0, pending, Uint8Array.of(1));
  state().saveCurrent(0, status, []);
  state().saveTrust(0, { earlyRefreshes: 1, isTold: true });
  const { current, trust, pending: request, setback } = state();
  assert.deepEqual(state().kept(0), { current: current(0), trust: trust(0), pending: request(0), setback: setback(0) });
  assert.deepEqual(Object.values(state().kept(0)).filter((part) => part !== undefined).length, 3);
  assert.deepEqual(state().kept(1), nothing);
});

test('an answer that comes when another request has taken the place of its own is not kept', (t) => {
  const { state } = open(t);
  state().savePending(0, pending, Uint8Array.of(1));
  state().discardPending(0);
  const next = { ...pending, requestName: 'req-2' };
  state().savePending(0, next, Uint8Array.of(2));
  state().saveAnswer(0, pending.requestName, answer);
  assert.deepEqual(state().pending(0), next);
  state().saveAnswer(0, next.requestName, answer);
  assert.deepEqual(state().pending(0), { ...next, answer });
});

test('a second request of a source replaces the first and its key', (t) => {
  const { agent, state } = open(t);
  state().savePending(0, pending, Uint8Array.of(1));
  state().savePending(1, pending, Uint8Array.of(2));
  state().savePending(10, pending, Uint8Array.of(4));
  state().savePending(0, { ...pending, requestName: 'req-2' }, Uint8Array.of(3));
  assert.equal(state().pending(0)?.requestName, 'req-2');
  assert.deepEqual(
    [0, 1, 10].map((index) => state().readPendingKey(index)[0]),
    [3, 2, 4],
  );
  assert.equal(keyFiles(agent).length, 3);
});

test('a request that cannot be stored leaves no key behind, and says why', (t) => {
  const { agent, state } = open(t);
  fs.mkdirSync(path.join(agent, 'pending-0.json', 'inner'), { recursive: true, mode: 0o700 });
  assert.throws(() => state().savePending(0, pending, Uint8Array.of(1)), { name: 'VolumeError' });
  assert.deepEqual(fs.readdirSync(agent), ['pending-0.json']);
  const { openSync } = fs;
  t.mock.method(fs, 'openSync', (file: string, flags: number, mode?: number) => {
    if (file.endsWith('.key')) {
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    }
    return openSync(file, flags, mode);
  });
  assert.throws(() => state().savePending(1, pending, Uint8Array.of(1)), { code: 'NoSpace' });
  assert.deepEqual(fs.readdirSync(agent), ['pending-0.json']);
});

test('discarding removes request and key, and does nothing the second time', (t) => {
  const { agent, state } = open(t);
  state().savePending(0, pending, Uint8Array.of(1));
  state().discardPending(0);
  state().discardPending(0);
  assert.deepEqual(fs.readdirSync(agent), []);
  assert.throws(() => state().readPendingKey(0), { code: 'Corrupt' });
  assert.throws(() => state().saveAnswer(0, pending.requestName, answer), { code: 'Corrupt' });
});

test('the status of a certificate is read back', (t) => {
  const { state } = open(t);
  assert.equal(state().current(0), undefined);
  state().saveCurrent(0, status, answer.certificates);
  assert.deepEqual(state().current(0), status);
});

test('the chain of a certificate, and what was decided about its anchors, are read back and go with it', (t) => {
  const { state, problems } = open(t);
  const mismatch = { since: 5, tellAt: 7, refreshAt: 9.5 };
  assert.throws(() => state().saveTrust(0, { earlyRefreshes: 1, isTold: true }), { code: 'Corrupt' });
  state().saveCurrent(0, status, answer.certificates);
  assert.deepEqual(state().currentChain(0), answer.certificates);
  assert.equal(state().trust(0), undefined);
  assert.deepEqual(problems, [], 'what is not there is no problem');
  for (const trust of [
    { earlyRefreshes: 3, isTold: false, mismatch },
    { earlyRefreshes: 3, isTold: true, mismatch: { since: 5, refreshAt: 9.5 } },
    { earlyRefreshes: 4, isTold: true },
  ]) {
    state().saveTrust(0, trust);
    assert.deepEqual(state().trust(0), trust);
    assert.deepEqual(state().current(0), status);
    assert.deepEqual(state().currentChain(0), answer.certificates);
  }
  state().saveCurrent(0, { ...status, requestName: 'req-2' }, answer.certificates);
  assert.equal(state().trust(0), undefined);
});

test('a certificate’s record without a chain, or with something else in its place, is adopted all the same', (t) => {
  const { agent, state, problems } = open(t);
  state().saveCurrent(0, status, answer.certificates);
  const file = path.join(agent, 'issued-0.json');
  const { certificates: _, ...older } = JSON.parse(fs.readFileSync(file, 'utf8'));
  fs.writeFileSync(file, JSON.stringify(older));
  assert.deepEqual(state().current(0), status);
  assert.equal(state().currentChain(0), undefined);
  state().saveTrust(0, { earlyRefreshes: 1, isTold: false });
  assert.deepEqual(state().trust(0), { earlyRefreshes: 1, isTold: false });
  assert.equal(state().currentChain(0), undefined);
  assert.deepEqual(problems, []);
  fs.writeFileSync(file, JSON.stringify({ ...older, certificates: 'none', trust: { earlyRefreshes: -1 } }));
  assert.deepEqual(state().current(0), status);
  assert.equal(state().currentChain(0), undefined);
  assert.equal(state().trust(0), undefined);
  assert.equal(problems.length, 2);
});

test('only the agent can enter the state, whatever the umask', (t) => {
  const { agent, state } = open(t);
  const umask = process.umask(0);
  t.after(() => process.umask(umask));
  state().savePending(0, pending, Uint8Array.of(1));
  state().saveCurrent(0, status, answer.certificates);
  fs.chmodSync(agent, 0o777);
  state().writeRecord(makeRecord('/x'));
  assert.equal(modeOf(agent), '700');
  for (const name of fs.readdirSync(agent)) {
    assert.equal(modeOf(path.join(agent, name)), '600', name);
  }
});

test('files that cannot be understood are reported and count as absent', (t) => {
  const { agent, state, problems } = open(t);
  const write = (name: string, text: string) => fs.writeFileSync(path.join(agent, name), text);
  state().savePending(0, pending, Uint8Array.of(1));
  for (const text of [
    '',
    '{',
    '[]',
    'null',
    '{"version":0}',
    '{"version":1.5}',
    '{"version":2}',
    '{"version":1}',
    '{"version":1,"pending":{}}',
  ]) {
    problems.length = 0;
    write('pending-0.json', text);
    write('issued-0.json', text);
    assert.equal(state().pending(0), undefined, text);
    assert.equal(state().current(0), undefined, text);
    assert.equal(problems.length, 2, text);
    assert.ok(problems[0]?.includes(`${agent}/pending-0.json is unusable: `), problems[0]);
  }
  write('pending-0.json', ' '.repeat(3 * 1024 * 1024));
  assert.equal(state().pending(0), undefined);
  assert.match(problems.at(-1) ?? '', /longer than/);
});

test('a request whose key is gone, or named outside its place, counts as absent', (t) => {
  const { root, agent, state, problems } = open(t);
  const name = 'pending-0.0123456789abcdef.key';
  fs.writeFileSync(path.join(root, name), 'another');
  for (const keyFile of [
    '../../etc/shadow',
    `../${name}`,
    `${name}.bak`,
    `x${name}`,
    'pending-1.0123456789abcdef.key',
    name,
    '',
  ]) {
    state().savePending(0, pending, Uint8Array.of(1));
    // What has the name of a key in another place, or another name in its place, is none.
    for (const file of [`${name}.bak`, `x${name}`]) {
      fs.writeFileSync(path.join(agent, file), 'another');
    }
    fs.writeFileSync(path.join(agent, 'pending-0.json'), encodePending({ pending, keyFile }));
    assert.equal(state().pending(0), undefined, keyFile);
    assert.match(problems.at(-1) ?? '', /names a key that is not there/);
  }
});

test('a record that cannot be understood is an error that names the file', (t) => {
  const { agent, state, stored } = open(t);
  state();
  fs.writeFileSync(path.join(agent, 'volume.json'), '{"version":"7"}');
  assert.throws(() => stored(), { code: 'Corrupt', message: /volume\.json is unusable: version is 7/ });
});

test('what is no file of this or a later version is refused, whatever else is in it', () => {
  const { record } = JSON.parse(encodeRecord(makeRecord('/x')).toString());
  for (const version of [1, 2, 1e9]) {
    assert.doesNotThrow(() => decodeRecord(bytesOf({ version, record })), `${version}`);
  }
  for (const version of [0, -1, 1.5, '1', null, true, undefined]) {
    const message = `version is ${version}, and this agent reads 1 and later`;
    assert.throws(() => decodeRecord(bytesOf({ version, record })), { name: 'TypeError', message });
  }
  for (const [text, message] of [
    ['', 'it is not JSON'],
    ['{', 'it is not JSON'],
    ['[]', 'the file is not an object'],
    ['null', 'the file is not an object'],
    ['7', 'the file is not an object'],
  ] as const) {
    assert.throws(() => decodeRecord(Buffer.from(text)), { name: 'TypeError', message }, text);
  }
});

test('a directory that was put in the place of the state since it was opened gets no key', (t) => {
  const { agent, state } = open(t);
  const opened = state();
  fs.renameSync(agent, `${agent}-away`);
  fs.mkdirSync(agent, { mode: 0o700 });
  const fault = { code: 'Tampered', message: `${agent} was replaced by another directory` };
  assert.throws(() => opened.savePending(0, pending, Uint8Array.of(1)), fault);
  assert.throws(() => opened.keystores.savePassword(0, Buffer.from('secret')), fault);
  assert.throws(() => opened.pending(0), fault);
  assert.deepEqual(fs.readdirSync(agent), []);
});

/** Every field that a declaration can have. */
const wholeDeclaration: VolumeDeclaration = {
  sources: [
    {
      kind: 'podCertificate',
      index: 0,
      signerName: 'example.com/mesh',
      keyType: 'ED25519',
      maxExpirationSeconds: 3600,
      userAnnotations: { 'example.com/tier': 'gold', ['__proto__']: 'plain' },
      names: { dnsNames: ['a.example'], uris: ['spiffe://td/a'], ipAddresses: ['192.0.2.1'], commonName: 'a' },
      credentialBundlePath: 'all.pem',
      keyPath: 'tls/key.pem',
      certificateChainPath: 'tls/chain.pem',
      leafPath: 'leaf.pem',
      intermediatesPath: 'between.pem',
      caPath: 'ca.pem',
      keystorePath: 'key.p12',
      truststorePath: 'ca.p12',
      passwordPath: 'password',
      roots: 'drop',
    },
    {
      kind: 'clusterTrustBundle',
      index: 1,
      select: { by: 'name', name: 'roots' },
      optional: true,
      path: 'a.pem',
      truststorePath: 'a.p12',
      expired: 'drop',
    },
    {
      kind: 'clusterTrustBundle',
      index: 2,
      select: { by: 'signer', signerName: 'example.com/mesh' },
      optional: false,
      path: 'b.pem',
    },
    {
      kind: 'clusterTrustBundle',
      index: 3,
      select: {
        by: 'signer',
        signerName: 'example.com/mesh',
        labelSelector: {
          matchLabels: { live: 'yes' },
          matchExpressions: [
            { key: 'zone', operator: 'In', values: ['a', 'b'] },
            { key: 'zone', operator: 'NotIn', values: ['c'] },
            { key: 'tier', operator: 'Exists', values: [] },
            { key: 'old', operator: 'DoesNotExist', values: [] },
          ],
        },
      },
      optional: false,
      path: 'c.pem',
      user: 0,
      mode: 0o400,
    },
    {
      kind: 'clusterTrustBundle',
      index: 4,
      select: { by: 'signer', signerName: 'example.com/mesh' },
      optional: false,
      path: 'mesh/a.example.spiffe-trust-bundle.pem',
      trustDomains: { own: 'a.example', canarying: 'preview', as: 'filePerTrustDomain', needsOwn: false },
    },
    {
      kind: 'clusterTrustBundle',
      index: 5,
      select: { by: 'signer', signerName: 'example.com/mesh' },
      optional: false,
      path: 'grpc/trust_bundles.json',
      mode: 0o777,
      trustDomains: { own: 'a.example', canarying: 'live', as: 'bundleMap', needsOwn: true },
    },
    {
      kind: 'podCertificate',
      index: 6,
      signerName: 'example.com/mesh',
      keyType: 'RSA3072',
      userAnnotations: {},
      names: { dnsNames: [], uris: [], ipAddresses: ['192.0.2.1'] },
      leafPath: 'another.pem',
    },
  ],
  defaultMode: 0o440,
  defaultUser: 999,
  reload: {
    touch: 'generation',
    http: { port: 8080, path: '/-/reload', method: 'POST', scheme: 'http' },
    signal: { process: 'nginx', signal: 'SIGHUP' },
  },
  probe: { port: 8443, serverName: 'web.shop.svc' },
};

/** The record as parsed JSON, with every field of the declaration. */
function wholeRecord() {
  const record = makeRecord('/x', { declaration: wholeDeclaration });
  return { record, json: JSON.parse(encodeRecord(record).toString()) };
}

const bytesOf = (json: unknown) => Buffer.from(JSON.stringify(json));

test('a record of a later version is read as far as this agent understands it', () => {
  const { record, json } = wholeRecord();
  const later = structuredClone(json);
  later.version = 2;
  for (const place of [later, later.record, later.record.pod, later.record.declaration, later.record.owner]) {
    place.addedLater = { deep: true };
  }
  for (const source of later.record.declaration.sources) {
    source.addedLater = 1;
    if (source.select) {
      source.select.addedLater = 'x';
    }
  }
  assert.deepEqual(decodeRecord(bytesOf(later)), record);

  const request = JSON.parse(encodePending({ pending: { ...pending, answer }, keyFile: 'k' }).toString());
  const laterRequest = { ...request, version: 9, pending: { ...request.pending, addedLater: 1 } };
  assert.deepEqual(decodePending(bytesOf(laterRequest)), { pending: { ...pending, answer }, keyFile: 'k' });
  assert.deepEqual(decodeCurrent(bytesOf({ version: 2, issued: { ...status, addedLater: 1 } })), status);
});

test('a declaration with any field of another type is refused, not believed', () => {
  const { json } = wholeRecord();
  /** Puts something else in the place of each value below, and tries to read the whole. */
  function tryEach(parent: Record<string, unknown>, where: string): void {
    for (const [name, value] of Object.entries(parent)) {
      if (value === null || typeof value !== 'object') {
        parent[name] = { of: 'another type' };
        assert.throws(() => decodeRecord(bytesOf(json)), TypeError, `${where}.${name}`);
        parent[name] = value;
      } else {
        parent[name] = 7;
        assert.throws(() => decodeRecord(bytesOf(json)), TypeError, `${where}.${name}`);
        parent[name] = value;
        tryEach(value as Record<string, unknown>, `${where}.${name}`);
      }
    }
  }
  tryEach(json.record.declaration, 'declaration');
});

test('what was told of a change is kept, and refused where it is something else', (t) => {
  const { agent, state } = open(t);
  assert.equal(state().uptake(), undefined);
  state().saveUptake({ http: '2026_11_21_10_00_00.123456789' });
  assert.deepEqual(state().uptake(), { http: '2026_11_21_10_00_00.123456789' });
  fs.writeFileSync(path.join(agent, 'uptake.json'), '{"version":1,"uptake":{"http":7}}');
  assert.equal(state().uptake(), undefined);
});

test('leftovers of interrupted changes are cleared, and nothing else', (t) => {
  const { agent, state } = open(t);
  state().savePending(0, pending, Uint8Array.of(1));
  state().saveCurrent(0, status, answer.certificates);
  const before = fs.readdirSync(agent).toSorted();
  fs.writeFileSync(path.join(agent, 'pending-0.json.tmp'), '{');
  fs.writeFileSync(path.join(agent, 'volume.json.tmp'), '{');
  fs.writeFileSync(path.join(agent, 'pending-0.00000000000000aa.key'), 'orphan');
  fs.writeFileSync(path.join(agent, 'pending-5.00000000000000aa.key'), 'orphan');
  atOnce(state().repair());
  assert.deepEqual(fs.readdirSync(agent).toSorted(), before);
  assert.deepEqual([...state().readPendingKey(0)], [1]);
});

test('a planted symlink or pipe is neither followed nor waited for', (t) => {
  const { root, agent, state, stored } = open(t);
  const outside = path.join(root, 'outside');
  fs.mkdirSync(outside);
  fs.symlinkSync('outside', agent);
  assert.throws(() => state(), { code: 'Tampered' });
  assert.throws(() => stored(), { code: 'Tampered' });
  assert.deepEqual(fs.readdirSync(outside), []);
  fs.unlinkSync(agent);

  fs.writeFileSync(path.join(outside, 'file'), 'untouched');
  state();
  fs.symlinkSync('../outside/file', path.join(agent, 'volume.json'));
  assert.throws(() => stored(), { code: 'Tampered' });
  fs.symlinkSync('../outside/file', path.join(agent, 'volume.json.tmp'));
  state().writeRecord(makeRecord('/x'));
  assert.equal(fs.readFileSync(path.join(outside, 'file'), 'utf8'), 'untouched');
  fs.rmSync(path.join(agent, 'volume.json'));
  fs.mkdirSync(path.join(agent, 'volume.json'));
  assert.throws(() => stored(), { code: 'Tampered' });
  assert.throws(() => state().writeRecord(makeRecord('/x')), { name: 'VolumeError' });
  assert.throws(() => state().readPendingKey(0), { code: 'Corrupt' });
});

test('a state directory of another user is not used', { skip: rootSkip }, (t) => {
  const { agent, state, stored } = open(t);
  fs.mkdirSync(agent);
  fs.chownSync(agent, 1234, 1234);
  assert.throws(() => state(), { code: 'Tampered' });
  assert.throws(() => stored(), { code: 'Tampered' });
});

test('every field of a record is checked when it is read', () => {
  const record = JSON.parse(encodeRecord(makeRecord('/x')).toString()).record;
  const read = (change: object) =>
    decodeRecord(Buffer.from(JSON.stringify({ version: 1, record: { ...record, ...change } })));
  assert.doesNotThrow(() => read({}));
  const [certificate, anchors] = record.declaration.sources;
  const sources = (...list: unknown[]) => ({ declaration: { sources: list } });
  const trustDomains = { own: 'a', canarying: 'live', as: 'filePerTrustDomain', needsOwn: true };
  const apart = { ...anchors, path: 'a.pem', trustDomains };
  assert.doesNotThrow(() => read(sources(certificate, apart)));
  const wrong: [object, RegExp][] = [
    [{ volumeId: 7 }, /volumeId is not a string/],
    [{ pod: null }, /pod is not an object/],
    [{ pod: { ...record.pod, uid: undefined } }, /uid is not a string/],
    [{ owner: { kind: 'all' } }, /owner is of no known kind/],
    [{ owner: { kind: 'user', uid: -1 } }, /uid is not a numeric id/],
    [{ owner: { kind: 'group', gid: 1.5 } }, /gid is not a numeric id/],
    [{ seLinuxContext: 'a:b:c,exec' }, /seLinuxContext is not an SELinux context/],
    [{ seLinuxContext: 7 }, /seLinuxContext is not a string/],
    [{ declaration: {} }, /sources is not a list/],
    [{ declaration: { sources: [], defaultMode: 0o1000 } }, /defaultMode is not a file mode/],
    [{ declaration: { sources: [], defaultUser: -1 } }, /defaultUser is not a numeric id/],
    [sources({ ...certificate, roots: 'keep' }), /roots is not "drop"/],
    [sources({ ...certificate, mode: 0o1000 }), /mode is not a file mode/],
    [sources({ ...certificate, user: 'root' }), /user is not a number/],
    [sources(1), /sources\[0\] is not an object/],
    [sources(anchors), /sources\[0\] has another index/],
    [sources({ ...certificate, kind: 'secret' }), /sources\[0\] is of no known kind/],
    [sources({ ...certificate, keyType: 'DSA' }), /keyType is not a key type/],
    [sources({ ...certificate, keyPath: '../../etc/cron.d/x' }), /keyPath is not a path in the volume/],
    [sources({ ...certificate, keyPath: 4 }), /keyPath is not a path in the volume/],
    [sources(certificate, { ...anchors, path: '..agent/volume.json' }), /path is not a path in the volume/],
    [sources(certificate, { ...anchors, select: 1 }), /select is not an object/],
    [sources(certificate, { ...anchors, select: { by: 'label' } }), /select is by nothing known/],
    [sources(certificate, { ...anchors, expired: 'keep' }), /expired is not "drop"/],
    [
      sources(certificate, {
        ...anchors,
        select: { by: 'signer', signerName: 'a.b/c', labelSelector: { matchLabels: {}, matchExpressions: [1] } },
      }),
      /matchExpressions is not an object/,
    ],
    ...[{ own: '../../etc' }, { own: 'A' }, { canarying: 'dead' }, { as: 'union' }].map((change): [object, RegExp] => [
      sources(certificate, { ...apart, trustDomains: { ...apart.trustDomains, ...change } }),
      /trustDomains is not a description of trust domains/,
    ]),
    ...['b.pem', 'a', 'a.', 'a/b.pem'].map((path): [object, RegExp] => [
      sources(certificate, { ...apart, path }),
      /path is not named after its trust domain/,
    ]),
    [
      sources(certificate, { ...apart, trustDomains: { ...apart.trustDomains, needsOwn: 1 } }),
      /neither true nor false/,
    ],
  ];
  for (const [change, message] of wrong) {
    assert.throws(() => read(change), message);
  }
});

test('every field of a request and of a status is checked when it is read', () => {
  const stored = (change: object) =>
    Buffer.from(JSON.stringify({ version: 1, keyFile: 'k', pending: { ...pending, ...change } }));
  const encoded = { ...answer, certificates: ['AQI='], anchors: ['BA=='] };
  assert.deepEqual([...(decodePending(stored({ issued: encoded })).pending.answer?.certificates[0] ?? [])], [1, 2]);
  assert.throws(() => decodePending(stored({ createdAt: 'now' })), /createdAt is not a number/);
  assert.throws(() => decodePending(stored({ publicKey: 7 })), /publicKey holds something else than base64/);
  assert.throws(() => decodePending(stored({ issued: { ...encoded, certificates: [] } })), /certificates is empty/);
  assert.throws(
    () => decodePending(stored({ issued: { ...encoded, certificates: [1] } })),
    /^TypeError: certificates holds .* than base64/,
  );
  assert.throws(() => decodePending(stored({ issued: { ...encoded, certificates: [''] } })), /else than base64/);
  assert.throws(() => decodePending(stored({ issued: { ...encoded, anchors: [4] } })), /anchors holds something else/);
  assert.throws(() => decodePending(stored({ issued: { ...encoded, podIPs: [4] } })), /podIPs holds something else/);
  const file = Buffer.from(JSON.stringify({ version: 1, issued: { ...status, notAfter: null } }));
  assert.throws(() => decodeCurrent(file), /notAfter is not a number/);
});

test('how a request failed is kept, read with distrust, and forgotten', (t) => {
  const { agent, state } = open(t);
  const setback = { kind: 'denied', reason: 'Policy', message: 'no', failures: 2, at: 1, until: 2 } as const;
  assert.equal(state().setback(0), undefined);
  state().saveSetback(0, setback);
  assert.deepEqual(state().setback(0), setback);
  assert.equal(state().setback(1), undefined);
  for (const change of [{ kind: 'other' }, { failures: -1 }, { until: 'soon' }, { message: 7 }]) {
    fs.writeFileSync(
      path.join(agent, 'setback-0.json'),
      JSON.stringify({ version: 1, setback: { ...setback, ...change } }),
    );
    assert.equal(state().setback(0), undefined, JSON.stringify(change));
  }
  state().saveSetback(0, undefined);
  state().saveSetback(0, undefined);
  assert.ok(!fs.existsSync(path.join(agent, 'setback-0.json')), 'the file is gone');
});
