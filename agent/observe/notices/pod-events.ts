/**
 * What a pod's author reads in `kubectl describe pod`: one event per thing worth knowing, each ending with who can do
 * what about it. Reasons are the kubelet's where it has one (`Denied`, `Failed`, `CertificateOverdueForRefresh`,
 * `CertificateExpired`).
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
 */
import type { AgentError, ErrorCode } from '../../base/errors.ts';
import { errorText, singleLine } from '../../base/redact.ts';
import { unreachable } from '../../base/unreachable.ts';
import type { CredentialNotice, Notice } from '../../lifecycle/notices.ts';
import { timeText } from '../../time/time-text.ts';

export interface EventText {
  readonly type: 'Normal' | 'Warning';
  /** One word in UpperCamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** The API server refuses an event whose message is longer. */
const maxMessageLength = 1_024;
/** Leave room for the rest of the message, whose end says what to do, around what others wrote. */
const maxQuoteLength = 480;
const maxNameLength = 100;
const maxContainers = 3;
/** What a request waits for: two names of the agent's own choosing, and beside them what somebody says. */
const maxHurdleLength = 640;
const maxDetailLength = 160;

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
    case 'anchorsProjected':
    case 'publishing':
    case 'published':
    case 'unpublished':
      return undefined;
    default:
      return unreachable(notice);
  }
}

function anchorsExpired(notice: Notice & { readonly type: 'anchorsExpired' }): EventText {
  const { expired, dropped } = notice;
  const [number, have, are, stay] = expired === 1 ? ['one', 'has', 'is', 'stays'] : [expired, 'have', 'are', 'stay'];
  return warning('TrustAnchorsExpired', [
    `${place(notice)}: ${number} of the trust anchors selected ${have} expired`,
    dropped ? `and ${are} left out of the file, as the source says (expired: drop).` : `and ${stay} in the file.`,
    'Whoever publishes the ClusterTrustBundle should take expired anchors out of it;',
    dropped
      ? 'what they signed is no longer trusted.'
      : 'with expired: drop in the source the agent does so for this volume.',
  ]);
}

function mountedBySubPath({ volume, containers }: Notice & { readonly type: 'mountedBySubPath' }): EventText {
  const [shown, more] = [containers.slice(0, maxContainers), containers.length - maxContainers];
  const names = [...shown.map((name) => singleLine(name, maxNameLength)), ...(more > 0 ? [`${more} more`] : [])];
  return warning('MountedBySubPath', [
    `volume ${JSON.stringify(volume.volumeName)}: mounted with subPath by ${names.join(', ')}, which will not see a renewal:`,
    'a subPath shows the file as it was when the container started, and its certificate expires there.',
    'Mount the whole volume at a directory of its own, and have the program read its files from there.',
  ]);
}

function servesOther(notice: Notice & { readonly type: 'servesOther' }): EventText {
  const { volume, since, serialNumber, notAfter, hasExpired } = notice;
  return warning('OldCertificateServed', [
    `volume ${JSON.stringify(volume.volumeName)}: its files changed at ${moment(since)}, and the program still serves certificate ${serialNumber},`,
    `which ${hasExpired ? 'expired' : 'expires'} at ${moment(notAfter)} and is not the one in the files.`,
    'Have the program read its files again, now by hand or by a restart of the pod, and from now on by reload in the volume’s attributes,',
    'if it does not watch them. If it is meant to serve another certificate at that port, correct probe.',
  ]);
}

function notSeen(notice: Notice & { readonly type: 'notSeen' }): EventText {
  const { volume, since, detail, isFinal = false } = notice;
  return warning('ProbeFailed', [
    `volume ${JSON.stringify(volume.volumeName)}: its files changed at ${moment(since)}, and it cannot be seen whether the program serves them: ${quote(detail)}`,
    'Compare probe in the volume’s attributes with what the program serves, and let the agent reach that port (a NetworkPolicy may keep it away).',
    isFinal ? 'It is not looked at again before the next change.' : 'The agent goes on looking.',
  ]);
}

