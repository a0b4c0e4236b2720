/**
 * The kubelet's calls to the driver, as cheap as Node.js can make them: gRPC over a connection of its own for each call, as the
 * kubelet dials, written by hand on HTTP/2, since a gRPC client would take as much of the two processors as what is measured.
 *
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
import { mkdirSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { nodeService } from '../../volumes/csi/protocol.ts';
import type { PodOfBench } from './api-server-calls.ts';

export interface Kubelet {
  /** Where the pod's volume is. */
  target(pod: PodOfBench): string;
  /** @returns how long the call took, milliseconds @throws what the driver answers */
  publish(pod: PodOfBench): Promise<number>;
  unpublish(pod: PodOfBench): Promise<number>;
  /** What the kubelet asks about each volume every minute, if the driver offers it. */
  volumeHealth(pod: PodOfBench): Promise<number>;
}

export interface KubeletOptions {
  readonly kubeletRoot: string;
  readonly csiSocket: string;
}

/** The kubelet's own. */
const deadline = '120S';
/** SINGLE_NODE_WRITER: what the kubelet says for every inline volume. */
const accessMode = 1;

export function createKubelet({ kubeletRoot, csiSocket }: KubeletOptions): Kubelet {
  const target = ({ uid }: PodOfBench): string =>
    join(kubeletRoot, 'pods', uid, 'volumes/kubernetes.io~csi/mtls/mount');
  const volumeId = ({ uid }: PodOfBench): string => `csi-${uid}`;

  const timed = async (method: string, request: object): Promise<number> => {
    const startedAt = performance.now();
    await callUnary(csiSocket, method, request);
    return performance.now() - startedAt;
  };

  return {
    target,
    publish(pod) {
      // The kubelet makes the directory above; the driver makes the target.
      mkdirSync(dirname(target(pod)), { recursive: true });
      return timed('NodePublishVolume', {
        volume_id: volumeId(pod),
        target_path: target(pod),
        volume_capability: {
          mount: { fs_type: '', mount_flags: [], volume_mount_group: '' },
          access_mode: { mode: accessMode },
        },
        readonly: true,
        volume_context: {
          sources: pod.sources,
          'csi.storage.k8s.io/pod.name': pod.name,
          'csi.storage.k8s.io/pod.namespace': pod.namespace,
          'csi.storage.k8s.io/pod.uid': pod.uid,
          'csi.storage.k8s.io/serviceAccount.name': pod.serviceAccountName,
          'csi.storage.k8s.io/ephemeral': 'true',
        },
        secrets: {},
      });
    },
    unpublish: (pod) => timed('NodeUnpublishVolume', { volume_id: volumeId(pod), target_path: target(pod) }),
    volumeHealth: (pod) => timed('NodeGetVolumeHealth', { volume_id: volumeId(pod), volume_publish_path: target(pod) }),
  };
}

async function callUnary(socket: string, name: string, request: object): Promise<void> {
  const method = nodeService[name];
  if (method === undefined) {
    throw new TypeError(`the service has no method ${name}`);
  }
  const message = method.requestSerialize(request);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  const session = connectHttp2('http://localhost', { createConnection: () => connect(socket) });
  try {
    const ended = Promise.withResolvers<void>();
    session.once('error', ended.reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': method.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': deadline,
    });
    let status: unknown;
    let words: unknown;
    const note = (headers: object): void => {
      const { 'grpc-status': code, 'grpc-message': text } = headers as Readonly<Record<string, unknown>>;
      status = code ?? status;
      words = text ?? words;
    };
    // An answer without a message has its status in the headers.
    stream.once('response', note);
    stream.once('trailers', note);
    stream.once('error', ended.reject);
    stream.once('close', ended.resolve);
    stream.resume();
    stream.end(Buffer.concat([frame, message]));
    await ended.promise;
    if (String(status) !== '0') {
      throw new Error(`${name} was answered with ${String(status)}: ${decodeURIComponent(String(words))}`);
    }
  } finally {
    session.close();
  }
}
