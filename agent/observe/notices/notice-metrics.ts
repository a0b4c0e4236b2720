/**
 * Counts each notice in the metrics of requests, outcomes, durations and trust anchors.
 */

import { unreachable } from '../../base/unreachable.ts';
import type { CredentialNotice, Notice, Phase, TrustNotice, VolumeNotice } from '../../lifecycle/notices.ts';
import type { Metrics } from '../metrics/metrics.ts';

/** Most issuances whose phases are remembered; there are never as many credentials on a node. */
const maxRemembered = 4_096;

/**
 * Whether an issuance was a first one or a renewal is known at its end, so the durations of its phases are kept until
 * then; what an attempt that came to nothing took is not observed.
 */
export function createNoticeCounter(metrics: Metrics): (notice: Notice) => void {
  const phases = new Map<string, Partial<Record<Phase, number>>>();
  const keyOf = (volumeId: string, source: number): string => `${volumeId}/${source}`;

  const remember = (notice: CredentialNotice, phase: Phase, tookMs: number): void => {
    const key = keyOf(notice.volume.volumeId, notice.source);
    const known = phase === 'key' ? {} : phases.get(key);
    phases.delete(key);
    phases.set(key, { ...known, [phase]: tookMs });
    const [oldest] = phases.keys();
    if (phases.size > maxRemembered && oldest !== undefined) {
      phases.delete(oldest);
    }
  };

  const observeIssuance = (notice: CredentialNotice & { readonly type: 'projected' }): void => {
    const key = keyOf(notice.volume.volumeId, notice.source);
    const durations = { ...phases.get(key), write: notice.writeMs, total: notice.totalMs };
    phases.delete(key);
    const histogram = notice.first ? 'firstCertificateDuration' : 'renewalDuration';
    for (const [phase, tookMs] of Object.entries(durations)) {
      const labels = { signer_name: notice.signerName, key_type: notice.keyType, phase };
      metrics.observe(histogram, labels, tookMs / 1_000);
    }
    metrics.observe('propagation', {}, notice.writeMs / 1_000);
  };

  const countOutcome = (notice: CredentialNotice, outcome: string, reason: string): void => {
    metrics.count('requestOutcomes', { signer_name: notice.signerName, outcome, reason });
  };
  const countRetry = (notice: CredentialNotice, cause: string): void => {
    metrics.count('retries', { signer_name: notice.signerName, cause });
  };

  const countCredential = (notice: CredentialNotice): void => {
    const signer = { signer_name: notice.signerName };
    switch (notice.type) {
      case 'keyMade':
        remember(notice, 'key', notice.tookMs);
        break;
      case 'requested':
        metrics.count('requests', signer);
        remember(notice, 'request', notice.tookMs);
        break;
      case 'answered':
        metrics.signerIssued(notice.signerName);
        countOutcome(notice, 'issued', 'Issued');
        remember(notice, 'signer', notice.tookMs);
        break;
      case 'projected':
        observeIssuance(notice);
        break;
      case 'denied':
      case 'failed':
        countOutcome(notice, notice.type, notice.reason === '' ? 'none' : notice.reason);
        countRetry(notice, notice.type);
        break;
      case 'requestLost':
        countOutcome(notice, 'lost', notice.why);
        countRetry(notice, 'lost');
        break;
      case 'attemptFailed':
        metrics.count('attemptFailures', { ...signer, phase: notice.phase, error: notice.error.code });
        countRetry(notice, 'error');
        break;
      case 'waitingForSigner':
        if (!notice.again) {
          metrics.count('waitingForSigner', signer);
        }
        break;
      case 'notYetValid':
        metrics.count('notYetValid', signer);
        break;
      case 'refreshOverdue':
        metrics.count('refreshOverdue', signer);
        break;
      case 'expired':
        metrics.count('expired', signer);
        break;
      case 'keyTypeSuggested':
        break;
      case 'adopted':
        metrics.signerIssued(notice.signerName);
        break;
      case 'requestHeldUp':
      case 'resumed':
      case 'trustMismatch':
      case 'trustMismatchOver':
      case 'podEnded':
      case 'podLives':
        break;
      default:
        unreachable(notice);
    }
  };

  const countTrust = (notice: TrustNotice): void => {
    switch (notice.type) {
      case 'anchorsProjected':
        metrics.count('anchorWrites', { occasion: notice.first ? 'first' : 'change' });
        break;
      case 'anchorsMissing':
        metrics.count('anchorFailures', { error: 'missing' });
        break;
      case 'anchorsRefused':
        metrics.count('anchorFailures', { error: 'refused' });
        break;
      case 'anchorsExpired':
        metrics.count('anchorsExpired', { outcome: notice.dropped ? 'dropped' : 'kept' });
        break;
      case 'anchorsNotWritten':
        metrics.count('anchorFailures', { error: notice.error.code });
        break;
      default:
        unreachable(notice);
    }
  };

  const countVolume = (notice: VolumeNotice): void => {
    if (notice.type === 'published') {
      metrics.observe('publishDuration', {}, notice.tookMs / 1_000);
    }
    if (notice.type === 'healed') {
      metrics.count('volumesHealed', {});
    }
    if (notice.type === 'reloaded') {
      metrics.count('reloads', { way: notice.way, outcome: 'done' });
    }
    if (notice.type === 'notReloaded') {
      metrics.count('reloads', { way: notice.way, outcome: notice.retryAt === undefined ? 'given_up' : 'failed' });
    }
    if (notice.type !== 'unpublished') {
      return;
    }
    const { declaration, volumeId } = notice.volume;
    for (const { index } of declaration.sources) {
      phases.delete(keyOf(volumeId, index));
    }
  };

  return (notice) => {
    if ('signerName' in notice) {
      countCredential(notice);
    } else if ('source' in notice) {
      countTrust(notice);
    } else {
      countVolume(notice);
    }
  };
}
