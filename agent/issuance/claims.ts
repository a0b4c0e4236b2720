/**
 * How much of the requests under a watch is kept in memory. Whoever may create requests can put the label on them by which
 * an agent selects those of its node: only requests that it made or waits for are kept whole, of a few others what it takes to
 * see that they are left over, and of the rest nothing.
 */
import { type KubernetesObject, keyOf, type ObjectMeta } from '../kubernetes/objects.ts';
import { podLabel } from './leftovers.ts';

/** An object that carries a PKCS#10 request: PEM, base64. */
export type ContentsRequest = KubernetesObject & { readonly spec: { readonly request: string } };

/** Requests that are kept when those of others count. */
const mostKept = 512;

export interface Claims<T extends ContentsRequest> {
  /** The request is made or waited for from now on. @returns whether it was before */
  claim(key: string): boolean;
  release(key: string): void;
  /** What is kept of a request when so many are. */
  keep(request: T, held: number): T | undefined;
}

/** @param outline a request of this metadata without contents */
export function createClaims<T extends ContentsRequest>(outline: (metadata: ObjectMeta) => T): Claims<T> {
  const claimed = new Set<string>();
  return {
    claim(key) {
      const wasClaimed = claimed.has(key);
      claimed.add(key);
      return wasClaimed;
    },
    release: (key) => void claimed.delete(key),
    keep(request, held) {
      if (claimed.has(keyOf(request))) {
        return request;
      }
      return held < mostKept ? outline(metadataOf(request)) : undefined;
    },
  };
}

/** Without a version, so that the whole request counts as a change. */
function metadataOf({ metadata: { name, namespace, uid, labels } }: ContentsRequest): ObjectMeta {
  const pod = labels?.[podLabel];
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(pod === undefined ? {} : { labels: { [podLabel]: pod } }),
  };
}

/** Whether no more is known of a request than that it is there. */
export function isOutline({ spec }: ContentsRequest): boolean {
  return spec.request === '';
}
