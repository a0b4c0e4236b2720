/** What a pod's author is told of a certificate: asked for, waited for, refused, projected, late, expired. */
import type { ErrorCode } from '../../base/errors.ts';
import { errorText, singleLine } from '../../base/redact.ts';
import type { CredentialNotice } from '../../lifecycle/notices.ts';
import {
  byTheChart,
  type CredentialNoticeOf,
  type EventText,
  maxNameLength,
  maxQuoteLength,
  moment,
  normal,
  notWritten,
  place,
  quote,
  signerOf,
  warning,
} from './event-text.ts';

/** What a request waits for: two names of the agent's own choosing, and beside them what somebody says. */
const maxHurdleLength = 640;
const maxDetailLength = 160;

export function waitingForSigner(notice: CredentialNoticeOf<'waitingForSigner'>): EventText {
  const { hurdle, notAfter } = notice;
  const serves = notAfter === undefined ? [] : [`The certificate in the volume serves until ${moment(notAfter)}.`];
  if (hurdle !== undefined) {
    const isForApprover = hurdle.turn === 'approver';
    return normal(isForApprover ? 'WaitingForApproval' : 'WaitingForSigner', [
      `${place(notice)}: ${quote(hurdle.text, maxHurdleLength)}`,
      ...(hurdle.detail === undefined ? [] : [`It is said: ${quote(hurdle.detail, maxDetailLength)}`]),
      ...(isForApprover ? ['Compare the names in it with this pod before approving.'] : []),
      ...serves,
      notAfter === undefined ? 'The pod goes on by itself once that is done.' : 'It is renewed once that is done.',
    ]);
  }
  return normal('WaitingForSigner', [
    `${place(notice)}: signer ${signerOf(notice)} has not answered ${requestOf(notice)}`,
    `for ${Math.round(notice.waitedMs / 1_000)} s.`,
    ...serves,
    `If this lasts, ask the cluster operator whether ${signerOf(notice)} runs and whether its name is right.`,
    "The signer's own log may tell why: one that runs may be refused by the API server, or know only older fields of requests for the key.",
  ]);
}

export function notYetValid(notice: CredentialNoticeOf<'notYetValid'>): EventText {
  const { notBefore, aheadMs, until } = notice;
  return warning('ClocksDiffer', [
    `${place(notice)}: the certificate from ${signerOf(notice)} is valid from ${moment(notBefore)} on,`,
    `by this node's clock ${Math.round(aheadMs / 1_000)} s from now. It is written at ${moment(until)};`,
    'a certificate that is in the volume stays until then.',
    "Ask the cluster operator to compare the node's clock with the signer's.",
  ]);
}

export function projected(notice: CredentialNoticeOf<'projected'>): EventText {
  const { first, serialNumber, notAfter, refreshAt, names = '' } = notice;
  const said = [
    `${place(notice)}: ${first ? 'certificate' : 'new certificate'} ${serialNumber} from ${signerOf(notice)} is in the volume,`,
    ...(names === '' ? [] : [`for ${singleLine(names, maxQuoteLength)},`]),
    `valid until ${moment(notAfter)}, renewed from ${moment(refreshAt)} on.`,
  ];
  if (!first) {
    return normal('Rotated', [...said, 'Programs that do not watch their files must be told to read them again.']);
  }
  const remarks = remarksOn(notice);
  return remarks.length === 0
    ? normal('Issued', [...said, 'Nothing needs to be done.'])
    : warning('Issued', [...said, ...remarks, 'Ask whoever runs the signer whether that is meant.']);
}

/** What is odd about a certificate that is good: told with the first one, so once in the life of a volume. */
function remarksOn({ names, isRefreshLate }: CredentialNoticeOf<'projected'>): readonly string[] {
  return [
    ...(names === '' ? ['It has no subject alternative name: programs that compare names refuse it.'] : []),
    ...(isRefreshLate === true
      ? [
          'Its renewal begins in the last tenth of its lifetime, which leaves little time if the signer does not answer.',
        ]
      : []),
  ];
}

