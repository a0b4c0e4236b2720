/**
 * Which objects the controller manager, and for events the API server, remove because their time is over, and how often
 * they look.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#request-signing-process
 */
import { X509Certificate } from 'node:crypto';
import { bytesAt, objectAt, objectsAt, stringAt } from '../base/fields.ts';
import type { ApiObject, GroupResource } from '../base/objects.ts';
import { podCertificateRequests, signingRequests } from './resources.ts';

/** The time, as a clean-up asks for it. */
export interface Ages {
  /** Whether a time (RFC 3339) lies further back than this, on a real cluster. Without a time: false. */
  isOlder(time: string | undefined, ageMs: number): boolean;
  /** Whether a time, milliseconds since the epoch, has passed. */
  hasPassed(time: number): boolean;
}

export interface Cleaning {
  readonly resource: GroupResource;
  /** How often it is looked at, on a real cluster. */
  readonly intervalMs: number;
  isOver(object: ApiObject, ages: Ages): boolean;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

export const cleanings: readonly Cleaning[] = [
  {
    resource: podCertificateRequests,
    intervalMs: 5 * minuteMs,
    isOver: ({ metadata }, { isOlder }) => isOlder(metadata.creationTimestamp, 15 * minuteMs),
  },
  {
    resource: 'events',
    intervalMs: 5 * minuteMs,
    isOver: ({ metadata }, { isOlder }) => isOlder(metadata.creationTimestamp, hourMs),
  },
  { resource: signingRequests, intervalMs: hourMs, isOver: isSigningRequestOver },
];

function isSigningRequestOver(object: ApiObject, { isOlder, hasPassed }: Ages): boolean {
  const status = objectAt(object, 'status');
  const conditions = objectsAt(status, 'conditions');
  const certificate = bytesAt(status, 'certificate');
  const isSigned = certificate.length > 0;
  if (conditions.length === 0) {
    return isOlder(object.metadata.creationTimestamp, dayMs);
  }
  return conditions.some((condition) => {
    const since = stringAt(condition, 'lastUpdateTime') || undefined;
    switch (stringAt(condition, 'type')) {
      case 'Approved':
        return isOlder(since, isSigned ? hourMs : dayMs) || (isSigned && hasPassed(endOf(certificate)));
      case 'Denied':
      case 'Failed':
        return isOlder(since, hourMs);
      default:
        return false;
    }
  });
}

/** notAfter of the first certificate, milliseconds since the epoch. */
function endOf(pem: Uint8Array): number {
  return new X509Certificate(pem).validToDate.getTime();
}
