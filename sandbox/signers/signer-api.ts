/**
 * What a signer of the sandbox needs from the API server, as an interface: the real one is reached through `api.ts`.
 */
import type { ClusterTrustBundle, PodCertificateRequest } from '../../agent/kubernetes/objects.ts';

export type RequestStatus = NonNullable<PodCertificateRequest['status']>;

/**
 * What became of a status that was written:
 * - `written`: it stands.
 * - `gone`: the request was deleted, or has been answered already.
 * - `retry`: not now; trying again may help.
 * - `refused`: the API server judged it invalid or not permitted.
 */
export type WriteResult =
  | { readonly type: 'written' }
  | { readonly type: 'gone' }
  | { readonly type: 'retry'; readonly message: string }
  | { readonly type: 'refused'; readonly message: string };

export interface RequestListener {
  changed(request: PodCertificateRequest): void;
  deleted(request: PodCertificateRequest): void;
}

export interface SignerApi {
  /** Reports every request for the signer name, now and whenever it changes. @returns ends the watch. */
  follow(signerName: string, listener: RequestListener): () => void;
  writeStatus(request: PodCertificateRequest, status: RequestStatus): Promise<WriteResult>;
  /** Creates the bundle, or replaces what it holds. */
  applyTrustBundle(bundle: ClusterTrustBundle): Promise<void>;
}

/** Writes a status straight into the API server's store, past its validation: the way of wrong answers. */
export type WriteUnchecked = (request: PodCertificateRequest, status: RequestStatus) => void;