export function refused(notice: CredentialNoticeOf<'denied' | 'failed'>, reason: 'Denied' | 'Failed'): EventText {
  const word = notice.reason === '' ? '' : `${singleLine(notice.reason, maxNameLength)}: `;
  const said = `${word}${quote(notice.message)}`;
  return warning(reason, [
    `${place(notice)}: signer ${signerOf(notice)} ${notice.type} ${requestOf(notice)}: ${said}`,
    `Correct the source, or ask whoever runs the signer; the agent asks again at ${moment(notice.retryAt)}`,
    'and keeps a certificate that is in the volume.',
  ]);
}

export function keyTypeSuggested(notice: CredentialNoticeOf<'keyTypeSuggested'>): EventText {
  const said = `${place(notice)}: signer ${signerOf(notice)} does not take ${notice.keyType} keys and suggests ${notice.suggested}.`;
  return notice.followed
    ? normal('UnsupportedKeyType', [
        said,
        `The agent goes on with ${notice.suggested}; set keyType to it in the source.`,
      ])
    : warning('UnsupportedKeyType', [
        said,
        `Set keyType: ${notice.suggested} in the source,`,
        'or ask the cluster operator for followSuggestedKeyType: true (no restart).',
      ]);
}

const losses: Readonly<Record<CredentialNoticeOf<'requestLost'>['why'], string>> = {
  deleted: 'was deleted before it was answered',
  unanswered: 'was never answered and is given up',
  outdated: 'was answered, but its certificate ran out before the other sources of the volume were ready',
};

export function requestLost(notice: CredentialNoticeOf<'requestLost'>): EventText {
  return warning('RequestLost', [
    `${place(notice)}: ${requestOf(notice)} to signer ${signerOf(notice)} ${losses[notice.why]}.`,
    `The agent makes another at ${moment(notice.retryAt)};`,
    `if this repeats, ask the cluster operator whether ${signerOf(notice)} runs.`,
  ]);
}

export function refreshOverdue(notice: CredentialNoticeOf<'refreshOverdue'>): EventText {
  return warning('CertificateOverdueForRefresh', [
    `${place(notice)}: the certificate from ${signerOf(notice)} was to be renewed at ${moment(notice.refreshAt)}`,
    `and has not been; it expires at ${moment(notice.notAfter)}.`,
    'The agent keeps trying; ask whoever runs the signer, the events before this one say what failed.',
  ]);
}

export function trustMismatch(notice: CredentialNoticeOf<'trustMismatch'>): EventText {
  const { anchors, since, refreshAt } = notice;
  const count = anchors === 1 ? 'the one trust anchor' : `any of the ${anchors} trust anchors`;
  return warning('TrustMismatch', [
    `${place(notice)}: the certificate from ${signerOf(notice)} does not lead to ${count} of that signer in this volume`,
    `(since ${moment(since)}); who trusts no others refuses this pod.`,
    'Ask whoever runs the signer to publish the CA that it signs with in its ClusterTrustBundles,',
    'with the one before beside it as long as certificates of that are in use,',
    'and where the source has a caPath or truststorePath, to give the same along with each certificate.',
    `The agent asks for a new certificate at ${moment(refreshAt)}.`,
  ]);
}

export function trustMismatchOver(notice: CredentialNoticeOf<'trustMismatchOver'>): EventText | undefined {
  return notice.leads
    ? normal('TrustRestored', [
        `${place(notice)}: the certificate from ${signerOf(notice)} leads to a trust anchor in this volume again.`,
        'Nothing needs to be done.',
      ])
    : undefined;
}

