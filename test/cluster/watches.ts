/**
 * Watches of PodCertificateRequests: what the agent counts on to be told everything, once, in order, whatever happens to
 * its connection.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */

import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, isIP, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Identity } from '../../agent/kubernetes/identity.ts';
import { createListWatch } from '../../agent/kubernetes/list-watch.ts';
import type { PodCertificateRequest } from '../../agent/kubernetes/objects.ts';
import { asSent } from '../../sandbox/base/client.ts';
import type { JsonObject } from '../../sandbox/base/objects.ts';
import { createKeys } from '../sandbox/rules/cases/keys.ts';
import { requestSpec } from '../sandbox/rules/cases/requests.ts';
import { createCertificates, createWorld } from '../sandbox/rules/world.ts';
import { call, type Watch, type WatchEvent, watch } from '../sandbox/serving/client.ts';
import { eventOf } from '../support/bounded.ts';
import { withFields } from '../support/fields.ts';
import type { Ground } from './ground.ts';
import { versionsOf } from './server.ts';

/** How long something may take to be told. */
const patienceMs = 10_000;

/** The API server's words where its etcd is too old for it: https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists */
const storageLacks = /required storage feature RequestWatchProgress is disabled/;

export function watches(ground: () => Ground, compact: (() => void) | undefined): void {
  describe('Watches', () => {
    test('tell creation, change and deletion in order', async () => {
      const { begin, change, create, follow, remove } = standOn(ground());
      const events = await follow(await begin());
      const name = await create();
      await change(name);
      await remove(name);
      const seen = [await next(events), await next(events), await next(events)];
      events.close();
      assert.deepEqual(
        seen.map((event) => [event?.type, event?.object.metadata.name]),
        [
          ['ADDED', name],
          ['MODIFIED', name],
          ['DELETED', name],
        ],
      );
    });

    test('go on where they were, and tell what happened in between', async () => {
      const { begin, create, follow, remove } = standOn(ground());
      const first = await follow(await begin());
      const name = await create();
      const { resourceVersion = '' } = (await next(first))?.object.metadata ?? {};
      first.close();
      await remove(name);
      const other = await create();
      const second = await follow(resourceVersion);
      const seen = [await next(second), await next(second)];
      second.close();
      await remove(other);
      assert.deepEqual(
        seen.map((event) => [event?.type, event?.object.metadata.name]),
        [
          ['DELETED', name],
          ['ADDED', other],
        ],
      );
    });

    test('mark the end of what was there with a bookmark', async (t) => {
      const { create, follow, remove } = standOn(ground());
      const name = await create();
      const more = '&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
      const events = await follow('', `${more}&fieldSelector=metadata.name%3D${name}`);
      const first = await next(events);
      if (first?.type === 'ERROR' && storageLacks.test(String((first.object as JsonObject)['message']))) {
        events.close();
        await remove(name);
        return t.skip('the etcd behind this server is too old for it, and the agent does not count on it');
      }
      assert.equal(first?.type, 'ADDED');
      const end = await next(events);
      events.close();
      await remove(name);
      assert.equal(end?.type, 'BOOKMARK');
      assert.deepEqual(end?.object.metadata.annotations, { 'k8s.io/initial-events-end': 'true' });
    });

    test('of a forgotten version end with 410 Expired', async (t) => {
      const { create, follow, remove } = standOn(ground());
      await remove(await create());
      compact?.();
      const events = await follow('1');
      const event = await next(events, 3_000);
      events.close();
      if (event?.type !== 'ERROR') {
        return t.skip('this server remembers everything since its first version');
      }
      const status = event.object as JsonObject;
      assert.deepEqual([status['code'], status['reason']], [410, 'Expired']);
    });

    test('the agent’s copy is complete again after its connection was cut', async (t) => {
      const { access, names } = ground();
      const { create, path, remove } = standOn(ground());
      const proxy = await startProxy(t, access.admin.target.url);
      if (proxy === undefined) {
        return t.skip('the server is addressed by an IP address other than 127.0.0.1');
      }
      const caller = { ...access.admin, identity: through(proxy.url, access.admin.identity, proxy.servername) };
      const copy = createListWatch<PodCertificateRequest>({
        decode: asSent<PodCertificateRequest>,
        client: access.client(caller),
        path: async () => path,
        backoffMs: { first: 50, longest: 500 },
      });
      t.after(copy.stop);
      const holds = (wanted: readonly string[]) =>
        until(copy, () => wanted.every((name) => copy.get(`${names.namespace}/${name}`) !== undefined));
      const gone = await create();
      await holds([gone]);
      proxy.refuse();
      await remove(gone);
      const added = await create();
      proxy.accept();
      await holds([added]);
      assert.equal(copy.get(`${names.namespace}/${gone}`), undefined, 'what was deleted meanwhile is gone');
      assert.ok(copy.health().restarts > 0, 'the connection was cut');
      await remove(added);
    });
  });
}

