/**
 * Pods: with the agent on a node, a pod that asks for a certificate runs, and its container finds the files.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { isObject, type JsonObject } from '../../sandbox/base/objects.ts';
import { call } from '../sandbox/serving/client.ts';
import { eachWithFields } from '../support/fields.ts';
import type { Ground } from './ground.ts';

/** How pods are run. */
export interface PodRun {
  /** Of the agent. */
  readonly driverName: string;
  /** Image with `sh`, `test`, `grep` and `find`. Absent: nothing looks at the files, as the node runs no containers. */
  readonly image?: string;
}

const patienceMs = 120_000;
const lookAgainMs = 250;

/** Ends well when the files are there, hold what they must, and are not for everybody. */
const look = [
  'grep -q "BEGIN PRIVATE KEY" /certs/tls.pem',
  'grep -q "BEGIN CERTIFICATE" /certs/tls.pem',
  'grep -q "BEGIN CERTIFICATE" /certs/ca.pem',
  'test -z "$(find -L /certs/tls.pem -perm -004)"',
].join(' && ');

export function podsRun(ground: () => Ground, run: PodRun | undefined): void {
  describe('Pods with certificates', () => {
    test('run once their files are there, and learn it from an event', async (t) => {
      if (run === undefined) {
        return t.skip('not asked for: --with-agent');
      }
      const { access, create, names, offers, signer } = ground();
      if (offers.bundleApi === undefined) {
        return t.skip('the server serves no ClusterTrustBundles');
      }
      const nodeName = await readyNode(ground());
      if (nodeName === undefined) {
        return t.skip('the cluster has no node that is ready');
      }
      const drivers = await call(access.admin.target, `/apis/storage.k8s.io/v1/csidrivers/${run.driverName}`);
      if (drivers.status === 404) {
        return t.skip(`the cluster knows no CSI driver ${run.driverName}`);
      }
      const { signerName } = await signer();
      const pods = `/api/v1/namespaces/${names.namespace}/pods`;
      await create(pods, podObject(signerName, nodeName, run));
      const phase = await settled(ground(), `${pods}/suite-pod`, run);
      const events = await call(
        access.admin.target,
        `/api/v1/namespaces/${names.namespace}/events?fieldSelector=involvedObject.name%3Dsuite-pod`,
      );
      const told = eachWithFields<{ reason: string; message: string }>(events.body['items'], 'reason', 'message').map(
        ({ message, reason }) => `${reason}: ${message}`,
      );
      assert.equal(phase, run.image === undefined ? 'Running' : 'Succeeded', told.join('\n'));
      assert.ok(
        told.some((text) => text.startsWith('Issued: ')),
        `no event Issued among: ${told.join('\n')}`,
      );
    });
  });
}

/** Not one of the suite's own nodes, behind which there is no machine. */
async function readyNode({ access, names }: Ground): Promise<string | undefined> {
  const { body } = await call(access.admin.target, '/api/v1/nodes');
  const nodes = eachWithFields<{ metadata: { name: string }; spec?: JsonObject; status?: JsonObject }>(
    body['items'],
    'metadata',
  );
  const isReady = ({ status }: { status?: JsonObject }): boolean => {
    const conditions = Array.isArray(status?.['conditions']) ? status['conditions'] : [];
    // The sandbox's nodes say nothing about themselves.
    const ready = conditions.filter(isObject).find(({ type }) => type === 'Ready');
    return ready === undefined || ready['status'] === 'True';
  };
  return nodes.find(
    (node) => !node.metadata.name.startsWith(names.mark) && !node.spec?.['unschedulable'] && isReady(node),
  )?.metadata.name;
}

function podObject(signerName: string, nodeName: string, { driverName, image = 'none' }: PodRun): JsonObject {
  const sources = [
    { podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } },
    { clusterTrustBundle: { signerName, labelSelector: {}, path: 'ca.pem' } },
  ];
  return {
    metadata: { name: 'suite-pod' },
    spec: {
      ...{ nodeName, serviceAccountName: 'web', restartPolicy: 'Never', terminationGracePeriodSeconds: 1 },
      securityContext: { runAsUser: 65_534, runAsGroup: 65_534, fsGroup: 65_534, runAsNonRoot: true },
      containers: [
        { name: 'look', image, command: ['sh', '-c', look], volumeMounts: [{ name: 'certs', mountPath: '/certs' }] },
      ],
      volumes: [
        {
          name: 'certs',
          csi: { driver: driverName, readOnly: true, volumeAttributes: { sources: stringify(sources) } },
        },
      ],
    },
  };
}

/** The phase in which the pod has shown what it can show. */
async function settled({ access }: Ground, path: string, { image }: PodRun): Promise<string> {
  const last = image === undefined ? ['Running', 'Succeeded', 'Failed'] : ['Succeeded', 'Failed'];
  const until = Date.now() + patienceMs;
  for (;;) {
    const { body } = await call(access.admin.target, path);
    const phase = isObject(body['status']) ? String(body['status']['phase']) : '';
    if (last.includes(phase) || Date.now() >= until) {
      return phase;
    }
    await sleep(lookAgainMs);
  }
}
