/** What holds an agent up by its number: objects by the thousand, in a list or in a burst. */
import { derOf, makeAuthority } from '../agent/trust/authorities.ts';
import { withinBound } from '../support/bounded.ts';
import {
  bundle,
  bundlesResource,
  deal,
  type HostileInput,
  type HostileNode,
  put,
  requestsResource,
} from './hostile-means.ts';

const der = derOf(makeAuthority('crowd'));
const small = `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;

/** Requests of the node that none of its pods has made. */
function strayRequests(node: HostileNode, round: string, count: number): readonly string[] {
  const names = Array.from({ length: count }, (_, index) => `stray-${round}-${index}`);
  for (const name of names) {
    put(node, requestsResource, {
      apiVersion: 'certificates.k8s.io/v1beta1',
      kind: 'PodCertificateRequest',
      metadata: { name, namespace: 'default' },
      spec: {
        ...{ signerName: 'example.com/nobody', podName: 'x', podUID: 'x', serviceAccountName: 'x' },
        ...{ serviceAccountUID: 'x', nodeName: node.cluster.nodeName, nodeUID: 'x' },
        ...{ pkixPublicKey: 'AAAA', proofOfPossession: 'AAAA' },
      },
    });
  }
  return names;
}

const ordinary = '- podCertificate: {signerName: example.com/mesh, keyType: ED25519, credentialBundlePath: t}\n';

async function ordinaryPod(node: HostileNode, name: string, sources = ordinary): Promise<void> {
  await deal(node, name, [{ name: 'mtls', sources }]);
  await withinBound(node.cluster.admin.deletePod('default', name), 'the pod to go');
}

const requestCrowds: readonly HostileInput[] = [
  {
    name: '3,000 requests of the node, in a burst',
    feed: async (node, round) => {
      const names = strayRequests(node, round, 3_000);
      await ordinaryPod(node, `burst-${round}`);
      for (const name of names) {
        node.cluster.apiServer.store.remove(requestsResource, 'default', name);
      }
      await ordinaryPod(node, `after-burst-${round}`);
    },
  },
  {
    name: '3,000 requests of the node, in a list',
    feed: async (node, round) => {
      const names = strayRequests(node, `list-${round}`, 3_000);
      node.cluster.apiServer.faults.compact();
      node.cluster.apiServer.faults.dropConnections();
      await ordinaryPod(node, `list-${round}`);
      for (const name of names) {
        node.cluster.apiServer.store.remove(requestsResource, 'default', name);
      }
      node.cluster.apiServer.faults.compact();
      node.cluster.apiServer.faults.dropConnections();
      await ordinaryPod(node, `after-list-${round}`);
    },
  },
];

const signer = 'example.com/crowd';

function crowdOfBundles(
  node: HostileNode,
  round: string,
  labels: { readonly [name: string]: string },
): readonly string[] {
  const names = Array.from({ length: 1_000 }, (_, index) => `example.com:crowd:${round}-${index}`);
  for (const [index, name] of names.entries()) {
    put(node, bundlesResource, bundle(name, small, { labels: { ...labels, own: index < 100 ? 'yes' : 'no' } }, signer));
  }
  return names;
}

const anchors = (label: string): string =>
  `- clusterTrustBundle: {signerName: ${signer}, labelSelector: {matchLabels: {own: "${label}"}}, path: ${label}.pem}\n`;

const bundleCrowds: readonly HostileInput[] = [
  {
    name: '1,000 bundles of a signer that change at once',
    feed: async (node, round) => {
      const names = crowdOfBundles(node, round, {});
      const pod = `crowd-${round}`;
      await deal(node, pod, [{ name: 'mtls', sources: anchors('yes') }]);
      crowdOfBundles(node, round, { changed: 'yes' });
      await ordinaryPod(node, `beside-crowd-${round}`, anchors('yes').replace('yes.pem', 'other.pem'));
      await node.cluster.admin.deletePod('default', pod);
      for (const name of names) {
        node.cluster.apiServer.store.remove(bundlesResource, '', name);
      }
      await ordinaryPod(node, `after-crowd-${round}`);
    },
  },
];

/** What a server, or a webhook, may say, as long as the agent reads it. */
const replies: Readonly<Record<string, { readonly message: string; readonly causes?: readonly { field?: string }[] }>> =
  {
    'control characters': { message: '\u0001'.repeat(170_000) },
    words: { message: 'no '.repeat(340_000) },
    causes: { message: 'no', causes: Array.from({ length: 340_000 }, () => ({})) },
    'fewer causes': { message: 'no', causes: Array.from({ length: 8_000 }, () => ({ field: 'spec' })) },
  };

const replyInputs: readonly HostileInput[] = Object.entries(replies).map(([kind, said]) => ({
  name: `an error of a megabyte of ${kind}`,
  feed: async (node, round) => {
    const remove = node.cluster.apiServer.faults.add({
      kind: 'error',
      code: 403,
      ...said,
      match: { verb: 'create', resource: 'podcertificaterequests' },
    });
    await ordinaryPod(node, `reply-${round}-${kind.replace(' ', '-')}`);
    remove();
  },
}));

export const crowdInputs: readonly HostileInput[] = [...requestCrowds, ...bundleCrowds, ...replyInputs];
