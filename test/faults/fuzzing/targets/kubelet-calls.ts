/** The bytes of a call over the CSI socket, behind gRPC's frame. */
import assert from 'node:assert/strict';
import type { NodePublishVolumeRequest } from '../../../../volumes/csi/node.ts';
import { readPublish } from '../../../../volumes/csi/node.ts';
import { nodeService } from '../../../../volumes/csi/protocol.ts';
import { isExpected, statusOfError } from '../../../../volumes/csi/status.ts';
import type { FuzzTarget } from '../target.ts';

const { NodePublishVolume: publish } = nodeService;

export const kubeletCalls: FuzzTarget = {
  words: [
    ...[
      '\x0a\x05csi-1',
      '\x22\x01/',
      '\x2a\x02\x12\x00',
      '\x2a\x02\x0a\x00',
      '\x2a\x00',
      '\x30\x01',
      '\x30\x00',
      '\x42\x04\x0a\x00\x12\x00',
    ],
    ...[
      'csi.storage.k8s.io/ephemeral',
      'csi.storage.k8s.io/pod.name',
      'csi.storage.k8s.io/pod.uid',
      'sources',
      'defaultMode',
    ],
    ...[
      '\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01',
      '\x0b',
      '\x0c',
      '\x0d\x00\x00\x00\x00',
      '\x07',
      '__proto__',
      '0',
      '4294967295',
    ],
    ...[
      'context="system_u:object_r:container_file_t:s0"',
      '../',
      '/volumes/kubernetes.io~csi/mtls/mount',
      '\x00',
      '\xed\xa0\x80',
    ],
  ],
  async seeds() {
    return calls.map((call) => new Uint8Array(publish?.requestSerialize(call) ?? []));
  },
  mostBytes: 4_096,
  mostWorkPerByte: 3_000,
  run(input) {
    let request: NodePublishVolumeRequest;
    try {
      request = publish?.requestDeserialize(Buffer.from(input)) as NodePublishVolumeRequest;
    } catch (fault) {
      // gRPC answers INTERNAL for what protobuf cannot read.
      assert.ok(fault instanceof Error, String(fault));
      return;
    }
    try {
      const { targetPath, declaration, pod } = readPublish(request);
      assert.ok(targetPath.includes(`/pods/${pod.uid}/volumes/`), 'the path is of another pod');
      assert.ok(declaration.sources.length > 0, 'it has no sources');
    } catch (refusal) {
      assert.ok(isExpected(refusal), `not a refusal: ${refusal instanceof Error ? refusal.stack : String(refusal)}`);
      const { code, details } = statusOfError(refusal);
      assert.ok(code > 0 && details !== '', 'a refusal says why');
    }
  },
};

const uid = '0f8b3f4e-7b1c-4f1e-9d3a-2f5f5f6f7a8b';
const context = {
  'csi.storage.k8s.io/ephemeral': 'true',
  'csi.storage.k8s.io/pod.name': 'web',
  'csi.storage.k8s.io/pod.namespace': 'shop',
  'csi.storage.k8s.io/pod.uid': uid,
  'csi.storage.k8s.io/serviceAccount.name': 'web',
  sources: '[{podCertificate: {signerName: a.example/b, keyType: ED25519, keyPath: k, certificateChainPath: c}}]',
};
const call = {
  volume_id: 'csi-1',
  target_path: `/var/lib/kubelet/pods/${uid}/volumes/kubernetes.io~csi/mtls/mount`,
  volume_capability: { mount: { fs_type: '', mount_flags: [], volume_mount_group: '1000' }, access_mode: { mode: 1 } },
  readonly: true,
  secrets: {},
  volume_context: context,
};
const calls = [
  call,
  { ...call, volume_context: {} },
  { ...call, secrets: { 'csi.storage.k8s.io/serviceAccount.tokens': '{}' } },
];
