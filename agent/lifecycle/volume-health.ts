/**
 * Whether a volume is well, for the kubelet: its certificates are neither overdue nor expired, and what lies beside them lets
 * peers check them. Answered from memory, in texts that stay the same while nothing changes: the kubelet writes each change
 * into the pod's status.
 */
import type { VolumeFinding } from '../../volumes/csi/driver.ts';
import { cut } from '../base/cut.ts';
import { secondsText } from '../time/time-text.ts';
import type { CredentialSnapshot } from './notices.ts';

/** Sources that are named in one message. */
const named = 3;
/** Longest name of a signer in a message. */
const maxSignerLength = 100;

/** What counts of a credential. */
type Credential = Pick<CredentialSnapshot, 'source' | 'signerName' | 'state' | 'notAfter' | 'trustMismatchSince'>;

/** What is wrong with a volume that has these credentials; nothing when it is well. A reason comes once. */
export function findingsOf(credentials: readonly Credential[]): readonly VolumeFinding[] {
  return [
    ...finding(
      'CertificateExpired',
      credentials.filter(({ state }) => state === 'expired'),
      ({ notAfter = Number.NaN }) => `has expired at ${secondsText(notAfter)}`,
    ),
    ...finding(
      'CertificateOverdueForRefresh',
      credentials.filter(({ state }) => state === 'overdue_for_refresh'),
      ({ notAfter = Number.NaN }) => `is overdue for its refresh and expires at ${secondsText(notAfter)}`,
    ),
    ...finding(
      'TrustMismatch',
      credentials.filter(({ trustMismatchSince }) => trustMismatchSince !== undefined),
      () => 'leads to none of the trust anchors of its signer in the volume',
    ),
  ];
}

/** What is said of a volume that the agent cannot read. */
export const unusable: readonly VolumeFinding[] = [
  {
    reason: 'VolumeUnusable',
    message: 'the agent cannot read the records of this volume, so nobody refreshes its files; its events say why',
  },
];

function finding(
  reason: VolumeFinding['reason'],
  credentials: readonly Credential[],
  say: (credential: Credential) => string,
): readonly VolumeFinding[] {
  if (credentials.length === 0) {
    return [];
  }
  const said = credentials
    .slice(0, named)
    .map(
      (credential) =>
        `sources[${credential.source}] (signer ${cut(credential.signerName, maxSignerLength)}) ${say(credential)}`,
    );
  const more = credentials.length - said.length;
  return [{ reason, message: [...said, ...(more > 0 ? [`${more} more likewise`] : [])].join('; ') }];
}
