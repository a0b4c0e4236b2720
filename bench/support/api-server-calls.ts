/**
 * What a bench asks of the stand-in for the API server, which is a process of its own. Times are those of the monotonic
 * clock of the machine (`process.hrtime`), in milliseconds, so that two processes can compare them.
 */

export interface PodOfBench {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly serviceAccountName: string;
  /** The inline volumes as the pod's spec has them: volumes of the driver with the text of their sources. */
  readonly sources: string;
  readonly driverName: string;
}

/** How the signer answers from now on. */
export interface Signing {
  /** Requests for pods that have had a certificate stay unanswered until they are released. */
  readonly holdsRenewals: boolean;
  /** Seconds from now to notAfter of what is issued. */
  readonly lifetimeSeconds: number;
  /** Seconds from now to beginRefreshAt. */
  readonly refreshAfterSeconds: number;
}

export interface BundleOfBench {
  readonly name: string;
  readonly signerName: string;
  readonly labels: Readonly<Record<string, string>>;
  /** PEM; default: the root of the stand-in's signer. */
  readonly pem?: string;
}

/** Calls by what they are: `create podcertificaterequests`, `watch clustertrustbundles`; and the bytes of bodies both ways. */
export type Counts = Readonly<Record<string, number>>;

/** Each call with what it takes and what it gives. */
export interface ApiServerCalls {
  /** Pods that are bound to the node, told to whoever watches. @returns when the last was written to the watches */
  announce(pods: readonly PodOfBench[]): number;
  /** Pods that are gone. */
  remove(uids: readonly string[]): number;
  signing(signing: Signing): undefined;
  /** Names of the pods whose requests wait. */
  held(): readonly string[];
  /** Answers the request that waits for the pod of this name. @returns when the answer was about to be written to the watches */
  release(podName: string): number;
  /** Puts bundles in place. @returns when the first was about to be written to the watches */
  bundles(bundles: readonly BundleOfBench[]): number;
  counts(): Counts;
  /** Processor time of the stand-in until now, milliseconds. */
  processorMs(): number;
}

/** What the process says when it listens. */
export interface Listening {
  readonly port: number;
  readonly caPem: string;
  readonly rootPem: string;
}

export const nodeName = 'bench-node';
export const nodeUid = 'b5c1f6a0-0a57-4ed2-8e4c-3c5ad1ca7b01';
export const accountUid = '0d3a9c52-6f0e-4a3f-9a86-6b7f1c0fbe02';
export const signerName = 'example.com/mesh';

export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
