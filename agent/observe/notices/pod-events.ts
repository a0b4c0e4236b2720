/**
 * What a pod's author reads in `kubectl describe pod`: one event per thing worth knowing, each ending with who can do
 * what about it. Reasons are the kubelet's where it has one (`Denied`, `Failed`, `CertificateOverdueForRefresh`,
 * `CertificateExpired`).
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
 */
import { singleLine } from '../../base/redact.ts';
import { unreachable } from '../../base/unreachable.ts';
import type { Notice } from '../../lifecycle/notices.ts';
import { anchorsExpired, federationChanged, trustBundleMissing } from './anchor-events.ts';
import {
  attemptFailed,
  expired,
  keyTypeSuggested,
  notYetValid,
  podEnded,
  projected,
  refreshOverdue,
  refused,
  requestLost,
  requestOf,
  trustMismatch,
  trustMismatchOver,
  waitingForSigner,
} from './credential-events.ts';
import { type EventText, normal, notWritten, place, quote, signerOf, warning } from './event-text.ts';
import { mountedBySubPath, notReloaded, notSeen, servesOther } from './volume-events.ts';

/** The API server refuses an event whose message is longer. */
const maxMessageLength = 1_024;

/** The event that a notice deserves; undefined for what an author need not know. */
export function describeForPod(notice: Notice): EventText | undefined {
  const event = eventOf(notice);
  return event && { ...event, message: singleLine(event.message, maxMessageLength) };
}

function eventOf(notice: Notice): EventText | undefined {
  switch (notice.type) {
    case 'requestHeldUp':
      return normal('WaitingForToken', [
        `${place(notice)}: ${requestOf(notice)} to signer ${signerOf(notice)} is about to be made: ${quote(notice.waitsFor)}`,
        'Nothing needs to be done; a certificate that is in the volume stays.',
      ]);
    case 'waitingForSigner':
      return waitingForSigner(notice);
    case 'notYetValid':
      return notYetValid(notice);
    case 'projected':
      return projected(notice);
    case 'denied':
      return refused(notice, 'Denied');
    case 'failed':
      return refused(notice, 'Failed');
    case 'keyTypeSuggested':
      return keyTypeSuggested(notice);
    case 'requestLost':
      return requestLost(notice);
    case 'attemptFailed':
      return attemptFailed(notice);
    case 'refreshOverdue':
      return refreshOverdue(notice);
    case 'expired':
      return expired(notice);
    case 'trustMismatch':
      return trustMismatch(notice);
    case 'trustMismatchOver':
      return trustMismatchOver(notice);
    case 'podEnded':
      return podEnded(notice);
    case 'podLives':
      return warning('RefreshResumed', [
        `${place(notice)}: this pod was taken for ended and is alive; its certificate from ${signerOf(notice)} is renewed again.`,
        'Ask the cluster operator to find out what gave this node a wrong answer in the name of the API server.',
      ]);
    case 'anchorsProjected':
      return notice.federation === undefined ? undefined : federationChanged(notice, notice.federation);
    case 'anchorsMissing':
      return trustBundleMissing(notice);
    case 'anchorsRefused':
      return warning('TrustBundleUnusable', [
        `${place(notice)}: ${quote(notice.message)}`,
        'There is no bundle to create: the source has to select others, or ask whoever publishes these to correct them.',
        'Anchors that are in the volume stay, and the files follow by themselves.',
      ]);
    case 'anchorsExpired':
      return anchorsExpired(notice);
    case 'anchorsNotWritten':
      return notWritten(notice, 'trust anchors', notice.error, notice.retryAt);
    case 'mountedBySubPath':
      return mountedBySubPath(notice);
    case 'healed':
      return warning('VolumeMadeAnew', [
        `volume ${JSON.stringify(notice.volume.volumeName)}: it was damaged and is made anew from the pod's spec: ${quote(notice.reason)}`,
        'Its certificates are renewed again. If this repeats, ask who writes into the volume: a privileged container can.',
      ]);
    case 'unusable':
      return warning('VolumeUnusable', [
        `volume ${JSON.stringify(notice.volume.volumeName)}: it is not looked after: ${quote(notice.reason)}`,
        'Its files stay as they are, and its certificates expire. Replace the pod by a new one, which gets a new volume;',
        "if this repeats, ask the cluster operator to look into the log of this node's agent.",
      ]);
    case 'reloaded':
      return normal('Reloaded', [
        `volume ${JSON.stringify(notice.volume.volumeName)}: the pod was told of the new files: ${quote(notice.detail)}`,
        'Nothing needs to be done.',
      ]);
    case 'notReloaded':
      return notReloaded(notice);
    case 'servesCurrent':
      return notice.wasTold
        ? normal('NewCertificateServed', [
            `volume ${JSON.stringify(notice.volume.volumeName)}: the program serves the certificate in its files now.`,
            'Nothing needs to be done.',
          ])
        : undefined;
    case 'servesOther':
      return servesOther(notice);
    case 'notSeen':
      return notSeen(notice);
    case 'keyMade':
    case 'requested':
    case 'answered':
    case 'adopted':
    case 'resumed':
    case 'publishing':
    case 'published':
    case 'unpublished':
      return undefined;
    default:
      return unreachable(notice);
  }
}
