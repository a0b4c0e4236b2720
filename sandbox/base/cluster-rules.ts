/**
 * What the API server asks of the cluster's rules: who may do what, and what an object must look like. The server keeps
 * to transport and storage; the rules are pure functions over a request and the objects stored at that moment.
 *
 * The order of the calls is the real server's: authenticate, impersonate, authorize, default, admit, validate, store.
 * https://kubernetes.io/docs/concepts/security/controlling-access/
 */
import type { ApiError, FieldError } from './errors.ts';
import type { ApiObject, GroupResource, ObjectReader } from './objects.ts';

/** The Kubernetes minor versions the sandbox can play. */
export const kubernetesVersions = ['1.34', '1.35', '1.36', '1.37'] as const;
export type KubernetesVersion = (typeof kubernetesVersions)[number];

/** authentication.k8s.io UserInfo. */
export interface UserInfo {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** The verbs of resource requests; requests for other paths carry the HTTP method in lower case. */
export type Verb = string;

/** What is asked for, as an authorizer sees it. */
export type RequestAttributes = {
  readonly user: UserInfo;
  readonly verb: Verb;
} & (
  | {
      readonly kind: 'resource';
      /** The empty string is the core group. */
      readonly apiGroup: string;
      readonly apiVersion: string;
      readonly resource: string;
      /** The empty string when there is none. */
      readonly subresource: string;
      /** The empty string for cluster-scoped resources and for requests across namespaces. */
      readonly namespace: string;
      /** The empty string where the request names no object. */
      readonly name: string;
      /** The selectors as written in the query, absent when not given. */
      readonly fieldSelector?: string;
      readonly labelSelector?: string;
    }
  | { readonly kind: 'path'; readonly path: string }
);

export type ResourceAttributes = RequestAttributes & { readonly kind: 'resource' };

/** The surroundings of a decision. */
export interface RulesContext {
  readonly objects: ObjectReader;
  /** The server's clock, in milliseconds since the epoch. */
  readonly now: number;
  readonly kubernetes: KubernetesVersion;
  /**
   * How much faster than real the sandbox's minimums run: with 60, the shortest lifetime of one hour becomes one
   * minute. 1 is a real cluster.
   */
  readonly timeScale: number;
}

/** A change on its way to the store. */
export interface AdmissionRequest {
  /**
   * Admission is asked twice, as by the real server: before the object is validated (where NodeRestriction decides), and
   * after (where the permission to attest a ClusterTrustBundle decides). A deletion is only asked for once, after.
   */
  readonly phase: 'before validation' | 'after validation';
  readonly operation: 'create' | 'update' | 'delete';
  readonly attributes: ResourceAttributes;
  /** The object as it would be stored, of the version named in the attributes; absent on delete. */
  readonly object?: ApiObject;
  /** The object stored now; absent on create. */
  readonly oldObject?: ApiObject;
}

/** The object to validate. */
export interface ValidationRequest {
  /** Who asks: a status may be changed by the signer's own users only. */
  readonly user: UserInfo;
  readonly resource: GroupResource;
  /** API version of the request within the group: `v1beta1`. */
  readonly version: string;
  readonly object: ApiObject;
}

/** A rule of a SelfSubjectRulesReview. */
export interface ResourceRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface NonResourceRule {
  readonly verbs: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

export interface Rules {
  /**
   * Called for a request with `Impersonate-*` headers, before authorize.
   * @param headers the request's headers, names in lower case, several values of one name as an array
   * @param attributes what is asked for, with the authenticated user
   * @returns the user to go on with, or the error to answer with
   */
  impersonate(
    headers: Readonly<Record<string, string | readonly string[] | undefined>>,
    attributes: RequestAttributes,
    context: RulesContext,
  ): { readonly user: UserInfo } | ApiError;
  /** @returns the reason of a refusal is shown to the user at the end of the forbidden message; it may be empty */
  authorize(
    attributes: RequestAttributes,
    context: RulesContext,
  ): { readonly allowed: true; readonly reason?: string } | { readonly allowed: false; readonly reason: string };
  /** What a user may do in a namespace, for `kubectl auth can-i --list`. */
  rulesFor(
    user: UserInfo,
    namespace: string,
    context: RulesContext,
  ): { readonly resourceRules: readonly ResourceRule[]; readonly nonResourceRules: readonly NonResourceRule[] };
  /** Fills in the defaults of an object, in place, before admission. */
  default(request: ValidationRequest, context: RulesContext): void;
  /** @returns the error to answer with, nothing when the change may go on */
  admit(request: AdmissionRequest, context: RulesContext): ApiError | undefined;
  /**
   * @returns all faults, those of the metadata included (the name, once generated, among them); none when the object may
   * be stored. A TokenRequest is validated as resource `serviceaccounts/token`.
   */
  validateCreate(request: ValidationRequest, context: RulesContext): readonly FieldError[];
  /** An update outside of `/status`; the status is the old one. What an update may not change in metadata is the server's to check. */
  validateUpdate(request: ValidationRequest, old: ApiObject, context: RulesContext): readonly FieldError[];
  /** An update through `/status`; spec is the old one. */
  validateStatusUpdate(request: ValidationRequest, old: ApiObject, context: RulesContext): readonly FieldError[];
}
