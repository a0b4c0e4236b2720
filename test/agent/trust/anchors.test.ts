import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { watchClusterTrustBundles } from '../../../agent/kubernetes/bundles.ts';
import { createDiscovery } from '../../../agent/kubernetes/discovery.ts';
import type { ClusterTrustBundle } from '../../../agent/kubernetes/objects.ts';
import type { Anchors } from '../../../agent/lifecycle/ports.ts';
import type { Clock } from '../../../agent/time/clock.ts';
import { createTrustAnchors } from '../../../agent/trust/anchors.ts';
import { uniteCertificates } from '../../../agent/trust/certificates.ts';
import type { ClusterTrustBundleSource, LabelSelector } from '../../../volumes/declaration/types.ts';
import {
  clientOf,
  isWatch,
  openWatch,
  type Received,
  sendEvent,
  sendJson,
  sendList,
  sendStatus,
  startLoopback,
} from '../kubernetes/loopback.ts';
import { bundle, derOf, makeAuthority } from './authorities.ts';

const [one, two, three] = ['one', 'two', 'three'].map(makeAuthority) as [string, string, string];
const everything: LabelSelector = { matchLabels: {}, matchExpressions: [] };
const signerName = 'example.com/mesh';

function byName(name: string, optional = false): ClusterTrustBundleSource {
  return { kind: 'clusterTrustBundle', index: 0, select: { by: 'name', name }, optional, path: 'ca.pem' };
}

function bySigner(labelSelector?: LabelSelector, signer = signerName): ClusterTrustBundleSource {
  const select = { by: 'signer', signerName: signer, ...(labelSelector && { labelSelector }) } as const;
  return { kind: 'clusterTrustBundle', index: 0, select, optional: false, path: 'ca.pem' };
}

/** What a subscription was told. */
interface Ear {
  readonly told: Anchors[];
  readonly listener: (anchors: Anchors) => void;
  nth(count: number): Promise<Anchors | undefined>;
}

function ear(): Ear {
  const told: Anchors[] = [];
  const waiting = new Set<() => void>();
  return {
    told,
    listener(anchors) {
      told.push(anchors);
      for (const check of [...waiting]) {
        check();
      }
    },
    nth: (count) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (told.length >= count) {
            waiting.delete(check);
            resolve(told[count - 1]);
          }
        };
        waiting.add(check);
        check();
      }),
  };
}

function found(...pems: string[]): Anchors {
  return { type: 'found', certificates: uniteCertificates([pems.map(derOf)]) };
}

interface Api {
  bundles: ClusterTrustBundle[];
  served: boolean;
  forbidden: boolean;
}

async function start(t: TestContext, bundles: ClusterTrustBundle[]) {
  const api: Api = { bundles, served: true, forbidden: false };
  const server = await startLoopback(t, ({ path, query, response }) => {
    if (path === '/version') {
      sendJson(response, 200, { minor: '36', gitVersion: 'v1.36.2' });
    } else if (path === '/apis/certificates.k8s.io/v1beta1' && api.served) {
      sendJson(response, 200, { resources: [{ name: 'clustertrustbundles' }] });
    } else if (!path.endsWith('/clustertrustbundles') || !api.served) {
      sendStatus(response, 404, 'NotFound');
    } else if (api.forbidden) {
      sendStatus(response, 403, 'Forbidden');
    } else if (query.get('watch')) {
      openWatch(response);
    } else {
      const selector = query.get('fieldSelector') ?? '';
      const fits = ({ metadata, spec }: ClusterTrustBundle): boolean =>
        selector === `metadata.name=${metadata.name}` || selector === `spec.signerName=${spec.signerName}`;
      sendList(response, 1, api.bundles.filter(fits));
    }
  });
  const alarms: { time: number; callback: () => void; cancelled: boolean }[] = [];
  const clock: Clock = {
    now: () => 0,
    at(time, callback) {
      const alarm = { time, callback, cancelled: false };
      alarms.push(alarm);
      return () => {
        alarm.cancelled = true;
      };
    },
  };
  const client = clientOf(t, server);
  const discovery = createDiscovery({ client, missingForMs: 5 });
  const malformed: string[] = [];
  const faults: unknown[] = [];
  const trust = createTrustAnchors({
    clock,
    lingerMs: 1000,
    onMalformed: (name, reason) => malformed.push(`${name}: ${reason}`),
    onListenerFault: (fault) => faults.push(fault),
    watchBundles: (selector, onError) =>
      watchClusterTrustBundles(client, discovery, selector, onError, { backoffMs: { first: 5, longest: 20 } }),
  });
  t.after(() => trust.stop());
  const watchOf = (selector: string, count = 1): Promise<Received> =>
    server.nth(count, (one) => isWatch(one) && one.query.get('fieldSelector') === selector);
  return { api, server, trust, alarms, malformed, faults, watchOf };
}

