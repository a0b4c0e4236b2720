/** What the Node service makes of what its driver answers, and of whom it asks at all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { VolumeError } from '../../../volumes/base/errors.ts';
import type { PublishOutcome } from '../../../volumes/csi/driver.ts';
import { askNode } from './ask.ts';
import type { Answer } from './one-call.ts';
import { makeDriver, publishRequest, targetPath } from './support.ts';

test('a call about a volume that is there already is never answered with a final code', async () => {
  const message = 'in use by another';
  let outcome = async (): Promise<PublishOutcome> => ({ type: 'invalid', message });
  const { driver, held } = makeDriver(() => outcome());
  const { ask } = askNode(driver);
  const publish = (more = {}) => ask('NodePublishVolume', publishRequest(more));
  assert.deepEqual(await publish(), { code: 3, details: message }, 'a first call');
  held.add(targetPath);
  assert.deepEqual(await publish(), { code: 14, details: message });
  const unreadable = await publish({ readonly: false });
  assert.equal(unreadable.code, 14);
  assert.match(unreadable.details ?? '', /^readonly is not set/);
  outcome = async () => {
    held.clear();
    throw new VolumeError('Foreign', 'something else is mounted there');
  };
  assert.deepEqual(await publish(), { code: 14, details: 'something else is mounted there' });
});

test("the kubelet's tokens arrive from where nothing prints them, else from the volume context", async () => {
  const { driver, published } = makeDriver();
  const { ask } = askNode(driver);
  const name = 'csi.storage.k8s.io/serviceAccount.tokens';
  const publish = (more: object, context: Record<string, string>) =>
    ask('NodePublishVolume', publishRequest(more, context));
  await publish({ secrets: { [name]: 'kept' } }, { [name]: 'in the open' });
  await publish({}, { [name]: 'in the open' });
  assert.deepEqual(await publish({}, {}), { response: {} });
  assert.deepEqual(
    published.map(({ request }) => request.tokens?.()),
    ['kept', 'in the open', undefined],
  );
  const [first] = published;
  assert.doesNotMatch(inspect(first?.request, { depth: 9 }) + JSON.stringify(first?.request), /kept/);
});

test('a bad call is answered with every fault and reaches nobody', async () => {
  const { driver, published, unpublished } = makeDriver();
  const { ask } = askNode(driver);
  const answer = await ask('NodePublishVolume', {});
  assert.equal(answer.code, 3);
  for (const part of ['volume_id', 'target_path', 'volume_capability', 'readOnly: true', 'podInfoOnMount', 'sources']) {
    assert(answer.details?.includes(part), part);
  }
  assert.equal((await ask('NodeUnpublishVolume', { volume_id: 'x' })).code, 3);
  assert.deepEqual([published.length, unpublished.length], [0, 0]);
  const request = { volume_id: 'csi-1', target_path: targetPath };
  assert.deepEqual(await ask('NodeUnpublishVolume', request), { response: {} });
  assert.deepEqual(unpublished, [`csi-1 ${targetPath}`]);
});

test('each call is logged by the name of its method, answered or not', async () => {
  const { driver } = makeDriver(undefined, () => []);
  const { ask, lines } = askNode(driver, true);
  const volume = { volume_id: 'csi-1', target_path: targetPath, volume_path: '/', volume_publish_path: '' };
  const methods = [
    ...['NodePublishVolume', 'NodeUnpublishVolume', 'NodeGetCapabilities', 'NodeGetInfo'],
    ...['NodeGetVolumeHealth', 'NodeGetVolumeStats'],
  ];
  for (const method of methods) {
    await ask(method, method === 'NodePublishVolume' ? {} : volume);
  }
  assert.deepEqual(
    lines.filter(({ level }) => level === 'debug').map(({ fields }) => fields.method),
    methods,
  );
});

test('why a volume cannot be published or unpublished is a warning with its pod, as far as the call names it', async () => {
  const { driver } = makeDriver(async () => ({ type: 'unavailable', message: 'the agent may not get the pod' }));
  let isStuck = true;
  const unpublish = async (): Promise<void> => {
    if (isStuck) {
      throw new VolumeError('FileSystem', 'a file is immutable');
    }
  };
  const { ask, lines } = askNode({ ...driver, unpublish });
  await ask('NodePublishVolume', publishRequest());
  for (const stuck of [true, true, false, true]) {
    isStuck = stuck;
    await ask('NodeUnpublishVolume', { volume_id: 'csi-1', target_path: targetPath });
  }
  const immutable = { method: 'NodeUnpublishVolume', targetPath, code: 14, detail: 'a file is immutable' };
  assert.deepEqual(
    lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields),
    [
      {
        ...{ method: 'NodePublishVolume', targetPath, namespace: 'shop', pod: 'web-0' },
        ...{ code: 14, detail: 'the agent may not get the pod' },
      },
      ...[immutable, immutable],
    ],
  );
});

test('a kubelet learns what the driver can do, and is told how volumes are in the older way only where that is switched on', async () => {
  const typesOf = (answer: Answer) => JSON.stringify(answer.response).match(/[A-Z]\w+/g);
  const { driver } = makeDriver();
  assert.deepEqual(typesOf(await askNode(driver).ask('NodeGetCapabilities')), [
    'VOLUME_MOUNT_GROUP',
    'GET_VOLUME_HEALTH',
  ]);
  assert.deepEqual(typesOf(await askNode(driver, true).ask('NodeGetCapabilities')), [
    ...['VOLUME_MOUNT_GROUP', 'GET_VOLUME_HEALTH', 'GET_VOLUME_STATS', 'VOLUME_CONDITION'],
  ]);
  assert.deepEqual((await askNode(driver).ask('NodeGetInfo')).response?.['node_id'], 'node-1');
});
