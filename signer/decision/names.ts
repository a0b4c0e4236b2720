/**
 * The names of a pod's certificate, made from what the API server's objects say: its namespace and its service account. Nothing that a pod's
 * author can write into a request gets in.
 *
 * https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md
 */
import type { Policy } from './policy.ts';

export interface PodNames {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
}

/**
 * The SPIFFE ID of the service account, and the Service that is called like it: whoever may run pods in a namespace may put them behind its
 * Services as well. The short form `<service>.<namespace>` is left out: it can be a name of the public DNS.
 */
export function namesOf(
  namespace: string,
  serviceAccount: string,
  { trustDomain, dnsNames, clusterDomain }: Policy,
): PodNames {
  const uris = [`spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`];
  // Where the API server is reached, by every pod of the cluster.
  const isApiServer = namespace === 'default' && serviceAccount === 'kubernetes';
  const service = `${serviceAccount}.${namespace}.svc`;
  const isName = service.length + clusterDomain.length < 253 && !isApiServer && isServiceName(serviceAccount);
  return { uris, dnsNames: dnsNames === 'none' || !isName ? [] : [service, `${service}.${clusterDomain}`] };
}

/** A service account's name may hold dots, a Service's may not: `a.b` would name host a of Service b. RFC 1035 label. */
function isServiceName(name: string): boolean {
  return /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name);
}