test('a bundle by name is told once it is known, and again at once when it changes', async (t) => {
  const { trust, watchOf } = await start(t, [bundle('roots', `${two}${one}${two}`)]);
  const { listener, nth, told } = ear();
  trust.subscribe(byName('roots'), listener);
  assert.deepEqual(told, []);
  assert.deepEqual(await nth(1), found(one, two));
  const { response } = await watchOf('metadata.name=roots');
  sendEvent(response, 'MODIFIED', bundle('roots', three, { resourceVersion: 2 }));
  assert.deepEqual(await nth(2), found(three));
  sendEvent(response, 'DELETED', bundle('roots', three, { resourceVersion: 3 }));
  assert.deepEqual(await nth(3), { type: 'missing', message: 'there is no ClusterTrustBundle "roots"' });
});

test('a change that leaves the certificates as they were is not told', async (t) => {
  const { trust, watchOf } = await start(t, [bundle('roots', `${one}${two}`)]);
  const { listener, nth, told } = ear();
  trust.subscribe(byName('roots'), listener);
  await nth(1);
  const { response } = await watchOf('metadata.name=roots');
  sendEvent(response, 'MODIFIED', bundle('roots', `reordered\n${two}\n${one}`, { resourceVersion: 2 }));
  sendEvent(response, 'MODIFIED', bundle('roots', three, { resourceVersion: 3 }));
  await nth(2);
  assert.deepEqual(told, [found(one, two), found(three)]);
});

test('a signer’s bundles are united over those whose labels match', async (t) => {
  const { trust, watchOf, server } = await start(t, [
    bundle('mesh:old', `${one}${two}`, { signerName, labels: { stage: 'old' } }),
    bundle('mesh:new', two, { signerName, labels: { stage: 'new' } }),
    bundle('other', three, { signerName: 'example.com/other' }),
  ]);
  const [all, some, none] = [ear(), ear(), ear()];
  const fresh: LabelSelector = { matchLabels: { stage: 'new' }, matchExpressions: [] };
  trust.subscribe(bySigner(everything), all.listener);
  trust.subscribe(bySigner(fresh), some.listener);
  trust.subscribe(bySigner(undefined), none.listener);
  assert.deepEqual(await all.nth(1), found(one, two));
  assert.deepEqual(await some.nth(1), found(two));
  assert.deepEqual(await none.nth(1), {
    type: 'missing',
    message: 'the source has no labelSelector, which matches nothing: an empty one matches everything',
  });
  const { response } = await watchOf(`spec.signerName=${signerName}`);
  sendEvent(
    response,
    'MODIFIED',
    bundle('mesh:new', three, { signerName, labels: { stage: 'x' }, resourceVersion: 2 }),
  );
  assert.deepEqual(await all.nth(2), found(one, two, three));
  assert.match(JSON.stringify(await some.nth(2)), /no ClusterTrustBundle of signer .* matches the labelSelector/);
  assert.equal(server.received.filter(isWatch).length, 1);
});

test('a complete list that replaces one bundle by another is told as one change', async (t) => {
  const { trust, watchOf, api } = await start(t, [bundle('a', one, { signerName })]);
  const { listener, nth, told } = ear();
  trust.subscribe(bySigner(everything), listener);
  await nth(1);
  const { response } = await watchOf(`spec.signerName=${signerName}`);
  api.bundles = [bundle('b', two, { signerName })];
  sendEvent(response, 'ERROR', { kind: 'Status', code: 410 });
  await nth(2);
  assert.deepEqual(told, [found(one), found(two)]);
});