export function podEnded(notice: CredentialNoticeOf<'podEnded'>): EventText {
  const { why, notAfter, recheckAt } = notice;
  const validity = notAfter === undefined ? '' : `, valid until ${moment(notAfter)},`;
  const stopped = `the certificate from ${signerOf(notice)}${validity} is no longer renewed.`;
  const again = `The agent checks again at ${moment(recheckAt)}.`;
  return why === 'finished'
    ? normal('RefreshStopped', [`${place(notice)}: the pod's phase is Succeeded or Failed;`, stopped, again])
    : warning('RefreshStopped', [
        `${place(notice)}: the API server says that this pod does not exist any more; ${stopped}`,
        `If the pod does run, ask the cluster operator to find out what answers in the name of the API server. ${again}`,
      ]);
}

export function expired(notice: CredentialNoticeOf<'expired'>): EventText {
  const expiry = `${place(notice)}: the certificate from ${signerOf(notice)} expired at ${moment(notice.notAfter)}.`;
  if (notice.podEnded !== undefined) {
    return warning('CertificateExpired', [
      expiry,
      'It is not renewed because, by what the API server says, this pod has ended; the agent keeps checking that.',
    ]);
  }
  return warning('CertificateExpired', [
    expiry,
    'The agent keeps trying; ask whoever runs the signer, the events before this one say what failed.',
  ]);
}

/** Error code → reason of the event and who can do what; undefined: it passes by itself, or no pod is left to tell. */
const failures: Readonly<Record<ErrorCode, { readonly reason: string; readonly action: string } | undefined>> = {
  Rejected: {
    reason: 'RequestRejected',
    action: 'Correct the source as the message says: the API server does not take the request as it is.',
  },
  Forbidden: {
    reason: 'RequestForbidden',
    action: `Ask the cluster operator. ${byTheChart}`,
  },
  AccountForbidden: {
    reason: 'AccountForbidden',
    action:
      "Ask the cluster operator, who made the rule, or whoever gives this account its permissions. The agent's own permissions have no part in it.",
  },
  TokenMissing: {
    reason: 'TokenMissing',
    action: `Ask the cluster operator. ${byTheChart}`,
  },
  SignerNotAllowed: {
    reason: 'SignerNotAllowed',
    action: 'Name another signer in the source, or ask the cluster operator to allow this one.',
  },
  InvalidChain: {
    reason: 'InvalidChain',
    action: 'Ask whoever runs the signer to correct it; the certificate was refused and the files stay as they were.',
  },
  ApiMissing: {
    reason: 'CertificateAPIMissing',
    action: 'Ask the cluster operator to enable the certificate API that the message names.',
  },
  NotFound: {
    reason: 'ObjectMissing',
    action: 'Correct the pod that refers to the object, or ask the cluster operator why it is missing.',
  },
  Conflict: {
    reason: 'RequestConflict',
    action: 'Ask the cluster operator who else makes certificate requests of that name.',
  },
  Internal: {
    reason: 'AgentFault',
    action: "Ask the cluster operator to look into the log of this node's agent.",
  },
  Unavailable: undefined,
  PodGone: undefined,
  Aborted: undefined,
};

export function attemptFailed(notice: CredentialNoticeOf<'attemptFailed'>): EventText | undefined {
  const { error, phase, retryAt } = notice;
  const failure = failures[error.code];
  if (failure === undefined) {
    return undefined;
  }
  if (phase === 'write' && error.code === 'Internal') {
    return notWritten(notice, 'certificate', error, retryAt);
  }
  // What the operator's configuration makes wrong, or a proxy refuses, no source can be corrected for.
  const isOperators = error.code === 'Rejected' && error.actor === 'cluster operator';
  return warning(failure.reason, [
    `${place(notice)}: certificate from ${signerOf(notice)}: ${quote(errorText(error))}`,
    isOperators ? 'Ask the cluster operator: nothing in the pod can mend this.' : failure.action,
    `The agent tries again at ${moment(retryAt)}.`,
  ]);
}

export function requestOf(notice: CredentialNotice & { readonly requestName: string }): string {
  return `request ${notice.volume.pod.namespace}/${notice.requestName}`;
}
