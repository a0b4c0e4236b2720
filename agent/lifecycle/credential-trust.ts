/**
 * What becomes of a credential whose chain leads to none of its signer's anchors that lie beside it: the pod is told, and
 * the certificate is refreshed early. Both come at times that are drawn once for a certificate, however often the mismatch
 * is seen again, and both are left out when it is over by then.
 *
 * The planned refresh of the certificate is not touched: it comes at its own time, if nothing comes before it.
 */
import type { CertificateRecord, TrustRecord } from '../../volumes/base/volume.ts';
import type { CredentialEvent, Effect, Moment, Trust } from './credential-state.ts';
import { mismatchTimes, shortestWokenPause } from './pace.ts';

/** A trust, and what is to be done about its change. */
interface Judgement {
  readonly trust: Trust;
  readonly effects: readonly Effect[];
}

/** Of a certificate that nobody has compared with anchors yet. @param found what an earlier run of the agent left */
export function unjudged(found: TrustRecord = { earlyRefreshes: 0, isTold: false }): Trust {
  return { ...found, verdict: 'unknown', anchors: 0 };
}

/** When the certificate wants its refresh: at the time that was planned, or early, for a mismatch. */
export function dueTime(current: CertificateRecord, trust: Trust): number {
  return Math.min(plannedTime(current), standing(trust)?.refreshAt ?? Number.POSITIVE_INFINITY);
}

/** When the pod is to be told of a mismatch; undefined: never, or it has been told. */
export function tellTime(trust: Trust): number | undefined {
  return standing(trust)?.tellAt;
}

/** The chain was compared. */
export function judge(
  trust: Trust,
  current: CertificateRecord,
  { verdict, anchors }: CredentialEvent & { readonly type: 'trustJudged' },
  at: Moment,
): Judgement {
  const judged = { ...trust, verdict, anchors };
  if (verdict === 'mismatch') {
    return trust.mismatch === undefined ? drawn(judged, current, at) : { trust: judged, effects: [] };
  }
  if (trust.mismatch === undefined && !trust.isTold) {
    return { trust: judged, effects: [] };
  }
  const { mismatch, ...rest } = judged;
  const over = { ...rest, isTold: false };
  const told: Effect = { type: 'notify', news: { type: 'trustMismatchOver', leads: verdict === 'leads', anchors } };
  return { trust: over, effects: [save(over), ...(trust.isTold ? [told] : [])] };
}

/** Tells the pod of a mismatch when that is due. */
export function tellMismatch(trust: Trust, current: CertificateRecord | undefined, at: Moment): Judgement {
  const { mismatch, anchors } = trust;
  if (current === undefined || mismatch === undefined || at.now < (tellTime(trust) ?? Number.POSITIVE_INFINITY)) {
    return { trust, effects: [] };
  }
  const { since, refreshAt } = mismatch;
  // A refresh may be under way already.
  const dueAt = Math.max(at.now, dueTime(current, trust));
  const told: Trust = { ...trust, isTold: true, mismatch: { since, refreshAt } };
  const news = { type: 'trustMismatch', anchors, since, refreshAt: dueAt } as const;
  return { trust: told, effects: [save(told), { type: 'notify', news }] };
}

/** A refresh begins. The early ones count until one comes at its own time without a mismatch. */
export function onRefresh(trust: Trust, current: CertificateRecord, at: Moment): Judgement {
  const isEarly = at.now < plannedTime(current);
  const earlyRefreshes = trust.earlyRefreshes + (isEarly ? 1 : 0);
  const counted = { ...trust, earlyRefreshes: isEarly || trust.verdict === 'mismatch' ? earlyRefreshes : 0 };
  return { trust: counted, effects: counted.earlyRefreshes === trust.earlyRefreshes ? [] : [save(counted)] };
}

/** The files hold another chain now, which nobody has compared yet; what was told of the one before stays told. */
export function onWritten({ earlyRefreshes, isTold }: Trust): Judgement {
  const trust = unjudged({ earlyRefreshes, isTold });
  return { trust, effects: earlyRefreshes > 0 || isTold ? [save(trust)] : [] };
}

/** An operator says that the cause is mended: an early refresh comes now, but a second after the mismatch was seen. */
export function hastenedTrust(trust: Trust): Judgement {
  const mismatch = standing(trust);
  if (mismatch === undefined) {
    return { trust, effects: [] };
  }
  const refreshAt = Math.min(mismatch.refreshAt, mismatch.since + shortestWokenPause(false));
  const hastened = { ...trust, mismatch: { ...mismatch, refreshAt } };
  return { trust: hastened, effects: [save(hastened)] };
}

/** The mismatch that there is now; one of an earlier run is none before it is found again. */
function standing({ verdict, mismatch }: Trust): Trust['mismatch'] {
  return verdict === 'mismatch' ? mismatch : undefined;
}

function plannedTime({ refreshAt, notAfter }: CertificateRecord): number {
  return Math.min(refreshAt, notAfter);
}

function drawn(trust: Trust, current: CertificateRecord, at: Moment): Judgement {
  const times = mismatchTimes(current, plannedTime(current), trust.earlyRefreshes, at.now, at.random);
  const found = { ...trust, mismatch: { since: at.now, ...times } };
  return { trust: found, effects: [save(found)] };
}

function save({ earlyRefreshes, isTold, mismatch }: Trust): Effect {
  const record = { earlyRefreshes, isTold };
  return { type: 'saveTrust', trust: mismatch === undefined ? record : { ...record, mismatch } };
}