test('a malformed bundle is reported once, and the rest is used', async (t) => {
  const { trust, malformed, watchOf } = await start(t, [
    bundle('bad', 'no certificate here', { signerName }),
    bundle('good', one, { signerName }),
  ]);
  const [first, second] = [ear(), ear()];
  trust.subscribe(bySigner(everything), first.listener);
  assert.deepEqual(await first.nth(1), found(one));
  trust.subscribe(bySigner(everything), second.listener);
  assert.deepEqual(await second.nth(1), found(one));
  assert.deepEqual(malformed, ['bad: it holds no certificate']);
  const { response } = await watchOf(`spec.signerName=${signerName}`);
  sendEvent(response, 'DELETED', bundle('good', one, { signerName, resourceVersion: 2 }));
  assert.match(JSON.stringify(await first.nth(2)), /no certificate can be read from the 1 ClusterTrustBundle/);
});

test('only what is in use is watched, and a watch ends a little after its last user', async (t) => {
  const { trust, server, alarms, watchOf } = await start(t, [bundle('roots', one)]);
  const [first, second, third] = [ear(), ear(), ear()];
  assert.equal(server.received.length, 0);
  const endFirst = trust.subscribe(byName('roots'), first.listener);
  const endSecond = trust.subscribe(byName('roots'), second.listener);
  await Promise.all([first.nth(1), second.nth(1)]);
  const { response } = await watchOf('metadata.name=roots');
  assert.deepEqual([...trust.health().keys()], ['metadata.name=roots']);
  endFirst();
  endFirst();
  assert.equal(alarms.length, 0);
  endSecond();
  assert.equal(alarms.length, 1);
  const endThird = trust.subscribe(byName('roots'), third.listener);
  assert.equal(alarms[0]?.cancelled, true);
  assert.deepEqual(await third.nth(1), found(one));
  endThird();
  assert.equal(alarms[1]?.time, 1000);
  const closed = once(response, 'close');
  alarms[1]?.callback();
  await closed;
  assert.equal(trust.health().size, 0);
  assert.equal(server.received.filter(isWatch).length, 1);
});

test('an absent API is told as missing with what to switch on, and is found once it is there', async (t) => {
  const { trust, api } = await start(t, [bundle('roots', one)]);
  api.served = false;
  const { listener, nth, told } = ear();
  trust.subscribe(byName('roots', true), listener);
  const missing = await nth(1);
  assert.match(JSON.stringify(missing), /does not serve ClusterTrustBundles: start kube-apiserver with/);
  api.served = true;
  assert.deepEqual(await nth(2), found(one));
  assert.equal(told.length, 2);
});

test('an API that goes away takes no anchors away', async (t) => {
  const { trust, api, server, watchOf } = await start(t, [bundle('roots', one)]);
  const { listener, nth, told } = ear();
  trust.subscribe(byName('roots', true), listener);
  await nth(1);
  const { response } = await watchOf('metadata.name=roots');
  api.served = false;
  response.end();
  await server.nth(2, ({ path }) => path === '/version');
  assert.equal(told.length, 1);
});

test('bundles that may not be read hold a source back, and say so where the source is not optional', async (t) => {
  const { trust, api, server } = await start(t, [bundle('roots', one)]);
  api.forbidden = true;
  const [needed, optional] = [ear(), ear()];
  trust.subscribe(byName('roots'), needed.listener);
  trust.subscribe(byName('roots', true), optional.listener);
  assert.match(JSON.stringify(await needed.nth(1)), /does not let the tester list clustertrustbundles/);
  await server.nth(3, ({ path }) => path.endsWith('/clustertrustbundles'));
  assert.deepEqual(optional.told, []);
  api.forbidden = false;
  assert.deepEqual(await optional.nth(1), found(one));
});

test('a listener that throws keeps nobody else from being told', async (t) => {
  const { trust, faults } = await start(t, [bundle('roots', one)]);
  const { listener, nth } = ear();
  trust.subscribe(byName('roots'), () => {
    throw new Error('broken listener');
  });
  trust.subscribe(byName('roots'), listener);
  await nth(1);
  assert.equal(faults.length, 1);
});

test('after stop or after its end a subscription is told nothing', async (t) => {
  const { trust, watchOf } = await start(t, [bundle('roots', one), bundle('more', two)]);
  const [ended, kept] = [ear(), ear()];
  const end = trust.subscribe(byName('roots'), ended.listener);
  end();
  trust.subscribe(byName('roots'), kept.listener);
  await kept.nth(1);
  assert.deepEqual(ended.told, []);
  const { response } = await watchOf('metadata.name=roots');
  const closed = once(response, 'close');
  trust.stop();
  await closed;
  assert.equal(trust.health().size, 0);
  assert.equal(kept.told.length, 1);
});
