/**
 * How long to wait: for a refresh, after a failure, for a signer's answer. Pure arithmetic; every duration is in
 * milliseconds, every time in milliseconds since the epoch, every `random` drawn from [0, 1).
 */

const seconds = 1000;
const minutes = 60 * seconds;

/** Longest jitter on a refresh, and the longest pause after a failure. */
const fiveMinutes = 5 * minutes;
/** The controller manager deletes requests that are older than 15 minutes, looking every 5. */
const requestLifetime = 20 * minutes;
/** It deletes CertificateSigningRequests that nobody has approved or denied after a day. */
const approvalLifetime = 24 * 60 * minutes;
/** The kubelet calls a refresh overdue ten minutes after beginRefreshAt. */
const overdueAfter = 10 * minutes;
const shortestPause = 1 * seconds;
/** The first pause, by what failed. */
const firstPauses = {
  /** Something that is expected to pass by itself: a reply that was lost, a server that is starting. */
  passing: 1 * seconds,
  /** Something that somebody has to mend. */
  lasting: 10 * seconds,
} as const;
const shortestPatience = 5 * seconds;

/** The validity of a certificate, as far as pace depends on it. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
  readonly beginRefreshAt: number;
}

/**
 * When to refresh: at beginRefreshAt plus jitter of at most 5 minutes and at most a tenth of the time left to notAfter.
 * Not sooner from now than half of the interval that the signer planned, so that a node whose clock is ahead does not ask
 * for one certificate after the other; but never later than `latestRefresh`.
 */
export function refreshTime(validity: Validity, now: number, random: number): number {
  const jitter = random * Math.min(fiveMinutes, Math.max(0, validity.notAfter - validity.beginRefreshAt) / 10);
  const soonest = now + (validity.beginRefreshAt - validity.notBefore) / 2;
  const planned = Math.round(Math.max(validity.beginRefreshAt + jitter, soonest));
  return Math.min(planned, latestRefresh(validity, now));
}

/**
 * The latest time for a refresh that is planned now: a third of what is then left of the certificate (from beginRefreshAt, or
 * from now where that has passed) stays for the refresh itself. Always before notAfter.
 */
export function latestRefresh({ beginRefreshAt, notAfter }: Validity, now: number): number {
  const from = Math.max(beginRefreshAt, now);
  return from < notAfter ? Math.floor(from + ((notAfter - from) * 2) / 3) : notAfter - 1;
}

/**
 * When a refresh counts as overdue: ten minutes after beginRefreshAt as for the kubelet, but not before it was planned, and
 * at the latest when a quarter of the time from there to notAfter has passed. So the warning comes before the expiry, and with
 * a certificate of ten minutes an alert on it does too.
 */
export function overdueTime(validity: Validity, refreshAt: number): number {
  const latest = refreshAt + Math.max(0, validity.notAfter - refreshAt) / 4;
  return Math.min(Math.max(validity.beginRefreshAt + overdueAfter, refreshAt), latest);
}

/** The longest time over which refreshes are spread that a whole cluster finds due at the same moment. */
const longestSpread = 30 * minutes;
/** A trust bundle and a certificate that belong together may arrive one after the other. */
const longestSettling = 1 * minutes;

/** When something is done about a chain that leads to none of its signer's anchors, if that lasts. */
export interface MismatchTimes {
  /** When its pod is told. */
  readonly tellAt: number;
  /** When its certificate is refreshed. */
  readonly refreshAt: number;
}

/**
 * A signer that changes its CA without an overlap makes a mismatch of all its certificates in the cluster at once. Their
 * refreshes are spread evenly over half an hour, or over a quarter of the interval that the signer planned where that is
 * shorter: then the cluster refreshes at four times its usual rate at most. A renewed certificate that is a mismatch again
 * waits for as long as all spreads before it together, up to twice that, so that a bundle which never fits costs a few
 * requests and then none beyond the usual ones. Never later than the planned refresh.
 * @param plannedAt when the refresh is due anyway
 * @param earlyRefreshes refreshes that were brought forward before and did not help
 */
export function mismatchTimes(
  { notBefore, beginRefreshAt }: Validity,
  plannedAt: number,
  earlyRefreshes: number,
  now: number,
  random: number,
): MismatchTimes {
  const interval = Math.max(0, beginRefreshAt - notBefore);
  const spread = Math.min(longestSpread, interval / 4);
  const settledAt = now + Math.min(longestSettling, interval / 20);
  const scale = spread * 2 ** Math.min(Math.max(0, earlyRefreshes - 1), 20);
  const delay = (earlyRefreshes > 0 ? scale : 0) + scale * random;
  return {
    tellAt: Math.floor(settledAt + Math.min(fiveMinutes, spread / 4) * random),
    refreshAt: Math.min(plannedAt, Math.floor(settledAt + delay)),
  };
}

