/** Certificates that are begun when a pod is bound, before the kubelet calls for its volumes. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import type { PublishRequest } from '../../../volumes/csi/driver.ts';
import { createWorld, minute, podCertificate, type World, type WorldOptions } from './world.ts';

async function startWorld(t: TestContext, options: WorldOptions = {}): Promise<World> {
  const world = await createWorld(t, { ...options, ahead: true });
  await world.manager.recover();
  return world;
}

const isWiped = (secret: Uint8Array): boolean => secret.every((byte) => byte === 0);

/** Binds the pod and waits until its request is made and followed. */
async function begin(world: World, request: PublishRequest): Promise<string> {
  const before = world.submitted.length;
  world.bind([request]);
  await world.until(() => world.submitted.length === before + 1 && world.followed.size > 0);
  return world.submitted[before]?.order.requestName ?? '';
}

/** Publishes, answers, and gives the name of the request that was answered. */
async function publish(world: World, request: PublishRequest): Promise<string> {
  const published = world.publish(request);
  await world.until(() => world.notices.some(({ type }) => type === 'requested'));
  const name = await world.answer('issue');
  assert.deepEqual(await published, { type: 'ready' });
  return name;
}

test('a publish call takes over the request that was made when its pod was bound, and its key', async (t) => {
  const world = await startWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const name = await begin(world, request);
  const { order } = world.submitted[0] ?? {};
  assert.equal(order?.priority, 'background');
  assert.deepEqual(order?.alsoFor, [], 'until the kubelet calls nobody waits for it');
  assert.equal(await publish(world, request), name);
  assert.deepEqual(order?.alsoFor, [{ priority: 'first', owner: request.pod.uid }]);
  assert.equal(world.submitted.length, 1);
  assert.equal(world.ranks.length, 1, 'one key was made');
  assert.match(world.read(request, 'tls.pem'), /BEGIN PRIVATE KEY/);
  assert.ok(world.secrets.every(isWiped), 'no key is left in memory');
  assert.deepEqual([world.faults, world.abandoned], [[], [name]]);
});

test('a publish call that comes while the request is on its way waits for it and makes no other', async (t) => {
  const { promise: accepted, resolve: accept } = Promise.withResolvers<void>();
  const world = await startWorld(t, { onSubmit: () => accepted });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  world.bind([request]);
  await world.until(() => world.submitted.length === 1);
  const published = world.publish(request);
  await world.until(() => world.notices.some(({ type }) => type === 'keyMade'));
  assert.deepEqual(world.submitted[0]?.order.alsoFor, [{ priority: 'first', owner: request.pod.uid }]);
  accept();
  await world.until(() => world.followed.size > 0);
  await world.answer('issue');
  assert.deepEqual(await published, { type: 'ready' });
  assert.equal(world.submitted.length, 1);
  assert.ok(world.secrets.every(isWiped), 'no key is left in memory');
});

const others: Readonly<Record<string, (request: PublishRequest) => PublishRequest>> = {
  'of another service account': (request) => ({ ...request, pod: { ...request.pod, serviceAccountName: 'other' } }),
  'with another signer': (request) => {
    const source = { ...podCertificate(0, 'tls.pem'), signerName: 'example.com/other' };
    return { ...request, declaration: { sources: [source] } };
  },
  'with other annotations': (request) => {
    const source = { ...podCertificate(0, 'tls.pem'), userAnnotations: { 'example.com/a': 'b' } };
    return { ...request, declaration: { sources: [source] } };
  },
};

for (const [which, change] of Object.entries(others)) {
  test(`a publish call ${which} begins anew, and what was begun is dropped`, async (t) => {
    const world = await startWorld(t);
    const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
    const name = await begin(world, request);
    assert.notEqual(await publish(world, change(request)), name);
    assert.equal(world.submitted.length, 2);
    assert.ok(world.abandoned.includes(name), `${name} is not among ${world.abandoned}`);
    assert.ok(world.secrets.every(isWiped), 'no key is left in memory');
  });
}

test('a pod of the same name and another UID gets nothing of its predecessor', async (t) => {
  const world = await startWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const name = await begin(world, request);
  const successor = world.request('mtls', [podCertificate(0, 'tls.pem')], '1f8b3f4e-7b1c-4f1e-9d3a-2f5f5f6f7a8b');
  assert.notEqual(await publish(world, successor), name);
});

const ends: Readonly<Record<string, (world: World, request: PublishRequest, name: string) => void>> = {
  'its pod is deleted, ends or starts': (world, { pod }) => world.boundPods?.over(pod.uid),
  'the kubelet does not call within two minutes': (world) => world.clock.advance(2 * minute),
  'somebody deletes its request': (world, _request, name) => world.followed.get(name)?.({ type: 'gone' }),
  'the operator’s rules do not let the pod ask any more': (world) => {
    world.beginsAhead = false;
  },
};

