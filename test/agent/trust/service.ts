/** The trust anchor service against an API server on loopback, and listeners that remember what they were told. */
import type { TestContext } from 'node:test';
import { watchClusterTrustBundles } from '../../../agent/kubernetes/bundles.ts';
import { createDiscovery } from '../../../agent/kubernetes/discovery.ts';
import type { ClusterTrustBundle } from '../../../agent/kubernetes/objects.ts';
import type { Anchors } from '../../../agent/lifecycle/ports.ts';
import type { Clock } from '../../../agent/time/clock.ts';
import { createTrustAnchors } from '../../../agent/trust/anchors.ts';
import { sortCertificates } from '../../../agent/trust/certificates.ts';
import { atOnce } from '../../../volumes/base/steps.ts';
import type { ClusterTrustBundleSource, LabelSelector } from '../../../volumes/declaration/types.ts';
import { until } from '../../support/bounded.ts';
import {
  clientOf,
  isWatch,
  openWatch,
  type Received,
  sendJson,
  sendList,
  sendStatus,
  startLoopback,
} from '../kubernetes/loopback.ts';
import { derOf } from './authorities.ts';

export const everything: LabelSelector = { matchLabels: {}, matchExpressions: [] };
export const signerName = 'example.com/mesh';

export function byName(name: string, optional = false): ClusterTrustBundleSource {
  return { kind: 'clusterTrustBundle', index: 0, select: { by: 'name', name }, optional, path: 'ca.pem' };
}

export function bySigner(labelSelector?: LabelSelector, signer = signerName): ClusterTrustBundleSource {
  const select = { by: 'signer', signerName: signer, ...(labelSelector && { labelSelector }) } as const;
  return { kind: 'clusterTrustBundle', index: 0, select, optional: false, path: 'ca.pem' };
}

/** What a subscription was told. */
export interface Ear {
  readonly told: Anchors[];
  readonly listener: (anchors: Anchors) => void;
  nth(count: number): Promise<Anchors | undefined>;
}

export function ear(): Ear {
  const told: Anchors[] = [];
  return {
    told,
    listener(anchors) {
      told.push(anchors);
    },
    nth: async (count) => {
      await until(
        () => told.length >= count,
        () => `anchors to be told ${count} times, of ${told.length} so far`,
      );
      return told[count - 1];
    },
  };
}

export function found(...pems: string[]): Anchors {
  return { type: 'found', certificates: atOnce(sortCertificates(new Set(pems.map(derOf)))) };
}

export interface Api {
  bundles: ClusterTrustBundle[];
  served: boolean;
  forbidden: boolean;
  /** What an answer to a list of all bundles waits for. */
  sharedList: Promise<unknown>;
  revision: number;
}

export async function start(t: TestContext, bundles: ClusterTrustBundle[], heldBytes?: number) {
  const api: Api = { bundles, served: true, forbidden: false, sharedList: Promise.resolve(), revision: 1 };
  const server = await startLoopback(t, async ({ path, query, response }) => {
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
        selector === '' ||
        selector === `metadata.name=${metadata.name}` ||
        selector === `spec.signerName=${spec.signerName}`;
      if (selector === '') {
        await api.sharedList;
      }
      sendList(response, api.revision, api.bundles.filter(fits));
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
  const client = clientOf(t, server, { requestsPerSecond: 1_000, burst: 1_000 });
  const discovery = createDiscovery({ client, missingForMs: 5 });
  const malformed: string[] = [];
  const faults: unknown[] = [];
  const trust = createTrustAnchors({
    clock,
    lingerMs: 1000,
    ...(heldBytes === undefined ? {} : { heldBytes }),
    onMalformed: (name, reason) => malformed.push(`${name}: ${reason}`),
    onListenerFault: (fault) => faults.push(fault),
    watchBundles: (selector, onError, take, untilRoom) =>
      watchClusterTrustBundles(client, discovery, selector, onError, take, {
        untilRoom,
        backoffMs: { first: 5, longest: 20 },
      }),
  });
  t.after(() => trust.stop());
  const watchOf = (selector: string, count = 1): Promise<Received> =>
    server.nth(count, (one) => isWatch(one) && (one.query.get('fieldSelector') ?? '') === selector);
  return { api, server, trust, alarms, malformed, faults, watchOf };
}