/** What a pause depends on. */
export interface Setback {
  /** Failures in a row, this one included: 1 or more. */
  readonly failures: number;
  readonly nature: keyof typeof firstPauses;
  /** What is left of the certificate in the files; negative: it expired so long ago; `-Infinity`: there is none. */
  readonly timeLeftMs: number;
  /** What the other side asked for with Retry-After, or 0. */
  readonly retryAfterMs: number;
  /** For how long this has failed. */
  readonly failingForMs: number;
}

/** What fails for longer than this fails for the whole cluster, as far as its pace is concerned. */
const longOutage = 10 * minutes;

/**
 * How long to pause after a failure: 1 s or 10 s, doubling to 5 minutes, spread by a fifth either way. What the other side
 * asks for is a lower bound, up to 5 minutes. While a certificate is still valid, no pause, whoever asks for it, is longer
 * than a tenth of the time it has left (but a second), so attempts come faster as notAfter nears; and once it has expired, in the files
 * of a pod that runs, none is longer than a quarter of the time since, so that they slow down as they came.
 *
 * Within that, a refresh that has failed for more than ten minutes waits about twice as long as it has failed: what a signer
 * or the API server missed in an outage comes back over a time like that of the outage, and not within five minutes
 * (docs/scale.md has the figures).
 */
export function pauseAfterFailure(setback: Setback, random: number): number {
  const { failures, nature, timeLeftMs, retryAfterMs, failingForMs } = setback;
  const growing = Math.min(firstPauses[nature] * 2 ** Math.min(failures - 1, 10), fiveMinutes);
  const limit = longestPause(timeLeftMs);
  const own = Math.min(growing, limit) * (0.8 + 0.4 * random);
  const asked = Math.min(retryAfterMs, fiveMinutes);
  const ageing = timeLeftMs > 0 && failingForMs > longOutage ? failingForMs * (1 + 2 * random) : 0;
  return Math.floor(Math.min(Math.max(own, asked, ageing), limit));
}

function longestPause(timeLeftMs: number): number {
  return Math.max(shortestPause, timeLeftMs / 10, -timeLeftMs / 4);
}

/**
 * How long an attempt still waits once it is known that the cause of its failures has passed: not at all, but after ten
 * minutes of failures, with a certificate that is still valid, between half and one and a half times as long as it has failed
 * and at most a tenth of the time that is left: all others of the cluster come at the same moment.
 */
export function pauseAfterRelief(
  { failingForMs, timeLeftMs }: Pick<Setback, 'failingForMs' | 'timeLeftMs'>,
  random: number,
): number {
  if (timeLeftMs <= 0 || failingForMs <= longOutage) {
    return 0;
  }
  return Math.floor(Math.min(failingForMs * (0.5 + random), longestPause(timeLeftMs) * (0.5 + random / 2)));
}

/**
 * How long until a pod that counts as ended is looked for again: 10 s, doubling to 5 minutes, and no longer than a tenth of
 * what its certificate has left (but 10 s).
 */
export function pauseBeforeRecheck(checks: number, timeLeftMs: number, random: number): number {
  const setback = { failures: checks + 1, nature: 'lasting', timeLeftMs, retryAfterMs: 0, failingForMs: 0 } as const;
  const growing = pauseAfterFailure(setback, random);
  return Math.max(growing, firstPauses.lasting);
}

/**
 * The least that is left of a pause when something happens that may have mended its cause: a second, so that many such
 * happenings in a row cost few attempts, and as long as the first pause where the API server judged the request itself.
 */
export function shortestWokenPause(isDeterministic: boolean): number {
  return isDeterministic ? firstPauses.lasting : shortestPause;
}

/**
 * How long to wait for a signer before asking anew: as long as the API server keeps the request, but with a valid
 * certificate at most half of the time it has left, so that there is another attempt before notAfter. A request that a person
 * has yet to approve keeps its name for a day: they would find another one each time they look.
 */
export function patience(timeLeftMs: number, turn: 'approver' | 'signer' = 'signer'): number {
  const longest = turn === 'approver' ? approvalLifetime : requestLifetime;
  return timeLeftMs > 0 ? Math.min(Math.max(timeLeftMs / 2, shortestPatience), longest) : longest;
}

/** Whether a signer wants its certificate refreshed when less than a tenth of its lifetime is left: little for a second attempt. */
export function isRefreshLate({ notBefore, notAfter, beginRefreshAt }: Validity): boolean {
  return beginRefreshAt > notAfter - (notAfter - notBefore) / 10;
}