/** Said once a change: attempts that are followed by another are in the log. */
function notReloaded(notice: Notice & { readonly type: 'notReloaded' }): EventText | undefined {
  const { volume, way, attempts, detail, retryAt } = notice;
  return retryAt === undefined
    ? warning('NotReloaded', [
        `volume ${JSON.stringify(volume.volumeName)}: ${attempts === 0 ? 'the pod cannot be told of new files' : `the pod could not be told of the new files in ${attempts === 1 ? 'one attempt' : `${attempts} attempts`}`}:`,
        `${quote(detail)} The files are in place; a program that does not look at them goes on with those before.`,
        `Compare reload.${way} in the volume's attributes with what the program takes, and tell it by hand for now.`,
        'The agent tries again after the next change.',
      ])
    : undefined;
}

/** Never "give what the message names": what a refusal names may be the right to act as anybody. */
const byTheChart =
  'The agent needs the permissions that its chart gives it, and no permission beyond these (docs/troubleshooting.md).';

type CredentialNoticeOf<Type extends CredentialNotice['type']> = CredentialNotice & { readonly type: Type };

function warning(reason: string, sentences: readonly string[]): EventText {
  return { type: 'Warning', reason, message: sentences.join(' ') };
}

function normal(reason: string, sentences: readonly string[]): EventText {
  return { type: 'Normal', reason, message: sentences.join(' ') };
}

/** `volume "mtls" sources[0]`: how the pod's own YAML names it. */
function place(notice: Notice & { readonly source: number }): string {
  return `volume ${JSON.stringify(notice.volume.volumeName)} sources[${notice.source}]`;
}

function requestOf(notice: CredentialNotice & { readonly requestName: string }): string {
  return `request ${notice.volume.pod.namespace}/${notice.requestName}`;
}

/** The signer's name, cut where it is so long that the message would not fit. */
function signerOf(notice: CredentialNotice): string {
  return singleLine(notice.signerName, maxNameLength);
}

/** What another side said, as one sentence in one line. */
function quote(text: string, limit = maxQuoteLength): string {
  const line = singleLine(text, limit);
  if (line === '') {
    return 'no message.';
  }
  return /[.!?…]$/.test(line) ? line : `${line}.`;
}

/** RFC 3339 to the second, in UTC. */
function moment(milliseconds: number): string {
  return timeText(milliseconds).replace(/\.\d+Z$/, 'Z');
}

function trustBundleMissing(notice: Notice & { readonly type: 'anchorsMissing' }): EventText {
  const { message, isOperators = false, kept = false } = notice;
  const correct = 'Correct the source, or ask whoever runs the signer to publish the ClusterTrustBundle;';
  return warning('TrustBundleMissing', [
    `${place(notice)}: ${quote(message)}`,
    ...(kept ? ['The trust anchors in the volume stay as they are.'] : []),
    isOperators
      ? `Ask the cluster operator: nothing in the pod can mend this. ${byTheChart}`
      : `${correct} the files follow by themselves.`,
    // A pod that runs does not start any more, and is not advised to go without what it has.
    ...(isOperators || kept ? [] : ['With optional: true the pod starts without anchors, and can verify nobody.']),
  ]);
}

