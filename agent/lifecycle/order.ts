/**
 * What a declaration comes to: what a source asks for, as an order to whoever issues certificates, and whether the pod can have what
 * comes after.
 */
import type { PublishRequest } from '../../volumes/csi/driver.ts';
import { wantsAnchors } from '../../volumes/declaration/pod-certificate.ts';
import type { PodCertificateSource } from '../../volumes/declaration/types.ts';
import type { CertificateOrder } from './ports.ts';

/** The part of an order that does not depend on when it is made. */
export function orderFor(
  source: PodCertificateSource,
  { requestName, identity }: Pick<CertificateOrder, 'requestName' | 'identity'>,
): Omit<CertificateOrder, 'priority' | 'expiresAt' | 'alsoFor'> {
  const { signerName, maxExpirationSeconds, userAnnotations, names } = source;
  return {
    ...{ requestName, identity, signerName, userAnnotations },
    ...(maxExpirationSeconds === undefined ? {} : { maxExpirationSeconds }),
    ...(names === undefined ? {} : { names }),
    ...(wantsAnchors(source) ? { wantsAnchors: true } : {}),
  };
}

/** Why a pod with or without addresses of its own cannot have what the declaration asks for; undefined: it can. */
export function whyNotReachable({ declaration }: PublishRequest, hasAddresses: boolean): string | undefined {
  const byAddress = [
    ...(declaration.reload?.http === undefined ? [] : ['reload.http']),
    ...(declaration.probe === undefined ? [] : ['probe']),
  ];
  const why =
    "it can only be asked at an address of its own, and a pod on the node's network (hostNetwork: true) has none";
  return byAddress.length === 0 || hasAddresses ? undefined : `${byAddress.join(', ')}: ${why}`;
}
