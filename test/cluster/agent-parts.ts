/**
 * The agent's own parts, as one of its identities: what a check of permissions has to be made with to mean anything.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError } from '../../agent/base/errors.ts';
import { createPodCertificateIssuer } from '../../agent/issuance/pod-certificate-request.ts';
import { createKeyMaker } from '../../agent/keys/key-maker.ts';
import { watchClusterTrustBundles } from '../../agent/kubernetes/bundles.ts';
import { createDiscovery, type Discovery, type PodCertificateApi } from '../../agent/kubernetes/discovery.ts';
import { createEventRecorder } from '../../agent/kubernetes/events.ts';
import type { ListWatch } from '../../agent/kubernetes/list-watch.ts';
import type { KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { createPodDirectory } from '../../agent/kubernetes/pods.ts';
import { createRequestApi, watchRequests } from '../../agent/kubernetes/requests.ts';
import type { Outcome, PodIdentity } from '../../agent/lifecycle/ports.ts';
import type { IssuedChain, PodReference } from '../../volumes/base/volume.ts';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import type { Access, Caller } from './access.ts';

export interface AgentPartsOptions {
  readonly access: Access;
  readonly caller: Caller;
  readonly nodeName: string;
  readonly impersonateNode?: boolean;
  /** Absent: whatever the agent would choose. */
  readonly api?: PodCertificateApi;
}

export interface AgentParts {
  identify(pod: PodReference): Promise<PodIdentity>;
  /** Asks for a certificate with a new key and waits for the outcome. What passes by itself is tried again, as the agent does. */
  ask(wish: { readonly identity: PodIdentity; readonly signerName: string; readonly keyType: KeyType }): Promise<Asked>;
  /** The node's requests, live. */
  readonly requests: ListWatch<KubernetesObject>;
  /** Records an event on the pod. @returns how many could not be sent */
  tell(pod: PodReference, reason: string): Promise<number>;
  /** Resolves once the trust bundles of a signer are known. */
  anchors(signerName: string): Promise<number>;
  stop(): void;
}

export interface Asked {
  readonly requestName: string;
  readonly outcome: Outcome;
  /** @throws AgentError InvalidChain, or when the request was not answered with a certificate */
  verify(): IssuedChain;
}

const never = new AbortController().signal;
const call = { priority: 'first', signal: never } as const;
/** The agent's own first pause, and how often it is taken here. */
const pauseMs = 1_000;
const attempts = 8;

export function startAgentParts(options: AgentPartsOptions): AgentParts {
  const { access, caller, nodeName, impersonateNode = false, api } = options;
  const client = access.client(caller, impersonateNode ? { impersonateNode: nodeName } : {});
  const found = createDiscovery({ client });
  const discovery: Discovery = api === undefined ? found : { ...found, podCertificateRequests: async () => api };
  const failures: AgentError[] = [];
  const requests = watchRequests(client, discovery, nodeName, (error) => failures.push(error));
  const requestApi = createRequestApi(client, discovery);
  const issuer = createPodCertificateIssuer(requestApi, requests);
  const keys = createKeyMaker();
  const pods = createPodDirectory({ client, nodeName });

  return {
    identify: (pod) => untilPassed(() => pods.identify(pod, call)),
    ask: async ({ identity, signerName, keyType }) => {
      const key = await keys.generate(keyType);
      try {
        const { spki } = key;
        const requestName = issuer.requestName(
          { pod: identity.pod, volumeName: `suite-${keyType}`, sourceIndex: 0, signerName },
          spki,
        );
        const { userAnnotations: knowsAnnotations } = await discovery.podCertificateRequests();
        const userAnnotations: Record<string, string> = knowsAnnotations
          ? { 'suite.podcert.example/key': keyType }
          : {};
        const order = { requestName, identity, signerName, userAnnotations, priority: 'first' } as const;
        await untilPassed(() => issuer.submit(order, key, never));
        // As after a lost reply: the request that is there is taken as this one.
        await untilPassed(() => issuer.submit(order, key, never));
        const { namespace } = identity.pod;
        const outcome = await answered(
          (listener) => issuer.follow({ namespace, requestName, signerName }, listener),
          failures,
        );
        const verify = (): IssuedChain => {
          if (outcome.type !== 'issued') {
            throw new Error(`${keyType}: ${JSON.stringify(outcome)}`);
          }
          return issuer.verify(outcome, spki, Date.now());
        };
        return { requestName, outcome, verify };
      } finally {
        key.destroy();
      }
    },
    requests,
    tell: async (pod, reason) => {
      const events = createEventRecorder({ client, driverName: 'suite.podcert.example', nodeName });
      const event = { pod, type: 'Normal', reason, message: 'The suite can tell authors of pods something.' } as const;
      events.record(event);
      events.record(event);
      await events.stop(longestWaitMs);
      return events.dropped();
    },
    anchors: (signerName) => {
      const selector = `spec.signerName=${signerName}`;
      return synced((onError) => watchClusterTrustBundles(client, discovery, selector, onError, (bundle) => bundle));
    },
    stop: () => requests.stop(),
  };
}

const longestWaitMs = 15_000;

/** Tries again what is expected to pass by itself: caches of the server learn of new objects a little later. */
async function untilPassed<T>(attempt: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof AgentError && error.code === 'Unavailable') || count === attempts) {
        throw error;
      }
      await sleep(pauseMs);
    }
  }
}

async function answered(
  follow: (listener: (outcome: Outcome) => void) => () => void,
  failures: readonly AgentError[],
): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const unfollow = follow(resolve);
  const timer = setTimeout(() => reject(failures.at(-1) ?? new Error('no answer in time')), longestWaitMs);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    unfollow();
  }
}

/** @returns the number of objects once all are known */
async function synced(start: (onError: (error: AgentError) => void) => ListWatch<KubernetesObject>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const watch = start(reject);
  try {
    watch.subscribe((event) => {
      if (event.type === 'synced') {
        resolve(watch.list().length);
      }
    });
    return await promise;
  } finally {
    watch.stop();
  }
}
