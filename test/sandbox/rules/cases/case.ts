/**
 * What a case is: one request in a world of known objects and users, and the answer that an API server must give. Cases
 * are data, so that they can be judged in process and be sent to any API server over HTTP alike.
 */

import type { KubernetesVersion, UserInfo } from '../../../../sandbox/base/cluster-rules.ts';
import type { ApiObject } from '../../../../sandbox/base/objects.ts';
import type { KeyName, TestKey } from './keys.ts';

/** Who asks. Each has the permissions that `objects.ts` gives it. */
export type UserName =
  | 'admin'
  | 'node-a'
  | 'node-b'
  | 'signer'
  | 'signer without sign'
  | 'nobody'
  | 'anonymous'
  | 'agent on node-a'
  | 'agent without a node'
  | 'agent that may not impersonate'
  | 'agent that may impersonate only'
  | 'agent with resourceNames'
  | 'agent with classic impersonation';

/** What a case may know and use. */
export interface World {
  readonly kubernetes: KubernetesVersion;
  /** API version of PodCertificateRequests, one that this Kubernetes version serves. */
  readonly requestVersion: string;
  /** API version of ClusterTrustBundles. */
  readonly bundleVersion: string;
  /** The server's clock, milliseconds since the epoch, a whole second. */
  readonly now: number;
  readonly users: Readonly<Record<UserName, UserInfo>>;
  /** The UID of one of the objects in `objects.ts`. */
  uid(kind: 'Pod' | 'ServiceAccount' | 'Node', name: string): string;
  key(name: KeyName): TestKey;
  /** True when this API version has a stub PKCS#10 request, false when it has a key and a proof of possession. */
  readonly usesStub: boolean;
  /** PEM certificates. */
  readonly certificates: CertificateMaker;
}

export interface CertificateOrder {
  readonly spki: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly dnsNames?: readonly string[];
  readonly emailAddresses?: readonly string[];
}

export interface CertificateMaker {
  leaf(order: CertificateOrder): Promise<string>;
  /** The authority's own certificate. @param index which of several authorities */
  authority(index?: number): Promise<string>;
}

/** A request for an API object, or for another path. */
export type CaseRequest =
  | {
      readonly verb: 'create' | 'update' | 'patch' | 'delete' | 'get' | 'list' | 'watch';
      /** With its group: `podcertificaterequests.certificates.k8s.io`. */
      readonly resource: string;
      readonly version: string;
      readonly subresource?: string;
      readonly namespace?: string;
      readonly name?: string;
      readonly fieldSelector?: string;
      /** What is sent on create and update. */
      readonly body?: ApiObject;
      /** What is stored under the request's name before, its status included. */
      readonly before?: ApiObject;
    }
  | { readonly verb: 'get'; readonly path: string };

/** The answer. */
export interface Expected {
  /** HTTP status; 200 stands for every success. */
  readonly code: 200 | 400 | 403 | 404 | 422 | 500;
  /** For 422: field and reason of all causes, in order: `spec.podUID FieldValueInvalid`. */
  readonly causes?: readonly string[];
  /** A part of the message. */
  readonly says?: string;
}

export interface RuleCase {
  /** A sentence: what the server does. */
  readonly name: string;
  /** The Kubernetes versions it holds for; absent: all. */
  readonly kubernetes?: readonly KubernetesVersion[];
  readonly user: UserName;
  /** `Impersonate-*` headers, names in lower case. */
  readonly impersonate?: Readonly<Record<string, string | readonly string[]>>;
  readonly request: (world: World) => CaseRequest | Promise<CaseRequest>;
  readonly expected: Expected | ((world: World) => Expected);
}
