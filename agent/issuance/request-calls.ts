/**
 * What issuers need of the API server, as interfaces: calls, in which rank they are made, and the node's live copy of the
 * requests. `issuers.ts` hands them the implementations; tests hand them plain objects.
 */

import type { CallOptions } from '../base/call.ts';
import type { Bearer } from '../kubernetes/bearer.ts';
import type { PodCertificateApi } from '../kubernetes/discovery.ts';
import type { NodeRequest, PodCertificateRequest } from '../kubernetes/objects.ts';
import type { CertificateOrder } from '../lifecycle/ports.ts';

/** The API `podcertificaterequests` in the version that the cluster serves. Every call may throw an AgentError. */
export interface RequestApi {
  /** The version in use, looked up when it is not known. @throws AgentError ApiMissing */
  served(): Promise<PodCertificateApi>;
  /** A call by this version answered 404: forget it, so that the next `served` looks again. */
  notServed(api: PodCertificateApi): void;
  /** The server dropped `stubPKCS10Request`: from now on `served` names a version with key and proof. */
  stubRefused(api: PodCertificateApi): void;
  create(api: PodCertificateApi, body: PodCertificateRequest, call: CallOptions): Promise<void>;
  get(api: PodCertificateApi, namespace: string, name: string, call: CallOptions): Promise<NodeRequest>;
}

export type RequestEvent<T> =
  | { readonly type: 'added' | 'modified' | 'deleted'; readonly object: T }
  /** A complete list has been taken over; every difference it made has been told before. */
  | { readonly type: 'synced' };

/**
 * The node's requests as the watch knows them. Lists are numbered from 1: a request that existed when list n began is in
 * it, so its absence after list n means that it was deleted, and not that the watch is late.
 */
export interface RequestCache<T> {
  /** @param key `namespace/name` */
  get(key: string): T | undefined;
  /** Tells what happens from now on. @returns ends the subscription. */
  subscribe(listener: (event: RequestEvent<T>) => void): () => void;
  /** Numbers of the list that began last and of the last one that was taken over; 0 before the first. */
  lists(): { readonly begun: number; readonly taken: number };
}

/** The calls for an order stand in line as its pod's, by the end of what they replace, and with the ranks of those who join it. */
export function callFor(order: CertificateOrder, signal: AbortSignal): CallOptions {
  const { priority, expiresAt, alsoFor, identity } = order;
  return { priority, expiresAt, alsoFor, owner: identity.pod.uid, signal };
}

/** What a request is made with: as the agent, unless a bearer is named. */
export type CreateOptions = CallOptions & { readonly bearer?: Bearer };

/** A certificate API whose version does not change: CertificateSigningRequests, or cert-manager's requests. */
export interface SimpleRequestApi<T> {
  create(body: T, call: CreateOptions): Promise<void>;
  /** @param namespace the pod's; left out of the path where requests are cluster-scoped */
  get(namespace: string, name: string, call: CallOptions): Promise<T>;
  /** Removes a request that is of no more use; one that is gone already is as good. */
  remove(namespace: string, name: string): Promise<void>;
}
