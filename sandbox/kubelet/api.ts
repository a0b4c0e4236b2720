/**
 * The kubelet's connection to the API server: its node's pods, their status, their removal, events on them.
 */
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { createListWatch } from '../../agent/kubernetes/list-watch.ts';
import { corePrefix, resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent, whenFound } from '../base/client.ts';
import { createHandOver } from './hand-over.ts';
import type { BoundPod } from './pod.ts';
import type { KubeletApi } from './surroundings.ts';

/** Events that are remembered so that the same one counts up. */
const rememberedEvents = 1000;

interface Event {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly count: number;
}

export function createKubeletApi(client: ApiClient, nodeName: string): KubeletApi {
  const events = new Map<string, Event>();

  const countUp = async (known: Event): Promise<Event | undefined> => {
    const path = resourcePath(corePrefix, { resource: 'events', ...known.metadata });
    const body = { count: known.count + 1, lastTimestamp: rfc3339() };
    const contentType = 'application/merge-patch+json';
    return await client.request({ decode: asSent<Event>, method: 'PATCH', path, body, contentType }).catch(whenFound);
  };

  const record = async (pod: BoundPod, reason: string, message: string): Promise<Event> => {
    const { name, uid } = pod.metadata;
    const namespace = pod.metadata.namespace ?? 'default';
    const now = rfc3339();
    const body = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { generateName: `${name}.`, namespace },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', name, namespace, uid },
      type: 'Warning',
      reason,
      message,
      source: { component: 'kubelet', host: nodeName },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
    return await client.request({
      decode: asSent<Event>,
      method: 'POST',
      path: resourcePath(corePrefix, { namespace, resource: 'events' }),
      body,
    });
  };

  return {
    handOver: createHandOver(client),
    follow: (node, listener) => {
      const watch = createListWatch<BoundPod>({
        decode: asSent<BoundPod>,
        client,
        path: async () => resourcePath(corePrefix, { resource: 'pods' }),
        query: { fieldSelector: `spec.nodeName=${node}` },
      });
      watch.subscribe((event) => {
        if (event.type === 'synced') {
          listener.synced();
        } else if (event.type === 'deleted') {
          listener.deleted(event.object);
        } else {
          listener.changed(event.object);
        }
      });
      return watch.stop;
    },
    patchStatus: async (pod, status) => {
      const path = `${podPath(pod)}/status`;
      const body = { metadata: { uid: pod.metadata.uid }, status };
      const contentType = 'application/merge-patch+json';
      await client.request({ method: 'PATCH', path, body, contentType }).catch(whenFound);
    },
    remove: async (pod) => {
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        gracePeriodSeconds: 0,
        preconditions: { uid: pod.metadata.uid },
      };
      await client.request({ method: 'DELETE', path: podPath(pod), body }).catch(whenFound);
    },
    warn: async (pod, reason, message) => {
      const key = `${pod.metadata.uid} ${reason} ${message}`;
      try {
        const known = events.get(key);
        const event = (known && (await countUp(known))) ?? (await record(pod, reason, message));
        events.delete(key);
        events.set(key, event);
        const [oldest] = events.keys();
        if (events.size > rememberedEvents && oldest !== undefined) {
          events.delete(oldest);
        }
      } catch {
        // An event that cannot be told is no reason to stop: the next failure tells another.
      }
    },
  };
}

function podPath(pod: BoundPod): string {
  const { name, namespace = 'default' } = pod.metadata;
  return resourcePath(corePrefix, { namespace, resource: 'pods', name });
}

function rfc3339(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}
