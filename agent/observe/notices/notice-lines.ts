/**
 * What a notice says in the log: its level, its message, and the fields that make it findable.
 */

import { unreachable } from '../../base/unreachable.ts';
import type { CredentialNotice, Notice, TrustNotice, VolumeNotice } from '../../lifecycle/notices.ts';
import { timeText } from '../../time/time-text.ts';
import type { LogLevel } from '../log/log.ts';
import type { LogFields } from '../log/log-fields.ts';

/** One line of the log. */
export interface Line {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** The line for a notice; its fields name the volume, the source and the signer the same way on every line. */
export function lineOf(notice: Notice): Line {
  const { level, message, fields } = ownLine(notice);
  return { level, message, fields: { ...subjectFields(notice), ...fields } };
}

/** What every line about a volume carries. */
function subjectFields(notice: Notice): LogFields {
  const { pod, volumeName } = notice.volume;
  const volume = { namespace: pod.namespace, pod: pod.name, podUID: pod.uid, volume: volumeName };
  if (!('source' in notice)) {
    return volume;
  }
  if (!('signerName' in notice)) {
    return { ...volume, source: notice.source };
  }
  const { source, signerName, keyType } = notice;
  return { ...volume, source, signerName, keyType };
}

function ownLine(notice: Notice): Line {
  if ('signerName' in notice) {
    return credentialLine(notice);
  }
  return 'source' in notice ? trustLine(notice) : volumeLine(notice);
}

function credentialLine(notice: CredentialNotice): Line {
  const request = 'requestName' in notice ? notice.requestName : undefined;
  switch (notice.type) {
    case 'keyMade':
      return { level: 'debug', message: 'key made', fields: { request, tookMs: notice.tookMs } };
    case 'requested':
      return { level: 'info', message: 'certificate requested', fields: { request, tookMs: notice.tookMs } };
    case 'requestHeldUp':
      return { level: 'info', message: 'request is held up', fields: { request, detail: notice.waitsFor } };
    case 'waitingForSigner': {
      const { waitedMs, hurdle } = notice;
      const message = hurdle?.turn === 'approver' ? 'waiting for an approval' : 'waiting for the signer';
      const detail = hurdle === undefined ? {} : { detail: hurdle.detail ?? hurdle.text };
      return { level: 'warn', message, fields: { request, waitedMs, ...detail } };
    }
    case 'answered':
      return { level: 'debug', message: 'certificate accepted', fields: { request, tookMs: notice.tookMs } };
    case 'notYetValid': {
      const { notBefore, aheadMs, until } = notice;
      const fields = { request, notBefore: timeText(notBefore), aheadMs, writtenAt: timeText(until) };
      return { level: 'warn', message: 'certificate not valid yet, clocks differ', fields };
    }
    case 'projected': {
      const { serialNumber: serial, notBefore, notAfter, refreshAt, first, totalMs } = notice;
      const times = { notBefore: timeText(notBefore), notAfter: timeText(notAfter), refreshAt: timeText(refreshAt) };
      const message = first ? 'certificate written' : 'certificate renewed';
      return { level: 'info', message, fields: { request, serial, ...times, first, tookMs: totalMs } };
    }
    case 'denied':
    case 'failed': {
      const { reason, message: detail } = notice;
      const message = notice.type === 'denied' ? 'the signer denied the request' : 'the signer failed the request';
      return { level: 'warn', message, fields: { request, reason, detail, retryAt: timeText(notice.retryAt) } };
    }
    case 'keyTypeSuggested': {
      const { suggested, followed } = notice;
      return { level: 'warn', message: 'signer suggests another key type', fields: { suggested, followed } };
    }
    case 'requestLost': {
      const fields = { request, reason: notice.why, retryAt: timeText(notice.retryAt) };
      return { level: 'warn', message: 'request lost', fields };
    }
    case 'attemptFailed': {
      const { phase, error } = notice;
      return { level: 'warn', message: 'attempt failed', fields: { phase, error, retryAt: timeText(notice.retryAt) } };
    }
    case 'refreshOverdue':
      return {
        level: 'warn',
        message: 'certificate overdue for refresh',
        fields: { notAfter: timeText(notice.notAfter) },
      };
    case 'expired':
      return expiredLine(notice);
    case 'trustMismatch': {
      const { anchors, since, refreshAt } = notice;
      const fields = { certificates: anchors, since: timeText(since), refreshAt: timeText(refreshAt) };
      return { level: 'warn', message: "chain leads to none of its signer's trust anchors", fields };
    }
    case 'trustMismatchOver': {
      const { leads, anchors } = notice;
      const message = leads ? 'chain leads to a trust anchor again' : 'chain has no trust anchors to be compared with';
      return { level: 'info', message, fields: { certificates: anchors } };
    }
    case 'adopted': {
      const { notAfter, refreshAt } = notice;
      const fields = { notAfter: timeText(notAfter), refreshAt: timeText(refreshAt) };
      return { level: 'info', message: 'certificate adopted', fields };
    }
    case 'resumed':
      return { level: 'info', message: 'request resumed', fields: { request } };
    case 'podEnded':
      return podEndedLine(notice);
    case 'podLives':
      return { level: 'warn', message: 'pod is alive after all, its certificate is refreshed again', fields: {} };
    default:
      return unreachable(notice);
  }
}

type CredentialNoticeOf<Type extends CredentialNotice['type']> = CredentialNotice & { readonly type: Type };

function expiredLine({ notAfter, podEnded }: CredentialNoticeOf<'expired'>): Line {
  const ended = podEnded === undefined ? {} : { podEnded };
  return { level: 'error', message: 'certificate expired', fields: { notAfter: timeText(notAfter), ...ended } };
}

/** A pod that finished is nothing unusual; one that is gone should have taken its volume along. */
function podEndedLine({ why, notAfter, recheckAt }: CredentialNoticeOf<'podEnded'>): Line {
  const expiry = notAfter === undefined ? {} : { notAfter: timeText(notAfter) };
  const fields = { reason: why, ...expiry, recheckAt: timeText(recheckAt) };
  return { level: why === 'gone' ? 'warn' : 'info', message: 'pod has ended, no more refreshes', fields };
}

function trustLine(notice: TrustNotice): Line {
  switch (notice.type) {
    case 'anchorsProjected': {
      const { first, certificates } = notice;
      const message = first ? 'trust anchors written' : 'trust anchors changed';
      return { level: 'info', message, fields: { first, certificates } };
    }
    case 'anchorsMissing':
      return { level: 'warn', message: 'trust anchors missing', fields: { detail: notice.message } };
    case 'anchorsRefused':
      return { level: 'warn', message: 'trust anchors cannot be used', fields: { detail: notice.message } };
    case 'anchorsExpired': {
      const message = notice.dropped ? 'expired trust anchors left out' : 'trust anchors have expired';
      return { level: 'warn', message, fields: { certificates: notice.expired } };
    }
    case 'anchorsNotWritten': {
      const { error, retryAt } = notice;
      return { level: 'warn', message: 'trust anchors not written', fields: { error, retryAt: timeText(retryAt) } };
    }
    default:
      return unreachable(notice);
  }
}

function volumeLine(notice: VolumeNotice): Line {
  const { volumeId, targetPath } = notice.volume;
  switch (notice.type) {
    case 'publishing':
      return { level: 'info', message: 'volume requested by the kubelet', fields: { volumeId, targetPath } };
    case 'published':
      return { level: 'info', message: 'volume ready', fields: { volumeId, tookMs: notice.tookMs } };
    case 'unpublished':
      return { level: 'info', message: 'volume removed', fields: { volumeId } };
    case 'mountedBySubPath': {
      const fields = { volumeId, detail: notice.containers.join(', ') };
      return { level: 'warn', message: 'volume is mounted by subPath, its pod sees no renewal', fields };
    }
    case 'healed': {
      const fields = { volumeId, targetPath, detail: notice.reason };
      return { level: 'warn', message: 'volume made anew from its pod and taken up', fields };
    }
    case 'unusable': {
      const fields = { volumeId, targetPath, detail: notice.reason };
      return { level: 'error', message: 'volume cannot be used, its certificates expire', fields };
    }
    case 'reloaded': {
      const { way, attempts, detail } = notice;
      return { level: 'info', message: 'program told of new files', fields: { volumeId, way, attempts, detail } };
    }
    case 'servesCurrent': {
      const message = 'program serves the certificate in its files';
      return { level: 'info', message, fields: { volumeId, waitedMs: notice.afterMs } };
    }
    case 'servesOther': {
      const { since, serialNumber: serial, notAfter } = notice;
      const fields = { volumeId, since: timeText(since), serial, notAfter: timeText(notAfter) };
      return { level: 'warn', message: 'program does not serve the certificate in its files', fields };
    }
    case 'notSeen': {
      const { since, detail } = notice;
      const message = 'it cannot be seen what the program serves';
      return { level: 'warn', message, fields: { volumeId, since: timeText(since), detail } };
    }
    case 'notReloaded': {
      const { way, attempts, detail, retryAt } = notice;
      const [message, again] =
        retryAt === undefined
          ? ['program could not be told of new files', {}]
          : ['program not told of new files yet', { retryAt: timeText(retryAt) }];
      return { level: 'warn', message, fields: { volumeId, way, attempts, detail, ...again } };
    }
    default:
      return unreachable(notice);
  }
}
