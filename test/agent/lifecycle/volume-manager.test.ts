import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import { VolumeError } from '../../../volumes/base/errors.ts';
import type { OpenVolume, VolumeStore } from '../../../volumes/base/volume.ts';
import { createWorld, hour, minute, podCertificate, trustBundle } from './world.ts';

const denial = { type: 'denied', reason: 'Policy', message: 'not on a Sunday' } as const;

/** What a certificate of the test issuer looks like in a file. */
const pem = (name: string): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(`certificate for ${name}`)
    .toString('base64')
    .replace(/(.{64})(?=.)/g, '$1\n')}\n-----END CERTIFICATE-----\n`;

type Contents = Parameters<OpenVolume['project']>[0];

/** A store whose volumes fail to write what is picked. */
function failingWrites(fails: (contents: Contents) => boolean): (store: VolumeStore) => VolumeStore {
  return (store) => ({
    ...store,
    async create(record) {
      const volume = await store.create(record);
      const project = (contents: Contents) => {
        if (fails(contents)) {
          throw new Error('ENOSPC: no space left on device');
        }
        return volume.project(contents);
      };
      return { ...volume, project };
    },
  });
}

test('a publish call waits for the certificate and then finds key and chain in the volume', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.until(() => world.followed.size > 0);
  assert.equal(existsSync(join(request.targetPath, 'tls.pem')), false);
  const name = await world.answer('issue');
  assert.deepEqual(await published, { type: 'ready' });
  assert.match(world.read(request, 'tls.pem'), /^-----BEGIN PRIVATE KEY-----\n/);
  assert.ok(world.read(request, 'tls.pem').endsWith(pem(name)), `tls.pem does not end with the certificate ${name}`);
});

test('a pod that mounts a part of its volume is told once that it sees no renewal', async (t) => {
  const subPathMounts = new Map([['mtls', ['app', 'sidecar']]]);
  const world = await createWorld(t, { identity: (known) => ({ ...known, subPathMounts }) });
  const told = () => world.notices.filter(({ type }) => type === 'mountedBySubPath');
  for (const volume of ['mtls', 'whole']) {
    const request = world.request(volume, [podCertificate(0, 'tls.pem')]);
    const published = world.publish(request);
    await world.answer('issue');
    await published;
    await world.publish(request);
  }
  assert.deepEqual(
    told().map((notice) => [notice.volume.volumeName, 'containers' in notice && notice.containers]),
    [['mtls', ['app', 'sidecar']]],
  );
  await world.restart();
  assert.equal(told().length, 1);
});

test('no file appears before there is one for every source', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]);
  const published = world.publish(request);
  await world.answer('issue');
  assert.deepEqual(readdirSync(request.targetPath), ['..agent']);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  assert.deepEqual(await published, { type: 'ready' });
  assert.deepEqual(
    readdirSync(request.targetPath).filter((name) => !name.startsWith('..')),
    ['ca.pem', 'tls.pem'],
  );
});

test('two publish calls at once, and one after, make one request', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const both = [world.publish(request), world.publish(request)];
  await world.answer('issue');
  assert.deepEqual(await Promise.all(both), [{ type: 'ready' }, { type: 'ready' }]);
  assert.deepEqual(await world.publish(request), { type: 'ready' });
  assert.equal(world.submitted.length, 1);
});

test('a publish call that runs out of time names the signer and the request, and the next one does not ask again', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request, 30_000);
  await world.until(() => world.followed.size > 0);
  const [name] = world.followed.keys();
  world.clock.advance(28_000);
  const message = `sources[0]: still waiting for signer example.com/mesh, request shop/${name}`;
  assert.deepEqual(await published, { type: 'waiting', message });
  const again = world.publish(request, 30_000);
  await world.answer('issue');
  assert.deepEqual(await again, { type: 'ready' });
  assert.equal(world.submitted.length, 1);
  assert.ok(world.types().includes('waitingForSigner'), `waitingForSigner is not in:\n${world.types()}`);
});

test('a pod that waits is told why no answer can arrive', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request, 30_000);
  await world.until(() => world.followed.size > 0);
  world.hindrance = 'the API server does not let the node watch podcertificaterequests';
  world.clock.advance(28_000);
  const outcome = await published;
  assert.equal(outcome.type, 'waiting');
  const message = outcome.type === 'waiting' ? outcome.message : '';
  assert.match(message, /^sources\[0\]: still waiting for signer .*; the API server does not let the node watch/);
  const again = world.publish(request);
  await world.answer('issue');
  assert.deepEqual(await again, { type: 'ready' });
});

test('a denied first issuance gives the signer’s reason, is asked again after its pause and not on every call', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request, 10_000);
  const first = await world.answer(denial);
  const outcome = await published;
  assert.equal(outcome.type, 'refused');
  assert.match(
    outcome.type === 'refused' ? outcome.message : '',
    /denied: Policy: not on a Sunday \(asked again without anybody's doing\)$/,
  );
  assert.equal((await world.publish(request, 10_000)).type, 'refused');
  assert.equal(world.submitted.length, 1);
  assert.deepEqual(
    world.manager.credentials().map(({ state }) => state),
    ['denied'],
  );
  world.clock.advance(10_000);
  const second = await world.answer('issue');
  assert.notEqual(second, first);
  assert.deepEqual(await world.publish(request, 10_000), { type: 'ready' });
});

test('what the kubelet repeats is the same at every attempt, whatever times and names the signer’s words hold', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const texts = new Set<string>();
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const published = world.publish(request, 10_000);
    await world.until(() => world.followed.size === 1);
    const [name = ''] = world.followed.keys();
    const at = new Date(world.clock.now()).toISOString();
    const message = `${name} at ${at} (${at.replace('T', ' ').replace('Z', ' +0000 UTC')}), serial 5B:E0:1${attempt}:00:01:02:03:04, not 3600s`;
    await world.answer({ type: 'denied', reason: 'Policy', message });
    const outcome = await published;
    assert.equal(outcome.type, 'refused');
    texts.add(outcome.type === 'refused' ? outcome.message : '');
    assert.match(world.manager.credentials()[0]?.lastError ?? '', new RegExp(at), 'in full for who looks at the agent');
    world.clock.advance(6 * minute);
  }
  const [text = '', ...others] = texts;
  assert.deepEqual(others, []);
  assert.match(
    text,
    /^sources\[0\]: signer .* denied: Policy: mtls-0-\S*… at … \(…\), serial …, not 3600s \(asked again/,
  );
});

test('a pod that waits for its signer is not told that a bundle is looked for which was found', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]);
  const seen = async (): Promise<string> => {
    const published = world.publish(request, 10_000);
    await world.until(() => world.followed.size === 1);
    world.clock.advance(8_000);
    const outcome = await published;
    assert.equal(outcome.type, 'waiting');
    return outcome.type === 'waiting' ? outcome.message : '';
  };
  assert.match(await seen(), /; sources\[1\]: looking for ClusterTrustBundles of signer/);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  const message = await seen();
  assert.match(message, /still waiting for signer .*; sources\[1\]: its trust anchors are known, and are written with/);
  const [volume] = world.manager.describe();
  assert.ok(volume?.status.type === 'waiting' && volume.status.message === message, 'the status says the same');
});

test('a missing bundle is told with the anchors that stay, where there are any', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [trustBundle(0, 'ca.pem')]);
  const published = world.publish(request);
  await world.until(() => world.types().includes('publishing'));
  await world.announce({ type: 'missing', message: 'not there' });
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  assert.deepEqual(await published, { type: 'ready' });
  const before = world.read(request, 'ca.pem');
  await world.announce({ type: 'missing', message: 'gone' });
  const told = world.notices.flatMap((notice) => (notice.type === 'anchorsMissing' ? [notice.kept] : []));
  assert.deepEqual(told, [undefined, true]);
  assert.equal(world.read(request, 'ca.pem'), before);
});

test('a refused refresh leaves the certificate in place, is tried again, and holds up no other source', async (t) => {
  const world = await createWorld(t);
  const sources = [podCertificate(0, 'tls.pem'), podCertificate(1, 'other.pem'), trustBundle(2, 'ca.pem')];
  const request = world.request('mtls', sources);
  const published = world.publish(request);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  await world.until(() => world.followed.size === 2);
  await world.answer('issue');
  await world.answer('issue');
  await world.until(() => world.submitted.length === 2);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  assert.deepEqual(await published, { type: 'ready' });
  const before = world.read(request, 'tls.pem');
  world.clock.advance(20 * hour);
  await world.until(() => world.followed.size === 2);
  const isFirst = (name: string): boolean => name.startsWith('mtls-0');
  const [denied] = [...world.followed.keys()].filter(isFirst);
  world.followed.get(denied ?? '')?.(denial);
  world.followed.delete(denied ?? '');
  const renewed = await world.answer('issue');
  await world.announce({ type: 'found', certificates: [Buffer.from('new root')] });
  assert.equal(world.read(request, 'tls.pem'), before);
  assert.ok(
    world.read(request, 'other.pem').endsWith(pem(renewed)),
    `other.pem does not end with the certificate ${renewed}`,
  );
  assert.match(world.read(request, 'ca.pem'), new RegExp(Buffer.from('new root').toString('base64')));
  world.clock.advance(10_000);
  const last = await world.answer('issue');
  assert.ok(world.read(request, 'tls.pem').endsWith(pem(last)), `tls.pem does not end with the certificate ${last}`);
});

test('a restart asks for nothing that is valid and refreshes at the time that was drawn before', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.answer('issue');
  await published;
  const before = world.read(request, 'tls.pem');
  const [drawn] = world.manager.credentials();
  await world.restart();
  assert.deepEqual(await world.publish(request), { type: 'ready' });
  assert.equal(world.read(request, 'tls.pem'), before);
  assert.equal(world.manager.credentials()[0]?.refreshAt, drawn?.refreshAt);
  assert.equal(world.submitted.length, 1);
  world.clock.advance((drawn?.refreshAt ?? 0) - world.clock.now() - 1);
  assert.equal(world.manager.credentials()[0]?.requestName, drawn?.requestName);
  world.clock.advance(1);
  const renewed = await world.answer('issue');
  assert.ok(
    world.read(request, 'tls.pem').endsWith(pem(renewed)),
    `tls.pem does not end with the certificate ${renewed}`,
  );
});

test('a restart goes on with a pending request, under its name and with its key', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const abandoned = world.publish(request);
  await world.until(() => world.followed.size > 0);
  await world.restart();
  assert.equal((await abandoned).type, 'waiting');
  const published = world.publish(request);
  await world.answer('issue');
  assert.deepEqual(await published, { type: 'ready' });
  const [first, second] = world.submitted;
  assert.equal(second?.order.requestName, first?.order.requestName);
  assert.deepEqual(second?.spki, first?.spki);
});

test('an answer that waits for another source survives a restart; its request is removed once the answer is kept, and once more', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]);
  void world.publish(request);
  const name = await world.answer('issue');
  assert.deepEqual(world.abandoned, [name], 'the answer is kept in the volume');
  await world.restart();
  assert.deepEqual(world.abandoned, [name, name], 'the agent before may have ended before it did so');
  const published = world.publish(request);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  assert.deepEqual(await published, { type: 'ready' });
  assert.ok(world.read(request, 'tls.pem').endsWith(pem(name)), `tls.pem does not end with the certificate ${name}`);
  assert.equal(world.submitted.length, 1);
});

test('an answer that runs out while it waits for another source is asked for again', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]);
  void world.publish(request);
  const first = await world.answer('issue', hour);
  world.clock.advance(hour + minute);
  const second = await world.answer('issue');
  assert.notEqual(second, first);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  assert.ok(
    world.read(request, 'tls.pem').endsWith(pem(second)),
    `tls.pem does not end with the certificate ${second}`,
  );
});

test('a request that is deleted while pending is made anew, with another key', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.answer({ type: 'gone' });
  // Nobody has to act before it can succeed, so the pod does not wait for long.
  world.clock.advance(1_200);
  await world.answer('issue');
  assert.deepEqual(await published, { type: 'ready' });
  const [first, second] = world.submitted;
  assert.notDeepEqual(second?.spki, first?.spki);
});

test('a signer that hangs during a refresh is asked again while the certificate is valid', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.answer('issue');
  await published;
  world.clock.advance(20 * hour);
  await world.until(() => world.followed.size > 0);
  const [hanging] = world.followed.keys();
  world.clock.advance(minute);
  const waiting = world.notices.findLast(({ type }) => type === 'waitingForSigner');
  assert.ok(
    waiting?.type === 'waitingForSigner' && waiting.notAfter === world.manager.credentials()[0]?.notAfter,
    'told with the end of the certificate in the volume',
  );
  world.clock.advance(20 * minute);
  await world.until(() => world.submitted.length === 3);
  const renewed = await world.answer('issue');
  assert.notEqual(renewed, hanging);
  assert.ok(
    world.read(request, 'tls.pem').endsWith(pem(renewed)),
    `tls.pem does not end with the certificate ${renewed}`,
  );
});

test('a chain that fails its checks is refused with the reason', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request, 10_000);
  const times = { notBefore: 0, notAfter: 1, beginRefreshAt: 1 };
  await world.answer({ type: 'issued', certificateChain: 'unusable', ...times });
  const outcome = await published;
  assert.match(outcome.type === 'refused' ? outcome.message : '', /the leaf holds another key/);
  assert.deepEqual(readdirSync(request.targetPath), ['..agent']);
});

test('what the API server refuses for want of a permission reaches the waiting pod once no attempt is left before the deadline', async (t) => {
  const world = await createWorld(t, {
    onSubmit() {
      throw new AgentError('Forbidden', 'cannot create podcertificaterequests', { actor: 'cluster operator' });
    },
  });
  const outcome = await world.publish(world.request('mtls', [podCertificate(0, 'tls.pem')]), 10_000);
  assert.equal(outcome.type, 'refused');
});

test('a request whose reply was lost is submitted again under the same name with the same key', async (t) => {
  let lost = 0;
  const world = await createWorld(t, {
    onSubmit() {
      lost += 1;
      if (lost < 3) {
        throw new AgentError('Unavailable', 'connection reset', { actor: 'nobody' });
      }
    },
  });
  const published = world.publish(world.request('mtls', [podCertificate(0, 'tls.pem')]));
  await world.until(() => lost === 1 && world.types().includes('attemptFailed'));
  world.clock.advance(1000);
  await world.until(() => lost === 2 && world.types().filter((type) => type === 'attemptFailed').length === 2);
  world.clock.advance(2000);
  await world.answer('issue');
  assert.deepEqual(await published, { type: 'ready' });
  assert.equal(new Set(world.submitted.map(({ order }) => order.requestName)).size, 1);
  assert.equal(world.submitted.length, 3);
});

test('a pod that has ended is refreshed no more and keeps its files', async (t) => {
  let ended = false;
  const world = await createWorld(t, { identity: (identity) => ({ ...identity, ended }) });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]);
  const published = world.publish(request);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  await world.until(() => world.followed.size > 0);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  await world.answer('issue');
  await published;
  ended = true;
  world.clock.advance(20 * hour);
  await world.until(() => world.types().includes('podEnded'));
  world.clock.advance(48 * hour);
  assert.equal(world.submitted.length, 1);
  assert.equal(
    existsSync(join(request.targetPath, 'tls.pem')),
    true,
    `${join(request.targetPath, 'tls.pem')} is missing`,
  );
  const [credential] = world.manager.credentials();
  assert.equal(credential?.state, 'expired');
  assert.match(credential?.lastError ?? '', /the pod has ended: its phase is Succeeded or Failed/);
  assert.equal(world.types().filter((type) => type === 'expired').length, 1);
});

test('a pod that was taken for gone and lives is refreshed again, with its trust anchors', async (t) => {
  let gone = false;
  const world = await createWorld(t, {
    identity(identity) {
      if (gone) {
        throw new AgentError('PodGone', 'no pod shop/web with that UID', { actor: 'nobody' });
      }
      return identity;
    },
  });
  const sources = [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem'), podCertificate(2, 'other.pem')];
  const request = world.request('mtls', sources);
  const published = world.publish(request);
  await world.until(() => world.followed.size === 2);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  await world.answer('issue', 30 * hour);
  await world.answer('issue');
  await published;
  gone = true;
  world.clock.advance(20 * hour);
  await world.until(() => world.types().filter((type) => type === 'podEnded').length === 2);
  assert.deepEqual(
    world.manager.credentials().map(({ state }) => state),
    ['ended', 'ended'],
  );
  gone = false;
  world.clock.advance(15_000);
  await world.until(() => world.types().filter((type) => type === 'podLives').length === 2);
  await world.answer('issue');
  await world.until(() => world.manager.credentials().every(({ state }) => state === 'fresh'));
  await world.announce({ type: 'found', certificates: [Buffer.from('new root')] });
  assert.match(world.read(request, 'ca.pem'), new RegExp(Buffer.from('new root').toString('base64')));
});

test('a first certificate that is not valid yet starts the pod when it is, also across a restart, and says so', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const first = world.publish(request, 10_000);
  const name = await world.answer('issue', 24 * hour, minute);
  world.clock.advance(10_000);
  const waiting = await first;
  assert.equal(waiting.type, 'waiting');
  assert.match('message' in waiting ? waiting.message : '', /by this node's clock the certificate is not valid before/);
  await world.restart();
  const second = world.publish(request);
  await world.until(() => world.types().includes('resumed'));
  world.clock.advance(49_000);
  assert.deepEqual(readdirSync(request.targetPath), ['..agent']);
  world.clock.advance(1_000);
  assert.deepEqual(await second, { type: 'ready' });
  assert.ok(world.read(request, 'tls.pem').endsWith(pem(name)), `tls.pem does not end with the certificate ${name}`);
  assert.equal(world.submitted.length, 1);
  assert.ok(world.types().includes('notYetValid'), `notYetValid is not in:\n${world.types()}`);
});

test('a renewed certificate that is not valid yet replaces a valid one when it is', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  const old = await world.answer('issue');
  await published;
  world.clock.advance(20 * hour);
  const renewed = await world.answer('issue', 24 * hour, 5 * minute);
  assert.ok(world.read(request, 'tls.pem').endsWith(pem(old)), `tls.pem does not end with the certificate ${old}`);
  world.clock.advance(5 * minute - 1);
  assert.ok(world.read(request, 'tls.pem').endsWith(pem(old)), `tls.pem does not end with the certificate ${old}`);
  world.clock.advance(1);
  await world.written();
  assert.ok(
    world.read(request, 'tls.pem').endsWith(pem(renewed)),
    `tls.pem does not end with the certificate ${renewed}`,
  );
  assert.equal(world.types().filter((type) => type === 'notYetValid').length, 1);
});

test('no other error than that the pod is gone ends a credential', async (t) => {
  let refusal: AgentError | undefined;
  const world = await createWorld(t, {
    onSubmit() {
      if (refusal !== undefined) {
        throw refusal;
      }
    },
  });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.answer('issue');
  await published;
  // A namespace that is said to be gone just after the pod in it was read.
  refusal = new AgentError('PodGone', 'namespace shop does not exist', { actor: 'nobody' });
  world.clock.advance(20 * hour);
  await world.until(() => world.types().includes('attemptFailed'));
  refusal = undefined;
  world.clock.advance(10_000);
  await world.answer('issue');
  assert.ok(!world.types().includes('podEnded'), `podEnded is in:\n${world.types()}`);
});

test('a pod that is not there any more gets no volume', async (t) => {
  const world = await createWorld(t, {
    identity() {
      throw new AgentError('PodGone', 'no pod shop/web with that UID', { actor: 'nobody' });
    },
  });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  assert.deepEqual(await world.publish(request), { type: 'unavailable', message: 'no pod shop/web with that UID' });
  assert.equal(existsSync(request.targetPath), false);
});

test('unpublish ends a waiting publish call, removes everything, and a late answer changes nothing', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.until(() => world.followed.size > 0);
  const [listener] = world.followed.values();
  await world.manager.unpublish(request.volumeId, request.targetPath);
  assert.equal((await published).type, 'waiting');
  listener?.({ type: 'issued', certificateChain: 'late', notBefore: 0, notAfter: 1, beginRefreshAt: 1 });
  world.clock.advance(hour);
  assert.equal(existsSync(request.targetPath), false);
  await world.manager.unpublish(request.volumeId, request.targetPath);
  assert.equal(world.manager.count(), 0);
  assert.deepEqual(world.manager.credentials(), []);
});

test('files that could not be written leave the old ones in place and are written later', async (t) => {
  let full = false;
  const world = await createWorld(t, { store: failingWrites(() => full) });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]);
  const published = world.publish(request);
  await world.until(() => world.followed.size > 0);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  await world.answer('issue');
  await published;
  const before = world.read(request, 'tls.pem');
  full = true;
  world.clock.advance(20 * hour);
  const renewed = await world.answer('issue');
  await world.announce({ type: 'found', certificates: [Buffer.from('new root')] });
  assert.equal(world.read(request, 'tls.pem'), before);
  assert.ok(world.types().includes('anchorsNotWritten'), `anchorsNotWritten is not in:\n${world.types()}`);
  full = false;
  world.clock.advance(10_000);
  await world.written();
  assert.ok(
    world.read(request, 'tls.pem').endsWith(pem(renewed)),
    `tls.pem does not end with the certificate ${renewed}`,
  );
  assert.match(world.read(request, 'ca.pem'), new RegExp(Buffer.from('new root').toString('base64')));
});

test('files that cannot be written are tried again faster as the certificate in them runs out', async (t) => {
  let full = false;
  const world = await createWorld(t, { store: failingWrites(() => full) });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.answer('issue');
  await published;
  const notAfter = world.clock.now() + 24 * hour;
  full = true;
  world.clock.advance(20 * hour);
  const pauses: [pause: number, left: number][] = [];
  world.onNotice = (notice) => {
    if (notice.type !== 'attemptFailed') {
      return;
    }
    pauses.push([notice.retryAt - world.clock.now(), notAfter - world.clock.now()]);
  };
  await world.answer('issue');
  // An attempt takes some turns of the event loop.
  for (let passed = 0; passed < 4 * hour - minute; passed += minute / 2) {
    world.clock.advance(minute / 2);
    await world.written();
  }
  assert.ok(
    pauses.some(([, left]) => left < 10 * minute),
    inspect(pauses),
  );
  assert.ok(
    pauses.every(([pause, left]) => pause <= left / 10),
    inspect(pauses),
  );
});

test('a source whose files cannot be written holds up no other', async (t) => {
  let broken = false;
  const world = await createWorld(t, { store: failingWrites((contents) => broken && contents.has(0)) });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]);
  const published = world.publish(request);
  await world.until(() => world.followed.size > 0);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  await world.answer('issue');
  await published;
  world.clock.advance(20 * hour);
  broken = true;
  await world.answer('issue');
  assert.ok(world.types().includes('attemptFailed'), `attemptFailed is not in:\n${world.types()}`);
  await world.announce({ type: 'found', certificates: [Buffer.from('new root')] });
  assert.match(world.read(request, 'ca.pem'), new RegExp(Buffer.from('new root').toString('base64')));
});

test('a suggested key type is followed only where that is switched on', async (t) => {
  const suggestion = { type: 'denied', reason: 'UnsupportedKeyType', message: 'use ED25519' } as const;
  for (const followSuggestedKeyType of [false, true]) {
    const world = await createWorld(t, { followSuggestedKeyType });
    const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
    const published = world.publish(request, 10_000);
    await world.answer(suggestion);
    if (!followSuggestedKeyType) {
      assert.equal((await published).type, 'refused');
    }
    world.clock.advance(10_000);
    await world.answer('issue');
    await world.publish(request);
    const [credential] = world.manager.credentials();
    assert.equal(credential?.keyType, followSuggestedKeyType ? 'ED25519' : 'ECDSAP256');
    assert.ok(world.types().includes('keyTypeSuggested'), `keyTypeSuggested is not in:\n${world.types()}`);
  }
});

test('missing trust anchors hold the pod back unless they are optional', async (t) => {
  const world = await createWorld(t);
  const request = world.request('trust', [trustBundle(0, 'ca.pem')]);
  const published = world.publish(request, 30_000);
  await world.until(() => world.manager.count() === 1);
  await world.announce({ type: 'missing', message: 'no bundle of example.com/mesh' });
  world.clock.advance(30_000);
  assert.deepEqual(await published, { type: 'waiting', message: 'sources[0]: no bundle of example.com/mesh' });
  const optional = world.request('optional', [trustBundle(0, 'ca.pem', true)]);
  const ready = world.publish(optional);
  await world.until(() => world.manager.count() === 2);
  await world.announce({ type: 'missing', message: 'no bundle of example.com/mesh' });
  assert.deepEqual(await ready, { type: 'ready' });
  assert.equal(world.read(optional, 'ca.pem'), '');
});

test('trust anchors that cannot be used empty no file, not even an optional one', async (t) => {
  const world = await createWorld(t);
  const request = world.request('optional', [trustBundle(0, 'ca.pem', true)]);
  const published = world.publish(request, 30_000);
  await world.until(() => world.manager.count() === 1);
  await world.announce({ type: 'refused', message: 'the bundles are too large' });
  world.clock.advance(30_000);
  assert.deepEqual(await published, { type: 'waiting', message: 'sources[0]: the bundles are too large' });
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  assert.deepEqual(await world.publish(request), { type: 'ready' });
  const before = world.read(request, 'ca.pem');
  assert.notEqual(before, '');
  await world.announce({ type: 'refused', message: 'the bundles are too large' });
  assert.equal(world.read(request, 'ca.pem'), before);
});

test('trust anchors that vanish later leave the old file', async (t) => {
  const world = await createWorld(t);
  const request = world.request('trust', [trustBundle(0, 'ca.pem')]);
  const published = world.publish(request);
  await world.until(() => world.manager.count() === 1);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  await published;
  const before = world.read(request, 'ca.pem');
  await world.announce({ type: 'missing', message: 'no bundle of example.com/mesh' });
  assert.equal(world.read(request, 'ca.pem'), before);
  assert.deepEqual(await world.publish(request), { type: 'ready' });
});

test('a volume whose files somebody removed is made anew', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.answer('issue');
  await published;
  rmSync(request.targetPath, { recursive: true });
  const again = world.publish(request);
  await world.answer('issue');
  assert.deepEqual(await again, { type: 'ready' });
  assert.equal(
    existsSync(join(request.targetPath, 'tls.pem')),
    true,
    `${join(request.targetPath, 'tls.pem')} is missing`,
  );
});

test('a target path in use by another volume is refused', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  void world.publish(request);
  await world.until(() => world.followed.size > 0);
  const outcome = await world.publish({ ...request, volumeId: 'csi-other' });
  assert.equal(outcome.type, 'invalid');
});

test('the files belong to the pod’s fsGroup, else to the one user of its containers', async (t) => {
  const world = await createWorld(t, { identity: (identity) => ({ ...identity, fsGroup: 2000, runAsUser: 1000 }) });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  void world.publish(request);
  await world.until(() => world.notices.length > 0);
  assert.deepEqual(world.notices[0]?.volume.owner, { kind: 'group', gid: 2000 });
  const user = await createWorld(t, { identity: (identity) => ({ ...identity, runAsUser: 1000 }) });
  void user.publish(user.request('mtls', [podCertificate(0, 'tls.pem')]));
  await user.until(() => user.notices.length > 0);
  assert.deepEqual(user.notices[0]?.volume.owner, { kind: 'user', uid: 1000 });
});

test('no private key stays in the agent’s memory once a step is done', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.until(() => world.followed.size > 0);
  assert.ok(world.secrets.length >= 2, `${world.secrets.length} is less than 2`);
  assert.ok(
    world.secrets.every((secret) => secret.every((byte) => byte === 0)),
    'bytes of a secret are left in memory',
  );
  await world.answer('issue');
  await published;
  assert.ok(world.secrets.length >= 3, `${world.secrets.length} is less than 3`);
  assert.ok(
    world.secrets.every((secret) => secret.every((byte) => byte === 0)),
    'bytes of a secret are left in memory',
  );
});

test('one volume of an earlier run that cannot be taken up keeps no other from it', async (t) => {
  const world = await createWorld(t, {
    store: (store) => ({
      ...store,
      async recover() {
        const found = await store.recover();
        const volumes = found.volumes.map((volume) => {
          const isBroken = volume.record.volumeName === 'broken';
          const kept: OpenVolume['kept'] = (index) => {
            if (isBroken && index === 1) {
              throw new Error('the volume was unmounted or replaced');
            }
            return volume.kept(index);
          };
          return { ...volume, kept };
        });
        return { ...found, volumes };
      },
    }),
  });
  const broken = world.request('broken', [podCertificate(0, 'tls.pem'), podCertificate(1, 'other.pem')]);
  const good = world.request('good', [podCertificate(0, 'tls.pem')]);
  void world.publish(broken);
  void world.publish(good);
  await world.until(() => world.followed.size === 3);
  world.manager.stop();
  world.followed.clear();
  world.manager = world.nextManager();
  const { adopted, unusable } = await world.manager.recover();
  assert.equal(adopted, 1);
  assert.deepEqual(
    unusable.map(({ targetPath, reason }) => [targetPath, reason]),
    [[broken.targetPath, 'the volume was unmounted or replaced']],
  );
  await world.until(() => world.followed.size > 0);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    [...world.followed.keys()].map((name) => name.slice(0, 6)),
    ['good-0'],
  );
});

for (const call of ['publish', 'unpublish'] as const) {
  test(`a volume that cannot be taken up is counted until the kubelet comes to ${call} it`, async (t) => {
    const world = await createWorld(t);
    const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
    void world.publish(request);
    await world.until(() => world.followed.size > 0);
    world.manager.stop();
    world.followed.clear();
    writeFileSync(join(request.targetPath, '..agent', 'volume.json'), 'damaged');
    world.manager = world.nextManager();
    const { unusable } = await world.manager.recover();
    assert.match(unusable[0]?.reason ?? '', /volume\.json is unusable/);
    assert.equal(world.manager.unusable(), 1);
    if (call === 'publish') {
      void world.publish(request);
      await world.until(() => world.manager.count() === 1);
    } else {
      await world.manager.unpublish(request.volumeId, request.targetPath);
    }
    assert.equal(world.manager.unusable(), 0);
  });
}

test('a volume that was removed while its signer was waited for is made anew', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const first = world.publish(request);
  await world.until(() => world.followed.size > 0);
  rmSync(request.targetPath, { recursive: true });
  const again = world.publish(request);
  assert.equal((await first).type, 'waiting');
  await world.answer('issue');
  assert.deepEqual(await again, { type: 'ready' });
  assert.equal(
    existsSync(join(request.targetPath, 'tls.pem')),
    true,
    `${join(request.targetPath, 'tls.pem')} is missing`,
  );
});

test('trust anchors that vanish before the first certificate hold the pod back', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]);
  const published = world.publish(request);
  await world.until(() => world.followed.size > 0);
  await world.announce({ type: 'found', certificates: [Buffer.from('withdrawn root')] });
  await world.announce({ type: 'missing', message: 'no bundle of example.com/mesh' });
  await world.answer('issue');
  assert.deepEqual(readdirSync(request.targetPath), ['..agent']);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  assert.deepEqual(await published, { type: 'ready' });
});

test('what is told of a refusal names the key type that was refused, also when another is tried at once', async (t) => {
  const world = await createWorld(t, { followSuggestedKeyType: true });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.answer({ type: 'denied', reason: 'UnsupportedKeyType', message: 'use ED25519' });
  await world.answer('issue');
  await published;
  const told = world.notices.flatMap((notice) => ('keyType' in notice ? [[notice.type, notice.keyType]] : []));
  assert.deepEqual(told, [
    ['keyMade', 'ECDSAP256'],
    ['requested', 'ECDSAP256'],
    ['denied', 'ECDSAP256'],
    ['keyTypeSuggested', 'ECDSAP256'],
    ['keyMade', 'ED25519'],
    ['requested', 'ED25519'],
    ['answered', 'ED25519'],
    ['projected', 'ED25519'],
  ]);
});

test('a fault while an answer is told does not keep the credential from what comes next', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.until(() => world.followed.size > 0);
  world.onNotice = ({ type }) => {
    if (type === 'denied') {
      throw new Error('a fault of the reporter');
    }
  };
  await world.answer(denial);
  assert.deepEqual(world.faults.map(String), ['Error: a fault of the reporter']);
  world.clock.advance(10_000);
  await world.answer('issue');
  await published;
  assert.deepEqual(await world.publish(request), { type: 'ready' });
});

test('a publish call ends at once when its pod is being deleted, and leaves the volume for the kubelet to unpublish', async (t) => {
  const world = await createWorld(t);
  const requests = ['one', 'two'].map((name) => world.request(name, [podCertificate(0, 'tls.pem')]));
  const published = requests.map((request) => world.publish(request));
  await world.until(() => world.followed.size === 2);
  assert.equal(world.asking.size, 0);
  world.clock.advance(1_000);
  assert.equal(world.asking.size, 2);
  for (const end of [...world.asking]) {
    end();
  }
  assert.deepEqual(
    (await Promise.all(published)).map(({ type }) => type),
    ['waiting', 'waiting'],
  );
  assert.equal(world.asking.size, 0);
  assert.ok(
    requests.every(({ targetPath }) => existsSync(targetPath)),
    'the target path of a volume is missing',
  );
});

test('a publish call that is answered asks no more whether its pod is being deleted', async (t) => {
  const world = await createWorld(t);
  const quick = world.publish(world.request('quick', [podCertificate(0, 'tls.pem')]));
  await world.answer('issue');
  await quick;
  world.clock.advance(minute);
  assert.equal(world.asking.size, 0);
  const slow = world.publish(world.request('slow', [podCertificate(0, 'tls.pem')]));
  await world.until(() => world.followed.size > 0);
  world.clock.advance(minute);
  assert.equal(world.asking.size, 1);
  await world.answer('issue');
  await slow;
  assert.equal(world.asking.size, 0);
});

test('a restart asks a signer that has refused no sooner than it would have been asked, and the pauses go on growing', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  assert.equal((await Promise.all([world.publish(request, 5_000), world.answer(denial)]))[0].type, 'refused');
  for (let restart = 0; restart < 20; restart += 1) {
    await world.restart();
  }
  assert.equal(world.submitted.length, 1, 'restarts make no request');
  const [paused] = world.manager.credentials();
  assert.match(paused?.lastError ?? '', /denied: Policy: not on a Sunday/);
  assert.equal(paused?.nextAttemptAt, world.clock.now() + 10_000);
  world.clock.advance(10_000);
  await world.answer(denial);
  await world.restart();
  assert.equal(world.submitted.length, 2);
  assert.equal(world.manager.credentials()[0]?.nextAttemptAt, world.clock.now() + 20_000);
  world.clock.advance(20_000);
  await world.answer('issue');
  await world.until(() => world.manager.describe()[0]?.status.type === 'ready');
  await world.restart();
  assert.equal(world.manager.credentials()[0]?.state, 'fresh');
});

test('an answered request is not given up before its answer is kept, however often that fails', async (t) => {
  let failures = 0;
  const world = await createWorld(t, {
    store: (store) => ({
      ...store,
      async create(record) {
        const volume = await store.create(record);
        const saveAnswer: typeof volume.saveAnswer = async (...values) => {
          if (failures < 2) {
            failures += 1;
            throw new VolumeError('NoSpace', 'no room');
          }
          await volume.saveAnswer(...values);
        };
        return { ...volume, saveAnswer };
      },
    }),
  });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  const name = await world.answer('issue');
  for (let seen = 1; seen <= 2; seen += 1) {
    await world.until(() => failures === seen);
    await world.written();
    assert.deepEqual(world.abandoned, [], 'a restart finds the answer at the server');
    world.clock.advance(20_000);
  }
  assert.deepEqual(await published, { type: 'ready' });
  assert.deepEqual(world.abandoned, [name]);
});

test('a request that nobody answers is given up when its volume goes or another takes its place, and not by a restart', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  void world.publish(request);
  await world.until(() => world.followed.size === 1);
  const [first = ''] = world.followed.keys();
  await world.restart();
  await world.until(() => world.followed.size === 1);
  assert.deepEqual(world.abandoned, [], 'the next agent goes on with it');
  world.clock.advance(20 * minute);
  await world.until(() => world.abandoned.length === 1);
  assert.deepEqual(world.abandoned, [first]);
  world.clock.advance(minute);
  await world.until(() => world.followed.size === 1);
  const [second = ''] = world.followed.keys();
  await world.manager.unpublish(request.volumeId, request.targetPath);
  assert.deepEqual(world.abandoned, [first, second]);
});

for (const restarts of [false, true]) {
  const when = restarts ? ', also across a restart' : '';
  test(`a key that is damaged while its answer waits reaches no pod, and another is made${when}`, async (t) => {
    const world = await createWorld(t);
    const request = world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]);
    const published = world.publish(request);
    const first = await world.answer('issue');
    const state = join(request.targetPath, '..agent');
    const key = readdirSync(state).find((name) => name.endsWith('.key')) ?? '';
    const bytes = readFileSync(join(state, key));
    // Within the scalar, so that it is still the DER of a key.
    bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
    writeFileSync(join(state, key), bytes);
    if (restarts) {
      await world.restart();
    }
    await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
    const failed = world.notices.find(({ type }) => type === 'attemptFailed');
    assert.ok(
      failed?.type === 'attemptFailed' && /key is damaged, or not the/.test(failed.error.message),
      'it is told',
    );
    assert.equal(existsSync(join(request.targetPath, 'tls.pem')), false);
    world.clock.advance(minute);
    assert.notEqual(await world.answer('issue'), first);
    await published;
    assert.match(world.read(request, 'tls.pem'), /BEGIN CERTIFICATE/);
  });
}

test('a stored answer that is damaged reaches no pod either', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]);
  void world.publish(request);
  await world.answer('issue');
  const file = join(request.targetPath, '..agent', 'pending-0.json');
  const stored = JSON.parse(readFileSync(file, 'utf8'));
  stored.pending.issued.certificates[0] = Buffer.from('certificate for somebody-else').toString('base64');
  writeFileSync(file, JSON.stringify(stored));
  await world.restart();
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  assert.ok(world.types().includes('attemptFailed'), 'it is told');
  assert.equal(existsSync(join(request.targetPath, 'tls.pem')), false);
});
