import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { createForesight } from '../../../volumes/csi/foresight.ts';
import { type NodePublishVolumeRequest, readPublish } from '../../../volumes/csi/node.ts';

const uid = '0f8b3f4e-7b1c-4f1e-9d3a-2f5f5f6f7a8b';
const pod = { namespace: 'shop', name: 'web', uid, serviceAccountName: 'web' };
const sources = '[{podCertificate: {signerName: example.com/mesh, keyType: ED25519, credentialBundlePath: tls.pem}}]';
const foresee = createForesight('/var/lib/kubelet');

test('the request that is foreseen is the one that the kubelet’s call will be', async () => {
  const call: NodePublishVolumeRequest = {
    volume_id: `csi-${createHash('sha256').update(`${uid}mtls`).digest('hex')}`,
    target_path: `/var/lib/kubelet/pods/${uid}/volumes/kubernetes.io~csi/mtls/mount`,
    volume_capability: { block: null, mount: { volume_mount_group: '' } },
    readonly: true,
    secrets: {},
    volume_context: {
      sources,
      'csi.storage.k8s.io/pod.name': 'web',
      'csi.storage.k8s.io/pod.namespace': 'shop',
      'csi.storage.k8s.io/pod.uid': uid,
      'csi.storage.k8s.io/serviceAccount.name': 'web',
      'csi.storage.k8s.io/ephemeral': 'true',
    },
  };
  assert.deepEqual(await foresee(pod, 'mtls', { readOnly: true, attributes: { sources } }), readPublish(call));
});

test('who a pod is says the kubelet, and not what its author has written into the volume', async () => {
  const attributes = { sources, 'csi.storage.k8s.io/serviceAccount.name': 'admin', 'csi.storage.k8s.io/pod.uid': 'x' };
  const request = await foresee(pod, 'mtls', { readOnly: true, attributes });
  assert.deepEqual(request?.pod, pod);
});

test('nothing is foreseen for a volume whose call will be refused', async () => {
  const refused = [
    { readOnly: false, attributes: { sources } },
    { readOnly: true, attributes: {} },
    { readOnly: true, attributes: { sources: '[{podCertificate: {keyType: none}}]' } },
    { readOnly: true, attributes: { sources, unknown: 'x' } },
    { readOnly: true, attributes: { sources: ' '.repeat(65_537) } },
  ];
  for (const volume of refused) {
    assert.equal(await foresee(pod, 'mtls', volume), undefined, JSON.stringify(volume).slice(0, 100));
  }
  assert.equal(await foresee(pod, '../mtls', { readOnly: true, attributes: { sources } }), undefined);
  assert.equal(await foresee({ ...pod, uid: '..' }, 'mtls', { readOnly: true, attributes: { sources } }), undefined);
});
