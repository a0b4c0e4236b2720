/**
 * Whether a request fits the pod that it names. Of the agent's identities one is not checked by the API server at all, and whoever may
 * create requests by RBAC is not either: so every request is compared, field by field.
 */
import type { Pod } from '../../agent/kubernetes/objects.ts';
import { type Refusal, refuse } from './decision.ts';

/** What the API server says now: of the pod by the request's namespace and name, and of its service account. */
export interface Evidence {
  /** Absent: there is no such pod. */
  readonly pod?: Pod;
  readonly serviceAccountUID?: string;
}

/** What a request says about its pod. Absent: the API has no such field. */
export interface Claim {
  readonly podUID: string;
  readonly nodeName?: string;
  readonly serviceAccountName?: string;
  readonly serviceAccountUID?: string;
}

/** The kubelet's mark on pods that stand for a file on its node: they have no identity of their own. */
const mirrorAnnotation = 'kubernetes.io/config.mirror';

/** @param name `namespace/name` of the pod. @returns the first thing that does not fit */
export function podFault(name: string, { pod, serviceAccountUID }: Evidence, claim: Claim): Refusal | undefined {
  if (pod === undefined) {
    return refuse('PodMismatch', `there is no pod ${name}`);
  }
  const { metadata, spec, status } = pod;
  const claims: readonly (readonly [what: string, claimed: string | undefined, real: string | undefined])[] = [
    ['UID', claim.podUID, metadata.uid],
    ['node', claim.nodeName, spec?.nodeName],
    ['service account', claim.serviceAccountName, spec?.serviceAccountName],
    ["service account's UID", claim.serviceAccountUID, serviceAccountUID],
  ];
  for (const [what, claimed, real] of claims) {
    if (claimed !== undefined && (claimed === '' || claimed !== real)) {
      return refuse('PodMismatch', `the request's ${what} is not that of pod ${name}`);
    }
  }
  if (metadata.annotations?.[mirrorAnnotation] !== undefined) {
    return refuse('PodMismatch', `pod ${name} is a mirror pod, which has no identity of its own`);
  }
  if (!spec?.nodeName || !spec.serviceAccountName || serviceAccountUID === undefined) {
    return refuse('PodMismatch', `pod ${name} runs on no node, or without a service account`);
  }
  return status?.phase === 'Succeeded' || status?.phase === 'Failed'
    ? refuse('PodMismatch', `pod ${name} has ended`)
    : undefined;
}