/** Requests that no signer answers, made by the administrator. */
function standOn({ access, names, offers, uid }: Ground) {
  const [requestVersion = 'v1'] = versionsOf(offers);
  const now = Date.now();
  const served = { kubernetes: offers.kubernetes, requestVersion, bundleVersion: 'v1beta1' };
  const world = { ...createWorld(served, createKeys(), createCertificates(now), now), uid };
  const path = `/apis/certificates.k8s.io/${requestVersion}/namespaces/${names.namespace}/podcertificaterequests`;
  const { target } = access.admin;
  const headers = { 'Content-Type': 'application/merge-patch+json' };
  const metadataIn = (body: JsonObject): { name: string; resourceVersion: string } =>
    withFields<{ name: string; resourceVersion: string }>(body['metadata'], 'resourceVersion');
  const done = async (answer: ReturnType<typeof call>): Promise<JsonObject> => {
    const { body, status } = await answer;
    assert.ok(status < 300, String(body['message']));
    return body as JsonObject;
  };
  return {
    path,
    /** The version as of now. */
    begin: async () => metadataIn(await done(call(target, `${path}?limit=1`))).resourceVersion,
    create: async (): Promise<string> => {
      const spec = requestSpec(world, { signerName: 'suite.podcert.example/nobody' });
      const text = names.outgoing(JSON.stringify({ metadata: { generateName: 'watched-' }, spec }));
      const options = { method: 'POST', body: text, headers: { 'Content-Type': 'application/json' } };
      return metadataIn(await done(call(target, path, options))).name;
    },
    change: (name: string) =>
      done(call(target, `${path}/${name}`, { method: 'PATCH', headers, body: { metadata: { labels: { a: 'b' } } } })),
    remove: (name: string) => done(call(target, `${path}/${name}`, { method: 'DELETE' })),
    follow: (resourceVersion: string, more = ''): Promise<Watch> =>
      watch(target, `${path}?watch=1&timeoutSeconds=30&resourceVersion=${resourceVersion}${more}`),
  };
}

/** The next event, or undefined when none comes in time. */
async function next(events: Watch, withinMs = patienceMs): Promise<WatchEvent | undefined> {
  const giveUp = new AbortController();
  const late = sleep(withinMs, undefined, { signal: giveUp.signal }).catch(() => undefined);
  try {
    return await Promise.race([events.next(), late]);
  } finally {
    giveUp.abort();
  }
}

async function until(copy: { subscribe(listener: () => void): () => void }, isSo: () => boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error('the copy was not complete in time')), patienceMs);
  const look = (): void => {
    if (isSo()) {
      resolve();
    }
  };
  const unsubscribe = copy.subscribe(look);
  look();
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    unsubscribe();
  }
}

/** The same credentials by way of a proxy, whose server still has to prove who it is. */
function through(url: string, identity: Identity, servername: string | undefined): Identity {
  return {
    ...identity,
    current: async () => {
      const credentials = await identity.current();
      const tls = servername === undefined ? credentials.tls : { ...credentials.tls, servername };
      return { ...credentials, server: url, tls };
    },
    renew: async () => false,
  };
}

/** A way to the server that can be cut. Undefined where its certificate could not be checked through it. */
async function startProxy(t: TestContext, server: string) {
  const { hostname, port } = new URL(server);
  if (isIP(hostname) !== 0 && hostname !== '127.0.0.1') {
    return undefined;
  }
  const sockets = new Set<Socket>();
  let refusing = false;
  const proxy = createServer((near) => {
    if (refusing) {
      return near.destroy();
    }
    const far = connect(Number(port || 443), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
    return near;
  });
  const cut = (): void => {
    for (const socket of sockets) {
      socket.destroy();
    }
  };
  proxy.listen(0, '127.0.0.1');
  await eventOf(proxy, 'listening', 'the server to listen');
  t.after(() => {
    proxy.close();
    cut();
  });
  return {
    url: `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    servername: isIP(hostname) === 0 ? hostname : undefined,
    /** Cuts what is open and lets nobody through. */
    refuse: () => {
      refusing = true;
      cut();
    },
    accept: () => {
      refusing = false;
    },
  };
}