for (const [when, end] of Object.entries(ends)) {
  test(`what was begun is dropped and its key overwritten when ${when}; a publish call begins anew`, async (t) => {
    const world = await startWorld(t);
    const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
    const name = await begin(world, request);
    end(world, request, name);
    assert.notEqual(await publish(world, request), name);
    assert.equal(world.submitted.length, 2);
    assert.ok(world.secrets.every(isWiped), 'no key is left in memory');
    assert.deepEqual(world.faults, []);
  });
}

test('an agent that stops drops what was begun, and the next one begins nothing for pods that were there', async (t) => {
  const world = await startWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const name = await begin(world, request);
  world.manager.stop();
  assert.ok(world.secrets.every(isWiped), 'no key is left in memory');
  assert.equal(world.boundPods, undefined);
  assert.equal(world.clock.alarms(), 0);
  await world.restart();
  assert.equal(world.submitted.length, 1);
  assert.notEqual(await publish(world, request), name);
});

test('nothing is begun for a pod whose volume an earlier run of the agent has published', async (t) => {
  const world = await startWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  await publish(world, request);
  await world.restart();
  world.bind([request]);
  await world.written();
  assert.equal(world.submitted.length, 1);
});

test('nothing is begun twice for a pod, nor once the kubelet has called for one of its volumes', async (t) => {
  const world = await startWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const name = await begin(world, request);
  world.boundPods?.over(request.pod.uid);
  world.bind([request]);
  await world.written();
  assert.equal(world.submitted.length, 1);
  assert.notEqual(await publish(world, request), name);
  world.bind([request]);
  await world.written();
  assert.equal(world.submitted.length, 2);
});

test('nothing is begun for what its publish call would be refused, or what needs more than the pod’s spec', async (t) => {
  const world = await startWorld(t);
  const source = podCertificate(0, 'tls.pem');
  const probed = world.request('probed', [source], 'probed');
  world.bind([{ ...probed, declaration: { sources: [source], probe: { port: 8443 } as never } }], true);
  world.boundPods?.bound({
    pod: { ...probed.pod, uid: 'refused' },
    hostNetwork: false,
    volumes: new Map([['refused', { readOnly: false, attributes: {} }]]),
  });
  await world.written();
  world.beginsAhead = false;
  world.bind([world.request('mtls', [source])]);
  await world.written();
  assert.deepEqual([world.submitted, world.secrets], [[], []]);
});

test('a request that may not have arrived is made again under its name by the publish call, with its key', async (t) => {
  let attempts = 0;
  const world = await startWorld(t, {
    onSubmit() {
      attempts += 1;
      if (attempts === 1) {
        throw new AgentError('Unavailable', 'no reply', { actor: 'nobody' });
      }
    },
  });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  world.bind([request]);
  await world.until(() => attempts === 1);
  const name = await publish(world, request);
  assert.deepEqual(
    world.submitted.map(({ order }) => [order.requestName, order.priority]),
    [
      [name, 'background'],
      [name, 'first'],
    ],
  );
  assert.equal(world.ranks.length, 1, 'one key was made');
  assert.ok(!world.types().includes('attemptFailed'), 'what failed ahead is told nobody');
  assert.ok(world.secrets.every(isWiped), 'no key is left in memory');
});

test('a pod that asks for 256 certificates has one under way, and thirty-two in all', async (t) => {
  const world = await startWorld(t);
  const sources = Array.from({ length: 256 }, (_, index) => podCertificate(index, `${index}.pem`));
  let underWay = 0;
  const greedy = world.request('greedy', sources, 'greedy');
  const modest = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  world.bind([greedy]);
  world.bind([modest]);
  await world.until(() => {
    underWay = Math.max(underWay, world.submitted.length - world.followed.size);
    return world.submitted.some(({ order }) => order.identity.pod.uid === modest.pod.uid);
  });
  const before = world.submitted.findIndex(({ order }) => order.identity.pod.uid === modest.pod.uid);
  assert.ok(before <= 3, `${before} requests of the greedy pod came first`);
  await world.until(() => world.submitted.length === 33);
  await world.written();
  assert.equal(world.submitted.length, 33);
  assert.ok(underWay <= 2, `${underWay} requests under way`);
});

test('of three hundred pods that are bound at once 256 are begun for, eight at a time', async (t) => {
  const replies: ((value?: unknown) => void)[] = [];
  const world = await startWorld(t, {
    onSubmit: () =>
      new Promise((resolve) => {
        replies.push(resolve);
      }),
  });
  for (let index = 0; index < 300; index += 1) {
    world.bind([world.request('mtls', [podCertificate(0, 'tls.pem')], `pod-${index}`)]);
  }
  await world.until(() => replies.length === 8);
  await world.written();
  assert.equal(world.submitted.length, 8);
  for (let answered = 0; answered < 256; answered += 1) {
    await world.until(() => replies.length > answered);
    replies[answered]?.();
  }
  await world.written();
  assert.equal(world.submitted.length, 256);
  world.clock.advance(2 * minute);
  await world.written();
  assert.ok(world.secrets.every(isWiped), 'no key is left in memory');
  assert.equal(world.followed.size, 0);
});
