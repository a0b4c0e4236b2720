/**
 * The Secret that holds the CA. It is made only where there is none, and written only by whoever knows its newest version, so that of two who
 * try at the same time one fails.
 */
import * as v from 'valibot';
import { AgentError } from '../../agent/base/errors.ts';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { corePrefix, resourcePath } from '../../agent/kubernetes/paths.ts';
import type { SecretData } from '../authority/stored.ts';
import { rawObject, whenFound } from './raw-object.ts';

const secretObject = v.looseObject({
  metadata: v.looseObject({ name: v.string() }),
  data: v.nullish(v.record(v.string(), v.string())),
});

export type Secret = v.InferOutput<typeof secretObject>;

export interface SecretStore {
  /** For messages. */
  readonly name: string;
  /** Nothing where there is no such Secret. */
  read(signal: AbortSignal): Promise<Secret | undefined>;
  /** @param before as it was read; absent: it is made. @throws AgentError Conflict when somebody else was faster */
  write(before: Secret | undefined, data: SecretData, signal: AbortSignal): Promise<Secret>;
}

export function createSecretStore(client: ApiClient, namespace: string, name: string): SecretStore {
  const collection = resourcePath(corePrefix, { namespace, resource: 'secrets' });
  const path = resourcePath(corePrefix, { namespace, resource: 'secrets', name });
  const decode = rawObject('Secret', secretObject);
  return {
    name: `Secret ${namespace}/${name}`,
    read: (signal) => client.request({ method: 'GET', path, signal, decode }).catch(whenFound),
    write(before, data, signal) {
      const head = { apiVersion: 'v1', kind: 'Secret' };
      if (before !== undefined) {
        const body = { ...head, ...before, data: { ...before.data, ...data } };
        return client.request({ method: 'PUT', path, body, signal, decode });
      }
      const body = { ...head, metadata: { name, namespace }, type: 'Opaque', data };
      return client.request({ method: 'POST', path: collection, body, signal, decode }).catch((cause: unknown) => {
        throw cause instanceof AgentError && cause.code === 'Forbidden' ? notMade(namespace, name, cause) : cause;
      });
    },
  };
}

/** The chart makes the Secret: the right to make any Secret of a namespace would be the right to get tokens of its accounts. */
function notMade(namespace: string, name: string, cause: unknown): AgentError {
  const command = `kubectl -n ${namespace} create secret generic ${name}`;
  const message = `Secret ${namespace}/${name}, which holds the CA, is not there; nothing is signed until it is made, empty: ${command}`;
  return new AgentError('Forbidden', message, { actor: 'cluster operator', cause });
}
