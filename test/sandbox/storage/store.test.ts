import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from '../../../sandbox/base/objects.ts';
import { createStore, type StoreEvent } from '../../../sandbox/storage/store.ts';

const object = (name: string, more: Partial<ApiObject> = {}): ApiObject => ({
  ...more,
  metadata: { name, namespace: 'n', uid: `uid-${name}`, ...more.metadata },
});
const names = (objects: readonly ApiObject[] | undefined): (string | undefined)[] | undefined =>
  objects?.map(({ metadata }) => metadata.name);

test('every change has a revision of its own, and it is the resourceVersion of the object', () => {
  const store = createStore();
  const first = store.create('pods', object('a'));
  const second = store.update('pods', object('a', { spec: { x: 1 } }));
  const removed = store.remove('pods', 'n', 'a');
  const revisions = [first, second, removed].map((state) => Number(state?.metadata.resourceVersion));
  assert.deepEqual(revisions, [2, 3, 4]);
  assert.equal(store.revision(), 4);
});

test('what is stored cannot be changed by those who read it', () => {
  const store = createStore();
  const stored = store.create('pods', object('a', { spec: { containers: [{ name: 'c' }] } }));
  assert.throws(() => {
    stored.metadata.name = 'b';
  }, TypeError);
});

test('an update that changes nothing is no change', () => {
  const store = createStore();
  const stored = store.create('pods', object('a'));
  assert.equal(store.update('pods', { metadata: { ...stored.metadata } }), stored);
  assert.equal(store.revision(), 2);
});

test('the state at an earlier revision can be read until it is compacted away', () => {
  const store = createStore();
  store.create('pods', object('a'));
  store.create('pods', object('b'));
  const then = store.revision();
  store.remove('pods', 'n', 'a');
  store.create('pods', object('c'));
  store.update('pods', object('b', { spec: { x: 1 } }));
  assert.deepEqual(names(store.listAt('pods', 'n', then)), ['a', 'b']);
  assert.equal(store.listAt('pods', 'n', then)?.[1]?.spec, undefined);
  assert.deepEqual(names(store.list('pods', 'n')), ['b', 'c']);
  store.compact();
  assert.equal(store.listAt('pods', 'n', then), undefined);
  assert.equal(store.eventsAfter('pods', then), undefined);
  assert.deepEqual(store.eventsAfter('pods', store.revision()), []);
});

test('the history is bounded: the oldest half goes when it is full', () => {
  const store = createStore({ historyLimit: 10 });
  for (let index = 0; index < 11; index += 1) {
    store.create('pods', object(`p${index}`));
  }
  assert.equal(store.compactedRevision(), 6);
  assert.equal(store.eventsAfter('pods', 5), undefined);
  assert.equal(store.eventsAfter('pods', 6)?.length, 6);
});

test('listeners hear of every change with the state before, until they leave', () => {
  const store = createStore();
  const heard: StoreEvent[] = [];
  const leave = store.subscribe((event) => heard.push(event));
  store.create('pods', object('a'));
  store.remove('pods', 'n', 'a');
  leave();
  store.create('pods', object('b'));
  assert.deepEqual(
    heard.map(({ type, previous }) => [type, previous?.metadata.name]),
    [
      ['ADDED', undefined],
      ['DELETED', 'a'],
    ],
  );
});

test('dependents are found by the UID of their owner, as long as they name it', () => {
  const store = createStore();
  const owner = { apiVersion: 'v1', kind: 'Pod', name: 'a', uid: 'uid-a' };
  store.create('pods', object('a'));
  store.create('requests', object('r', { metadata: { ownerReferences: [owner] } }));
  assert.deepEqual(names(store.dependents('uid-a').map((found) => found.object)), ['r']);
  assert.equal(store.byUid('uid-r')?.object.metadata.name, 'r');
  store.update('requests', object('r'));
  assert.deepEqual(store.dependents('uid-a'), []);
  store.remove('requests', 'n', 'r');
  assert.equal(store.byUid('uid-r'), undefined);
  assert.equal(store.remove('requests', 'n', 'r'), undefined);
});

test('a name can be taken once', () => {
  const store = createStore();
  store.create('pods', object('a'));
  assert.throws(() => store.create('pods', object('a')), RangeError);
});