function waitingForSigner(notice: CredentialNoticeOf<'waitingForSigner'>): EventText {
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

function notYetValid(notice: CredentialNoticeOf<'notYetValid'>): EventText {
  const { notBefore, aheadMs, until } = notice;
  return warning('ClocksDiffer', [
    `${place(notice)}: the certificate from ${signerOf(notice)} is valid from ${moment(notBefore)} on,`,
    `by this node's clock ${Math.round(aheadMs / 1_000)} s from now. It is written at ${moment(until)};`,
    'a certificate that is in the volume stays until then.',
    "Ask the cluster operator to compare the node's clock with the signer's.",
  ]);
}

function projected(notice: CredentialNoticeOf<'projected'>): EventText {
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

function refused(notice: CredentialNoticeOf<'denied' | 'failed'>, reason: 'Denied' | 'Failed'): EventText {
  const word = notice.reason === '' ? '' : `${singleLine(notice.reason, maxNameLength)}: `;
  const said = `${word}${quote(notice.message)}`;
  return warning(reason, [
    `${place(notice)}: signer ${signerOf(notice)} ${notice.type} ${requestOf(notice)}: ${said}`,
    `Correct the source, or ask whoever runs the signer; the agent asks again at ${moment(notice.retryAt)}`,
    'and keeps a certificate that is in the volume.',
  ]);
}

function keyTypeSuggested(notice: CredentialNoticeOf<'keyTypeSuggested'>): EventText {
  const said = `${place(notice)}: signer ${signerOf(notice)} does not take ${notice.keyType} keys and suggests ${notice.suggested}.`;
  return notice.followed
    ? normal('UnsupportedKeyType', [
        said,
        `The agent goes on with ${notice.suggested}; set keyType to it in the source.`,
      ])
    : warning('UnsupportedKeyType', [
        said,
        `Set keyType: ${notice.suggested} in the source,`,
        'or ask the cluster operator to start the agent with --follow-suggested-key-type.',
      ]);
}

const losses: Readonly<Record<CredentialNoticeOf<'requestLost'>['why'], string>> = {
  deleted: 'was deleted before it was answered',
  unanswered: 'was never answered and is given up',
  outdated: 'was answered, but its certificate ran out before the other sources of the volume were ready',
};

function requestLost(notice: CredentialNoticeOf<'requestLost'>): EventText {
  return warning('RequestLost', [
    `${place(notice)}: ${requestOf(notice)} to signer ${signerOf(notice)} ${losses[notice.why]}.`,
    `The agent makes another at ${moment(notice.retryAt)};`,
    `if this repeats, ask the cluster operator whether ${signerOf(notice)} runs.`,
  ]);
}

function refreshOverdue(notice: CredentialNoticeOf<'refreshOverdue'>): EventText {
  return warning('CertificateOverdueForRefresh', [
    `${place(notice)}: the certificate from ${signerOf(notice)} was to be renewed at ${moment(notice.refreshAt)}`,
    `and has not been; it expires at ${moment(notice.notAfter)}.`,
    'The agent keeps trying; ask whoever runs the signer, the events before this one say what failed.',
  ]);
}

function trustMismatch(notice: CredentialNoticeOf<'trustMismatch'>): EventText {
  const { anchors, since, refreshAt } = notice;
  const count = anchors === 1 ? 'the one trust anchor' : `any of the ${anchors} trust anchors`;
  return warning('TrustMismatch', [
    `${place(notice)}: the certificate from ${signerOf(notice)} does not lead to ${count} of that signer in this volume`,
    `(since ${moment(since)}); who trusts no others refuses this pod.`,
    'Ask whoever runs the signer to publish the CA that it signs with in its ClusterTrustBundles,',
    'with the one before beside it as long as certificates of that are in use.',
    `The agent asks for a new certificate at ${moment(refreshAt)}.`,
  ]);
}

function trustMismatchOver(notice: CredentialNoticeOf<'trustMismatchOver'>): EventText | undefined {
  return notice.leads
    ? normal('TrustRestored', [
        `${place(notice)}: the certificate from ${signerOf(notice)} leads to a trust anchor in this volume again.`,
        'Nothing needs to be done.',
      ])
    : undefined;
}

function podEnded(notice: CredentialNoticeOf<'podEnded'>): EventText {
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

function expired(notice: CredentialNoticeOf<'expired'>): EventText {
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

function attemptFailed(notice: CredentialNoticeOf<'attemptFailed'>): EventText | undefined {
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

function notWritten(
  notice: Notice & { readonly source: number },
  what: string,
  error: AgentError,
  retryAt: number,
): EventText {
  return warning('FilesNotWritten', [
    `${place(notice)}: the ${what} could not be written: ${quote(errorText(error))}`,
    "The files stay as they were; ask the cluster operator to look into the log of this node's agent.",
    `The agent tries again at ${moment(retryAt)}.`,
  ]);
}
